/**
 * Who handed over what cannot be honest: forged, malformed, of another universe. Each such fault is
 * logged; with `MAX_FAULTS` of them in `FORGIVEN_MS` a neighbour is cut, and not heard for as long.
 */
import type { Environment } from "../environment.ts";

/** Faults that are borne. */
export const MAX_FAULTS = 3;
/** How long a fault counts, and how long a neighbour that was cut is not heard, in milliseconds. */
export const FORGIVEN_MS = 60_000;
/** Neighbours with faults that are remembered; beyond it the earliest is forgotten. */
export const MAX_SCORED = 1_024;

/** See the module. */
export class Scores {
  readonly #faults = new Map<string, { count: number; at: number }>();

  /** `cut` ends every connection with a neighbour. */
  constructor(readonly environment: Environment, readonly cut: (id: string) => void) {}

  /** Whether the neighbour is not to be heard now. */
  ignored(id: string): boolean {
    return this.#count(id) >= MAX_FAULTS;
  }

  /** The neighbour handed over something that only a liar or a broken program does. */
  fault(id: string, reason: string): void {
    if (this.ignored(id)) return;
    const count = this.#count(id) + 1;
    this.#faults.delete(id);
    if (this.#faults.size >= MAX_SCORED) {
      this.#faults.delete(this.#faults.keys().next().value!);
    }
    this.#faults.set(id, { count, at: this.environment.clock.now() });
    this.environment.observe("warn", "peer scored down", {
      peer: id,
      faults: count,
      limit: MAX_FAULTS,
      reason,
    });
    if (count >= MAX_FAULTS) this.cut(id);
  }

  #count(id: string): number {
    const known = this.#faults.get(id);
    if (known === undefined) return 0;
    if (this.environment.clock.now() - known.at < FORGIVEN_MS) return known.count;
    this.#faults.delete(id);
    return 0;
  }
}
