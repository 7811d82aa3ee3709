/** Nothing a stranger sends can command a terminal or pass for something else. */
import { equal } from "node:assert/strict";
import { printable } from "../../src/ops/printable.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

const CASES: [what: string, input: string | number[], output: string][] = [
  ["plain text stays", "Hello, wörld 日本 🙂", "Hello, wörld 日本 🙂"],
  ["markup stays", "<script>alert(1)</script>", "<script>alert(1)</script>"],
  ["clear screen", "\x1b[2J", "\\x1b[2J"],
  ["window title", "\x1b]0;pwned\x07", "\\x1b]0;pwned\\x07"],
  ["line ends and tabs", "a\r\n\tb", "a\\x0d\\x0a\\x09b"],
  ["nul and DEL", "\0\x7f", "\\x00\\x7f"],
  ["the C1 form of ESC [", "\u009b2J", "\\u{9b}2J"],
  ["C1 as a raw byte", [0x9b, 0x32, 0x4a], "\\x9b2J"],
  ["right-to-left override", "user\u202etxt.exe", "user\\u{202e}txt.exe"],
  [
    "isolates and marks",
    "\u2066\u2069\u200e\u200f\u061c",
    "\\u{2066}\\u{2069}\\u{200e}\\u{200f}\\u{61c}",
  ],
  ["zero width", "a\u200bb\u200dc\ufeffd\u2060", "a\\u{200b}b\\u{200d}c\\u{feff}d\\u{2060}"],
  ["separators", "a\u2028b\u2029", "a\\u{2028}b\\u{2029}"],
  ["blank fillers", "\u3164\u115f", "\\u{3164}\\u{115f}"],
  ["tags", "\u{e0041}", "\\u{e0041}"],
  ["private, unassigned, not a character", "\ue000\u0378\uffff", "\\u{e000}\\u{378}\\u{ffff}"],
  ["a backslash cannot fake an escape", "\\x1b", "\\\\x1b"],
  ["a mark on its letter stays", "e\u0301", "e\u0301"],
  [
    "no more than four of them",
    `e${"\u0301".repeat(6)}o\u0301`,
    `e${"\u0301".repeat(4)}\\u{301}\\u{301}o\u0301`,
  ],
  ["a mark without one does not", "\u0301\x1b\u0301", "\\u{301}\\x1b\\u{301}"],
  ["cut UTF-8", [0x61, 0xe2, 0x82], "a\\xe2\\x82"],
  ["cut UTF-8, then text", [0xe2, 0x82, 0x61], "\\xe2\\x82a"],
  ["overlong", [0xc0, 0xaf, 0xe0, 0x80, 0xaf], "\\xc0\\xaf\\xe0\\x80\\xaf"],
  ["a surrogate", [0xed, 0xa0, 0x80], "\\xed\\xa0\\x80"],
  ["over U+10FFFF", [0xf4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80"],
  ["never UTF-8", [0xff, 0xfe, 0xf5], "\\xff\\xfe\\xf5"],
  ["nothing", "", ""],
];

for (const [what, input, output] of CASES) {
  Deno.test(`printable: ${what}`, () => {
    equal(printable(typeof input === "string" ? utf8(input) : Uint8Array.from(input)), output);
  });
}

Deno.test("printable: every byte string has an output of its own, which is visible", () => {
  const seen = new Map<string, string>();
  const alphabet = [0x5c, 0x78, 0x31, 0x62, 0x1b, 0xe2, 0x80, 0xae, 0x7b, 0x7d, 0x75];
  for (let n = 0; n < alphabet.length ** 4; n++) {
    const bytes = [0, 1, 2, 3].map((i) => alphabet[Math.floor(n / alphabet.length ** i) % 11]);
    const out = printable(Uint8Array.from(bytes));
    equal(seen.get(out), undefined, `${bytes} and ${seen.get(out)} both give ${out}`);
    equal(/\p{C}/u.test(out), false, out);
    seen.set(out, String(bytes));
  }
});
