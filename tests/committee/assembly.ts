/** Servers that form a committee, as cores: links, losses, crashes and disks are the test's. */
import assert from "node:assert/strict";
import { type Formed, Genesis } from "../../src/committee/genesis.ts";
import type { Store } from "../../src/committee/release.ts";
import { compare, hex, ZERO32 } from "../../src/protocol/bytes.ts";
import { type Signer, signer } from "../../src/protocol/keys.ts";
import { createManifest, type Manifest } from "../../src/protocol/manifest.ts";
import { type Parameters, PRESETS } from "../../src/protocol/parameters.ts";
import { Random } from "../protocol/random.ts";

export const INSTANCE = new Uint8Array(32).fill(3);

/** The process died while it wrote. */
class Death extends Error {}

/** What a server logged or was told. */
export interface Said {
  readonly event: string;
  readonly fields: Record<string, unknown>;
}

/** One server, through all its boots. */
export class Party {
  readonly signer: Signer;
  core: Genesis | undefined;
  disk: Uint8Array | undefined;
  formed: Formed | undefined;
  refused: string | undefined;
  readonly said: Said[] = [];
  /** Fingerprints that it ever signed. */
  readonly signed = new Set<string>();
  /** The write at which it dies, counted from 1, and whether that write reaches the disk. */
  dies: { left: number; durable: boolean } | undefined;
  size: number;
  parameters: Parameters = PRESETS.dev;

  constructor(readonly name: string, seed: Uint8Array, size: number) {
    this.signer = signer(seed);
    this.size = size;
    const { sign } = this.signer;
    this.signer.sign = (label, ...parts) => {
      if (label === "sign-manifest") this.signed.add(hex(parts[0]));
      return sign(label, ...parts);
    };
  }

  get key(): Uint8Array {
    return this.signer.key;
  }
}

/** All of them, and the links between those that are up. */
export class Assembly {
  readonly random: Random;
  readonly parties: Party[];
  now = 0;
  /** Frames under way, in order, by sender and receiver. */
  readonly #links = new Map<string, Uint8Array[]>();

  constructor(readonly seed: number, count: number, size: number) {
    this.random = new Random(seed);
    this.parties = Array.from({ length: count }, () => this.random.bytes(32))
      .map((bytes, i) => new Party(`${i}`, bytes, size))
      .sort((a, b) => compare(a.key, b.key));
  }

  /** The manifest of some of them. */
  manifest(parties = this.parties): Manifest {
    return createManifest({
      instance: INSTANCE,
      epoch: 0,
      previous: ZERO32,
      start: ZERO32,
      servers: parties.map(({ key }) => key),
      parameters: parties[0].parameters,
    });
  }

  /** Starts a party on its disk; it meets those that are up. */
  start(party: Party): void {
    const alive = () => party.core === core;
    const store: Store = {
      load: () => party.disk?.slice(),
      save: (bytes) => {
        const dies = party.dies && --party.dies.left === 0 ? party.dies : undefined;
        if (!dies || dies.durable) party.disk = bytes.slice();
        if (dies) throw new Death();
      },
    };
    party.formed = undefined;
    const core: Genesis = party.core = new Genesis({
      instance: INSTANCE,
      signer: party.signer,
      size: party.size,
      parameters: party.parameters,
      store,
      environment: {
        clock: { now: () => this.now, after: () => () => {} },
        observe: (_level, event, fields = {}) => void party.said.push({ event, fields }),
      },
      broadcast: (frame) => {
        if (!alive()) return;
        for (const other of this.parties) {
          this.#links.get(`${party.name}>${other.name}`)?.push(frame);
        }
      },
      formed: (formed) => void (party.formed = formed),
      refused: (reason) => void (party.refused = reason),
    });
    this.#do(party, () => core.begin());
    for (const other of this.parties) if (other !== party && other.core) this.link(party, other);
  }

  /** Opens the link between two that are up. */
  link(a: Party, b: Party): void {
    for (const [from, to] of [[a, b], [b, a]]) {
      if (!from.core || !to.core) return;
      this.#links.set(`${from.name}>${to.name}`, [...from.core.greeting()]);
    }
    this.#do(a, () => a.core!.connected(b.key));
    this.#do(b, () => b.core?.connected(a.key));
  }

  /** Cuts it; what was under way is lost. */
  cut(a: Party, b: Party): void {
    for (const [from, to] of [[a, b], [b, a]]) {
      if (!this.#links.delete(`${from.name}>${to.name}`)) continue;
      if (to.core) this.#do(to, () => to.core?.disconnected(from.key));
    }
  }

  /** A process dies. */
  crash(party: Party): void {
    party.core = undefined;
    for (const other of this.parties) if (other !== party) this.cut(party, other);
  }

  /** One frame arrives, of any link; false if none is under way. */
  step(): boolean {
    const busy = [...this.#links].filter(([, frames]) => frames.length > 0);
    if (busy.length === 0) return false;
    const [name, frames] = this.random.pick(busy), [from, to] = name.split(">");
    const frame = frames.shift()!, receiver = this.#named(to);
    this.#do(receiver, () => receiver.core!.receive(this.#named(from).key, frame));
    return true;
  }

  /** Everything arrives, and time passes until nothing happens any more. */
  settle(): void {
    for (let quiet = 0; quiet < 4;) {
      while (this.step()) quiet = 0;
      this.now += 1_000;
      for (const party of this.parties) this.#do(party, () => party.core?.tick());
      quiet++;
    }
  }

  /** Nobody signed two manifests; all of `members` stand on this one. */
  stands(manifest: Manifest, members = this.parties): void {
    const at = `seed ${this.seed}`;
    for (const party of this.parties) assert.ok(party.signed.size <= 1, at);
    for (const party of members) {
      assert.equal(party.refused, undefined, at);
      assert.ok(party.formed, `${at}: ${party.name}: ${party.core?.waitsFor}`);
      assert.equal(hex(party.formed.manifest.fingerprint), hex(manifest.fingerprint), at);
    }
  }

  #named(name: string): Party {
    return this.parties.find((party) => party.name === name)!;
  }

  #do(party: Party, task: () => void): void {
    try {
      task();
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      this.crash(party);
    }
  }
}
