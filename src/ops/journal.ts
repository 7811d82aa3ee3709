/**
 * A write-ahead log: records in the order they were written, each on the disk before `append`
 * returns. Little-endian:
 *
 * | part   | layout                                                                                |
 * | ------ | ------------------------------------------------------------------------------------- |
 * | head   | magic (8) ‖ version u32 ‖ marker (8) ‖ checksum of all before (16)                    |
 * | record | marker (8) ‖ sequence u64 ‖ length u32 ‖ checksum of these three and the bytes (16) ‖ bytes |
 *
 * The marker is random and new with every file, the sequence counts from 0, and a checksum is
 * SHA-256 cut to 16 bytes. Since a record is durable before the next one begins, a crash can tear
 * only the last: a record that does not check, and behind which no valid one of this file stands, is
 * cut off; with a valid one behind it, it is damage. What stands in a record cannot be taken for
 * one, because nobody who has a say in its bytes knows the marker. Rot in the last record looks
 * like a torn one, and a file cut between two records, or put back from a backup, looks whole.
 */
import { Buffer } from "node:buffer";
import { equal } from "../protocol/bytes.ts";
import type { Observe, Random } from "../universe/environment.ts";
import {
  checkRecord,
  type HeldFolder,
  MAX_RECORD,
  readIfPresent,
  replaceDurably,
  sha256,
  StoreError,
  takeBack,
  writeAll,
} from "./files.ts";

/** Records that outlast the process, oldest first. */
export interface Journal {
  /** All records, oldest first; called once, before the first write. */
  load(): readonly Uint8Array[];
  /**
   * Appends a record of at most `MAX_RECORD` bytes; durable once it returns. If it throws a
   * `StoreError`, the record may or may not be there at the next load, and this journal refuses all
   * further use.
   */
  append(record: Uint8Array): void;
  /** Replaces all records by these; a crash at any moment leaves the old ones or the new. */
  replace(records: readonly Uint8Array[]): void;
}

const MAGIC = new TextEncoder().encode("ziplog\0\0");
const VERSION = 1;
const MARKER = 8;
const CHECKSUM = 16;
const HEAD = MAGIC.length + 4 + MARKER + CHECKSUM;
const RECORD_HEAD = MARKER + 8 + 4 + CHECKSUM;

/** A journal in memory, for `--ephemeral` and tests; it ends with the process. */
export function memoryJournal(): Journal {
  let records: Uint8Array[] = [];
  return {
    load: () => records.map((record) => record.slice()),
    append: (record) => void records.push(record.slice()),
    replace: (all) => void (records = all.map((record) => record.slice())),
  };
}

/**
 * The journal in a folder's file `name`, made by `load` if there is none. Whoever opened it closes
 * it. `load` throws a `StoreError` for a damaged file; a tail that it cuts it tells `observe`.
 */
export function openJournal(
  folder: HeldFolder,
  name: string,
  environment: { readonly random: Random; readonly observe: Observe },
): Journal & { close(): void } {
  const path = `${folder.path}/${name}`;
  let file: Deno.FsFile | undefined;
  let marker = new Uint8Array();
  let sequence = 0;
  let end = 0;
  let loaded = false;
  let failed = false;
  /** Fail-stop: after one failure the file may differ from what is known of it. */
  const write = (operation: () => void) => {
    if (!loaded) throw new Error(`${path} is written before it was loaded`);
    folder.run(() => {
      if (failed) throw new StoreError("io", `${path} is not used after a failure: start again`);
      failed = true;
      operation();
      failed = false;
    });
  };
  const open = (at: number) => {
    file = Deno.openSync(path, { read: true, write: true });
    file.seekSync(at, Deno.SeekMode.Start);
    end = at;
  };
  const replace = (records: readonly Uint8Array[]) => {
    marker = environment.random(MARKER).slice();
    let length = 0;
    const parts = function* () {
      yield fileHead(marker);
      for (const [i, record] of records.entries()) {
        length += RECORD_HEAD + record.length;
        yield recordHead(marker, i, record);
        yield record;
      }
    };
    replaceDurably(path, parts());
    file?.close();
    file = undefined;
    open(HEAD + length);
    sequence = records.length;
  };
  return {
    load() {
      if (loaded) throw new Error(`${path} is loaded twice`);
      loaded = true;
      let records: Uint8Array[] = [];
      write(() => {
        const bytes = readIfPresent(path);
        if (!bytes) return replace([]);
        const found = decode(bytes, path);
        marker = found.marker;
        records = found.records;
        sequence = records.length;
        open(found.end);
        if (found.end < bytes.length) {
          file!.truncateSync(found.end);
          const cut = bytes.length - found.end;
          environment.observe("warn", "journal tail cut", { file: path, bytes: cut });
        }
        // A process killed between a write and its sync left a record that is not durable yet.
        file!.syncDataSync();
      });
      return records;
    },
    append(record) {
      checkRecord(record);
      write(() => {
        try {
          const whole = new Uint8Array(RECORD_HEAD + record.length);
          whole.set(recordHead(marker, sequence, record));
          whole.set(record, RECORD_HEAD);
          writeAll(file!, whole);
          file!.syncDataSync();
          sequence++;
          end += whole.length;
        } catch (error) {
          takeBack(file!, end);
          throw error;
        }
      });
    },
    replace(records) {
      records.forEach(checkRecord);
      write(() => replace(records));
    },
    close() {
      file?.close();
      file = undefined;
    },
  };
}

