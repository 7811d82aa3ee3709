/**
 * The frames in which two catalogs compare themselves. What each side holds is a set of rows, one
 * per node, in sixteen buckets by the first four bits of the key; where the hashes of a bucket
 * agree, nothing of it is sent.
 *
 * | kind | who | then |
 * |---|---|---|
 * | 0 summary | dialer | u8 1 to be told what is new from now on, else 0; 16 bucket hashes of 32 |
 * | 1 rows | answerer | u8 1 where more follow, else 0; rows of 49 bytes, in the order of keys |
 * | 2 items | both | each u8 0 entry or 1 departure, u32 length, bytes |
 * | 3 wanted | dialer | up to 128 keys |
 * | 4 done | answerer | nothing: what was wanted was sent, as far as it is held |
 * | 5 buckets | answerer | u16: bit n for a bucket whose hashes differ, before its rows |
 *
 * A row is u8 0 or 1 as above, key (32), u64 started, u64 updated; a bucket's hash is
 * `H(catalog ‖ u32 length ‖ rows)`. Integers are little-endian.
 */
import { hex, Reader, Writer } from "../../protocol/bytes.ts";
import { hashVector } from "../../protocol/hash.ts";
import { FrameError } from "../hello.ts";
import {
  decodeDeparture,
  decodeEntry,
  type Departure,
  type Entry,
  MAX_ENTRY,
  type Version,
} from "./entry.ts";

/** Bytes of the longest frame. */
export const MAX_FRAME = 65_536;
/** Buckets of keys. */
export const BUCKETS = 16;
const ROW = 49;
/** Rows in one frame. */
export const MAX_ROWS = 512;
/** Keys that are asked for at a time. */
export const MAX_WANTED = 128;

/** An entry or a departure. */
export type Item = Entry | Departure;

/** What is held of one node. */
export interface Row extends Version {
  readonly key: Uint8Array;
  /** The key as 64 hex digits. */
  readonly id: string;
  readonly departure: boolean;
}

/** One frame. */
export type Frame =
  | { readonly kind: "summary"; readonly push: boolean; readonly hashes: Uint8Array[] }
  | { readonly kind: "rows"; readonly more: boolean; readonly rows: Row[] }
  | { readonly kind: "items"; readonly items: Item[] }
  | { readonly kind: "wanted"; readonly ids: string[]; readonly keys: Uint8Array[] }
  | { readonly kind: "done" }
  | { readonly kind: "buckets"; readonly differ: number };

/** Whether it is a departure. */
export function isDeparture(item: Item): boolean {
  return !("tags" in item);
}

/** Rows of what is held, in their buckets, with the hash of each. */
export interface Digest {
  readonly buckets: readonly Uint8Array[][];
  readonly hashes: readonly Uint8Array[];
}

/** The digest of these items, in whatever order they come. */
export function digest(items: readonly Item[]): Digest {
  return new Digester().of(items);
}

/** Digests of items that change: each costs the buckets in which something did since the last. */
export class Digester {
  readonly #held: Map<string, Held>[] = Array.from({ length: BUCKETS }, () => new Map());
  #buckets: readonly Uint8Array[][] = this.#held.map(() => []);
  #hashes: readonly Uint8Array[] = this.#buckets.map(hashOf);
  #turn = 0;

