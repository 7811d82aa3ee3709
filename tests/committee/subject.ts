/**
 * The honest server under attack: its rules, its disk and its boots, with an oracle that hears
 * every word, and the dice of one schedule. Signatures are abstract: valid is what was issued.
 */
import type { Closing, Decision, Refusal, ReleaseRules } from "../../src/committee/release.ts";
import type { Signed, Statement } from "../../src/protocol/statements.ts";
import { id, type ModelManifest, Oracle, type Situation, type Violation } from "./oracle.ts";

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

/** An epoch that the honest server is in, with the disk that it has for it. */
export interface ModelEpoch {
  readonly manifest: { readonly fingerprint: Uint8Array; readonly epoch: number };
  readonly genesis: { readonly round: number; readonly hash: Uint8Array };
  disk: Uint8Array | undefined;
  readonly images: (Uint8Array | undefined)[];
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
  /** All epochs that it has to do with, oldest first. */
  readonly epochs: ModelEpoch[] = [];
  /** The one that it was started in. */
  here: ModelEpoch;
  /** Of all boots, the last one being in use. */
  readonly nonces: Uint8Array[] = [];
  rules!: ReleaseRules;
  /** Whether the disk survives every restart. */
  readonly #durable: boolean;
  #breaks: "no" | "before" | "after" = "no";
  #signatures = 0;
  #dice: number;
  #names = 100;

  constructor(readonly Rules: typeof ReleaseRules, seed: number, readonly tally: Tally) {
    this.#dice = Math.imul(seed + 1, 0x9e3779b1) | 0;
    this.self = this.below(3);
    this.#durable = this.chance(0.5);
    this.oracle = new Oracle(SERVERS, SERVERS[this.self]);
    this.here = this.epoch({ fingerprint: this.fresh(), epoch: 0 }, 0, this.fresh());
    this.oracle.certified.add(id(this.here.genesis.hash));
  }

  /** The epoch of a manifest, its disk being empty at first. */
  epoch(manifest: ModelEpoch["manifest"], round: number, start: Uint8Array): ModelEpoch {
    const before = this.epochs.find((epoch) => epoch.manifest.fingerprint === manifest.fingerprint);
    if (before) return before;
    const genesis = { round, hash: start };
    const epoch = { manifest, genesis, disk: undefined, images: [undefined] };
    this.epochs.push(epoch);
    return epoch;
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
        manifest: this.here.manifest,
        genesis: this.here.genesis,
        minParticipants: 2,
        scheme: {
          sign,
          verify: (signed) => this.oracle.valid(signed),
          signManifest: () => {
            this.#signatures++;
            return NO_SIGNATURE;
          },
        },
        store: { load: () => this.here.disk, save: (bytes) => this.#save(bytes) },
      });
    } catch {
      throw new Violated("unreadable register");
    }
  }

  /** Starts the honest server in the epoch after this one. */
  goOn(): void {
    const next = this.rules.closed!;
    const epoch = this.epochs.find(({ manifest }) => id(manifest.fingerprint) === id(next));
    if (!epoch) return;
    this.here = epoch;
    this.boot();
  }

  /** Restarts it; where amnesia is allowed, its disk is emptied or rolled back now and then. */
  restart(): void {
    if (!this.#durable && this.chance(0.7)) {
      this.oracle.amnesic = true;
      this.here.disk = this.chance(0.5) ? undefined : this.pick(this.here.images, 12);
    }
    this.boot();
  }

  /** Asks for a statement; the oracle judges the answer. The disk may fail meanwhile. */
  ask<S extends Statement>(
    call: () => Decision<S>,
    said: readonly (Signed | undefined)[] = [],
  ): Signed<S> | undefined {
    const at = this.#situation(), decision = this.#call(call);
    if (!decision) return undefined;
    const { statement } = decision.signed;
    count(this.tally.signed, statement.kind);
    this.#judged(this.oracle.judge(statement, said, at));
    return decision.signed;
  }

  /** Asks for the end of this epoch, as `ask`; whether the next manifest was signed. */
  askClose(call: () => Closing, next: ModelManifest): boolean {
    const at = this.#situation();
    if (!this.#call(call)) return false;
    count(this.tally.signed, "manifest");
    this.#judged(this.oracle.close(next, at));
    return true;
  }

  /** What it answers, but for a refusal or a broken disk. */
  #call<T extends object>(call: () => T | { readonly refused: Refusal }): T | undefined {
    const before = this.#signatures;
    if (this.spoil(0.02)) this.#breaks = this.chance(0.5) ? "before" : "after";
    try {
      const decision = call();
      if (!("refused" in decision)) return decision;
      count(this.tally.refused, decision.refused as Refusal);
      return undefined;
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      if (this.#signatures !== before) throw new Violated("not durable");
      if (this.chance(0.5)) this.restart();
      return undefined;
    } finally {
      this.#breaks = "no";
    }
  }

  #judged(bad: Violation | undefined): void {
    if (bad) throw new Violated(bad);
  }

  #situation(): Situation {
    const { head, closed } = this.rules, { manifest } = this.here;
    const known = { head: head.hash, closed: closed !== undefined };
    return { ...known, nonce: this.nonces.at(-1)!, now: this.now, manifest };
  }

  #save(bytes: Uint8Array): void {
    const breaks = this.#breaks;
    this.#breaks = "no";
    if (breaks === "before") throw new Broken();
    this.here.disk = bytes;
    this.here.images.push(bytes);
    if (breaks === "after") throw new Broken();
  }
}
