/** What a typed stream is on both sides: its name, its codec, and the bounds of what is under way. */
import type { OwnEntry, PeerInfo } from "../discovery/view.ts";
import type { CatalogView } from "../discovery/view.ts";
import type { Environment } from "../environment.ts";
import type { Network, StreamKind } from "../network.ts";
import { DATUM_HEADER, MAX_CONTROL, type Window } from "./frames.ts";

/** What a stream's data are as bytes. */
export interface Codec<T> {
  /** The bytes of a datum, at most the stream's `maxDatum`. May throw: the datum is not sent. */
  encode(datum: T): Uint8Array;
  /** Reads them. May throw: the producer broke the stream's rules, and is left. */
  decode(bytes: Uint8Array): T;
}

/** Bytes as they are. */
export const RAW: Codec<Uint8Array> = {
  encode: (bytes) => bytes,
  decode: (bytes) => bytes.slice(),
};

/** Chooses peers by what they say of themselves. */
export type Predicate = (peer: PeerInfo) => boolean;

/** Judges tickets of one class. */
export interface TicketValidator {
  /** The class of ticket, as entries name it. */
  readonly class: string;
  /** Until when (Unix ms, `Infinity` for always) the ticket admits this peer, or why it does not. */
  check(
    body: Uint8Array,
    peer: { readonly id: string; readonly key: Uint8Array },
    now: number,
  ): Promise<{ readonly until: number } | { readonly refused: string }>;
}

/** What typed streams need of their node. */
export interface StreamNode {
  readonly network: Network;
  readonly catalog: CatalogView;
  readonly entry: OwnEntry;
  readonly environment: Environment;
  /** Hex id of the instance: producers that do not serve it are not dialed. Without it any may. */
  readonly instance?: string;
}

/** What both sides of a stream agree on, and whom each side wants on the other. */
export interface StreamOptions<T> {
  /** 1–30 characters `a-z 0-9 -`. */
  readonly name: string;
  readonly codec: Codec<T>;
  /** Bytes of the longest datum, the same on both sides. Default 65,536; at most `MAX_DATUM`. */
  readonly maxDatum?: number;
  /** The other side must satisfy all of them, now and whenever its entry changes. */
  readonly require?: readonly Predicate[];
  /** The other side must show a ticket for each, valid now and later. */
  readonly tickets?: readonly TicketValidator[];
}

/** The longest datum that a stream may have, in bytes. */
export const MAX_DATUM = 4_194_304;
/** The longest datum of a stream that names none. */
export const DEFAULT_DATUM = 65_536;
/** Data under way to one consumer, at most. */
export const MAX_WINDOW_ITEMS = 1_024;
/** Streams of one kind that one peer may have open: several consumers of one node. */
const MAX_PER_PEER = 8;
/** What the carrier counts for a frame beside its bytes. */
const FRAME_COST = 4;
/** Bytes of beats and closes that may wait beside the data. */
const CONTROL_BYTES = 4_096;

/** The most that is ever under way to one consumer of a stream. */
export function windowOf(maxDatum: number): Window {
  return { items: MAX_WINDOW_ITEMS, bytes: Math.max(1_048_576, 4 * maxDatum) };
}

/** The least window with which a consumer can be served: it never waits for credit half a window long. */
export function leastWindow(maxDatum: number): Window {
  return { items: 2, bytes: 2 * maxDatum };
}

/** The longest datum of a stream. Throws a `RangeError` for one out of range. */
export function maxDatumOf({ maxDatum = DEFAULT_DATUM }: { readonly maxDatum?: number }): number {
  return inRange("maxDatum", maxDatum, 1, MAX_DATUM);
}

/** The kind under which a stream is carried. Throws a `RangeError` for a name out of form. */
export function kindOf(name: string, maxDatum: number): StreamKind {
  if (!/^[a-z0-9-]{1,30}$/.test(name)) {
    throw new RangeError(`a stream's name: expected 1-30 of a-z 0-9 -, got ${name.slice(0, 64)}`);
  }
  const { items, bytes } = windowOf(maxDatum);
  return {
    name: `s-${name}`,
    maxFrame: Math.max(MAX_CONTROL, maxDatum + DATUM_HEADER),
    maxBuffered: bytes + items * (DATUM_HEADER + FRAME_COST) + CONTROL_BYTES,
    maxPerPeer: MAX_PER_PEER,
  };
}

/** The number, if it is whole and within the bounds; throws a `RangeError` that names it. */
export function inRange(what: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${what}: expected a whole number in ${least}..${most}, got ${value}`);
  }
  return value;
}

/**
 * True for peers whose smoothed round trip is below the bound, and for those it was not measured
 * with yet: they are cut when it turns out to be longer.
 */
export function rttBelow(ms: number): Predicate {
  return ({ rtt }) => rtt === undefined || rtt < ms;
}

/** True for peers that say all of these words. */
export function tagged(...tags: readonly string[]): Predicate {
  return (peer) => tags.every((tag) => peer.tags.has(tag));
}
