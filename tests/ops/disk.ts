/** Folders for tests, and a disk that fails: file operations that stop at a planted place. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { StoreError } from "../../src/ops/files.ts";

const TESTNET = new URL("../../.testnet/", import.meta.url).pathname;

/** UTF-8. */
export const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** Runs `body` with a folder of its own, which is not made yet and taken away afterwards. */
export function withFolder(body: (folder: string) => void): () => void {
  return () => {
    Deno.mkdirSync(TESTNET, { recursive: true });
    const parent = Deno.makeTempDirSync({ dir: TESTNET, prefix: "store-" });
    try {
      body(`${parent}/deep/data`);
    } finally {
      Deno.removeSync(parent, { recursive: true });
    }
  };
}

/** Expects a `StoreError` of one line. */
export function refuses(
  code: StoreError["code"],
  exitCode: number,
  message: RegExp,
  act: () => unknown,
): void {
  throws(act, (error: unknown) => {
    if (!(error instanceof StoreError)) throw error;
    deepEqual([error.code, error.exitCode], [code, exitCode]);
    equal(message.test(error.message), true, error.message);
    equal(error.message.includes("\n"), false, "one line");
    return true;
  });
}

/** File operations that change something or make it durable. */
const ON_FILES = ["writeSync", "truncateSync", "syncDataSync", "syncSync"] as const;
const ON_PATHS = ["openSync", "renameSync"] as const;

/**
 * Runs `act` on a disk that dies at its operation number `at` (from 0): that one throws, a write
 * after half of its bytes, and so does every later one. Answers the operations that were reached;
 * whether `act` threw is the caller's to see.
 */
export function withDisk(at: number, act: () => void): string[] {
  const reached: string[] = [];
  // deno-lint-ignore no-explicit-any
  const plant = (owner: any, name: string) => {
    const real = owner[name];
    owner[name] = function (...args: unknown[]) {
      reached.push(name);
      if (reached.length > at) {
        const half = args[0] as Uint8Array;
        if (name === "writeSync" && reached.length === at + 1) {
          real.call(this, half.subarray(0, half.length >> 1));
        }
        throw new Error("planted: the disk is gone");
      }
      return real.apply(this, args);
    };
    return () => void (owner[name] = real);
  };
  const restore = [
    ...ON_FILES.map((name) => plant(Deno.FsFile.prototype, name)),
    ...ON_PATHS.map((name) => plant(Deno, name)),
  ];
  try {
    act();
  } finally {
    for (const back of restore) back();
  }
  return reached;
}
