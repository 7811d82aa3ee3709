/** The architecture as tests: floors, packages, the platform, the top of the tree. */
import { deepEqual, equal, match } from "node:assert/strict";
import { imports } from "./architecture/imports.ts";
import * as rules from "./architecture/rules.ts";
import { tokens } from "./architecture/tokens.ts";

/** All modules of `src/`. */
function sources(folder = "src"): rules.Module[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return sources(path);
    return /\.[mc]?[jt]sx?$/.test(name)
      ? [rules.parseModule(path, Deno.readTextFileSync(path))]
      : [];
  });
}

/** All files with tests. */
function testFiles(folder = "tests"): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? testFiles(path) : name.endsWith("_test.ts") ? [path] : [];
  });
}

/** A planted module. */
const planted = (path: string, source: string) => [rules.parseModule(path, source)];

Deno.test("a module imports only from floors below it", () => {
  deepEqual(rules.floorViolations(sources()), []);
});

Deno.test("a package stands behind one module", () => {
  deepEqual(rules.packageViolations(sources()), []);
});

Deno.test("clock, timers, randomness and environment come from one module", () => {
  deepEqual(rules.ambientViolations(sources()), []);
});

Deno.test("importing src/mod.ts does not load libp2p", () => {
  deepEqual(rules.reachViolations(sources()), []);
});

Deno.test("only what has a place there stands at the top", () => {
  deepEqual(rules.topViolations([...Deno.readDirSync(".")].map(({ name }) => name)), []);
});

Deno.test("`deno task test` runs each test once, with permissions where `deno test` does not", () => {
  const { tasks, test } = JSON.parse(Deno.readTextFileSync("deno.json"));
  const [pure, rest] = tasks.test.split(" && ");
  equal(pure.includes("tests"), false, "the first command runs what `deno test` runs");
  const places: string[] = [
    ...test.include,
    ...rest.split(" ").filter((it: string) => /^tests/.test(it)),
  ];
  for (const file of testFiles()) {
    const under = places.filter((place) => file === place || file.startsWith(`${place}/`));
    equal(under.length, 1, `${file} is in ${under.length} of ${places}`);
  }
});

Deno.test("planted: imports upwards, sideways, from nowhere, computed; a long entrypoint", () => {
  const refused = [
    ["src/protocol/a.ts", 'import { b } from "../universe/b.ts";'],
    ["src/protocol/a.ts", 'import type { B } from "../universe/b.ts";'],
    ["src/protocol/a.ts", 'export * from "../ops/b.ts";'],
    ["src/universe/a.ts", 'import "../attest/b.ts";'],
    ["src/attest/a.ts", 'import type { Random } from "../universe/environment.ts";'],
    ["src/attest/a.ts", 'import { b } from "../ops/b.ts";'],
    ["src/committee/a.ts", 'export { b } from "../ops/b.ts";'],
    ["src/ops/a.ts", 'type B = import("../roles/b.ts").B;'],
    ["src/roles/a.ts", 'await import("../mod.ts");'],
    ["src/roles/a.ts", "await import(`../ops/${name}.ts`);"],
    ["src/mod.ts", 'import "./server.ts";'],
    ["src/client.ts", 'import "./server.ts";'],
    ["src/client.ts", 'import "../testnet/run.ts";'],
    ["src/client.ts", "1;\n".repeat(61)],
    ["src/elsewhere/a.ts", ""],
    ["src/elsewhere.ts", ""],
  ];
  for (const [path, source] of refused) {
    equal(rules.floorViolations(planted(path, source)).length, 1, `${path}: ${source}`);
  }
  const allowed = [
    ["src/ops/a.ts", 'import { b } from "../universe/b.ts"; import "./c.ts";'],
    ["src/attest/a.ts", 'import { b } from "../protocol/b.ts"; import "./c.ts";'],
    ["src/roles/a.ts", 'import { b } from "../attest/b.ts";'],
    ["src/ops/std-cli/a.ts", 'import "../b.ts";'],
    ["src/server.ts", 'import { b } from "./mod.ts"; import { c } from "./roles/c.ts";'],
    ["src/protocol/a.ts", '/** import "../ops/b.ts" */ const a = `import "../ops/b.ts"`;'],
  ];
  for (const [path, source] of allowed) {
    deepEqual(rules.floorViolations(planted(path, source)), []);
  }
});

