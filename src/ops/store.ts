/**
 * What a server must not forget, kept as one file. A save replaces it whole, so that a crash at any
 * moment leaves the old state or the new one, and a checksum tells damage from state. An older file
 * put back in place (a restored backup) cannot be told from the newest.
 */
import {
  attemptToRead,
  type HeldFolder,
  readIfPresent,
  replaceDurably,
  sha256,
  StoreError,
} from "./files.ts";

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
 * The store in a folder's file `name`. `load` throws a `StoreError` for a damaged file, `save` for
 * one that cannot be written.
 */
export function fileStore(folder: HeldFolder, name: string): Store {
  const path = `${folder.path}/${name}`;
  return {
    load: () =>
      folder.run(() => {
        const bytes = readIfPresent(path);
        return bytes && decode(bytes, path);
      }),
    save: (state) => folder.run(() => replaceDurably(path, encode(state))),
  };
}

/** What a folder's file `name` holds, for those who do not hold the folder; undefined if none. */
export function readStored(folder: string, name: string): Uint8Array | undefined {
  const path = `${folder}/${name}`;
  return attemptToRead(folder, () => {
    const bytes = readIfPresent(path);
    return bytes && decode(bytes, path);
  });
}

function encode(state: Uint8Array): Uint8Array[] {
  const head = new Uint8Array(HEAD);
  head.set(MAGIC);
  new DataView(head.buffer).setUint32(MAGIC.length, VERSION, true);
  return [head, state, sha256(head, state)];
}

function decode(bytes: Uint8Array, path: string): Uint8Array {
  const damaged = (what: string) =>
    new StoreError(
      "damaged",
      `${path} is damaged (${what}): restore it or start with a new folder`,
    );
  if (bytes.length < HEAD + CHECKSUM) throw damaged(`${bytes.length} bytes`);
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw damaged("not a state file");
  const sum = sha256(bytes.subarray(0, -CHECKSUM));
  if (sum.some((byte, i) => bytes[bytes.length - CHECKSUM + i] !== byte)) {
    throw damaged("its checksum does not match");
  }
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  if (version !== VERSION) throw damaged(`version ${version}, this program reads ${VERSION}`);
  return bytes.slice(HEAD, -CHECKSUM);
}
