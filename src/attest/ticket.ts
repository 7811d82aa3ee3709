/**
 * A ticket: a quote that speaks for one peer. Its report data binds the instance, the trust anchor,
 * the peer's role and key, how long the ticket holds, and what shows when it was made. The quote
 * alone can be copied for as long as it holds: the peer has to prove the bound key beside it, on its
 * connection or by its signatures.
 *
 * Layout, integers little-endian:
 *
 * ```text
 * ticket        u8 role (1 server, 2 client) ‖ u64 from ‖ u64 until (Unix ms, both included)
 *               ‖ freshness (40) ‖ u32 n ‖ quote (n)
 * report data   SHA-512(ticket ‖ instance id (32) ‖ anchor fingerprint (32) ‖ u8 role ‖ key (32)
 *               ‖ u64 from ‖ u64 until ‖ freshness (40))
 * ```
 *
 * A quote carries no time, and the clock of a guest is its host's: the freshness is what nobody can
 * know beforehand. What it is, and whether it is fresh, is for the floors above to say.
 */
import { createHash } from "node:crypto";
import { Reader, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { VerifiedCollateral } from "./collateral.ts";
import type { Policy } from "./policy.ts";
import { MAX_QUOTE_BYTES } from "./quote.ts";
import type { QuoteSource } from "./quote_source.ts";
import { AttestationError, demand } from "./reasons.ts";
import { type VerifiedQuote, verifyQuote } from "./verifier.ts";

/** How long a ticket holds unless its maker wants less, and at most, ms. */
export const TICKET_MS = 3_600_000, MAX_TICKET_MS = 14_400_000;
/** How far a verifier's clock may differ from the maker's, ms. */
export const TICKET_SLACK_MS = 60_000;
/** Bytes of a freshness value. */
export const FRESHNESS_BYTES = 40;
/** Longest ticket. */
export const MAX_TICKET_BYTES = 61 + MAX_QUOTE_BYTES;

const LABEL = "zipnet/1/ticket\0";
const ROLES = ["server", "client"] as const;

/** Whom a ticket can speak for. */
export type TicketRole = (typeof ROLES)[number];

/** What a ticket binds. */
export interface TicketTerms {
  /** Instance id, 32 bytes. */
  readonly instance: Uint8Array;
  /** Fingerprint of the trust anchor, 32 bytes. */
  readonly anchor: Uint8Array;
  readonly role: TicketRole;
  /** Ed25519 key of the peer, 32 bytes. */
  readonly key: Uint8Array;
  /** First and last Unix ms at which it holds. */
  readonly from: number;
  readonly until: number;
  /** 40 bytes. */
  readonly freshness: Uint8Array;
}

/** A ticket as it came; nothing is verified. */
export interface Ticket extends Pick<TicketTerms, "role" | "from" | "until" | "freshness"> {
  readonly quote: Uint8Array;
}

/** What a ticket is judged by. */
export interface TicketJudge extends Pick<TicketTerms, "instance" | "role" | "key"> {
  readonly collateral: VerifiedCollateral;
  readonly policy: Policy;
  /** Unix ms. */
  readonly now: number;
}

/** A ticket that was accepted. */
export interface VerifiedTicket extends VerifiedQuote {
  readonly ticket: Ticket;
  /** Until when what is granted for it may last, Unix ms: the ticket's end or the quote's. */
  readonly grantedUntil: number;
}

/** The 64 bytes that a ticket's quote is made over. */
export function ticketReportData(terms: TicketTerms): Uint8Array {
  const { instance, anchor, role, key, from, until, freshness } = terms;
  const fields = new Writer().bytes(instance).bytes(anchor).u8(roleByte(role)).bytes(key)
    .u64(from).u64(until).bytes(freshness).end();
  return new Uint8Array(createHash("sha512").update(LABEL).update(fields).digest());
}

/** Has a ticket made. Rejects with what the source rejects with. */
export async function makeTicket(source: QuoteSource, terms: TicketTerms): Promise<Uint8Array> {
  const { role, from, until, freshness } = terms;
  const quote = await source.quote(ticketReportData(terms));
  return new Writer().u8(roleByte(role)).u64(from).u64(until).bytes(freshness).vector(quote).end();
}

/** Reads a ticket. Refuses as `ticket-malformed`. */
export function decodeTicket(bytes: Uint8Array): Ticket {
  try {
    const reader = new Reader(bytes, "ticket");
    const role = ROLES[reader.u8() - 1];
    if (role === undefined) reader.fail("range", "of neither a server nor a client");
    const from = reader.u64(), until = reader.u64(), freshness = reader.bytes(FRESHNESS_BYTES);
    const quote = reader.bounded(1, MAX_QUOTE_BYTES, "quote");
    reader.end();
    return { role, from, until, freshness, quote };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new AttestationError("ticket-malformed", error.message);
  }
}

/**
 * Verifies a ticket of the peer with that key: its times, then its quote. Throws an
 * `AttestationError` with the first reason against it; `report-data` says that it was made for
 * another instance, anchor, role, key, time or freshness.
 */
export async function verifyTicket(ticket: Ticket, judge: TicketJudge): Promise<VerifiedTicket> {
  const { collateral, policy, now } = judge, { from, until } = ticket;
  const life = until - from;
  demand(life > 0 && life <= MAX_TICKET_MS, "ticket-life", `${life} ms, at most ${MAX_TICKET_MS}`);
  demand(from <= now + TICKET_SLACK_MS, "ticket-early");
  demand(now <= until, "ticket-expired");
  demand(ticket.role === judge.role, "ticket-role", `it is of a ${ticket.role}`);
  const terms = { ...judge, ...ticket, anchor: collateral.anchor.fingerprint };
  const reportData = ticketReportData(terms);
  const verified = await verifyQuote(ticket.quote, { collateral, policy, now, reportData });
  return { ...verified, ticket, grantedUntil: Math.min(until, verified.validUntil) };
}

function roleByte(role: TicketRole): number {
  return 1 + ROLES.indexOf(role);
}
