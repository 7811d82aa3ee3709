/**
 * A server's data folder. Its lock keeps a second process out, since two servers on one state could
 * say two things; everything durable in it is handed out here.
 */
import type { Observe, Random } from "../universe/environment.ts";
import { type Archive, openArchive } from "./archive.ts";
import { memoryArchive } from "./archive_memory.ts";
import { SEGMENT_LIMITS, type SegmentLimits } from "./archive_segment.ts";
import { attempt, guarded, type HeldFolder, StoreError } from "./files.ts";
import { type Journal, memoryJournal, openJournal } from "./journal.ts";
import { fileStore, memoryStore, type Store } from "./store.ts";
import { systemRandom } from "./system.ts";

/** A data folder that this process holds. A name is handed out once; `a`-`z`, digits and `-`. */
export interface DataFolder {
  /** A file that is replaced whole. */
  file(name: string): Store;
  /** A file that grows by records, each durable. */
  journal(name: string): Journal;
  /** A folder of certified records. Throws a `StoreError` for one that is damaged. */
  archive(name: string, limits?: SegmentLimits): Archive;
  /** Gives the folder back; what it handed out is of no use from then on. Idempotent. */
  close(): void;
}

/** What a folder works with. */
export interface FolderOptions {
  readonly random?: Random;
  readonly observe?: Observe;
  readonly fail?: (error: StoreError) => void;
}

/**
 * Takes a folder, which is made if missing (owner only). Throws a `StoreError` when another process
 * or another holder in this one has it, or when it may not be read and written. `fail` is told of
 * every `StoreError` of what it hands out, wherever that error goes then.
 */
export function openFolder(path: string, options: FolderOptions = {}): DataFolder {
  const { random = systemRandom, observe = () => {}, fail = () => {} } = options;
  const lock = attempt(path, () => acquire(path));
  const names = new Set(["lock"]);
  const opened: { close(): void }[] = [lock];
  let open = true;
  const folder: HeldFolder = {
    path,
    run(operation) {
      if (!open) throw new StoreError("io", `${path} was closed: open it again to use it`);
      return attempt(path, operation);
    },
  };
  const fresh = (name: string) => {
    if (!/^[a-z][a-z0-9-]*$/.test(name)) throw new RangeError(`a file cannot be named ${name}`);
    if (names.has(name)) throw new RangeError(`${path}/${name} is in use already`);
    names.add(name);
    return name;
  };
  const kept = <T extends { close(): void }>(it: T): T => {
    opened.push(it);
    return it;
  };
  return {
    file: (name) => guarded(fileStore(folder, fresh(name)), fail),
    journal: (name) => guarded(kept(openJournal(folder, fresh(name), { random, observe })), fail),
    archive: (name, limits = SEGMENT_LIMITS) =>
      guarded(kept(openArchive(folder, fresh(name), { limits, observe })), fail),
    close() {
      if (!open) return;
      open = false;
      // The lock last: a next holder finds nothing of this one open.
      for (const it of opened.reverse()) it.close();
    },
  };
}

/** What an archive in memory keeps: records, and bytes. */
const MEMORY_RECORDS = 1_024;
const MEMORY_BYTES = 64 * 2 ** 20;
/** And places of records before those: 18 hours of a round a second; a ticket holds for four at most. */
const MEMORY_PLACES = 65_536;

/** A folder in memory, for `--ephemeral`; it ends with the process, and needs no names apart. */
export function memoryFolder(): DataFolder {
  return {
    file: () => memoryStore(),
    journal: () => memoryJournal(),
    archive: () => memoryArchive(MEMORY_RECORDS, MEMORY_BYTES, MEMORY_PLACES),
    close() {},
  };
}

function acquire(folder: string): Deno.FsFile {
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = `${folder}/lock`;
  const lock = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  let held = false;
  try {
    held = lock.tryLockSync(true);
  } finally {
    if (!held) lock.close();
  }
  if (held) return lock;
  throw new StoreError(
    "held",
    `${folder} is held by another process: stop that one, or give this one its own folder`,
  );
}
