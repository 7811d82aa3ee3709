/**
 * Files that survive a crash: whole writes, replacement by rename, and the error that says why a
 * data folder cannot be used. What is replaced reaches the disk under another name (`.new`) and is
 * then renamed, so that a crash at any moment leaves the old file or the new one.
 */
import { createHash } from "node:crypto";
import { EXIT } from "./exit.ts";

/** Why files cannot be used. `exitCode` 5, but 2 for `permission`, which an option mends. */
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

/** A data folder in use by this process. */
export interface HeldFolder {
  readonly path: string;
  /** Runs a file operation; throws a `StoreError` if the folder was closed or the operation fails. */
  run<T>(operation: () => T): T;
}

/** The bound of a record in a journal or an archive: a length beyond it is damage, bytes. */
export const MAX_RECORD = 64 * 2 ** 20;

/** Throws a `RangeError` for a record over `MAX_RECORD` bytes. */
export function checkRecord(record: Uint8Array): void {
  if (record.length > MAX_RECORD) {
    throw new RangeError(`a record of ${record.length} bytes, expected ${MAX_RECORD} at most`);
  }
}

/** SHA-256 of the parts one after the other, 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** Writes all of `bytes` at the file's position. */
export function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/** The bytes from offset `at`: `length` of them, or fewer where the file ends. */
export function readAt(file: Deno.FsFile, at: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  file.seekSync(at, Deno.SeekMode.Start);
  let have = 0;
  while (have < length) {
    const count = file.readSync(out.subarray(have));
    if (count === null) break;
    have += count;
  }
  return out.subarray(0, have);
}

/** Tries to cut off what could not be synced, lest a load find it in the cache and trust it. */
export function takeBack(file: Deno.FsFile, end: number): void {
  try {
    file.truncateSync(end);
    file.syncDataSync();
  } catch {
    // The disk does not work; the next start cuts the record or takes it as written.
  }
}

/** Puts a file of these parts at `path`; durable, whole at any moment, and of that mode. */
export function replaceDurably(path: string, parts: Iterable<Uint8Array>, mode = 0o600): void {
  const fresh = `${path}.new`;
  {
    using file = Deno.openSync(fresh, { write: true, create: true, truncate: true, mode });
    for (const part of parts) writeAll(file, part);
    file.syncDataSync();
  }
  // What others may read, they may whatever mask the process has.
  if (mode !== 0o600 && Deno.build.os !== "windows") Deno.chmodSync(fresh, mode);
  Deno.renameSync(fresh, path);
  syncFolder(path.slice(0, path.lastIndexOf("/")));
}

/** Makes a rename durable. Windows cannot open a folder, and its renames need no such thing. */
function syncFolder(folder: string): void {
  if (Deno.build.os === "windows") return;
  using handle = Deno.openSync(folder);
  handle.syncSync();
}

/** A file's bytes; undefined if there is no such file. */
export function readIfPresent(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Runs an operation on a data folder's files; what fails becomes a `StoreError` that says what to do. */
export function attempt<T>(folder: string, operation: () => T): T {
  return explained(operation, {
    permission: `${folder} may not be read and written: run with --allow-read=${folder} ` +
      `--allow-write=${folder} (beside -P they replace the set's own folders)`,
    io: `${folder} cannot be used as data folder`,
  });
}

/** As `attempt`, for a folder that is only read. */
export function attemptToRead<T>(folder: string, operation: () => T): T {
  return explained(operation, {
    permission: `${folder} may not be read: run with --allow-read=${folder} ` +
      `(beside -P it replaces the set's own folders)`,
    io: `${folder} cannot be read`,
  });
}

function explained<T>(operation: () => T, texts: { permission: string; io: string }): T {
  try {
    return operation();
  } catch (cause) {
    // A RangeError is the caller's mistake, told as it is.
    if (cause instanceof StoreError || cause instanceof RangeError) throw cause;
    if (cause instanceof Deno.errors.NotCapable) {
      throw new StoreError("permission", texts.permission, { cause });
    }
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("io", `${texts.io}: ${reason}`, { cause });
  }
}

/**
 * `value`, but a `StoreError` that any of its members throws is told to `fail` first. A caller may
 * catch what is thrown to close one stream; files that cannot be used must end the process.
 */
export function guarded<T extends object>(value: T, fail: (error: StoreError) => void): T {
  const told = <R>(act: () => R): R => {
    try {
      return act();
    } catch (error) {
      if (error instanceof StoreError) fail(error);
      throw error;
    }
  };
  return new Proxy(value, {
    get(target, key) {
      const member = told(() => Reflect.get(target, key, target));
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => told(() => Reflect.apply(member, target, args));
    },
  });
}
