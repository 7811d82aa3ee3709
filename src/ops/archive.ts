/**
 * Certified records, kept for readers: a folder of hash-chained segment files that only grow, laid
 * out in `archive_segment.ts`. `index.json` tells a reader of static files where to start: it lists
 * the sealed segments, whose files never change again, and the live one, which grows. The segments
 * are what counts; indexes and `index.json` follow from them and are made again where they lack.
 */
import { equal, hex } from "../protocol/bytes.ts";
import type { Observe } from "../universe/environment.ts";
import { checkRises } from "./archive_memory.ts";
import { damage, loadSealed, loadSegment, readSegments } from "./archive_reader.ts";
import {
  type Archived,
  CHAIN_START,
  countEntry,
  damagedArchive,
  encodeEntry,
  encodeIndex,
  listSegments,
  newSegment,
  readEntry,
  type Segment,
  type SegmentLimits,
  segmentName,
  segmentPath,
} from "./archive_segment.ts";
import {
  checkRecord,
  type HeldFolder,
  readIfPresent,
  replaceDurably,
  StoreError,
  takeBack,
  writeAll,
} from "./files.ts";

/** Certified records by round. */
export interface Archive {
  /** Round of the newest record; 0 for none. */
  readonly newest: number;
  /** Round of the oldest record; 0 for none. */
  readonly oldest: number;
  /**
   * Appends a certified record's bytes under its round; rounds rise. Throws a `RangeError` for one
   * that does not rise or a record over `MAX_RECORD` bytes, and for files that cannot be written a
   * `StoreError`, after which the archive refuses to append. Each record is on the disk before the
   * next one is written, so that a crash can tear the last one only; a record may yet be missing
   * after a crash or rot (other servers have it): `newest` tells where to go on.
   */
  append(round: number, bytes: Uint8Array): void;
  /**
   * Records of rounds >= `from`, rising, at most `count` of them and about `maxBytes` bytes (at
   * least one if there is one). Each is verified; throws a `StoreError` for one that is damaged.
   */
  read(from: number, count: number, maxBytes: number): readonly Archived[];
  /**
   * The first record of rounds >= `from`, or no more of it than its first `PLACE_BYTES` bytes: they
   * may be remembered for longer.
   */
  place(from: number): Archived | undefined;
  /** Puts the committee and those before it beside the records: what these are verified with. */
  describe(lineage: Uint8Array): void;
}

/** Anyone may read what everyone is told; the folder around it is the owner's. */
const PUBLIC_FOLDER = 0o755;
const PUBLIC_FILE = 0o644;

/** A sealed segment, as `index.json` tells it. */
interface Sealed {
  readonly file: string;
  readonly index: string;
  readonly first: number;
  readonly last: number;
  readonly records: number;
  /** Of the segment's file. */
  readonly bytes: number;
  /** The chain at its end, hexadecimal. */
  readonly chain: string;
}

/**
 * The archive in a folder's folder `name`, made if missing. Verifies the live segment and that the
 * segments follow from each other; sealed ones are verified where they are read. A torn tail is cut
 * and told to `observe`. Throws a `StoreError` for damage. Whoever opened it closes it.
 */
