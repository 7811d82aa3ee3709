/**
 * The honest server under attack: its rules, its disk and its boots, with an oracle that hears
 * every word, and the dice of one schedule. Signatures are abstract: valid is what was issued.
 */
import type { Decision, Refusal, ReleaseRules } from "../../src/committee/release.ts";
import type { Signed, Statement } from "../../src/protocol/statements.ts";
import { Oracle, type Violation } from "./oracle.ts";

/** What came of a number of schedules. */
export interface Tally {
  schedules: number;
  /** Schedules in which the honest server signed FINAL for at least one record. */
  finalized: number;
  readonly signed: Map<string, number>;
  readonly refused: Map<Refusal, number>;
  readonly violations: Map<Violation | "threw", number>;
  /** The first schedule of each violation: its seed replays it. */
  readonly seeds: Map<string, number>;
}

/** Adds one. */
export function count<K>(map: Map<K, number>, key: K): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}

/** The honest server did what it must never do. */
export class Violated extends Error {
  constructor(readonly what: Violation) {
    super(what);
  }
}

/** The disk failed. */
class Broken extends Error {}

/** The keys of the committee. */
export const SERVERS: readonly Uint8Array[] = [1, 2, 3].map((n) => new Uint8Array(32).fill(n));
const NO_SIGNATURE = new Uint8Array(64);

/** See the module comment. */
export class Subject {
  now = 1_000_000;
  /** Scales the chance of spoiled moves. */
  calm = 1;
  readonly self: number;
  readonly oracle: Oracle;
  readonly genesis = this.fresh();
  /** Of all boots, the last one being in use. */
  readonly nonces: Uint8Array[] = [];
  rules!: ReleaseRules;
  /** Whether the disk survives every restart. */
  readonly #durable: boolean;
  readonly #images: (Uint8Array | undefined)[] = [undefined];
  #disk: Uint8Array | undefined;
  #breaks: "no" | "before" | "after" = "no";
  #signatures = 0;
  #dice: number;
  #names = 100;

  constructor(readonly Rules: typeof ReleaseRules, seed: number, readonly tally: Tally) {
    this.#dice = Math.imul(seed + 1, 0x9e3779b1) | 0;
    this.self = this.below(3);
    this.#durable = this.chance(0.5);
    this.oracle = new Oracle(SERVERS, SERVERS[this.self]);
  }

  /** A number below `n` (mulberry32). */
  below(n: number): number {
    let t = this.#dice = (this.#dice + 0x6d2b79f5) | 0;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 2 ** 32 * n);
  }
  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.below(2 ** 24) < p * 2 ** 24;
  }
  /** Whether to do something wrong. */
  spoil(p: number): boolean {
    return this.chance(p * this.calm);
  }
  /** One of the last `recent`. */
  pick<T>(list: readonly T[], recent = list.length): T {
    return list[list.length - 1 - this.below(Math.min(recent, list.length))];
  }
  /** 32 bytes that stand for a hash, key or nonce of their own. */
  fresh(): Uint8Array {
    const out = new Uint8Array(32), n = this.#names++;
    out[0] = n, out[1] = n >> 8, out[2] = n >> 16;
    return out;
  }

  /** A valid statement of a server. */
  says<S extends Statement>(server: number, statement: S): Signed<S> {
    const signed = this.forged(server, statement);
    this.oracle.issue(signed);
    return signed;
  }
  /** A statement that its server has not signed. */
  forged<S extends Statement>(server: number, statement: S): Signed<S> {
    return { statement, server: SERVERS[server], signature: NO_SIGNATURE };
  }
  /** One of the corrupt servers. */
  liar(): number {
    return (this.self + 1 + this.below(2)) % 3;
  }

  /** Starts the honest server on what its disk holds. */
  boot(): void {
    const nonce = this.fresh();
    this.nonces.push(nonce);
    const sign = <S extends Statement>(statement: S) => {
      this.#signatures++;
      return this.says(this.self, statement);
    };
    try {
      this.rules = new this.Rules({
        servers: SERVERS,
        self: this.self,
        nonce,
        genesis: { round: 0, hash: this.genesis },
        minParticipants: 2,
        scheme: { sign, verify: (signed) => this.oracle.valid(signed) },
        store: { load: () => this.#disk, save: (bytes) => this.#save(bytes) },
      });
    } catch {
      throw new Violated("unreadable register");
    }
  }

  /** Restarts it; where amnesia is allowed, its disk is emptied or rolled back now and then. */
  restart(): void {
    if (!this.#durable && this.chance(0.7)) {
      this.oracle.amnesic = true;
      this.#disk = this.chance(0.5) ? undefined : this.pick(this.#images, 12);
    }
    this.boot();
  }

  /** Asks for a statement; the oracle judges the answer. The disk may fail meanwhile. */
  ask<S extends Statement>(
    call: () => Decision<S>,
    said: readonly (Signed | undefined)[] = [],
  ): Signed<S> | undefined {
    const { hash: head } = this.rules.head, before = this.#signatures;
    if (this.spoil(0.02)) this.#breaks = this.chance(0.5) ? "before" : "after";
    try {
      const decision = call();
      if ("refused" in decision) {
        count(this.tally.refused, decision.refused);
        return undefined;
      }
      const { statement } = decision.signed;
      count(this.tally.signed, statement.kind);
      const at = { head, nonce: this.nonces.at(-1)!, now: this.now };
      const bad = this.oracle.judge(statement, said, at);
      if (bad) throw new Violated(bad);
      return decision.signed;
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      if (this.#signatures !== before) throw new Violated("not durable");
      if (this.chance(0.5)) this.restart();
      return undefined;
    } finally {
      this.#breaks = "no";
    }
  }

  #save(bytes: Uint8Array): void {
    const breaks = this.#breaks;
    this.#breaks = "no";
    if (breaks === "before") throw new Broken();
    this.#disk = bytes;
    this.#images.push(bytes);
    if (breaks === "after") throw new Broken();
  }
}
