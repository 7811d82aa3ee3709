/** The stand-in for `@std/cli` gives the genuine package's results, odd corners included. */
import { deepEqual } from "node:assert/strict";
import { parseArgs, type ParseOptions } from "@std/cli/parse-args";

const CASES: [what: string, args: string, options: ParseOptions, result: unknown][] = [
  ["flag and value, by = or by space", "--a=1 --b two", {}, { a: 1, b: "two", _: [] }],
  ["a flag at the end is true", "--a", {}, { a: true, _: [] }],
  ["a string flag stays a string", "--a 1", { string: ["a"] }, { a: "1", _: [] }],
  ["a string flag without a value is empty", "--a -b", { string: "a" }, { a: "", b: true, _: [] }],
  ["an = with nothing behind it is part of the name", "--a=", {}, { "a=": true, _: [] }],
  ["only the first = splits", "--a=b=c", {}, { a: "b=c", _: [] }],
  ["booleans default to false", "", { boolean: ["a", "b"] }, { a: false, b: false, _: [] }],
  ["a boolean takes no value", "--a x", { boolean: ["a"] }, { a: true, _: ["x"] }],
  ["but true and false", "--a false", { boolean: ["a"] }, { a: false, _: [] }],
  ["boolean: true", "--a x --b=y", { boolean: true }, { a: true, b: "y", _: ["x"] }],
  ["the last value wins", "--a 1 --a 2", { string: ["a"] }, { a: "2", _: [] }],
  ["collect", "--a 1 --a 2", { string: ["a"], collect: ["a"] }, { a: ["1", "2"], _: [] }],
  ["collect of nothing", "", { string: ["a"], collect: ["a"] }, { a: [], _: [] }],
  ["default", "--b=1", { default: { a: 7, b: 8 } }, { a: 7, b: 1, _: [] }],
  ["alias", "-h", { boolean: ["help"], alias: { help: "h" } }, { h: true, help: true, _: [] }],
  ["alias of a default", "", { default: { a: 1 }, alias: { a: ["b"] } }, { a: 1, b: 1, _: [] }],
  ["negatable", "--no-a", { negatable: ["a"] }, { a: false, _: [] }],
  ["not negatable", "--no-a", {}, { "no-a": true, _: [] }],
  ["letters together", "-abc x", {}, { a: true, b: true, c: "x", _: [] }],
  ["a number behind a letter", "-n5 -m=6", {}, { n: 5, m: 6, _: [] }],
  ["a dash is positional", "- -f-", {}, { f: "-", _: ["-"] }],
  ["what follows -- is not parsed", "--a -- --b 1", {}, { a: true, _: ["--b", "1"] }],
  ["or is set apart", "x -- --b", { "--": true }, { _: ["x"], "--": ["--b"] }],
  ["stopEarly", "--a=1 x --b", { stopEarly: true }, { a: 1, _: ["x", "--b"] }],
  ["numbers among positionals", "1 0x1f 1e3 v", {}, { _: [1, 31, 1000, "v"] }],
  ["strings among positionals", "1", { string: ["_"] }, { _: ["1"] }],
  ["dots make objects", "--a.b=1 --a.c=2", {}, { a: { b: 1, c: 2 }, _: [] }],
];

for (const [what, args, options, result] of CASES) {
  Deno.test(`parseArgs: ${what}`, () => {
    deepEqual(parseArgs(args === "" ? [] : args.split(" "), options), result);
  });
}

Deno.test("parseArgs: what is not declared goes to unknown, and is left out if it says so", () => {
  const calls: unknown[] = [];
  const unknown = (...call: unknown[]) => calls.push(call) > 2;
  const parsed = parseArgs(["--a", "x", "--b=1", "y", "--c"], { string: ["b"], unknown });
  deepEqual(calls, [["--a", "a", "x"], ["y"], ["--c", "c", true]]);
  deepEqual(parsed, { b: "1", c: true, _: [] });
});
