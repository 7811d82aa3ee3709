/**
 * What a client's messages go through until each has its outcome: reserved, granted, sent, landed,
 * or reserved again by the table of the protocol's section 8. Pure: headers and records go in,
 * the plaintext of the next envelope comes out.
 *
 * Whether and when the client sends is decided elsewhere and knows nothing of what is here: every
 * header gets vectors of the same length, full or empty. Slots are not kept: a salt and the payload
 * give the same bytes again.
 */
import { equal, type HeaderHash } from "../protocol/bytes.ts";
import type { Head } from "../protocol/chain.ts";
import type { Vectors } from "../protocol/envelope.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Header } from "../protocol/header.ts";
import { checkExtends } from "../protocol/opened.ts";
import { type Parameters, scheduleBytes, unitsOf } from "../protocol/parameters.ts";
import type { Record } from "../protocol/record.ts";
import { createEntry, insertEntry } from "../protocol/schedule.ts";
import { commitment, createSlot, readSlot } from "../protocol/slot.ts";
import type { Random } from "../universe/environment.ts";
import { type Attempt, DEFAULT_DEADLINE, given, Handle, type Pending } from "./submission.ts";
import type { Outcome, SendOptions, Submission } from "./submission.ts";

export { DEFAULT_DEADLINE, MAX_AFTER_EXPOSURE } from "./submission.ts";
export type { Outcome, Progress, SendOptions, Submission } from "./submission.ts";

/** Most messages of one outbox whose fate is open. */
export const MAX_PENDING = 1_024;

/** What an outbox takes from outside. */
export interface OutboxOptions {
  readonly parameters: Parameters;
  readonly random: Random;
  /** Unix ms. */
  readonly now: () => number;
  /** Told that the aggregator left this client out three times in a row. */
  readonly onWarning?: (warning: string) => void;
}

/** The messages of one client. */
export class Outbox {
  readonly #o: OutboxOptions;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #closed?: string;
  /** Round of the last header seen; rounds only rise until a reset. */
  #round = 0;
  /** The last header that vectors were made for: never again, two plaintexts would share a pad. */
  #composed?: HeaderHash;
  /** Records in a row that left this client out: of those it sent under, of those due its slots. */
  #missed = { records: 0, slots: 0 };

  /** An empty outbox. */
  constructor(options: OutboxOptions) {
    this.#o = options;
  }

  /** Submissions whose fate is open, at most `MAX_PENDING`. */
  get size(): number {
    return this.#pending.size;
  }

  /** Takes a copy of `payload`; throws a `ProtocolError` if it is empty, too long, or the deadline is none. */
  send(payload: Uint8Array, options: SendOptions = {}): Submission {
    const { once = false, deadline = DEFAULT_DEADLINE } = options;
    createSlot(new Uint8Array(16), payload, this.#o.parameters).fill(0);
    if (!(deadline > 0)) {
      throw new ProtocolError("range", `a deadline is over 0 ms from now, got ${deadline}`);
    }
    const handle = new Handle(++this.#lastId);
    if (this.#closed !== undefined) {
      handle.report({ kind: "refused", reason: `outbox is closed: ${this.#closed}` });
    } else if (this.size >= MAX_PENDING) {
      handle.report({ kind: "refused", reason: `outbox is full, ${MAX_PENDING} messages pending` });
    } else {
      this.#pending.set(handle.id, {
        handle,
        payload: new Uint8Array(payload),
        once,
        deadline: this.#o.now() + deadline,
        wait: 0,
        reservations: 0,
        lapses: 0,
        exposures: 0,
        past: [],
      });
    }
    return handle;
  }

