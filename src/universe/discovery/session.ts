/**
 * One stream on which two catalogs are compared, as often as its dialer wants, and over which news
 * goes in between. A round: summary; the buckets that differ and their rows; what the dialer has
 * newer, and what it wants, a page at a time, until it wants nothing.
 */
import { equal, hex } from "../../protocol/bytes.ts";
import type { Clock } from "../environment.ts";
import { FrameError } from "../hello.ts";
import type { Stream, StreamEvents, StreamKind } from "../network.ts";
import { reasonOf } from "../stream.ts";
import { MAX_ENTRIES } from "./catalog.ts";
import {
  decodeFrame,
  type Digest,
  DONE,
  encodeBuckets,
  encodeItems,
  encodeRows,
  encodeSummary,
  encodeWanted,
  type Frame,
  isDeparture,
  type Item,
  MAX_FRAME,
  MAX_WANTED,
  type Row,
} from "./digest.ts";
import type { Version } from "./entry.ts";
import { Quota } from "./quota.ts";
import { MAX_TOMBS } from "./tombs.ts";

/** The stream of catalogs. */
export const CATALOG: StreamKind = {
  name: "catalog",
  maxFrame: MAX_FRAME,
  maxBuffered: 4_194_304,
  maxPerPeer: 3,
};

/** How long one round may take, in milliseconds. */
export const ROUND_MS = 10_000;
/** Items that the dialer offers in one round; the rest has its turn in the next. */
export const MAX_OFFERED = 512;
/** Items that one stream may bring, and ask for: at once, and each second after that. */
export const ITEM_BURST = MAX_ENTRIES + MAX_TOMBS;
export const ITEMS_PER_SECOND = 64;
/** Rounds that one stream may ask for: at once, and each second after that. */
export const ROUND_BURST = 4;
export const ROUNDS_PER_SECOND = 0.5;

/** What a session needs of its node. */
export interface Holdings {
  readonly clock: Clock;
  /** What is held, this node's own entry included. */
  digest(): Digest;
  item(id: string): Item | undefined;
  /** Whether a version would be taken. */
  wants(id: string, version: Version, departure: boolean): boolean;
  /** Takes what a peer handed over; throws where only a liar does that. */
  take(item: Item, from: string): void;
  /** A peer said what only a liar or a broken program says. */
  fault(id: string, reason: string): void;
  /** A round-trip time of a peer, in milliseconds. */
  sample(id: string, ms: number): void;
  /** Whether this node tells others, or only asks. */
  readonly tells: boolean;
}

interface Round {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly cancel: () => void;
  readonly began: number;
  answered: boolean;
  readonly rows: Row[];
  differ: number;
  wanted: Uint8Array[];
}

/** See the module. */
export class Session implements StreamEvents {
  readonly #holdings: Holdings;
  readonly #items = new Quota(ITEM_BURST, ITEMS_PER_SECOND);
  readonly #asked = new Quota(ITEM_BURST, ITEMS_PER_SECOND);
  readonly #rounds = new Quota(ROUND_BURST, ROUNDS_PER_SECOND);
  #round: Round | undefined;
  #running: Promise<void> | undefined;
  /** Whether the other side wants to hear news. */
  follows = false;

  /** `ended` is called once. */
  constructor(
    holdings: Holdings,
    readonly stream: Stream,
    readonly dialed: boolean,
    readonly ended: (session: Session) => void,
  ) {
    this.#holdings = holdings;
  }

  /** Compares once; with `push`, news is asked for from now on. One at a time. */
  compare(push: boolean): Promise<void> {
    return this.#running ??= this.#compare(push).finally(() => this.#running = undefined);
  }

  /** Hands over items now. */
  tell(items: readonly Item[]): void {
    this.pass(encodeItems(items));
  }

  /** Hands over items that are in frames already. */
  pass(frames: readonly Uint8Array[]): void {
    for (const frame of frames) this.stream.send(frame);
  }

  frame(bytes: Uint8Array): void {
    const frame = this.#decode(bytes);
    if (frame.kind === "items") return this.#hear(frame.items);
    if (this.dialed) this.#asDialer(frame);
    else this.#asAnswerer(frame);
  }

