/** Reading an archive's folder, also while another process writes it. */
import type { Archive } from "./archive.ts";
import {
  applyIndex,
  type Archived,
  damagedArchive,
  firstFrom,
  listSegments,
  readEntry,
  readHead,
  readOn,
  type Segment,
  segmentPath,
} from "./archive_segment.ts";
import { attemptToRead, readIfPresent } from "./files.ts";

/** Knows a segment from its index, or else from its entries up to the first that is not whole. */
export function loadSegment(
  folder: string,
  first: number,
): { segment: Segment; found: "indexed" | "whole" | "torn" | "damaged" } {
  const path = segmentPath(folder, first, "seg");
  // The index first: once there is one, the segment does not change.
  const index = readIfPresent(segmentPath(folder, first, "idx"));
  using file = Deno.openSync(path);
  const segment = readHead(file, path, first);
  if (index && applyIndex(file, segment, index)) return { segment, found: "indexed" };
  const found = readOn(file, segment);
  // The first record cannot be torn: it came with the file.
  return { segment, found: segment.rounds.length > 0 ? found : "damaged" };
}

/** As `loadSegment`, for one that must be whole to its end; throws a `StoreError` if it is not. */
export function loadSealed(folder: string, first: number) {
  const loaded = loadSegment(folder, first);
  if (loaded.found === "torn" || loaded.found === "damaged") throw damage(folder, loaded.segment);
  return loaded;
}

/** The entry after the segment's last known one does not check. */
export function damage(folder: string, { first, rounds, end }: Segment) {
  const after = rounds.length ? `round ${rounds.at(-1)}` : "its head";
  return damagedArchive(
    segmentPath(folder, first, "seg"),
    `the record after ${after}, at byte ${end}`,
  );
}

/** `Archive.read` over the segments of these first rounds; one segment file is open at a time. */
export function readSegments(
  folder: string,
  firsts: readonly number[],
  segmentOf: (first: number) => Segment,
  from: number,
  count: number,
  maxBytes: number,
): Archived[] {
  const out: Archived[] = [];
  let bytes = 0;
  // Segments before the last one that begins at `from` or earlier hold earlier rounds only.
  const begin = Math.max(0, firstFrom(firsts, from + 1) - 1);
  for (let s = begin; s < firsts.length && out.length < count; s++) {
    const segment = segmentOf(firsts[s]);
    const path = segmentPath(folder, firsts[s], "seg");
    using file = Deno.openSync(path);
    for (let i = firstFrom(segment.rounds, from); i < segment.rounds.length; i++) {
      if (out.length >= count) return out;
      const length = (segment.offsets[i + 1] ?? segment.end) - segment.offsets[i];
      if (out.length > 0 && bytes + length > maxBytes) return out;
      out.push(readEntry(file, path, segment, i));
      bytes += length;
    }
  }
  return out;
}

/**
 * Opens an archive's folder for reading only. It takes no lock and may be used while a server writes
 * there: every use sees what has been written until then, and an entry that is being written is not
 * there yet. The index and `index.json` are not needed, so that a copy of the segment files will do.
 * Every use throws a `StoreError` for files that are damaged or cannot be read.
 */
export function readArchive(path: string): Pick<Archive, "newest" | "oldest" | "read"> {
  let firsts: number[] = [];
  /** The last segment, and whether it may still grow. */
  let last: Segment | undefined;
  let grows = true;
  let cached: Segment | undefined;
  const list = () => {
    firsts = listSegments(path);
    const first = firsts.at(-1);
    if (first === undefined) return;
    const { segment, found } = loadSegment(path, first);
    if (found === "damaged") throw damage(path, segment);
    last = segment;
    grows = found !== "indexed";
  };
  const refresh = () => {
    if (!last || !grows) {
      // A sealed segment may have a next one by now.
      const known = firsts.at(-1);
      const now = listSegments(path);
      if (now.at(-1) !== known || now.length !== firsts.length) list();
      return;
    }
    if (readIfPresent(segmentPath(path, last.first, "idx"))) return list();
    using file = Deno.openSync(segmentPath(path, last.first, "seg"));
    // Shorter than it was: the writer took back what it could not make durable.
    if (file.statSync().size < last.end) return list();
    if (readOn(file, last) === "damaged") throw damage(path, last);
  };
  const segmentOf = (first: number) => {
    if (first === last?.first) return last;
    if (cached?.first !== first) cached = loadSealed(path, first).segment;
    return cached;
  };
  const use = <T>(operation: () => T) =>
    attemptToRead(path, () => {
      refresh();
      return operation();
    });
  return {
    get newest() {
      return use(() => last?.rounds.at(-1) ?? 0);
    },
    get oldest() {
      return use(() => firsts[0] ?? 0);
    },
    read: (from, count, maxBytes) =>
      use(() => readSegments(path, firsts, segmentOf, from, count, maxBytes)),
  };
}