  /**
   * What to put under `header`, which extends `head`: slots whose grants stand and at most one new
   * reservation, or cover alone where `speak` is false; what is not sent then lapses. Call `record`
   * for `head` first. Throws a `ProtocolError` if the header does not extend `head` or is not above
   * every header seen; nothing changed then.
   */
  compose(
    header: Header,
    head: Head,
    { speak = true }: { readonly speak?: boolean } = {},
  ): Vectors {
    checkExtends(header, head);
    const again = this.#composed !== undefined && equal(this.#composed, header.hash);
    if (header.round <= this.#round || again) {
      throw new ProtocolError("chain", `header ${header.round} after header ${this.#round}`);
    }
    this.#composed = header.hash;
    this.expire();
    this.#pass(header);
    const schedule = new Uint8Array(scheduleBytes(this.#o.parameters));
    const messages = new Uint8Array(header.messageBytes);
    if (speak) {
      this.#talk(head, messages);
      this.#reserve(header, schedule);
    }
    this.#countDown();
    return { schedule, messages };
  }

  /** A header under which nothing is sent. One that is not above every header seen is ignored. */
  skip(header: Header): void {
    if (header.round <= this.#round) return;
    this.#pass(header);
    this.#countDown();
  }

  /**
   * A verified record: `before` is the head it extends, `after` the one it makes, `took` whether
   * this client stands in its bitmap.
   */
  record(record: Record, before: Head, after: Head, took: boolean): void {
    let due = false;
    for (const p of this.#pending.values()) {
      if (p.live?.sent && stands(p.live, record, before)) due = true;
      this.#decide(p, record, before, after, took);
    }
    const sent = this.#composed !== undefined && equal(this.#composed, record.header.hash);
    const missed = this.#missed;
    if (took || sent) missed.records = took ? 0 : missed.records + 1;
    if (due) missed.slots = took ? 0 : missed.slots + 1;
    if (missed.records < 3 && missed.slots < 3) return;
    this.#missed = { records: 0, slots: 0 };
    this.#o.onWarning?.("left out three times in a row, change aggregator");
  }

  /**
   * The session changed or records were missed: nothing that was reserved or granted stands, and
   * what was sent counts as exposed. Rounds may start anew.
   */
  reset(): void {
    this.#round = 0;
    this.#missed = { records: 0, slots: 0 };
    for (const p of this.#pending.values()) {
      this.#lapse(p, "lapsed");
      p.past = p.past.filter((attempt) => attempt.sent);
    }
  }

  /** Expires what is over its deadline. */
  expire(): void {
    const now = this.#o.now();
    for (const p of this.#pending.values()) {
      if (now < p.deadline) continue;
      const exposed = p.exposures > 0 || p.live?.sent === true;
      const reason = given(p) ? "exposed" : exposed ? "deadline, exposed" : "deadline";
      this.#settle(p, { kind: "expired", reason });
    }
  }

  /** Expires everything for `reason`, and refuses what is sent later. */
  close(reason: string): void {
    this.#closed ??= reason;
    for (const p of this.#pending.values()) this.#settle(p, { kind: "expired", reason });
  }

  /** What a header says of earlier ones: those that extend the same record are void. */
  #pass(header: Header): void {
    this.#round = header.round;
    for (const p of this.#pending.values()) {
      const { live } = p;
      if (live === undefined) continue;
      const { grant } = live;
      if (grant === undefined) {
        if (equal(live.previous, header.previous)) this.#lapse(p, "void round");
      } else if (!header.carry && equal(grant.head, header.previous)) this.#lapse(p, "lapsed");
    }
  }

  /** Puts the slots in their places whose grants stand. */
  #talk(head: Head, messages: Uint8Array): void {
    for (const { live, payload } of this.#pending.values()) {
      if (live?.grant === undefined || !equal(live.grant.head, head.hash)) continue;
      const slot = createSlot(live.salt, payload, this.#o.parameters);
      messages.set(slot, live.grant.offset);
      slot.fill(0);
      live.sent = true;
    }
  }

  /** Reserves for the oldest message that is due, under a new salt. */
  #reserve(header: Header, schedule: Uint8Array): void {
    for (const p of this.#pending.values()) {
      if (p.live !== undefined || p.wait > 0 || given(p)) continue;
      const salt = this.#o.random(16);
      const slot = createSlot(salt, p.payload, this.#o.parameters);
      const c = commitment(header.hash, slot);
      slot.fill(0);
      insertEntry(schedule, header.hash, createEntry(header.hash, c, unitsOf(p.payload.length)));
      const { hash, round, previous } = header;
      p.live = { salt, commitment: c, header: hash, round, previous, sent: false };
      p.reservations++;
      return;
    }
  }

  /** A round went by for those that wait. */
  #countDown(): void {
    for (const p of this.#pending.values()) if (p.wait > 0) p.wait--;
  }

  /** What a record says of one message. */
  #decide(p: Pending, record: Record, before: Head, after: Head, took: boolean): void {
    const { header } = record, open = p.live === undefined ? p.past : [p.live, ...p.past];
    const landed = open.find((a) => stands(a, record, before) && this.#good(a, record));
    if (landed?.grant !== undefined) {
      const { slot } = landed.grant;
      return this.#settle(p, { kind: "landed", round: header.round, slot });
    }
    const own = open.find((a) => a.grant === undefined && equal(a.header, header.hash));
    const slot = own === undefined
      ? -1
      : after.layout.grants.findIndex((grant) => equal(grant.commitment, own.commitment));
    const { live } = p;
    if (own !== undefined && slot >= 0) {
      const { offset, length } = after.layout.grants[slot];
      own.grant = { head: after.hash, round: after.round, slot, offset, length };
      p.live = own;
    } else if (live !== undefined && live.grant === undefined) {
      if (live === own) this.#lapse(p, took ? "not granted" : "left out");
      else if (header.round > live.round || equal(live.previous, before.hash)) {
        this.#lapse(p, "void round");
      }
    } else if (live?.sent && !took && stands(live, record, before)) {
      this.#retry(p, "left out", 1 + this.#draw(2));
    } else if (live?.grant !== undefined && header.round > live.grant.round) {
      this.#lapse(p, "lapsed");
    }
    // Whatever extends this record's predecessor, or one before it, is decided now.
    p.past = p.past.filter(({ grant }) => grant !== undefined && grant.round > before.round)
      .filter((attempt) => attempt !== p.live);
    for (const a of open) if (a !== p.live && !p.past.includes(a)) a.salt.fill(0);
    if (given(p) && p.past.length === 0) this.#settle(p, { kind: "expired", reason: "exposed" });
  }

  /** Whether the slot of a granted attempt is good in `record`. */
  #good({ grant, commitment, header }: Attempt, record: Record): boolean {
    const { offset, length } = grant!;
    const bytes = record.messages.subarray(offset, offset + length);
    return readSlot(bytes, { commitment }, header, this.#o.parameters).good;
  }

  /** The live attempt came to nothing: an exposure if its slot was sent. */
  #lapse(p: Pending, reason: string): void {
    const { live } = p;
    if (live === undefined) return;
    if (live.sent) {
      p.exposures++;
      p.past.push(live);
      this.#retry(p, "exposed", 0);
    } else {
      if (live.grant === undefined) p.past = [...p.past.filter((a) => a.sent), live];
      else live.salt.fill(0);
      this.#retry(p, reason, this.#draw(Math.min(++p.lapses, 6)));
    }
  }

  #retry(p: Pending, reason: string, wait: number): void {
    p.live = undefined;
    p.wait = wait;
    if (given(p)) return;
    p.handle.report({ kind: "retrying", reason, attempt: p.reservations + 1 });
  }

  /** A random whole number of `bits` bits, at most 8. */
  #draw(bits: number): number {
    return this.#o.random(1)[0] & (2 ** bits - 1);
  }

  /** The fate is known: wipes what was kept of the message. */
  #settle(p: Pending, outcome: Outcome): void {
    this.#pending.delete(p.handle.id);
    p.payload.fill(0);
    for (const { salt } of p.live === undefined ? p.past : [p.live, ...p.past]) salt.fill(0);
    p.handle.report(outcome);
  }
}

/** Whether a record bears the grant of an attempt. */
function stands({ grant }: Attempt, { header }: Record, before: Head): boolean {
  return grant !== undefined && header.carry && equal(grant.head, before.hash);
}
