/**
 * What a client shows to be admitted, beside its registration. It goes to the servers alone, over
 * encrypted streams: a ticket names a machine.
 *
 * Layout: u32 n ‖ ticket (n) ‖ u32 m ‖ token (m, ASCII) ‖ u32 k ‖ collateral (k, JSON); what is not
 * shown is empty.
 *
 * Frames of the `client-registry` stream: u8 kind ‖ body. From the client: 0 registration ‖ evidence,
 * or nothing of it · 1 leave · 2, what is wanted? From the server: 0 taken · 1 refused ‖ reason ·
 * 2 wanted: u8 wants (1 ticket, 2 token, 4 collateral) ‖ freshness (40) that a ticket must carry.
 */
import { FRESHNESS_BYTES, MAX_TICKET_BYTES } from "../attest/ticket.ts";
import { Reader, Writer } from "../protocol/bytes.ts";
import { MAX_STAPLE_BYTES, MAX_TOKEN_BYTES } from "./streams.ts";

/** Kinds of frames from a client, and from a server. */
export const REGISTER = 0, LEAVE = 1, ASK = 2;
export const TAKEN = 0, REFUSED = 1, WANTED = 2;

/** What a client shows; what is left out is not shown. */
export interface Evidence {
  readonly ticket?: Uint8Array;
  readonly token?: string;
  /** Collateral of its platform, as JSON. */
  readonly collateral?: string;
}

/** What a server wants to see. */
export interface Wants {
  readonly ticket: boolean;
  readonly token: boolean;
  /** It lacks the collateral of the client's platform. */
  readonly collateral: boolean;
}

/** What a server wants to see, and what a ticket has to carry for it. */
export interface Wanted extends Wants {
  readonly freshness: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** The layout of evidence. */
export function encodeEvidence({ ticket, token, collateral }: Evidence): Uint8Array {
  const text = (value = "") => new TextEncoder().encode(value);
  return new Writer().vector(ticket ?? NOTHING).vector(text(token)).vector(text(collateral)).end();
}

/** Reads evidence; no bytes at all are none. */
export function decodeEvidence(bytes: Uint8Array): Evidence {
  if (bytes.length === 0) return {};
  const reader = new Reader(bytes, "evidence"), decoder = new TextDecoder();
  const ticket = reader.bounded(0, MAX_TICKET_BYTES, "ticket");
  const token = reader.bounded(0, MAX_TOKEN_BYTES, "token");
  const collateral = reader.bounded(0, MAX_STAPLE_BYTES, "collateral");
  reader.end();
  if (token.some((byte) => byte < 33 || byte > 126)) reader.fail("encoding", "a token of no text");
  return {
    ticket: ticket.length > 0 ? ticket : undefined,
    token: token.length > 0 ? decoder.decode(token) : undefined,
    collateral: collateral.length > 0 ? decoder.decode(collateral) : undefined,
  };
}

/** A server's answer that it wants to see something. */
export function encodeWanted(
  { ticket, token, collateral }: Wants,
  freshness: Uint8Array,
): Uint8Array {
  const wants = (ticket ? 1 : 0) | (token ? 2 : 0) | (collateral ? 4 : 0);
  return new Writer().u8(WANTED).u8(wants).bytes(freshness).end();
}

/** Reads that answer, without its kind. */
export function decodeWanted(bytes: Uint8Array): Wanted {
  const reader = new Reader(bytes, "wanted"), wants = reader.u8();
  const freshness = reader.bytes(FRESHNESS_BYTES).slice();
  reader.end();
  if (wants > 7) reader.fail("range", `wants ${wants}`);
  return {
    ticket: (wants & 1) !== 0,
    token: (wants & 2) !== 0,
    collateral: (wants & 4) !== 0,
    freshness,
  };
}
