/**
 * Certified records as a holder keeps them: by round, each as the bytes that others verify. On disk
 * they are `src/ops/archive.ts`; here they are in memory, the newest ones.
 */

/** One record: its round, and the certified record's bytes. */
export interface Kept {
  readonly round: number;
  readonly bytes: Uint8Array;
}

/** Records that can be read from any round on. */
export interface Records {
  /** Round of the newest record, 0 for none. */
  readonly newest: number;
  /** Round of the oldest record, 0 for none. */
  readonly oldest: number;
  /**
   * Records from round `from` on, rising: `count` at most, and `maxBytes` in all, but one in any
   * case where there is one.
   */
  read(from: number, count: number, maxBytes: number): readonly Kept[];
}

/** Records to which newer ones are added. */
export interface Archive extends Records {
  /** Adds a record; rounds rise. */
  append(round: number, bytes: Uint8Array): void;
}

/** Records that a holder keeps in memory for late subscribers. */
export const MAX_KEPT_RECORDS = 512;
/** And their bytes. */
export const MAX_KEPT_BYTES: number = 64 * 2 ** 20;

/** An archive in memory. It keeps the newest `maxCount` records and `maxBytes`, at least one. */
export function memoryArchive(
  maxCount: number = MAX_KEPT_RECORDS,
  maxBytes: number = MAX_KEPT_BYTES,
): Archive {
  const kept: Kept[] = [];
  let total = 0;
  return {
    get newest() {
      return kept.at(-1)?.round ?? 0;
    },
    get oldest() {
      return kept[0]?.round ?? 0;
    },
    append(round, bytes) {
      const newest = kept.at(-1)?.round ?? 0;
      if (round <= newest) throw new RangeError(`record ${round} after ${newest}: rounds rise`);
      kept.push({ round, bytes });
      total += bytes.length;
      while (kept.length > maxCount || (total > maxBytes && kept.length > 1)) {
        total -= kept.shift()!.bytes.length;
      }
    },
    read(from, count, maxBytes) {
      let at = firstFrom(kept, from), left = maxBytes;
      const out: Kept[] = [];
      for (; at < kept.length && out.length < count; at++) {
        left -= kept[at].bytes.length;
        if (left < 0 && out.length > 0) break;
        out.push(kept[at]);
      }
      return out;
    },
  };
}

/** Place of the first record of round `from` or later. */
function firstFrom(kept: readonly Kept[], from: number): number {
  let low = 0, high = kept.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (kept[middle].round < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
