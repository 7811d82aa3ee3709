/** Log lines: their form, and that no value can forge one. */
import { deepEqual, equal } from "node:assert/strict";
import { createLog, type LogFormat, MAX_FIELD_LENGTH } from "../../src/ops/log.ts";
import type { Level } from "../../src/universe/environment.ts";

const clock = { wall: () => Date.UTC(2026, 10, 22, 21, 1, 5, 123) };

function logged(format: LogFormat, level: Level = "debug") {
  const lines: string[] = [];
  return { lines, log: createLog({ level, format, write: (line) => lines.push(line), clock }) };
}

Deno.test("log: a text line has time, level, event and fields", () => {
  const { lines, log } = logged("text");
  log("info", "round finalized", { round: 12, participants: 5, late: undefined, leader: true });
  log("warn", "round void");
  deepEqual(lines, [
    "2026-11-22T21:01:05.123Z info round finalized round=12 participants=5 leader=true\n",
    "2026-11-22T21:01:05.123Z warn round void\n",
  ]);
});

Deno.test("log: a JSON line is one object", () => {
  const { lines, log } = logged("json");
  log("info", "round finalized", { round: 12, peer: "a b", late: undefined });
  equal(lines.length, 1);
  equal(lines[0].endsWith("}\n"), true);
  const time = "2026-11-22T21:01:05.123Z";
  deepEqual(JSON.parse(lines[0]), {
    time,
    level: "info",
    event: "round finalized",
    round: 12,
    peer: "a b",
  });
});

Deno.test("log: a field cannot replace time, level or event", () => {
  const { lines, log } = logged("json");
  log("error", "equivocation", { event: "all is well", level: "debug", time: "never" });
  const { time, level, event } = JSON.parse(lines[0]);
  deepEqual([time, level, event], ["2026-11-22T21:01:05.123Z", "error", "equivocation"]);
});

Deno.test("log: below its level nothing is written", () => {
  const { lines, log } = logged("text", "warn");
  for (const level of ["debug", "info", "warn", "error"] as const) log(level, level);
  deepEqual(lines.map((line) => line.split(" ")[1]), ["warn", "error"]);
});

const VALUES: [what: string, value: string, written: string][] = [
  ["a plain one is not quoted", "/ip4/10.0.0.1/tcp/44", "/ip4/10.0.0.1/tcp/44"],
  ["spaces are quoted", "no such peer", '"no such peer"'],
  ["nothing is quoted", "", '""'],
  ["a field cannot be forged", "x round=99", '"x round=99"'],
  ["a quote cannot end it", 'x" round=99 y="', '"x\\" round=99 y=\\""'],
  ["a backslash before a quote", '\\"', '"\\\\\\""'],
  ["a line cannot be forged", "x\n2026 info round void", '"x\\x0a2026 info round void"'],
  ["the terminal cannot be commanded", "\x1b[2J\u009b", '"\\x1b[2J\\u{9b}"'],
  ["nor reversed", "\u202eabc", '"\\u{202e}abc"'],
  ["a lone surrogate", "\ud800", '"\ufffd"'],
];

for (const [what, value, written] of VALUES) {
  Deno.test(`log: text value: ${what}`, () => {
    const { lines, log } = logged("text");
    log("info", "client refused", { reason: value });
    equal(lines[0], `2026-11-22T21:01:05.123Z info client refused reason=${written}\n`);
  });
  Deno.test(`log: JSON value: ${what}`, () => {
    const { lines, log } = logged("json");
    log("info", "client refused", { reason: value });
    equal(/^[\x20-\x7e]*\n$/.test(lines[0]), true, lines[0]);
    equal(JSON.parse(lines[0]).reason, value);
  });
}

Deno.test("log: a hidden character above U+FFFF is escaped in JSON and comes back", () => {
  const { lines, log } = logged("json");
  log("info", "x", { reason: "\u{e0041}🙂" });
  equal(lines[0].includes("\\udb40\\udc41🙂"), true);
  equal(JSON.parse(lines[0]).reason, "\u{e0041}🙂");
});

Deno.test("log: a long value is cut", () => {
  for (const format of ["text", "json"] as const) {
    const { lines, log } = logged(format);
    log("info", "x", { reason: "y".repeat(1_000_000) });
    equal(lines[0].length < MAX_FIELD_LENGTH + 100, true);
    equal(lines[0].includes("yy…"), true);
  }
});
