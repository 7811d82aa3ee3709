/**
 * The simulated platform of a run: a development root, and a machine for each server and client, as
 * an operator makes them with `deno task platform`.
 */
import { SIMULATED_IMAGE } from "../src/attest/simulated_quote.ts";
import { simulatedMeasurements } from "../src/attest/simulated_measurements.ts";
import {
  createAuthority,
  createPlatform,
  PLATFORM_ROOT,
  renewCollateral,
  revokePlatform,
} from "../src/ops/platform_folder.ts";
import { systemClock, systemRandom } from "../src/ops/system.ts";
import { hex } from "../src/protocol/bytes.ts";

/** Machines of one root, below a folder. */
export class Platforms {
  readonly #root: string;
  readonly #machines = new Map<string, string>();

  constructor(readonly folder: string) {
    this.#root = `${folder}/root`;
    createAuthority(this.#root, systemRandom, systemClock.wall());
  }

  /** The file of the root's certificate. */
  get anchor(): string {
    return `${this.#root}/${PLATFORM_ROOT}`;
  }

  /** The folder of a node's machine; a new one has started an image. */
  machine(name: string, image: string = SIMULATED_IMAGE): string {
    const known = this.#machines.get(name);
    if (known) return known;
    const machine = `${this.folder}/${name.replaceAll(" ", "-")}`;
    createPlatform({ folder: this.#root, machine, image }, systemRandom, systemClock.wall());
    this.#machines.set(name, machine);
    return machine;
  }

  /** Collateral that was issued now, as a file. */
  renew(): string {
    renewCollateral(this.#root, systemClock.wall());
    return `${this.#root}/collateral.json`;
  }

  /** Revokes a machine; the collateral that says so, as a file. */
  revoke(machine: string): string {
    revokePlatform(this.#root, machine, systemClock.wall());
    return `${this.#root}/collateral.json`;
  }
}

/** Options that name the measurements of an image, of servers or of clients. */
export function expects(of: "servers" | "clients", image: string = SIMULATED_IMAGE): string[] {
  const { mrTd, rtmr1, rtmr2 } = simulatedMeasurements(image);
  const prefix = of === "clients" ? "--client-" : "--";
  return [
    ...[`${prefix}mrtd`, hex(mrTd), `${prefix}rtmr1`, hex(rtmr1), `${prefix}rtmr2`, hex(rtmr2)],
  ];
}