  #decode(bytes: Uint8Array): Frame {
    try {
      return decodeFrame(bytes);
    } catch (error) {
      this.#holdings.fault(this.stream.peer.id, reasonOf(error));
      throw error;
    }
  }

  closed(reason: string): void {
    this.#end(new Error(reason));
    this.ended(this);
  }

  #compare(push: boolean): Promise<void> {
    const { clock } = this.#holdings;
    return new Promise((resolve, reject) => {
      const cancel = clock.after(ROUND_MS, () => this.stream.close("no answer to a summary"));
      const began = clock.now();
      this.#round = {
        resolve,
        reject,
        cancel,
        began,
        answered: false,
        rows: [],
        differ: 0,
        wanted: [],
      };
      const { hashes } = this.#holdings.digest();
      if (!this.stream.send(encodeSummary(push, hashes))) this.#end(new Error("closed"));
    });
  }

  #end(error?: Error): void {
    const round = this.#round;
    this.#round = undefined;
    round?.cancel();
    if (error !== undefined) round?.reject(error);
    else round?.resolve();
  }

  #hear(items: readonly Item[]): void {
    for (const item of items) {
      if (!this.#items.take("", this.#holdings.clock.now())) {
        throw new FrameError("range", "more items than a stream may bring");
      }
      this.#holdings.take(item, this.stream.peer.id);
    }
  }

  #asDialer(frame: Frame): void {
    const round = this.#round;
    if (round === undefined) throw new FrameError("shape", `${frame.kind} outside a round`);
    if (frame.kind === "buckets" && !round.answered) {
      round.answered = true;
      round.differ = frame.differ;
      this.#holdings.sample(this.stream.peer.id, this.#holdings.clock.now() - round.began);
      if (frame.differ === 0) this.#end();
    } else if (frame.kind === "rows" && round.differ !== 0) {
      round.rows.push(...frame.rows);
      if (round.rows.length > ITEM_BURST) throw new FrameError("range", "more rows than are held");
      if (!frame.more) this.#weigh(round);
    } else if (frame.kind === "done" && round.wanted.length > 0) {
      round.wanted.splice(0, MAX_WANTED);
      this.#ask(round);
    } else throw new FrameError("shape", `${frame.kind} out of turn`);
  }

  /** All rows are here: offers what is newer here, and asks for what is newer there. */
  #weigh(round: Round): void {
    const holdings = this.#holdings;
    const theirs = new Map(round.rows.map((row) => [row.id, row]));
    round.wanted = round.rows
      .filter((row) => holdings.wants(row.id, row, row.departure))
      .map((row) => row.key);
    if (holdings.tells) this.tell(this.#newer(theirs, round.differ));
    round.differ = 0;
    this.#ask(round);
  }

  /** What is held here in the buckets that differ, and is newer than the other side's rows. */
  #newer(theirs: ReadonlyMap<string, Row>, differ: number): Item[] {
    const out: Item[] = [];
    const { buckets } = this.#holdings.digest();
    for (const [n, bucket] of buckets.entries()) {
      if ((differ & (1 << n)) === 0) continue;
      for (const row of bucket) {
        const item = this.#holdings.item(idOf(row));
        if (item === undefined || out.length >= MAX_OFFERED) continue;
        const known = theirs.get(item.id);
        if (known === undefined || supersedes(item, known)) out.push(item);
      }
    }
    return out;
  }

  #ask(round: Round): void {
    if (round.wanted.length === 0) return this.#end();
    this.stream.send(encodeWanted(round.wanted.slice(0, MAX_WANTED)));
  }

  #asAnswerer(frame: Frame): void {
    if (frame.kind === "summary") {
      if (!this.#rounds.take("", this.#holdings.clock.now())) {
        throw new FrameError("range", "more rounds than a stream may ask for");
      }
      this.follows = frame.push;
      const { buckets, hashes } = this.#holdings.digest();
      let differ = 0;
      hashes.forEach((hash, n) => {
        if (!equal(hash, frame.hashes[n])) differ |= 1 << n;
      });
      this.stream.send(encodeBuckets(differ));
      if (differ === 0) return;
      const rows = buckets.filter((_, n) => differ & (1 << n)).flat();
      for (const page of encodeRows(rows)) this.stream.send(page);
    } else if (frame.kind === "wanted") {
      const now = this.#holdings.clock.now();
      if (!frame.ids.every(() => this.#asked.take("", now))) {
        throw new FrameError("range", "more items than a stream may ask for");
      }
      const items = frame.ids.map((id) => this.#holdings.item(id));
      this.tell(items.filter((item) => item !== undefined));
      this.stream.send(DONE);
    } else throw new FrameError("shape", `${frame.kind} from a dialer`);
  }
}

/** Whether what is held here ends or follows what the other side's row names. */
function supersedes(item: Item, row: Row): boolean {
  if (isDeparture(item) && !row.departure) {
    return item.started > row.started ||
      (item.started === row.started && item.updated >= row.updated);
  }
  if (!isDeparture(item) && row.departure) return item.started > row.started;
  return item.started > row.started ||
    (item.started === row.started && item.updated > row.updated);
}

function idOf(row: Uint8Array): string {
  return hex(row.subarray(1, 33));
}
