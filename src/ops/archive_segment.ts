/**
 * A segment of an archive and its index. Little-endian:
 *
 * | file                | layout                                                                  |
 * | ------------------- | ----------------------------------------------------------------------- |
 * | `<first round>.seg` | magic (8) ‖ version u32 ‖ first round u64 ‖ chain so far (32) ‖ entries |
 * | entry               | round u64 ‖ length u32 ‖ bytes ‖ chain (32)                             |
 * | `<first round>.idx` | (round u64 ‖ offset of its entry u64) per entry ‖ SHA-256 of these (32) |
 *
 * The first round stands in 20 decimal digits. An entry's chain is SHA-256(chain before ‖ round ‖
 * length ‖ SHA-256(bytes)), 32 zero bytes at the archive's beginning; the chain before an entry are
 * the 32 bytes before it. An index is written when its segment is sealed and follows from it.
 */
import { equal, ZERO32 } from "../protocol/bytes.ts";
import { MAX_RECORD, readAt, sha256, StoreError } from "./files.ts";

/** When a segment is sealed: once it has this many bytes or records. */
export interface SegmentLimits {
  readonly bytes: number;
  readonly records: number;
}

/** 16 MiB or 65,536 records; the record that goes over the bound still belongs to the segment. */
export const SEGMENT_LIMITS: SegmentLimits = { bytes: 16 * 2 ** 20, records: 65_536 };

/** A certified record's bytes and its round. */
export interface Archived {
  readonly round: number;
  readonly bytes: Uint8Array;
}

/** What is known of a segment: where its entries stand. */
export interface Segment {
  readonly first: number;
  /** The chain before its first entry. */
  readonly before: Uint8Array;
  readonly rounds: number[];
  readonly offsets: number[];
  /** Where the last known entry ends, and the chain there. */
  end: number;
  chain: Uint8Array;
}

const MAGIC = new TextEncoder().encode("ziparch\0");
const VERSION = 1;
const HASH = 32;
const HEAD = MAGIC.length + 4 + 8 + HASH;
const ENTRY_HEAD = 12;
const INDEXED = 16;

/** The chain at the archive's beginning. */
export const CHAIN_START = ZERO32;

/** `<folder>/<first round>.<kind>` */
export function segmentPath(folder: string, first: number, kind: "seg" | "idx"): string {
  return `${folder}/${segmentName(first, kind)}`;
}

/** A segment's file name. */
export function segmentName(first: number, kind: "seg" | "idx"): string {
  return `${String(first).padStart(20, "0")}.${kind}`;
}

/** The first rounds of a folder's segments, rising. */
export function listSegments(folder: string): number[] {
  return [...Deno.readDirSync(folder)]
    .flatMap(({ name }) => /^[0-9]{20}\.seg$/.test(name) ? [Number(name.slice(0, 20))] : [])
    .sort((a, b) => a - b);
}

/** What is wrong with an archive's file. */
export function damagedArchive(path: string, what: string): StoreError {
  return new StoreError(
    "damaged",
    `${path} is damaged (${what}): restore it, or delete it and all segments of later rounds, ` +
      `which are then fetched anew`,
  );
}

/** The head of a segment file and its state before the first entry. */
export function newSegment(
  first: number,
  before: Uint8Array,
): { head: Uint8Array; segment: Segment } {
  const head = new Uint8Array(HEAD);
  const view = new DataView(head.buffer);
  head.set(MAGIC);
  view.setUint32(MAGIC.length, VERSION, true);
  view.setBigUint64(MAGIC.length + 4, BigInt(first), true);
  head.set(before, HEAD - HASH);
  return { head, segment: { first, before, rounds: [], offsets: [], end: HEAD, chain: before } };
}

/** A record's entry behind the segment's last. */
export function encodeEntry(segment: Segment, round: number, bytes: Uint8Array): Uint8Array {
  const entry = new Uint8Array(ENTRY_HEAD + bytes.length + HASH);
  const view = new DataView(entry.buffer);
  view.setBigUint64(0, BigInt(round), true);
  view.setUint32(8, bytes.length, true);
  entry.set(bytes, ENTRY_HEAD);
  entry.set(chainAfter(segment.chain, entry), ENTRY_HEAD + bytes.length);
  return entry;
}

/** Counts a written entry in. */
export function countEntry(segment: Segment, round: number, entry: Uint8Array): void {
  segment.rounds.push(round);
  segment.offsets.push(segment.end);
  segment.end += entry.length;
  segment.chain = entry.slice(-HASH);
}

/** Reads a segment's head; throws a `StoreError` for one that is not `first`'s. */
export function readHead(file: Deno.FsFile, path: string, first: number): Segment {
  const found = readAt(file, 0, HEAD);
  if (found.length < HEAD) throw damagedArchive(path, `${found.length} bytes`);
  const { head, segment } = newSegment(first, found.slice(-HASH));
  if (!equal(found, head)) throw damagedArchive(path, "its head is not that of its name");
  return segment;
}

