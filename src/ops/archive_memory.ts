/** An archive in memory: what a role without a data folder can still hand out. */
import { PLACE_BYTES } from "../protocol/header.ts";
import type { Archive } from "./archive.ts";
import { type Archived, firstFrom } from "./archive_segment.ts";

/**
 * Keeps the newest records, `maxCount` of them and `maxBytes` bytes at most, but always the newest
 * one. Records are kept as they are, not copied. Of those dropped it remembers the places, the last
 * `maxPlaces`, since tickets outlast what fits into memory.
 */
export function memoryArchive(maxCount: number, maxBytes: number, maxPlaces = 0): Archive {
  const records: Archived[] = [], places: Archived[] = [];
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
        const { round, bytes } = records.shift()!;
        held -= bytes.length;
        places.push({ round, bytes: bytes.slice(0, PLACE_BYTES) });
        if (places.length > maxPlaces) places.shift();
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
    place(from) {
      const known = from <= (places.at(-1)?.round ?? 0) ? places : records;
      return known[firstFrom(known.map(({ round }) => round), from)];
    },
  };
}

/** Throws a `RangeError` for a round that is none or does not come after `newest`. */
export function checkRises(round: number, newest: number): void {
  if (!Number.isSafeInteger(round) || round <= newest) {
    throw new RangeError(`a record of round ${round} behind that of round ${newest}`);
  }
}
