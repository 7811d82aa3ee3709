/**
 * The WebAssembly file, read and compiled when it is first wanted and never before. It is refused
 * unless its SHA-256 is the one that stands in the source.
 */
import { hex } from "../../protocol/bytes.ts";
import { RaftError } from "./errors.ts";
import { WASM_SHA256 } from "./hash.ts";

/** A module whose hash was checked. */
export interface RaftModule {
  readonly wasm: WebAssembly.Module;
}

/** The file beside this module. A module import, so that no permission to read is needed. */
async function beside(): Promise<Uint8Array> {
  return (await import("./raft.wasm", { with: { type: "bytes" } })).default;
}

let loaded: Promise<RaftModule> | undefined;

/**
 * The engine core, compiled once a process.
 *
 * @throws {RaftError} with code `hash` if the file is another one.
 */
export function loadRaft(): Promise<RaftModule> {
  loaded ??= beside().then(compileRaft);
  return loaded;
}

/** Compiles the engine core from bytes that the caller read, after the same check. */
export async function compileRaft(bytes: Uint8Array): Promise<RaftModule> {
  // A copy: what is compiled is what was hashed, whoever else holds the bytes.
  const own = new Uint8Array(bytes);
  const found = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", own)));
  if (found !== WASM_SHA256) {
    throw new RaftError(
      "hash",
      `the engine's WebAssembly file has SHA-256 ${found}, expected ${WASM_SHA256}: restore it`,
    );
  }
  return { wasm: await WebAssembly.compile(own) };
}
