/**
 * Strangers' bytes for a terminal or a log line. A message of the channel may hold anything: escape
 * sequences that move the cursor or rename the window, overrides that reverse what stands before
 * them, characters that cannot be seen. Here all of that becomes visible, and the output can be
 * read back in one way only.
 */

/** Controls, formats, unassigned, private, surrogates, separators, and what fonts do not draw. */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]/u;
const MARK = /\p{M}/u;
/** Combining marks on one character: languages need up to four, a tower of them covers other lines. */
const MAX_MARKS = 4;

const encoder = new TextEncoder();

/**
 * The bytes as one line. Valid, visible UTF-8 stays; a byte of ASCII control or of invalid UTF-8
 * becomes `\xNN`, another hidden code point `\u{...}`, a backslash `\\`. A combining mark without
 * a character to stand on, or on top of four others, is escaped too, since it would change what is
 * printed before or above it.
 *
 * @example
 * ```ts
 * import { printable } from "./printable.ts";
 * const bytes = new TextEncoder().encode("a\x1b[2J\u202e<b>\\");
 * if (printable(bytes) !== "a\\x1b[2J\\u{202e}<b>\\\\") throw new Error(printable(bytes));
 * ```
 */
export function printable(bytes: Uint8Array): string {
  let out = "";
  let marks = MAX_MARKS;
  for (let at = 0; at < bytes.length;) {
    const point = codePoint(bytes, at);
    if (point === undefined || point < 0x20 || point === 0x7f) {
      out += `\\x${bytes[at].toString(16).padStart(2, "0")}`;
      marks = MAX_MARKS;
      at++;
      continue;
    }
    const character = String.fromCodePoint(point);
    marks = MARK.test(character) ? marks + 1 : 0;
    const hidden = HIDDEN.test(character) || marks > MAX_MARKS;
    out += hidden ? `\\u{${point.toString(16)}}` : point === 0x5c ? "\\\\" : character;
    if (hidden) marks = MAX_MARKS;
    at += length(point);
  }
  return out;
}

/** `printable` of a string; a lone surrogate in it becomes U+FFFD. */
export function printableText(text: string): string {
  return printable(encoder.encode(text));
}

/** The code point that starts at `at`; undefined if its UTF-8 is not the shortest, or not valid. */
function codePoint(bytes: Uint8Array, at: number): number | undefined {
  const first = bytes[at];
  if (first < 0x80) return first;
  const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  if (first < 0xc2 || first > 0xf4 || at + more >= bytes.length) return undefined;
  let point = first & (0x3f >> more);
  for (let i = 1; i <= more; i++) {
    if ((bytes[at + i] & 0xc0) !== 0x80) return undefined;
    point = point << 6 | bytes[at + i] & 0x3f;
  }
  const surrogate = point >= 0xd800 && point <= 0xdfff;
  return length(point) === more + 1 && !surrogate && point <= 0x10ffff ? point : undefined;
}

/** Bytes of a code point in UTF-8. */
function length(point: number): number {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}
