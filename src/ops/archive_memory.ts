/** An archive in memory: what a role without a data folder can still hand out. */
import type { Archive } from "./archive.ts";
import { type Archived, firstFrom } from "./archive_segment.ts";

/**
 * Keeps the newest records, `maxCount` of them and `maxBytes` bytes at most, but always the newest
 * one. Records are kept as they are, not copied.
 */
export function memoryArchive(maxCount: number, maxBytes: number): Archive {
  const records: Archived[] = [];
  let held = 0;
  return {
    get newest() {
      return records.at(-1)?.round ?? 0;
    },
    get oldest() {
      return records[0]?.round ?? 0;
    },
    describe() {},
    append(round, bytes) {
      checkRises(round, this.newest);
      records.push({ round, bytes });
      held += bytes.length;
      while (records.length > 1 && (records.length > maxCount || held > maxBytes)) {
        held -= records.shift()!.bytes.length;
      }
    },
    read(from, count, maxBytes) {
      const begin = firstFrom(records.map(({ round }) => round), from);
      let bytes = 0;
      let end = begin;
      for (; end < records.length && end - begin < count; end++) {
        bytes += records[end].bytes.length;
        if (end > begin && bytes > maxBytes) break;
      }
      return records.slice(begin, end);
    },
  };
}

/** Throws a `RangeError` for a round that is none or does not come after `newest`. */
export function checkRises(round: number, newest: number): void {
  if (!Number.isSafeInteger(round) || round <= newest) {
    throw new RangeError(`a record of round ${round} behind that of round ${newest}`);
  }
}
