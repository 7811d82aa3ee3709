/**
 * What must hold whenever servers that keep their disks, or lose them whole, run the engine. Facts
 * are kept by group and index, from what every node hands out; a state is a running hash.
 */
import { hex } from "../../../src/protocol/bytes.ts";
import type { Entry } from "../../../src/committee/raft/types.ts";

/** Something that must not happen did. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** State that commands make, the same wherever the same commands were applied in the same order. */
export class HashState {
  readonly seen = new Set<number>();
  count = 0;
  #hash = 0x811c9dc5;
  #second = 0x9e3779b9;

  apply(command: Uint8Array): void {
    const id = new DataView(command.buffer, command.byteOffset).getUint32(0);
    this.seen.add(id);
    this.#mix(id);
  }

  #mix(id: number): void {
    this.count++;
    this.#hash = Math.imul(this.#hash ^ id, 0x01000193) ^ this.#hash >>> 15;
    this.#second = Math.imul(this.#second + id, 0x85ebca6b) ^ this.#second >>> 13;
  }

  get digest(): string {
    return `${this.count}:${this.#hash >>> 0}:${this.#second >>> 0}`;
  }

  snapshot(): Uint8Array {
    const out = Uint32Array.from([this.count, this.#hash, this.#second, ...this.seen]);
    return new Uint8Array(out.buffer);
  }

  static restored(bytes: Uint8Array | undefined): HashState {
    const state = new HashState();
    if (!bytes) return state;
    const [count, hash, second, ...seen] = new Uint32Array(bytes.slice().buffer);
    state.count = count;
    state.#hash = hash | 0;
    state.#second = second | 0;
    for (const id of seen) state.seen.add(id);
    return state;
  }
}

/** What is known of one group. */
interface Facts {
  readonly leaders: Map<number, number>;
  /** Committed entries by index: term, type and bytes as text. */
  readonly entries: Map<number, string>;
  /** The state at the highest index that is committed anywhere, and digests of all before it. */
  readonly state: HashState;
  readonly digests: Map<number, string>;
  /** A disk of it was put back to an older state: raft promises nothing from there on. */
  released: boolean;
}

/** A group is founded on this index; who comes later begins at 0. Both are empty. */
const FOUNDED = 1;

/** Holds groups to what raft promises. */
export class Oracle {
  readonly #groups = new Map<string, Facts>();
  commits = 0;
  leaderships = 0;

  get groups(): number {
    return this.#groups.size;
  }

  #facts(group: string): Facts {
    let facts = this.#groups.get(group);
    if (!facts) {
      const { digest } = new HashState();
      const digests = new Map([[0, digest], [FOUNDED, digest]]);
      facts = {
        leaders: new Map(),
        entries: new Map(),
        state: new HashState(),
        digests,
        released: false,
      };
      this.#groups.set(group, facts);
    }
    return facts;
  }

  /** A disk was put back to an older state: nothing more is promised in this group. */
  release(group: string): void {
    this.#facts(group).released = true;
  }

  released(group: string): boolean {
    return this.#facts(group).released;
  }

  /** A node leads. */
  led(group: string, term: number, id: number): void {
    const { leaders, released } = this.#facts(group);
    const other = leaders.get(term);
    if (other === undefined) this.leaderships++;
    leaders.set(term, id);
    if (other === undefined || other === id || released) return;
    throw new Violation(`two leaders of term ${term}: ${other} and ${id}`);
  }

  /** A node that had applied everything up to `applied` hands out what is next. */
  committed(group: string, applied: number, list: readonly Entry[]): void {
    const facts = this.#facts(group);
    if (facts.released) return;
    for (const entry of list) {
      if (entry.index !== ++applied) {
        throw new Violation(`entry ${entry.index} is handed out where ${applied} follows`);
      }
      const said = `${entry.type} of term ${entry.term}: ${hex(entry.data)}`;
      const before = facts.entries.get(entry.index);
      if (before === undefined) this.#first(facts, entry, said);
      else if (before !== said) {
        throw new Violation(`committed at ${entry.index}: ${before}; elsewhere ${said}`);
      }
    }
  }

  #first(facts: Facts, entry: Entry, said: string): void {
    if (!facts.digests.has(entry.index - 1)) {
      throw new Violation(`entry ${entry.index} is committed where none is known before it`);
    }
    this.commits++;
    facts.entries.set(entry.index, said);
    if (entry.type === "normal" && entry.data.length > 0) facts.state.apply(entry.data);
    facts.digests.set(entry.index, facts.state.digest);
  }

  /** A server has the state that all entries up to an index make. */
  state(group: string, index: number, digest: string): void {
    const { digests, released } = this.#facts(group);
    if (released || digests.get(index) === digest) return;
    throw new Violation(`the state at ${index} is ${digest}, of its entries ${digests.get(index)}`);
  }
}
