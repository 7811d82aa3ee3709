/**
 * The addresses that a node was given: any peer of the universe may answer there, of whatever
 * instance. Each is tried until one answered, and again while the node has too few sessions.
 */
import type { Environment } from "../environment.ts";
import { type Census, OwnAddress, type Peer } from "../network.ts";
import { reasonOf } from "../stream.ts";
import type { Sync } from "./sync.ts";

/** The first and the longest pause between two attempts, in milliseconds. */
const RETRY_MS = [500, 2_000];
/**
 * Until an address that answered is tried once more by the way, in milliseconds, half of it more or
 * less by chance: by a node that others dial, and by one that only dials, of which there are many.
 */
const REVISIT_MS = 60_000, LEAF_REVISIT_MS = 600_000;
/** Addresses that a node that only dials tries at a time; one more is added each second. */
const LEAF_AT_ONCE = 2;

/** What trying needs of its node. */
export interface BootstrapHost {
  readonly environment: Environment;
  /** This node, as it is now. */
  self(): Peer;
  readonly sync: Sync;
  /** Whether this node only dials. */
  readonly leaf: boolean;
  /** A peer of our own instance answers there: it is to be met, if it is not yet. */
  meet(peer: Peer): void;
}

interface Attempt {
  readonly address: string;
  /** Who answered last. */
  peer: Peer | undefined;
  ours: boolean;
  busy: boolean;
  tried: boolean;
  /** Why the last attempt failed. */
  reason: string;
  failures: number;
  due: number;
  revisit: number;
}

/** See the module. */
export class Bootstrap {
  readonly #host: BootstrapHost;
  readonly #attempts: Set<Attempt>;
  readonly #started: number;
  /** Where in the list it begins, by chance, so that many nodes with one list spread over it. */
  readonly #first: number;

  constructor(host: BootstrapHost, addresses: readonly string[]) {
    this.#host = host;
    this.#started = host.environment.clock.now();
    this.#first = host.environment.random(1)[0];
    this.#attempts = new Set(
      [...new Set(addresses)].map((address) => ({
        address,
        peer: undefined,
        ours: false,
        busy: false,
        tried: false,
        reason: "no answer yet",
        failures: 0,
        due: 0,
        revisit: Infinity,
      })),
    );
  }

  /** What became of the addresses. */
  get counts(): Census["bootstrap"] {
    const all = [...this.#attempts];
    return {
      tried: all.filter((attempt) => attempt.tried).length,
      answered: all.filter((attempt) => attempt.peer !== undefined).length,
      failures: all.filter((attempt) => attempt.tried && attempt.peer === undefined)
        .map(({ address, reason }) => ({ address, reason })),
    };
  }

  tick(): void {
    const { sync, environment } = this.#host;
    const now = environment.clock.now();
    const self = this.#host.self();
    const most = this.#host.leaf
      ? LEAF_AT_ONCE + Math.floor((now - this.#started) / 1_000)
      : Infinity;
    const all = [...this.#attempts], first = all.length && this.#first % all.length;
    for (const attempt of [...all.slice(first), ...all.slice(0, first)]) {
      const { address, peer, busy, due } = attempt;
      if (self.addresses.includes(address)) this.#attempts.delete(attempt);
      else if (peer !== undefined && sync.opened(peer.id)) {
        if (attempt.ours) this.#host.meet(peer);
      } else if (!busy && now >= due && this.#wanted(attempt, most)) this.#dial(attempt);
    }
  }

  /** Whether an address is to be tried now. */
  #wanted({ tried, peer, revisit }: Attempt, most: number): boolean {
    const { sync, leaf, environment } = this.#host;
    if (!sync.full || environment.clock.now() >= revisit) return tried || this.#tried < most;
    return peer === undefined && !leaf;
  }

  get #tried(): number {
    return [...this.#attempts].filter(({ tried }) => tried).length;
  }

  /** Compares once with whoever answers at an address that was not given, but found. */
  async visit(address: string): Promise<void> {
    const { sync } = this.#host;
    const { session, ours, done } = await sync.open({ addresses: [address] });
    if (ours) this.#host.meet(session.stream.peer);
    await done;
    if (sync.crowded) session.stream.close("compared");
  }

  #dial(attempt: Attempt): void {
    const { sync, environment } = this.#host;
    attempt.busy = attempt.tried = true;
    const again = (failures: number) => {
      const now = environment.clock.now();
      attempt.busy = false;
      attempt.failures = failures;
      const every = this.#host.leaf ? LEAF_REVISIT_MS : REVISIT_MS;
      attempt.revisit = now + every * (0.5 + environment.random(1)[0] / 256);
      attempt.due = now + Math.min(RETRY_MS[0] * 2 ** Math.max(0, failures - 1), RETRY_MS[1]);
    };
    sync.open({ addresses: [attempt.address] }).then(async ({ session, ours, done }) => {
      const { peer } = session.stream;
      attempt.peer = peer;
      attempt.ours = ours;
      if (ours) this.#host.meet(peer);
      await done.catch(() => {});
      again(0);
      if (sync.crowded) session.stream.close("compared");
    }, (error) => {
      if (error instanceof OwnAddress) {
        this.#attempts.delete(attempt);
        return environment.observe("debug", "own address", { address: attempt.address });
      }
      const { address } = attempt, reason = attempt.reason = reasonOf(error);
      const level = attempt.failures === 0 ? "info" : "debug";
      environment.observe(level, "peer not reached", { address, reason });
      again(attempt.failures + 1);
    });
  }
}
