/**
 * What a node says of itself to its universe: one signed entry, in versions, of which each holds for
 * a lease. Whoever holds the bytes can check them, so they may come from anyone.
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 1 | format, 1 |
 * | 1 | 32 | universe id |
 * | 33 | 32 | Ed25519 key |
 * | 65 | 8 | u64 Unix ms: the start of the node |
 * | 73 | 8 | u64 Unix ms: this version |
 * | 81 | … | u8 count ≤ 8, addresses: u8 length 1–255, printable ASCII |
 * | … | … | u8 count ≤ 16, tags: u8 length 1–32, `a-z 0-9 . -` |
 * | … | … | u8 count ≤ 32, streams produced: likewise |
 * | … | … | u8 count ≤ 8, instance ids of 32 bytes |
 * | … | … | u8 count ≤ 8, tickets: u8 length 1–32 and class, BLAKE3 of the body (32) |
 * | … | 64 | signature `sign-entry ‖ all before` |
 *
 * Every list rises strictly, tickets by class, so an entry has one encoding. Of two versions that
 * one is newer whose node started later, or else the later one.
 */
import { compare, concat, hex, Reader, Writer } from "../../protocol/bytes.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { checkPublicKey, SIGNATURE_BYTES, type Signer, verify } from "../../protocol/keys.ts";
import { isAddress, MAX_ADDRESS, MAX_ADDRESSES } from "../hello.ts";

/** The one format there is. */
export const FORMAT = 1;
/** Items in each list of an entry, beside its `MAX_ADDRESSES`. */
export const MAX_TAGS = 16;
export const MAX_STREAMS = 32;
export const MAX_INSTANCES = 8;
export const MAX_TICKETS = 8;
/** Characters of a tag, a stream's name or a ticket's class. */
export const MAX_WORD = 32;
/** Bytes of the longest entry. */
export const MAX_ENTRY = 81 + 5 + MAX_ADDRESSES * (1 + MAX_ADDRESS) +
  (MAX_TAGS + MAX_STREAMS) * (1 + MAX_WORD) + MAX_INSTANCES * 32 +
  MAX_TICKETS * (1 + MAX_WORD + 32) + SIGNATURE_BYTES;
/** Bytes of a departure. */
export const DEPARTURE_BYTES = 81 + SIGNATURE_BYTES;

/** Which version of an entry: when its node started, and when it was made, in Unix milliseconds. */
export interface Version {
  readonly started: number;
  readonly updated: number;
}

/** What an entry says, before it is signed. Lists rise strictly. */
export interface Statement extends Version {
  /** Universe id, 32 bytes. */
  readonly universe: Uint8Array;
  readonly addresses: readonly string[];
  readonly tags: readonly string[];
  readonly streams: readonly string[];
  /** Instance ids, 32 bytes each. */
  readonly instances: readonly Uint8Array[];
  readonly tickets: readonly TicketReference[];
}

/** A ticket by reference. */
export interface TicketReference {
  readonly class: string;
  /** BLAKE3 of the body, 32 bytes. */
  readonly hash: Uint8Array;
}

/** An entry as it came: its form is checked, its signature is not (`genuine` does that). */
export interface Entry extends Statement {
  readonly key: Uint8Array;
  /** The key as 64 hex digits. */
  readonly id: string;
  /** The whole encoding. */
  readonly bytes: Uint8Array;
}

