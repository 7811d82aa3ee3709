/**
 * What the floors above the protocol take from outside, as arguments: time, randomness and a place
 * to say what happened. A production process passes the real ones (`src/ops/system.ts`), the
 * simulated universe passes seeded ones, and the code between them cannot tell the difference.
 */

/** Time and timers. */
export interface Clock {
  /**
   * Whole milliseconds that pass evenly, from the Unix time at which the process began: what
   * durations are measured by. The machine's clock may be set meanwhile; this one is not.
   */
  now(): number;
  /** Unix time in whole milliseconds, as the machine has it now: what others are told, and disks. */
  wall(): number;
  /** Runs `task` once, `ms` milliseconds from now; the returned function cancels it. */
  after(ms: number, task: () => void): () => void;
}

/** A source of `length` unpredictable bytes. */
export type Random = (length: number) => Uint8Array;

/** How loud an observation is. */
export type Level = "debug" | "info" | "warn" | "error";

/** What a log field may hold; secrets and message bytes never enter one. */
export type Fields = Record<string, string | number | boolean | undefined>;

/** Receives one observation: a stable event name such as `round void`, and its fields. */
export type Observe = (level: Level, event: string, fields?: Fields) => void;

/** The three together, handed down from the process's entry to every floor. */
export interface Environment {
  /** Time and timers. */
  readonly clock: Clock;
  /** Unpredictable bytes. */
  readonly random: Random;
  /** Where observations go. */
  readonly observe: Observe;
}
