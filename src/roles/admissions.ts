/**
 * How a server judges what clients show: one after the other, off the round's path, from bounded
 * queues, one for each other server that sends what its clients showed and one for its own. What was
 * accepted is kept in memory and judged again when collateral changes, so that a platform that is
 * revoked loses its place. Peers are told no more than that they were refused.
 */
import { parseCollateral } from "../attest/collateral_json.ts";
import type { VerifiedCollateral } from "../attest/collateral.ts";
import type { Policy } from "../attest/policy.ts";
import { AttestationError } from "../attest/reasons.ts";
import { decodeTicket, verifyTicket } from "../attest/ticket.ts";
import { hex } from "../protocol/bytes.ts";
import type { Environment } from "../universe/environment.ts";
import type { Collaterals, Work } from "./attestation.ts";
import type { Evidence, Wants } from "./evidence.ts";
import { type Fresh, freshnessOf, judgeFreshness } from "./freshness.ts";
import type { Places } from "./records.ts";
import { MAX_EVIDENCE_BYTES } from "./streams.ts";

/** What one source may have waiting: so many, and so many bytes. */
export const MAX_WAITING = 1_024;
const MAX_WAITING_BYTES: number = Math.max(8 * 2 ** 20, 2 * MAX_EVIDENCE_BYTES);
/** What is kept of accepted evidence, to judge it again, in bytes. */
const MAX_KEPT_BYTES: number = 64 * 2 ** 20;
/** How long whoever was refused is refused unheard. */
export const REFUSED_MS = 5_000;
/** Clients of whom a refusal is remembered. */
const MAX_REFUSED = 4_096;
/** What is judged at one time: rounds come first, and verifying waits for other threads anyway. */
const AT_ONCE = 1;
/** How often, and how many times, a ticket is looked at again that names a record still to come. */
const AHEAD_MS = 500, AHEAD_TIMES = 10;

/** Judges a token of a client; rejects with an error that has a `code`. */
export interface TokenJudge {
  verify(token: string, client: Uint8Array, now: number): Promise<{ readonly until: number }>;
}

/** What clients must show: all of it. */
export interface AdmissionTerms {
  /** A ticket under this policy. */
  readonly ticket?: { readonly policy: Policy; readonly collateral: Collaterals };
  readonly token?: TokenJudge;
}

/** What it works with. */
export interface AdmissionsOptions {
  readonly environment: Environment;
  /** Instance id, 32 bytes. */
  readonly instance: Uint8Array;
  readonly terms: AdmissionTerms;
  /** The records by which freshness is judged. */
  readonly records: Places;
  readonly work?: Work;
}

/** A client was judged: until when it is admitted (Unix ms), or why not. */
export type Judged = { readonly until: number } | {
  readonly refused: string;
  /** It may be right to show it again: this server lacks collateral, or records, or time. */
  readonly again?: boolean;
  /** And the collateral with it. */
  readonly lacksCollateral?: boolean;
};

interface Case {
  readonly source: number;
  readonly client: Uint8Array;
  evidence: Evidence;
  done: (judged: Judged) => void;
  /** How often its ticket named a record that was still to come. */
  times: number;
}

interface Kept {
  readonly client: Uint8Array;
  readonly evidence: Evidence;
  readonly bytes: number;
}

/** See the module comment. */
export class Admissions {
  /** By source: a server's place, or -1 for this server's own clients. */
  readonly #queues = new Map<number, Case[]>();
  /** What waits, in a queue or for a record, by source and client; and how much, by source. */
  readonly #waiting = new Map<string, Case>();
  readonly #held = new Map<number, { count: number; bytes: number }>();
  readonly #kept = new Map<string, Kept>();
  readonly #refused = new Map<string, { readonly until: number; readonly reason: string }>();
  readonly #unsubscribe: () => void;
  #keptBytes = 0;
  #judging = 0;
  #stopped = false;
  /** Told when a client that was admitted is so no more. */
  evict: (client: Uint8Array) => void = () => {};