function fileHead(marker: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEAD);
  head.set(MAGIC);
  new DataView(head.buffer).setUint32(MAGIC.length, VERSION, true);
  head.set(marker, MAGIC.length + 4);
  head.set(checksum(head.subarray(0, -CHECKSUM)), HEAD - CHECKSUM);
  return head;
}

function recordHead(marker: Uint8Array, sequence: number, record: Uint8Array): Uint8Array {
  const head = new Uint8Array(RECORD_HEAD);
  const view = new DataView(head.buffer);
  head.set(marker);
  view.setBigUint64(MARKER, BigInt(sequence), true);
  view.setUint32(MARKER + 8, record.length, true);
  head.set(checksum(head.subarray(0, -CHECKSUM), record), RECORD_HEAD - CHECKSUM);
  return head;
}

function checksum(...parts: Uint8Array[]): Uint8Array {
  return sha256(...parts).subarray(0, CHECKSUM);
}

/** The records, and where the last whole one ends. */
function decode(bytes: Uint8Array, path: string) {
  const damaged = (what: string) =>
    new StoreError(
      "damaged",
      `${path} is damaged (${what}): restore it or start with a new folder`,
    );
  if (bytes.length < HEAD) throw damaged(`${bytes.length} bytes`);
  const head = bytes.subarray(0, HEAD);
  if (!equal(head.subarray(0, MAGIC.length), MAGIC)) throw damaged("not a journal");
  if (!equal(checksum(head.subarray(0, -CHECKSUM)), head.subarray(-CHECKSUM))) {
    throw damaged("its head's checksum does not match");
  }
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  if (version !== VERSION) throw damaged(`version ${version}, this program reads ${VERSION}`);
  const marker = head.slice(MAGIC.length + 4, -CHECKSUM);
  const records: Uint8Array[] = [];
  let at = HEAD;
  while (at < bytes.length) {
    const found = recordAt(bytes, at, marker);
    if (!found && !recordBehind(bytes, at + 1, marker)) break;
    if (found?.sequence !== BigInt(records.length)) {
      throw damaged(`record ${records.length} at byte ${at}`);
    }
    records.push(found.record);
    at += RECORD_HEAD + found.record.length;
  }
  return { marker, records, end: at };
}

/** The valid record that begins at `at`. */
function recordAt(bytes: Uint8Array, at: number, marker: Uint8Array) {
  if (bytes.length - at < RECORD_HEAD) return undefined;
  const head = bytes.subarray(at, at + RECORD_HEAD);
  if (!equal(head.subarray(0, MARKER), marker)) return undefined;
  const view = new DataView(head.buffer, head.byteOffset);
  const length = view.getUint32(MARKER + 8, true);
  if (length > MAX_RECORD || length > bytes.length - at - RECORD_HEAD) return undefined;
  const record = bytes.subarray(at + RECORD_HEAD, at + RECORD_HEAD + length);
  const sum = checksum(head.subarray(0, -CHECKSUM), record);
  if (!equal(sum, head.subarray(-CHECKSUM))) return undefined;
  return { sequence: view.getBigUint64(MARKER, true), record };
}

/** True if a valid record of this file begins at `from` or later. */
function recordBehind(bytes: Uint8Array, from: number, marker: Uint8Array): boolean {
  const search = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = search.indexOf(marker, from); at >= 0; at = search.indexOf(marker, at + 1)) {
    if (recordAt(bytes, at, marker)) return true;
  }
  return false;
}
