/**
 * The real clock, timers, randomness, environment, signals, standard streams and exit. Every other
 * module gets these as arguments; a test refuses them elsewhere (but in the libp2p column).
 * Importing this one touches nothing and needs no permission.
 */
import { cpuUsage } from "node:process";
import type { Clock, Random } from "../universe/environment.ts";
import { EXIT, type ExitCode } from "./exit.ts";

/** Longest timer of the platform, ms (24.8 days); beyond it a timer would fire at once. */
const MAX_TIMER = 2 ** 31 - 1;

/** The system's clock; `after` throws a `RangeError` over 2^31 − 1 ms. */
export const systemClock: Clock = {
  now: () => Math.floor(performance.timeOrigin + performance.now()),
  wall: () => Date.now(),
  after(ms, task) {
    if (!(ms <= MAX_TIMER)) {
      throw new RangeError(`a timer of ${ms} ms, expected ${MAX_TIMER} at most`);
    }
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

/** Bytes that one call of `getRandomValues` may ask for. */
const RANDOM_CHUNK = 65_536;

/** The system's cryptographic generator. */
export const systemRandom: Random = (length) => {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += RANDOM_CHUNK) {
    crypto.getRandomValues(out.subarray(at, at + RANDOM_CHUNK));
  }
  return out;
};

/** The environment may not be read; `exitCode` 2. */
export class EnvironmentError extends Error {
  override readonly name = "EnvironmentError";
  readonly exitCode = EXIT.options;
}

/**
 * The `ZIPNET_*` variables. Those named in `secrets` are deleted from the environment, so that no
 * child and no later reader sees them. The kernel keeps what the process was started with in
 * `/proc/PID/environ`; only the `_FILE` form avoids that. Throws an `EnvironmentError` where the
 * permission is missing.
 */
export function readEnvironment(secrets: readonly string[]): Record<string, string> {
  try {
    const own = Object.entries(Deno.env.toObject()).filter(([name]) => name.startsWith("ZIPNET_"));
    for (const [name] of own) if (secrets.includes(name)) Deno.env.delete(name);
    return Object.fromEntries(own);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new EnvironmentError(
      "the ZIPNET_* variables may not be read: add --allow-env=ZIPNET_* --ignore-env",
    );
  }
}

/** What this process uses: resident memory in bytes, and CPU time in seconds. */
export function usage(): { readonly resident: number; readonly cpu: number } {
  const { user, system } = cpuUsage();
  return { resident: Deno.memoryUsage().rss, cpu: (user + system) / 1e6 };
}

/** The whole text of a file; the errors are Deno's. */
export function readTextFile(path: string): string {
  return Deno.readTextFileSync(path);
}

/** The whole of a file; the errors are Deno's. */
export function readFile(path: string): Uint8Array {
  return Deno.readFileSync(path);
}

/**
 * Writes a line to standard error, whole. Where that is closed, or its disk is full, the line is
 * lost: a log must not end a role, nor what it was doing.
 */
export function writeError(line: string): void {
  try {
    writeAll(Deno.stderr, line);
  } catch {
    return; // there is nowhere left to say so
  }
}

/** Writes a line to standard output, whole; false where nobody reads it any more. Else it throws. */
export function writeOutput(line: string): boolean {
  try {
    writeAll(Deno.stdout, line);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    const { message } = error as Error;
    throw new Error(`standard output cannot be written: ${message}`, { cause: error });
  }
}

/** True if logs are read on a terminal: then text, else JSON, is their default. */
export function errorIsTerminal(): boolean {
  return Deno.stderr.isTerminal();
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
}

/** Ends the process. */
export function exit(code: ExitCode): never {
  Deno.exit(code);
}

/**
 * Calls `handler` with every error that nothing caught, in a timer or a promise. Where it answers
 * true the process goes on; else the platform ends it, with the error's trace and exit code 1.
 */
export function onUncaught(handler: (error: unknown) => boolean): void {
  globalThis.addEventListener("error", (event) => {
    if (handler(event.error)) event.preventDefault();
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    if (handler(event.reason)) event.preventDefault();
  });
}

/** What asked the process to stop. */
export type StopReason = "SIGTERM" | "SIGINT" | "stdin";

/**
 * Calls `handler` once, at the first SIGTERM or SIGINT or, with `withStdin`, when standard input
 * ends; what comes later is ignored, since Ctrl-C in a terminal arrives twice. Install it before
 * the process says that it is up. The returned function takes the handlers away again.
 */
export function onStop(
  handler: (reason: StopReason) => void,
  { withStdin = false }: { readonly withStdin?: boolean } = {},
): () => void {
  let done = false;
  const once = (reason: StopReason) => {
    if (done) return;
    done = true;
    handler(reason);
  };
  const signals = (["SIGTERM", "SIGINT"] as const)
    // Windows has no SIGTERM.
    .filter((signal) => signal === "SIGINT" || Deno.build.os !== "windows")
    .map((signal) => ({ signal, listener: () => once(signal) }));
  for (const { signal, listener } of signals) Deno.addSignalListener(signal, listener);
  const input = withStdin ? Deno.stdin.readable.getReader() : undefined;
  if (input) drain(input).then(() => once("stdin"));
  return () => {
    done = true;
    for (const { signal, listener } of signals) Deno.removeSignalListener(signal, listener);
    input?.cancel().catch(() => {});
  };
}

/** Reads to the end; an error of the stream is an end too. */
async function drain(input: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    while (!(await input.read()).done);
  } catch {
    return;
  }
}