  constructor(readonly options: AdmissionsOptions) {
    const { terms: { ticket } } = options;
    this.#unsubscribe = ticket?.collateral.onChange(() => void this.#judgeAgain()) ?? (() => {});
  }

  /** What clients have to show. */
  get wants(): Wants {
    const { ticket, token } = this.options.terms;
    return { ticket: ticket !== undefined, token: token !== undefined, collateral: false };
  }

  /** What a ticket must carry that is made now. */
  get freshness(): Uint8Array {
    return freshnessOf(this.options.records);
  }

  /** Judges no more. */
  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
  }

  /** Judges what a client shows, in its source's turn; `done` is called once, later. */
  judge(source: number, client: Uint8Array, evidence: Evidence, done: Case["done"]): void {
    const known = this.#refused.get(hex(client)), now = this.options.environment.clock.now();
    if (known && known.until > now) return done({ refused: known.reason });
    const name = nameOf(source, client), waiting = this.#waiting.get(name);
    const held = this.#held.get(source) ?? { count: 0, bytes: 0 };
    const bytes = held.bytes + sizeOf(evidence) - (waiting ? sizeOf(waiting.evidence) : 0);
    const count = held.count + (waiting ? 0 : 1);
    if (count > MAX_WAITING || bytes > MAX_WAITING_BYTES) {
      return done({ refused: "too many wait to be judged", again: true });
    }
    this.#held.set(source, { count, bytes });
    // What it shows now takes the place of what it showed before.
    if (waiting) return void Object.assign(waiting, { evidence, done });
    const it = { source, client, evidence, done, times: 0 };
    this.#waiting.set(name, it);
    this.#enqueue(it);
  }

  #enqueue(it: Case): void {
    const queue = this.#queues.get(it.source) ?? [];
    this.#queues.set(it.source, queue);
    queue.push(it);
    this.#run();
  }

  /** It waits no more. */
  #leave({ source, client, evidence }: Case): void {
    this.#waiting.delete(nameOf(source, client));
    const { count, bytes } = this.#held.get(source)!;
    if (count === 1) this.#held.delete(source);
    else this.#held.set(source, { count: count - 1, bytes: bytes - sizeOf(evidence) });
  }

  /** Takes up what waits, as far as there is room. */
  #run(): void {
    while (!this.#stopped && this.#judging < AT_ONCE) {
      const next = this.#next();
      if (!next) return;
      const fresh = this.#fresh(next);
      if (fresh === "ahead") continue;
      this.#judging++;
      void this.#take(next, fresh).finally(() => {
        this.#judging--;
        this.#run();
      });
    }
  }

  async #take(it: Case, fresh: Fresh): Promise<void> {
    const { client, evidence, done } = it;
    this.#leave(it);
    const judged = await this.#judge(client, evidence, fresh);
    if (this.#stopped) return;
    if ("until" in judged) this.#keep(client, evidence);
    else if (!judged.again) this.#remember(client, judged.refused);
    done(judged);
  }

  /** The oldest case of the source whose turn it is: one each, round and round. */
  #next(): Case | undefined {
    for (const [source, queue] of this.#queues) {
      const next = queue.shift();
      this.#queues.delete(source);
      if (queue.length > 0) this.#queues.set(source, queue);
      if (next) return next;
    }
    return undefined;
  }

  async #judge(client: Uint8Array, evidence: Evidence, fresh: Fresh): Promise<Judged> {
    const { terms: { ticket, token }, environment: { clock }, work = (task) => task() } =
      this.options;
    try {
      const ends: number[] = [];
      if (ticket) {
        if (!evidence.ticket) throw new AttestationError("evidence-missing", "no ticket");
        decodeTicket(evidence.ticket);
        if (fresh !== "fresh") throw new AttestationError("ticket-stale");
        ends.push(await work(() => this.#verify(client, evidence)));
      }
      if (token) {
        const { token: shown } = evidence;
        if (shown === undefined) throw new AttestationError("evidence-missing", "no token");
        const verify = () => token.verify(shown, client, clock.wall());
        ends.push((await work(verify)).until);
      }
      return { until: Math.min(...ends) };
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      const lacksCollateral = error.code === "collateral-missing" && !evidence.collateral;
      const again = lacksCollateral || error.code === "ticket-stale";
      return { refused: error.message, again, lacksCollateral };
    }
  }

  /** How fresh a ticket is; one that names a record still to come here is looked at again, later. */
  #fresh(it: Case): Fresh {
    const { terms, environment: { clock }, records } = this.options, { ticket } = it.evidence;
    if (!terms.ticket || !ticket) return "fresh";
    let fresh: Fresh;
    try {
      fresh = judgeFreshness(decodeTicket(ticket), records);
    } catch {
      return "stale"; // it is no ticket, which is said where it is judged
    }
    if (fresh !== "ahead") return fresh;
    if (it.times++ >= AHEAD_TIMES) return "stale";
    clock.after(AHEAD_MS, () => this.#enqueue(it));
    return "ahead";
  }

  /** Until when a ticket grants anything. */
  async #verify(client: Uint8Array, { ticket: bytes, collateral: staple }: Evidence) {
    const { terms, instance, environment: { clock } } = this.options, now = clock.wall();
    const { policy, collateral: book } = terms.ticket!, ticket = decodeTicket(bytes!);
    let collateral: VerifiedCollateral;
    try {
      collateral = book.forQuote(ticket.quote, now);
    } catch (error) {
      if (!(error instanceof AttestationError)) throw error;
      if (error.code === "collateral-missing") book.want?.(ticket.quote);
      if (!staple) throw error;
      await book.offer(parseCollateral(staple), now);
      collateral = book.forQuote(ticket.quote, now);
    }
    const judge = { instance, role: "client" as const, key: client, collateral, policy, now };
    return (await verifyTicket(ticket, judge)).grantedUntil;
  }

  #keep(client: Uint8Array, { ticket, token }: Evidence): void {
    if (!ticket) return;
    const name = hex(client), evidence = { ticket, token };
    this.#forget(name);
    const bytes = sizeOf(evidence);
    this.#kept.set(name, { client, evidence, bytes });
    this.#keptBytes += bytes;
    while (this.#keptBytes > MAX_KEPT_BYTES) this.#forget(this.#kept.keys().next().value!);
  }

  #forget(name: string): void {
    this.#keptBytes -= this.#kept.get(name)?.bytes ?? 0;
    this.#kept.delete(name);
  }

  #remember(client: Uint8Array, reason: string): void {
    const { clock } = this.options.environment;
    if (this.#refused.size >= MAX_REFUSED) {
      this.#refused.delete(this.#refused.keys().next().value!);
    }
    this.#refused.set(hex(client), { until: clock.now() + REFUSED_MS, reason });
  }

  /** Collateral changed: what it said of admitted clients may not hold any more. */
  async #judgeAgain(): Promise<void> {
    const { work = (task) => task(), environment: { observe } } = this.options;
    for (const [name, kept] of [...this.#kept]) {
      if (this.#stopped || this.#kept.get(name) !== kept) continue;
      try {
        await work(() => this.#verify(kept.client, kept.evidence));
      } catch (error) {
        if (!(error instanceof AttestationError)) throw error;
        if (this.#stopped || this.#kept.get(name) !== kept) continue;
        this.#forget(name);
        if (error.code === "ticket-expired") continue;
        observe("warn", "client evicted", {
          client: name,
          code: error.code,
          reason: error.message,
        });
        this.evict(kept.client);
      }
    }
  }
}

function nameOf(source: number, client: Uint8Array): string {
  return `${source} ${hex(client)}`;
}

function sizeOf({ ticket, token = "", collateral = "" }: Evidence): number {
  return (ticket?.length ?? 0) + token.length + collateral.length;
}