/**
 * Reads on from the segment's end to the file's, an entry at a time. Answers `whole` if it got
 * there; `torn` where an entry is not whole and none stands behind it; `damaged` where one does.
 */
export function readOn(file: Deno.FsFile, segment: Segment): "whole" | "torn" | "damaged" {
  const size = file.statSync().size;
  while (segment.end < size) {
    const length = entryLength(file, segment.end, size);
    if (length === undefined) return "torn";
    const entry = readAt(file, segment.end, length);
    const round = entryRound(entry);
    const rises = round > (segment.rounds.at(-1) ?? segment.first - 1);
    const chain = chainAfter(segment.chain, entry);
    const written = entry.subarray(-HASH);
    if (!rises || !equal(chain, written)) {
      // Whichever of the two is wrong, a next entry follows from the other.
      const next = segment.end + length;
      const behind = [chain, written].some((before) => standsAt(file, next, size, before));
      return behind ? "damaged" : "torn";
    }
    countEntry(segment, round, entry);
  }
  return "whole";
}

/** The bytes of the entry at `at`, by its length; undefined if the file ends before it. */
function entryLength(file: Deno.FsFile, at: number, size: number): number | undefined {
  const head = readAt(file, at, ENTRY_HEAD);
  if (head.length < ENTRY_HEAD) return undefined;
  const length = new DataView(head.buffer).getUint32(8, true);
  const whole = ENTRY_HEAD + length + HASH;
  return length > MAX_RECORD || at + whole > size ? undefined : whole;
}

/** True if an entry stands at `at` that follows from the chain `before`. */
function standsAt(file: Deno.FsFile, at: number, size: number, before: Uint8Array): boolean {
  const length = entryLength(file, at, size);
  return length !== undefined && checks(before, readAt(file, at, length));
}

function entryRound(entry: Uint8Array): number {
  return Number(new DataView(entry.buffer, entry.byteOffset).getBigUint64(0, true));
}

function checks(chain: Uint8Array, entry: Uint8Array): boolean {
  return equal(chainAfter(chain, entry), entry.subarray(-HASH));
}

/** The chain after an entry; what stands in the entry's own place for it is not looked at. */
function chainAfter(chain: Uint8Array, entry: Uint8Array): Uint8Array {
  return sha256(
    chain,
    entry.subarray(0, ENTRY_HEAD),
    sha256(entry.subarray(ENTRY_HEAD, -HASH)),
  );
}

/** The index of a segment. */
export function encodeIndex({ rounds, offsets }: Segment): Uint8Array {
  const out = new Uint8Array(rounds.length * INDEXED + HASH);
  const view = new DataView(out.buffer);
  for (const [i, round] of rounds.entries()) {
    view.setBigUint64(i * INDEXED, BigInt(round), true);
    view.setBigUint64(i * INDEXED + 8, BigInt(offsets[i]), true);
  }
  out.set(sha256(out.subarray(0, -HASH)), out.length - HASH);
  return out;
}

/**
 * Fills a segment from its index instead of its entries. Answers false and leaves it as it is if
 * the index is damaged or not that of this file.
 */
export function applyIndex(file: Deno.FsFile, segment: Segment, index: Uint8Array): boolean {
  const count = (index.length - HASH) / INDEXED;
  if (!Number.isInteger(count) || count < 1) return false;
  if (!equal(sha256(index.subarray(0, -HASH)), index.subarray(-HASH))) return false;
  const view = new DataView(index.buffer, index.byteOffset);
  const size = file.statSync().size;
  const last = Number(view.getBigUint64((count - 1) * INDEXED + 8, true));
  if (entryLength(file, last, size) !== size - last) return false;
  for (let i = 0; i < count; i++) {
    segment.rounds.push(Number(view.getBigUint64(i * INDEXED, true)));
    segment.offsets.push(Number(view.getBigUint64(i * INDEXED + 8, true)));
  }
  segment.end = size;
  segment.chain = readAt(file, size - HASH, HASH).slice();
  return true;
}

/** Reads and verifies a segment's entry `i`; throws a `StoreError` for one that does not check. */
export function readEntry(file: Deno.FsFile, path: string, segment: Segment, i: number): Archived {
  const { rounds, offsets, end } = segment;
  const from = offsets[i] - HASH;
  const both = readAt(file, from, (offsets[i + 1] ?? end) - from);
  const entry = both.subarray(HASH);
  const whole = entry.length >= ENTRY_HEAD + HASH && entryRound(entry) === rounds[i];
  if (!whole || !checks(both.subarray(0, HASH), entry)) {
    throw damagedArchive(path, `the record of round ${rounds[i]}`);
  }
  return { round: rounds[i], bytes: entry.subarray(ENTRY_HEAD, -HASH) };
}

/** Where the first of `rounds` stands that is `from` or later; their number if none is. */
export function firstFrom(rounds: readonly number[], from: number): number {
  let low = 0;
  let high = rounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rounds[middle] < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