/** A node's word that it left: the version that ends its entry. Its signature is not checked yet. */
export interface Departure extends Version {
  readonly universe: Uint8Array;
  readonly key: Uint8Array;
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** Negative, zero or positive, as `a` is older than, the same as or newer than `b`. */
export function compareVersions(a: Version, b: Version): number {
  return a.started - b.started || a.updated - b.updated;
}

/** Whether the text may be a tag, a stream's name or a ticket's class. */
export function isWord(text: string): boolean {
  return /^[a-z0-9.-]{1,32}$/.test(text);
}

/** Signs what a node says of itself; a `ProtocolError` where it is out of form. */
export function signEntry(signer: Signer, statement: Statement): Entry {
  const out = head(statement, signer.key);
  texts(out, statement.addresses);
  texts(out, statement.tags);
  texts(out, statement.streams);
  out.u8(statement.instances.length);
  for (const instance of statement.instances) out.bytes(instance);
  out.u8(statement.tickets.length);
  for (const ticket of statement.tickets) {
    text(out, ticket.class);
    out.bytes(ticket.hash);
  }
  const body = out.end();
  return decodeEntry(concat(body, signer.sign("sign-entry", body)));
}

/** Reads an entry strictly, but for its signature; throws a `ProtocolError`. */
export function decodeEntry(bytes: Uint8Array): Entry {
  if (bytes.length > MAX_ENTRY) {
    throw new ProtocolError("length", `an entry of ${bytes.length} bytes, at most ${MAX_ENTRY}`);
  }
  const reader = new Reader(bytes, "entry");
  const entry = {
    ...readHead(reader),
    addresses: words(reader, MAX_ADDRESSES, MAX_ADDRESS, isAddress),
    tags: words(reader, MAX_TAGS, MAX_WORD, isWord),
    streams: words(reader, MAX_STREAMS, MAX_WORD, isWord),
    instances: list(reader, MAX_INSTANCES, () => reader.bytes(32), compare),
    tickets: list(reader, MAX_TICKETS, () => ({
      class: word(reader, MAX_WORD, isWord),
      hash: reader.bytes(32),
    }), (a, b) => order(a.class, b.class)),
    bytes,
  };
  reader.bytes(SIGNATURE_BYTES);
  reader.end();
  return entry;
}

/** Signs a departure. */
export function signDeparture(
  signer: Signer,
  { universe, started, updated }: Version & { readonly universe: Uint8Array },
): Departure {
  const body = head({ universe, started, updated }, signer.key).end();
  return decodeDeparture(concat(body, signer.sign("sign-departure", body)));
}

/** Reads a departure strictly, but for its signature; throws a `ProtocolError`. */
export function decodeDeparture(bytes: Uint8Array): Departure {
  const reader = new Reader(bytes, "departure");
  const departure = { ...readHead(reader), bytes };
  reader.bytes(SIGNATURE_BYTES);
  reader.end();
  return departure;
}

/** Whether the node whose key it names signed it. */
export function genuine(item: Entry | Departure): boolean {
  const at = item.bytes.length - SIGNATURE_BYTES;
  const label = "tags" in item ? "sign-entry" : "sign-departure";
  return verify(item.key, item.bytes.subarray(at), label, item.bytes.subarray(0, at));
}

function head(what: Version & { readonly universe: Uint8Array }, key: Uint8Array): Writer {
  const { universe, started, updated } = what;
  return new Writer().u8(FORMAT).bytes(universe).bytes(key).u64(started).u64(updated);
}

function readHead(reader: Reader) {
  const format = reader.u8();
  if (format !== FORMAT) reader.fail("range", `format ${format}, expected ${FORMAT}`);
  const universe = reader.bytes(32);
  const key = checkPublicKey(reader.bytes(32));
  const started = reader.u64(), updated = reader.u64();
  if (updated < started) reader.fail("range", "updated before it started");
  return { universe, key, id: hex(key), started, updated };
}

function texts(out: Writer, list: readonly string[]): void {
  out.u8(list.length);
  for (const one of list) text(out, one);
}

function text(out: Writer, value: string): void {
  out.u8(value.length).bytes(new TextEncoder().encode(value));
}

function words(
  reader: Reader,
  most: number,
  longest: number,
  valid: (text: string) => boolean,
): string[] {
  return list(reader, most, () => word(reader, longest, valid), order);
}

function word(reader: Reader, longest: number, valid: (text: string) => boolean): string {
  const length = reader.u8();
  if (length === 0 || length > longest) reader.fail("range", `a text of ${length} characters`);
  const value = String.fromCharCode(...reader.bytes(length));
  if (!valid(value)) reader.fail("encoding", "a text out of form");
  return value;
}

function list<T>(
  reader: Reader,
  most: number,
  read: () => T,
  rank: (a: T, b: T) => number,
): T[] {
  const count = reader.u8();
  if (count > most) reader.fail("range", `a list of ${count}, at most ${most}`);
  const out: T[] = [];
  for (let i = 0; i < count; i++) {
    const item = read();
    if (i > 0 && rank(out[i - 1], item) >= 0) reader.fail("encoding", "a list that does not rise");
    out.push(item);
  }
  return out;
}

/** Order of texts by their UTF-16 units, which for these is that of their bytes. */
function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
