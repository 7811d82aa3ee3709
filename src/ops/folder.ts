/**
 * The data folder of a server or reader: its lock, which keeps a second process from it, since two
 * servers on one state could say two things, and the files in it.
 */
import { attempt, StoreError } from "./files.ts";
import { type FileJournal, type Journal, memoryJournal, openJournal } from "./journal.ts";
import { fileStore, memoryStore, type Store } from "./store.ts";

/** What a role keeps, by name. Each name is opened once. */
export interface DataFolder {
  /** State that is replaced as a whole. */
  file(name: string): Store;
  /** A write-ahead log. */
  journal(name: string): Journal;
  /** Gives the folder back; what was opened in it refuses all further use. Idempotent. */
  close(): void;
}

/** What `--ephemeral` keeps: all of it ends with the process. */
export function memoryFolder(): DataFolder {
  return { file: memoryStore, journal: memoryJournal, close() {} };
}

/**
 * A folder on disk, made if missing (owner only). Throws a `StoreError` when another process or
 * another use in this one holds it, or when it may not be read and written. `failed` hears of each
 * write that failed, which is thrown too: a server that cannot write must end, wherever that error
 * goes.
 */
export function openFolder(path: string, failed: (error: unknown) => void = () => {}): DataFolder {
  const lock = attempt(path, () => acquire(path));
  const journals: FileJournal[] = [];
  let open = true;
  const check = () => {
    if (!open) throw new StoreError("io", `${path} was closed: open it again to use it`);
  };
  const writing = <T extends unknown[]>(write: (...args: T) => void) => (...args: T) => {
    try {
      check();
      write(...args);
    } catch (error) {
      failed(error);
      throw error;
    }
  };
  return {
    file(name) {
      const { load, save } = fileStore(path, name);
      return {
        load() {
          check();
          return load();
        },
        save: writing(save),
      };
    },
    journal(name) {
      check();
      const journal = openJournal(path, name), { load, append, replace } = journal;
      journals.push(journal);
      return { load, append: writing(append), replace: writing(replace) };
    },
    close() {
      if (!open) return;
      open = false;
      for (const journal of journals) journal.close();
      lock.close();
    },
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
