/**
 * Certified records as a holder keeps them: by round, each as the bytes that others verify. On disk
 * they are `src/ops/archive.ts`; a holder without a disk keeps the newest in memory.
 */
import type { Archive } from "../ops/archive.ts";
import { memoryArchive as archiveInMemory } from "../ops/archive_memory.ts";

export type { Archive } from "../ops/archive.ts";
export type { Archived as Kept } from "../ops/archive_segment.ts";

/** Records that can be read from any round on. */
export type Records = Pick<Archive, "newest" | "oldest" | "read">;

/** The places of records, which may be known for longer than the records. */
export type Places = Pick<Archive, "newest" | "place">;

/** Records that a holder keeps in memory for late subscribers. */
export const MAX_KEPT_RECORDS = 512;
/** And their bytes. */
export const MAX_KEPT_BYTES: number = 64 * 2 ** 20;

/** An archive in memory. It keeps the newest records within the bounds, at least one. */
export function memoryArchive(
  maxCount: number = MAX_KEPT_RECORDS,
  maxBytes: number = MAX_KEPT_BYTES,
): Archive {
  return archiveInMemory(maxCount, maxBytes);
}
