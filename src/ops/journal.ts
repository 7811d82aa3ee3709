/**
 * A write-ahead log in one file: records are appended, each on disk before the next, and now and
 * then all are replaced by fewer.
 *
 * Layout: `zipwal` ‖ u16 version ‖ marker (8, random) ‖ checksum ‖ records. Record: marker ‖ u32
 * number, from 0 ‖ u32 length ‖ bytes ‖ checksum. A checksum is the first 16 bytes of SHA-256 of all
 * that stands before it in the head or the record.
 * Integers are little-endian. The marker is new whenever the file is replaced, so what an older file
 * left on the disk is no record of this one.
 *
 * Since each record is on disk before the next is written, only the last can be torn. What does not
 * verify and has no record behind it is such a tail, and cut off; anything else is damage.
 */
import { createHash } from "node:crypto";
import { attempt, readIfPresent, replaceDurably, StoreError } from "./files.ts";
import { systemRandom } from "./system.ts";

/** A write-ahead log. */
export interface Journal {
  /** All records, oldest first; called once, before the first write. */
  load(): readonly Uint8Array[];
  /** Appends one record; durable once it returns. */
  append(record: Uint8Array): void;
  /** Replaces all records by these; a crash at any moment leaves the old ones or the new. */
  replace(records: readonly Uint8Array[]): void;
}

/** Longest record in bytes. */
export const MAX_RECORD_BYTES = 64 * 2 ** 20;

const MAGIC = new TextEncoder().encode("zipwal");
const VERSION = 1;
const MARKER = 8;
const CHECKSUM = 16;
const HEAD = MAGIC.length + 2 + MARKER + CHECKSUM;
const BODY = MARKER + 8;
const FRAME = BODY + CHECKSUM;

/** A journal in memory, for `--ephemeral` and tests; it ends with the process. */
export function memoryJournal(): Journal {
  let all: Uint8Array[] = [];
  return {
    load: () => all,
    append: (record) => void all.push(record.slice()),
    replace: (records) => void (all = records.map((record) => record.slice())),
  };
}

/** A journal and the handle that it holds. */
export interface FileJournal extends Journal {
  close(): void;
}

/**
 * The journal `<folder>/<name>`, made if missing. The caller holds the folder's lock. Throws a
 * `StoreError`: `damaged`, with the file's name, for what no crash leaves behind; `io` for what
 * cannot be written, after which the journal refuses all use.
 */
export function openJournal(folder: string, name: string): FileJournal {
  const path = `${folder}/${name}`;
  let file: Deno.FsFile | undefined;
  let marker: Uint8Array = new Uint8Array(MARKER);
  let count = 0, end = 0, broken = false;

  const run = <T>(operation: () => T): T => {
    if (broken) throw new StoreError("io", `${path} could not be written before: start again`);
    try {
      return attempt(folder, operation);
    } catch (error) {
      broken = true;
      throw error;
    }
  };
  const open = () => {
    file?.close();
    file = Deno.openSync(path, { read: true, write: true });
  };
  const replace = (records: readonly Uint8Array[]) => {
    marker = systemRandom(MARKER);
    const frames = records.map((record, i) => frame(marker, i, record));
    end = replaceDurably(folder, name, [head(marker), ...frames]);
    count = records.length;
    open();
  };

  return {
    load: () =>
      run(() => {
        const bytes = readIfPresent(path);
        if (!bytes) {
          replace([]);
          return [];
        }
        const found = read(bytes, path);
        ({ marker, end } = found);
        count = found.records.length;
        open();
        if (end < bytes.length) {
          file!.truncateSync(end);
          file!.syncSync();
        }
        return found.records;
      }),
    append: (record) =>
      run(() => {
        const bytes = frame(marker, count, record);
        file!.seekSync(end, Deno.SeekMode.Start);
        for (let at = 0; at < bytes.length;) at += file!.writeSync(bytes.subarray(at));
        file!.syncDataSync();
        end += bytes.length;
        count++;
      }),
    replace: (records) => run(() => replace(records)),
    close() {
      broken = true;
      file?.close();
      file = undefined;
    },
  };
}

function head(marker: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEAD);
  out.set(MAGIC);
  out[MAGIC.length] = VERSION;
  out.set(marker, MAGIC.length + 2);
  out.set(checksum(out.subarray(0, -CHECKSUM)), HEAD - CHECKSUM);
  return out;
}

function frame(marker: Uint8Array, number: number, record: Uint8Array): Uint8Array {
  if (record.length > MAX_RECORD_BYTES) {
    throw new RangeError(
      `a record of ${record.length} bytes, expected at most ${MAX_RECORD_BYTES}`,
    );
  }
  const out = new Uint8Array(FRAME + record.length), view = new DataView(out.buffer);
  out.set(marker);
  view.setUint32(MARKER, number, true);
  view.setUint32(MARKER + 4, record.length, true);
  out.set(record, BODY);
  out.set(checksum(out.subarray(0, -CHECKSUM)), out.length - CHECKSUM);
  return out;
}

function checksum(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest().subarray(0, CHECKSUM);
}

function read(bytes: Uint8Array, path: string) {
  const damaged = (what: string) =>
    new StoreError(
      "damaged",
      `${path} is damaged (${what}): restore it, or move it away and catch up from the others`,
    );
  if (bytes.length < HEAD || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw damaged("not a journal");
  }
  const version = bytes[MAGIC.length] | bytes[MAGIC.length + 1] << 8;
  if (version !== VERSION) throw damaged(`version ${version}, this program reads ${VERSION}`);
  const marker = bytes.slice(MAGIC.length + 2, MAGIC.length + 2 + MARKER);
  if (head(marker).some((byte, i) => bytes[i] !== byte)) throw damaged("its head");
  const records: Uint8Array[] = [];
  let end = HEAD;
  for (let next; (next = recordAt(bytes, end, marker)); end += FRAME + next.bytes.length) {
    if (next.number !== records.length) throw damaged(`record ${next.number} out of its order`);
    records.push(next.bytes);
  }
  for (let at = find(bytes, marker, end + 1); at >= 0; at = find(bytes, marker, at + 1)) {
    const later = recordAt(bytes, at, marker);
    if (later) {
      throw damaged(`record ${records.length} does not verify, and ${later.number} follows`);
    }
  }
  return { marker, records, end };
}

/** The record that begins at an offset, if one that verifies does. */
function recordAt(bytes: Uint8Array, at: number, marker: Uint8Array) {
  if (bytes.length - at < FRAME || marker.some((byte, i) => bytes[at + i] !== byte)) {
    return undefined;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + at);
  const number = view.getUint32(MARKER, true), length = view.getUint32(MARKER + 4, true);
  if (length > bytes.length - at - FRAME) return undefined;
  const sum = at + BODY + length, expected = checksum(bytes.subarray(at, sum));
  if (expected.some((byte, i) => bytes[sum + i] !== byte)) return undefined;
  return { number, bytes: bytes.slice(at + BODY, sum) };
}

function find(bytes: Uint8Array, marker: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(marker[0], from); at >= 0; at = bytes.indexOf(marker[0], at + 1)) {
    if (marker.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}
