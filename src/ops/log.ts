/**
 * Logs: one line an event, as `key=value` text or as JSON, with event names that never change so
 * that alerts can rest on them. Field values may come from strangers (a peer's name, a reason to
 * refuse): nothing in them may end the line, forge a field or command the terminal.
 */
import type { Clock, Fields, Level, Observe } from "../universe/environment.ts";
import { printableText } from "./printable.ts";

/** Levels from the most to the least talkative. */
export const LEVELS = ["debug", "info", "warn", "error"] as const;

/** How a line looks. */
export const LOG_FORMATS = ["text", "json"] as const;

/** One of them. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Characters of a field's string; a longer one is cut and ends in `…`. */
export const MAX_FIELD_LENGTH = 1024;

/** Where a log goes and what it shows. */
export interface LogOptions {
  /** The least level that is written. */
  readonly level: Level;
  readonly format: LogFormat;
  /** Takes one whole line with its newline, e.g. to standard error. */
  readonly write: (line: string) => void;
  readonly clock: Pick<Clock, "wall">;
}

/**
 * An observer that writes. Text: `TIME LEVEL EVENT key=value ...`, values quoted where they need
 * it; JSON: an object with `time`, `level`, `event` (a field of such a name is dropped) and the
 * fields. Fields that are undefined are left out.
 *
 * @example
 * ```ts
 * import { createLog } from "./log.ts";
 * let out = "";
 * const write = (line: string) => out += line;
 * const log = createLog({ level: "info", format: "text", write, clock: { wall: () => 0 } });
 * log("info", "round finalized", { round: 12, participants: 5 });
 * log("debug", "unseen");
 * const line = "1970-01-01T00:00:00.000Z info round finalized round=12 participants=5\n";
 * if (out !== line) throw new Error(out);
 * ```
 */
export function createLog({ level, format, write, clock }: LogOptions): Observe {
  const least = LEVELS.indexOf(level);
  const line = format === "json" ? jsonLine : textLine;
  return (at, event, fields = {}) => {
    if (LEVELS.indexOf(at) < least) return;
    write(line(new Date(clock.wall()).toISOString(), at, event, fields) + "\n");
  };
}

function textLine(time: string, level: Level, event: string, fields: Fields): string {
  let line = `${time} ${level} ${printableText(event)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    line += ` ${printableText(key)}=${typeof value === "string" ? textValue(value) : value}`;
  }
  return line;
}

function textValue(value: string): string {
  const text = cut(value);
  return /^[\w./:@+,%-]+$/.test(text) ? text : `"${printableText(text).replaceAll('"', '\\"')}"`;
}

function jsonLine(time: string, level: Level, event: string, fields: Fields): string {
  const cutFields: Fields = {};
  for (const [key, value] of Object.entries(fields)) {
    cutFields[key] = typeof value === "string" ? cut(value) : value;
  }
  const head = { time, level, event };
  const json = JSON.stringify(Object.assign({ ...head }, cutFields, head));
  return json.replace(HIDDEN_IN_JSON, (unit) => `\\u${hex4(unit)}`);
}

/** By code units without `u`-flag pairs: a hidden character above U+FFFF becomes two escapes. */
const HIDDEN_IN_JSON = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]/gu;

function hex4(character: string): string {
  return character.split("").map((unit) => unit.charCodeAt(0).toString(16).padStart(4, "0"))
    .join("\\u");
}

function cut(text: string): string {
  return text.length > MAX_FIELD_LENGTH ? `${text.slice(0, MAX_FIELD_LENGTH)}…` : text;
}
