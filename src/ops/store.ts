/**
 * What a server must not forget, kept as one file. A save replaces it whole, so that a crash at any
 * moment leaves the old state or the new one. A checksum tells damage from state. An older file put
 * back in place (a restored backup) cannot be told from the newest.
 */
import { createHash } from "node:crypto";
import { attempt, readIfPresent, replaceDurably, StoreError } from "./files.ts";

export { StoreError } from "./files.ts";

/** Where a server's state is kept. */
export interface Store {
  /** The state saved last; undefined if none ever was. */
  load(): Uint8Array | undefined;
  /** Replaces the state; durable once it returns. The bytes are copied. */
  save(bytes: Uint8Array): void;
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
 * The state in `<folder>/<name>`; the caller holds the folder's lock. `load` throws a `StoreError`
 * for a damaged file, `save` for one that cannot be written.
 */
export function fileStore(folder: string, name: string): Store {
  return {
    load: () => readStored(folder, name),
    save: (state) => void attempt(folder, () => replaceDurably(folder, name, [encode(state)])),
  };
}

/** What `<folder>/<name>` holds, for those who do not hold the lock; undefined if there is none. */
export function readStored(folder: string, name: string): Uint8Array | undefined {
  const file = `${folder}/${name}`;
  return attempt(folder, () => {
    const bytes = readIfPresent(file);
    return bytes && decode(bytes, file);
  });
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