Deno.test("planted: a package where it does not belong", () => {
  const refused = [
    ["src/roles/a.ts", 'import { createLibp2p } from "libp2p";'],
    ["src/universe/node.ts", 'import type { PeerId } from "@libp2p/interface";'],
    ["src/universe/a.ts", 'import { sha256 } from "@noble/hashes/sha2.js";'],
    ["src/attest/certificate.ts", 'import { p256 } from "@noble/curves/nist.js";'],
    ["src/ops/jwt_key.ts", 'import { importSPKI } from "jose";'],
    ["src/universe/libp2p.ts", 'import Dht from "bittorrent-dht";'],
    ["src/universe/node.ts", 'import { CID } from "multiformats/cid";'],
    ["src/ops/jwt.ts", 'import { jwtVerify } from "jose/jwt/verify";'],
    ["src/protocol/a.ts", 'import x from "npm:left-pad";'],
    ["src/roles/a.ts", 'import { Zipnet } from "zipnet";'],
    ["src/committee/a.ts", 'await import("../universe/libp2p.ts");'],
  ];
  for (const [path, source] of refused) {
    equal(rules.packageViolations(planted(path, source)).length, 1, `${path}: ${source}`);
  }
  const simulated = 'import { p256 } from "@noble/curves/nist.js";';
  deepEqual(rules.packageViolations(planted("src/attest/simulated_key.ts", simulated)), []);
  const column = 'import "libp2p"; import "@libp2p/tcp"; import "node:net";';
  deepEqual(rules.packageViolations(planted("src/universe/libp2p_link.ts", column)), []);
});

Deno.test("planted: the platform behind the arguments' back", () => {
  const refused = [
    ..."Date.now();|new Date();|new Date;|Date();|performance.now();|setTimeout(f, 1);".split("|"),
    ..."globalThis.setInterval(f);|Math.random();|crypto.getRandomValues(a);".split("|"),
    ..."Deno.env.get('A');|process.env.A;|`${Date.now()}`;|a / Math.random() / b;".split("|"),
    'import { randomBytes } from "node:crypto";',
    'import { setImmediate } from "node:timers";',
    'const { now } = await import("node:perf_hooks");',
  ];
  for (const source of refused) {
    match(
      rules.ambientViolations(planted("src/roles/a.ts", source))[0] ?? "",
      /system\.ts/,
      source,
    );
    deepEqual(rules.ambientViolations(planted("src/ops/system.ts", source)), []);
    deepEqual(rules.ambientViolations(planted("src/universe/libp2p_link.ts", source)), []);
  }
  const drain = 'import { setImmediate } from "node:timers"; setImmediate(f);';
  deepEqual(rules.ambientViolations(planted("src/universe/timeline.ts", drain)), []);
  const timer = "setTimeout(f, 1);";
  equal(rules.ambientViolations(planted("src/universe/timeline.ts", timer)).length, 1);
  const pure =
    "new Date(ms).toISOString(); /* Date.now() */ 'Math.random()'; /setTimeout/.test(a);";
  deepEqual(rules.ambientViolations(planted("src/roles/a.ts", pure)), []);
});

Deno.test("planted: libp2p within reach of src/mod.ts", () => {
  const graph = (reach: string) => [
    ...planted("src/mod.ts", 'export { a } from "./roles/a.ts";'),
    ...planted("src/roles/a.ts", reach),
    ...planted("src/universe/libp2p.ts", 'import "libp2p";'),
  ];
  const found = rules.reachViolations(graph('import { b } from "../universe/libp2p.ts";'));
  deepEqual(found, ["src/mod.ts → src/roles/a.ts → src/universe/libp2p.ts"]);
  equal(
    rules.reachViolations(graph('import { type B, c } from "../universe/libp2p.ts";')).length,
    1,
  );
  deepEqual(rules.reachViolations(graph('await import("../universe/libp2p.ts");')), []);
  deepEqual(rules.reachViolations(graph('import type { B } from "../universe/libp2p.ts";')), []);
  equal(rules.reachViolations([]).length, 1, "no src/mod.ts at all");
});

Deno.test("planted: a file at the top", () => {
  deepEqual(rules.topViolations([".ci", "src", "notes.md"]), ["notes.md has no place at the top"]);
});

Deno.test("imports are seen in every form, and nowhere else", () => {
  const source = `
    import a, { b as c } from "1"; import * as d from '2'; import "3"; import type { E } from "4";
    export { f } from "5"; export * as g from "6"; export type * from "7";
    import h from "8.json" with { type: "json" }; import { type I, type J } from "9";
    const k = await import("10"); const l = await import(k); import type from "11";
    export const from = "no"; export function m() { return "no"; } export { n }; const o = "no";
    const url = import.meta.url; p.import("no"); // import "no"
    const q = \`\${r("}")} import "no" \${\`\${s}\`} from "no"\`; const t = u / 2; const v = "no" / 2;
    if (/["'\`]/.test(w)) import("12");
  `;
  const found = imports(tokens(source));
  deepEqual(found.map(({ specifier }) => specifier), [
    ..."1 2 3 4 5 6 7 8.json 9 10".split(" "),
    ...[undefined, "11", "12"],
  ]);
  const types = found.filter(({ when }) => when === "type").map(({ specifier }) => specifier);
  deepEqual(types, ["4", "7", "9"]);
});
