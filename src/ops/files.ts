/** What durable files have in common: how they are replaced, and how their errors are told. */
import { EXIT } from "./exit.ts";

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

/**
 * Puts a file in place whole: a crash at any moment leaves the old one or the new. Answers its bytes.
 */
export function replaceDurably(
  folder: string,
  name: string,
  parts: readonly Uint8Array[],
): number {
  const fresh = `${folder}/${name}.new`;
  let length = 0;
  {
    using file = Deno.openSync(fresh, { write: true, create: true, truncate: true, mode: 0o600 });
    for (const part of parts) {
      for (let at = 0; at < part.length;) at += file.writeSync(part.subarray(at));
      length += part.length;
    }
    file.syncDataSync();
  }
  Deno.renameSync(fresh, `${folder}/${name}`);
  syncFolder(folder);
  return length;
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

/** Runs a file operation; what fails becomes a `StoreError` that says what to do. */
export function attempt<T>(folder: string, operation: () => T): T {
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