  /** The digest of these, of each node one; whoever takes it does not change it. */
  of(items: readonly Item[]): Digest {
    const turn = ++this.#turn, changed = new Set<number>();
    for (const item of items) {
      const n = item.key[0] >> 4, known = this.#held[n].get(item.id);
      if (known?.item === item) known.turn = turn;
      else {
        this.#held[n].set(item.id, { item, row: rowOf(item), turn });
        changed.add(n);
      }
    }
    for (const [n, held] of this.#held.entries()) {
      for (const [id, one] of held) if (one.turn !== turn && held.delete(id)) changed.add(n);
    }
    this.#buckets = this.#buckets.map((rows, n) => changed.has(n) ? this.#rows(n) : rows);
    this.#hashes = this.#hashes.map((hash, n) => changed.has(n) ? hashOf(this.#buckets[n]) : hash);
    return { buckets: this.#buckets, hashes: this.#hashes };
  }

  /** The rows of a bucket, in the order of keys. */
  #rows(n: number): Uint8Array[] {
    return [...this.#held[n]].sort(([a], [b]) => a < b ? -1 : 1).map(([, { row }]) => row);
  }
}

interface Held {
  readonly item: Item;
  readonly row: Uint8Array;
  /** The last time that it was among the items. */
  turn: number;
}

export function encodeSummary(push: boolean, hashes: readonly Uint8Array[]): Uint8Array {
  const out = new Writer().u8(0).u8(push ? 1 : 0);
  for (const hash of hashes) out.bytes(hash);
  return out.end();
}

export function encodeBuckets(differ: number): Uint8Array {
  return new Writer().u8(5).u16(differ).end();
}

/** The rows in frames, the last of which says so; at least one. */
export function encodeRows(rows: readonly Uint8Array[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < rows.length; at += MAX_ROWS) {
    const out = new Writer().u8(1).u8(at + MAX_ROWS < rows.length ? 1 : 0);
    for (const row of rows.slice(at, at + MAX_ROWS)) out.bytes(row);
    frames.push(out.end());
  }
  return frames;
}

/** The items in as few frames as hold them; none for none. */
export function encodeItems(items: readonly Item[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let out = new Writer().u8(2), length = 1;
  for (const item of items) {
    if (length + 5 + item.bytes.length > MAX_FRAME) {
      frames.push(out.end());
      out = new Writer().u8(2);
      length = 1;
    }
    out.u8(isDeparture(item) ? 1 : 0).vector(item.bytes);
    length += 5 + item.bytes.length;
  }
  if (length > 1) frames.push(out.end());
  return frames;
}

export function encodeWanted(keys: readonly Uint8Array[]): Uint8Array {
  const out = new Writer().u8(3);
  for (const key of keys) out.bytes(key);
  return out.end();
}

export const DONE: Uint8Array = Uint8Array.of(4);

/**
 * Reads a frame strictly; throws a `FrameError`, or a `ProtocolError` for what breaks a layout.
 * Signatures of items are not checked here.
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  const reader = new Reader(bytes, "catalog frame");
  const kind = reader.u8();
  if (kind === 0) return readSummary(reader);
  if (kind === 1) return readRows(reader);
  if (kind === 2) return readItems(reader);
  if (kind === 3) return readWanted(reader);
  if (kind === 4) {
    reader.end();
    return { kind: "done" };
  }
  if (kind === 5) {
    const differ = reader.u16();
    reader.end();
    return { kind: "buckets", differ };
  }
  throw new FrameError("range", `catalog frame: kind ${kind}, expected 0..5`);
}

function readSummary(reader: Reader): Frame {
  const push = flag(reader);
  const hashes = Array.from({ length: BUCKETS }, () => reader.bytes(32));
  reader.end();
  return { kind: "summary", push, hashes };
}

function readRows(reader: Reader): Frame {
  const more = flag(reader);
  const count = reader.left / ROW;
  if (!Number.isInteger(count) || count > MAX_ROWS) {
    throw new FrameError("length", `catalog frame: ${reader.left} bytes of rows`);
  }
  const rows = Array.from({ length: count }, () => {
    const departure = flag(reader);
    const key = reader.bytes(32);
    return { departure, key, id: hex(key), started: reader.u64(), updated: reader.u64() };
  });
  return { kind: "rows", more, rows };
}

function readItems(reader: Reader): Frame {
  const items: Item[] = [];
  while (reader.left > 0) {
    const departure = flag(reader);
    const bytes = reader.bounded(1, MAX_ENTRY, "item").slice();
    items.push(departure ? decodeDeparture(bytes) : decodeEntry(bytes));
  }
  return { kind: "items", items };
}

function readWanted(reader: Reader): Frame {
  const count = reader.left / 32;
  if (!Number.isInteger(count) || count < 1 || count > MAX_WANTED) {
    throw new FrameError("length", `catalog frame: ${reader.left} bytes of keys`);
  }
  const keys = Array.from({ length: count }, () => reader.bytes(32));
  return { kind: "wanted", keys, ids: keys.map(hex) };
}

function flag(reader: Reader): boolean {
  const value = reader.u8();
  if (value > 1) reader.fail("range", `a flag of ${value}`);
  return value === 1;
}

function rowOf(item: Item): Uint8Array {
  return new Writer().u8(isDeparture(item) ? 1 : 0).bytes(item.key).u64(item.started)
    .u64(item.updated).end();
}

function hashOf(rows: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(rows.length * ROW);
  rows.forEach((row, i) => joined.set(row, i * ROW));
  return hashVector("catalog", joined);
}
