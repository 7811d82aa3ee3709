/**
 * What a server must not forget, kept as one file. A save replaces it whole: the new bytes reach
 * the disk under another name and are then renamed, so that a crash at any moment leaves the old
 * state or the new one. A checksum tells damage from state, and a lock keeps a second process from
 * the same folder, since two servers on one state could say two things. An older file put back in
 * place (a restored backup) cannot be told from the newest.
 */
import { createHash } from "node:crypto";
import { attempt, readIfPresent, replaceDurably, StoreError } from "./files.ts";
import { type FileJournal, type Journal, openJournal } from "./journal.ts";

export { StoreError } from "./files.ts";

/** Where a server's state is kept. */
export interface Store {
  /** The state saved last; undefined if none ever was. */
  load(): Uint8Array | undefined;
  /** Replaces the state; durable once it returns. The bytes are copied. */
  save(bytes: Uint8Array): void;
}

/** A store on disk; it holds its folder's lock until `close`. */
export interface FileStore extends Store {
  /** The write-ahead log of that name in the same folder, under the same lock. */
  journal(name: string): Journal;
  /** Gives the folder back. Idempotent. */
  close(): void;
}

/** `magic (8) ‖ version u32 LE ‖ state ‖ SHA-256 of all before (32)`. */
const MAGIC = new TextEncoder().encode("zipstate");
const VERSION = 1;
const HEAD = MAGIC.length + 4;
const CHECKSUM = 32;

/** State in memory, for `--ephemeral` and tests; it ends with the process. */
export function memoryStore(): Store {
  let state: Uint8Array | undefined;
  return {
    load: () => state?.slice(),
    save: (bytes) => void (state = bytes.slice()),
  };
}

/**
 * The store of `folder`, which is made if missing (owner only): files `state` and `lock`. Throws a
 * `StoreError` when another process or another store of this one holds it, or when it may not be
 * read and written. `load` throws one for a damaged file, `save` for one that cannot be written.
 */
export function openStore(folder: string): FileStore {
  const file = `${folder}/state`;
  const lock = attempt(folder, () => acquire(folder));
  const journals: FileJournal[] = [];
  let open = true;
  const check = () => {
    if (!open) throw new StoreError("io", `${folder} was closed: open it again to use it`);
  };
  return {
    load() {
      check();
      return attempt(folder, () => {
        const bytes = readIfPresent(file);
        return bytes && decode(bytes, file);
      });
    },
    save(state) {
      check();
      attempt(folder, () => replaceDurably(folder, "state", [encode(state)]));
    },
    journal(name) {
      check();
      const journal = openJournal(folder, name);
      journals.push(journal);
      return journal;
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

function encode(state: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEAD + state.length + CHECKSUM);
  out.set(MAGIC);
  new DataView(out.buffer).setUint32(MAGIC.length, VERSION, true);
  out.set(state, HEAD);
  out.set(checksum(out.subarray(0, -CHECKSUM)), HEAD + state.length);
  return out;
}

function decode(bytes: Uint8Array, path: string): Uint8Array {
  const damaged = (what: string) =>
    new StoreError(
      "damaged",
      `${path} is damaged (${what}): restore it or start with a new folder`,
    );
  if (bytes.length < HEAD + CHECKSUM) throw damaged(`${bytes.length} bytes`);
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw damaged("not a state file");
  const sum = checksum(bytes.subarray(0, -CHECKSUM));
  if (sum.some((byte, i) => bytes[bytes.length - CHECKSUM + i] !== byte)) {
    throw damaged("its checksum does not match");
  }
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  if (version !== VERSION) throw damaged(`version ${version}, this program reads ${VERSION}`);
  return bytes.slice(HEAD, -CHECKSUM);
}

function checksum(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}
