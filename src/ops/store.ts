/**
 * What a server must not forget, kept as one file. A save replaces it whole: the new bytes reach
 * the disk under another name and are then renamed, so that a crash at any moment leaves the old
 * state or the new one. A checksum tells damage from state, and a lock keeps a second process from
 * the same folder, since two servers on one state could say two things. An older file put back in
 * place (a restored backup) cannot be told from the newest.
 */
import { createHash } from "node:crypto";
import { EXIT } from "./exit.ts";

/** Where a server's state is kept. */
export interface Store {
  /** The state saved last; undefined if none ever was. */
  load(): Uint8Array | undefined;
  /** Replaces the state; durable once it returns. The bytes are copied. */
  save(bytes: Uint8Array): void;
}

/** A store on disk; it holds its folder's lock until `close`. */
export interface FileStore extends Store {
  /** Another file of the same folder and lock, with a state of its own. */
  part(name: string): Store;
  /** Gives the folder back. Idempotent. */
  close(): void;
}

/** Why state cannot be used. `exitCode` 5, but 2 for `permission`, which an option mends. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly exitCode: 2 | 5;
  constructor(
    readonly code: "held" | "damaged" | "permission" | "io",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.exitCode = code === "permission" ? EXIT.options : EXIT.state;
  }
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
  const lock = attempt(folder, () => acquire(folder));
  let open = true;
  const check = () => {
    if (!open) throw new StoreError("io", `${folder} was closed: open it again to use it`);
  };
  const part = (name: string): Store => ({
    load() {
      check();
      return readStored(folder, name);
    },
    save(state) {
      check();
      attempt(folder, () => {
        const fresh = `${folder}/${name}.new`;
        writeDurably(fresh, encode(state));
        Deno.renameSync(fresh, `${folder}/${name}`);
        syncFolder(folder);
      });
    },
  });
  return {
    ...part("state"),
    part,
    close() {
      if (open) lock.close();
      open = false;
    },
  };
}

/** What `part(name)` of a folder holds, without its lock; undefined if there is none. */
export function readStored(folder: string, name: string): Uint8Array | undefined {
  const file = `${folder}/${name}`;
  return attempt(folder, () => {
    const bytes = readIfPresent(file);
    return bytes && decode(bytes, file);
  });
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

function writeDurably(path: string, bytes: Uint8Array): void {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true, mode: 0o600 });
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  file.syncDataSync();
}

/** Makes a rename durable. Windows cannot open a folder, and its renames need no such thing. */
function syncFolder(folder: string): void {
  if (Deno.build.os === "windows") return;
  using handle = Deno.openSync(folder);
  handle.syncSync();
}

function readIfPresent(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
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

/** Runs a file operation; what fails becomes a `StoreError` that says what to do. */
function attempt<T>(folder: string, operation: () => T): T {
  try {
    return operation();
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    if (cause instanceof Deno.errors.NotCapable) {
      throw new StoreError(
        "permission",
        `${folder} may not be read and written: run with --allow-read=${folder} ` +
          `--allow-write=${folder} (beside -P they replace the set's own folders)`,
        { cause },
      );
    }
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("io", `${folder} cannot be used as data folder: ${reason}`, { cause });
  }
}
