/**
 * Exit codes: what a supervisor, a script or a test can tell from how a role ended. An error names
 * its own code in a field `exitCode`, so that a floor which knows why it failed needs nothing from
 * this one.
 */

/** Exit codes of all roles. */
export const EXIT = {
  /** A clean stop. */
  clean: 0,
  /** Anything that has no code of its own. */
  failure: 1,
  /** Options that are missing, malformed or contradict each other. */
  options: 2,
  /** The instance cannot be reached (`ConnectTimeout`). */
  unreachable: 3,
  /** Refused: attestation, admission, another committee. */
  refused: 4,
  /** Local state is damaged, or held by another process. */
  state: 5,
} as const;

/** One of them. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const CODES: ReadonlySet<unknown> = new Set(Object.values(EXIT));

/**
 * The code with which a process ends that failed with `error`: its `exitCode`, if that is one of
 * the table's other than `clean`; else `EXIT.failure`.
 *
 * @example
 * ```ts
 * import { EXIT, exitCodeOf } from "./exit.ts";
 * const error = Object.assign(new Error("no server answered"), { exitCode: EXIT.unreachable });
 * if (exitCodeOf(error) !== 3 || exitCodeOf(new Error("?")) !== 1) throw error;
 * ```
 */
export function exitCodeOf(error: unknown): ExitCode {
  const code = (error as { exitCode?: unknown } | null | undefined)?.exitCode;
  return CODES.has(code) && code !== EXIT.clean ? code as ExitCode : EXIT.failure;
}