export function openArchive(
  folder: HeldFolder,
  name: string,
  { limits, observe }: { readonly limits: SegmentLimits; readonly observe: Observe },
): Archive & { close(): void } {
  const path = `${folder.path}/${name}`;
  const sealed: Sealed[] = [];
  let live: Segment | undefined;
  let file: Deno.FsFile | undefined;
  let newest = 0;
  let chain = CHAIN_START;
  let failed = false;
  /** The segment read last. */
  let cached: Segment | undefined;

  const full = (segment: Segment) =>
    segment.end >= limits.bytes || segment.rounds.length >= limits.records;
  const writeIndex = (segment: Segment) =>
    replaceDurably(segmentPath(path, segment.first, "idx"), [encodeIndex(segment)], PUBLIC_FILE);
  const list = (segment: Segment) => {
    newest = segment.rounds.at(-1)!;
    chain = segment.chain;
    sealed.push({
      file: segmentName(segment.first, "seg"),
      index: segmentName(segment.first, "idx"),
      first: segment.first,
      last: newest,
      records: segment.rounds.length,
      bytes: segment.end,
      chain: hex(segment.chain),
    });
  };
  const seal = (segment: Segment) => {
    file?.close();
    file = undefined;
    live = undefined;
    writeIndex(segment);
    list(segment);
  };
  const tell = () => {
    const grows = live &&
      { file: segmentName(live.first, "seg"), first: live.first, before: hex(live.before) };
    const told = { format: "zipnet archive", version: 1, segments: sealed, live: grows ?? null };
    const bytes = new TextEncoder().encode(`${JSON.stringify(told, null, 1)}\n`);
    const written = readIfPresent(`${path}/index.json`);
    if (written && equal(written, bytes)) return;
    replaceDurably(`${path}/index.json`, [bytes], PUBLIC_FILE);
  };
  const open = (segment: Segment) => {
    file = Deno.openSync(segmentPath(path, segment.first, "seg"), { read: true, write: true });
    live = segment;
  };
  const begin = (round: number, bytes: Uint8Array) => {
    // The first record comes with the file, so that no crash leaves a segment without one.
    const { head, segment } = newSegment(round, chain);
    const entry = encodeEntry(segment, round, bytes);
    replaceDurably(segmentPath(path, round, "seg"), [head, entry], PUBLIC_FILE);
    countEntry(segment, round, entry);
    open(segment);
  };
  const extend = (segment: Segment, round: number, bytes: Uint8Array) => {
    const entry = encodeEntry(segment, round, bytes);
    file!.seekSync(segment.end, Deno.SeekMode.Start);
    try {
      writeAll(file!, entry);
      file!.syncDataSync();
    } catch (error) {
      takeBack(file!, segment.end);
      throw error;
    }
    countEntry(segment, round, entry);
  };
  /** The last segment as a crash may have left it: sealed, or live with a torn tail. */
  const resume = (first: number) => {
    const { segment, found } = loadSegment(path, first);
    follows(segment);
    if (found === "indexed") return list(segment);
    if (found === "damaged") throw damage(path, segment);
    open(segment);
    if (found === "torn") {
      const cut = file!.statSync().size - segment.end;
      file!.truncateSync(segment.end);
      observe("warn", "archive tail cut", { file: segmentPath(path, first, "seg"), bytes: cut });
    }
    file!.syncDataSync();
    newest = segment.rounds.at(-1)!;
    if (full(segment)) seal(segment);
  };
  /** Refuses a segment that is not the next one of those listed. */
  const follows = (segment: Segment) => {
    const before = cached;
    cached = segment;
    if (!before || (equal(segment.before, chain) && segment.first > newest)) return;
    // Which of the two is damaged? The earlier one, if the record at its end does not check.
    const ended = segmentPath(path, before.first, "seg");
    using earlier = Deno.openSync(ended);
    readEntry(earlier, ended, before, before.rounds.length - 1);
    throw damagedArchive(
      segmentPath(path, segment.first, "seg"),
      `it does not follow from the segment before it, ${sealed.at(-1)!.file}`,
    );
  };
  const firsts = () => [...sealed.map(({ first }) => first), ...live ? [live.first] : []];
  const segmentOf = (first: number) => {
    if (first === live?.first) return live;
    if (cached?.first !== first) cached = loadSealed(path, first).segment;
    return cached;
  };

  folder.run(() => {
    Deno.mkdirSync(path, { recursive: true, mode: PUBLIC_FOLDER });
    const found = listSegments(path);
    for (const first of found.slice(0, -1)) {
      const { segment, found } = loadSealed(path, first);
      follows(segment);
      if (found !== "indexed") writeIndex(segment);
      list(segment);
    }
    if (found.length > 0) resume(found.at(-1)!);
    tell();
  });
  return {
    get newest() {
      return newest;
    },
    get oldest() {
      return sealed[0]?.first ?? live?.first ?? 0;
    },
    describe: (lineage) =>
      folder.run(() => replaceDurably(`${path}/committee`, [lineage], PUBLIC_FILE)),
    append(round, bytes) {
      checkRises(round, newest);
      checkRecord(bytes);
      folder.run(() => {
        if (failed) throw new StoreError("io", `${path} is not used after a failure: start again`);
        failed = true;
        const before = live;
        if (live) extend(live, round, bytes);
        else begin(round, bytes);
        newest = round;
        if (full(live!)) seal(live!);
        if (live !== before) tell();
        failed = false;
      });
    },
    read: (from, count, maxBytes) =>
      folder.run(() => readSegments(path, firsts(), segmentOf, from, count, maxBytes)),
    place: (from) =>
      folder.run(() => readSegments(path, firsts(), segmentOf, from, 1, Infinity)[0]),
    close() {
      file?.close();
      file = undefined;
    },
  };
}
