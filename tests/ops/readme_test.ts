/** What the documents tell an operator to type: each role takes it. */
import { equal, ok } from "node:assert/strict";
import { parseOptions } from "../../src/ops/options.ts";
import { ROLES } from "../../src/ops/table.ts";

/** Stands for each `12D3…` of the documents. */
const PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const SECRET = "0123456789abcdef0123456789abcdef\n";

Deno.test("documents: the commands that start roles are taken as they stand", () => {
  const readme = Deno.readTextFileSync("README.md");
  const [, text] = /## Run the roles\n[^]*?```\n([^]*?)```/.exec(readme)!;
  const environment: Record<string, string> = {}, started: string[] = [];
  for (const line of text.split("\n").filter((it) => it && !it.startsWith("#"))) {
    const variable = /^export (ZIPNET_\w+)=(\S+)$/.exec(line);
    if (variable) {
      environment[variable[1]] = variable[2];
      continue;
    }
    const command = /^(?:echo \w+ \| )?deno task (\w+) (.*)$/.exec(line);
    ok(command, line);
    const role = ROLES.find((it) => it === command[1])!;
    const args = command[2].replaceAll("12D3…", PEER).split(" ");
    const options = parseOptions(role, args, environment, () => SECRET);
    ok(!("help" in options), line);
    equal(options.instance, "acme.mainnet");
    started.push(role);
  }
  equal(started.join(" "), "server server aggregator client reader");
});

/** Every file below a folder that git would have, by path. */
function* files(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = folder === "." ? name : `${folder}/${name}`;
    if (isDirectory && !name.startsWith(".")) yield* files(path);
    else if (!isDirectory) yield path;
  }
}

const ALL = [...files(".")], TESTS = ALL.filter((path) => /^tests\/.*\.ts$/.test(path));

Deno.test("documents: every file of ours that is named is there", () => {
  let count = 0;
  for (const document of ALL.filter((path) => path.endsWith(".md"))) {
    const text = Deno.readTextFileSync(document);
    const named = [...text.matchAll(/`((?:src|tests|testnet|scripts|compose)\/[\w./-]+\.\w+)`/g)];
    for (const [, path] of named) ok(ALL.includes(path), `${document} names ${path}`);
    count += named.length;
  }
  ok(count > 50, `${count} names`);
});

Deno.test("documents: the tests of the universe's table are there, by file and by title", () => {
  const rows = Deno.readTextFileSync("tests/universe/README.md").split("\n")
    .filter((line) => line.startsWith("| "));
  let titles = 0;
  for (const row of rows) {
    const [, test] = row.split(" | ");
    const named = [...test?.matchAll(/`([\w/]+\.ts)`/g) ?? []].map(([, path]) => {
      const found = TESTS.filter((it) => it === path || it.endsWith(`/${path}`));
      ok(found.length > 0, `no file ${path}: ${row}`);
      return found;
    }).flat();
    for (const [, title] of test?.matchAll(/"([^"]+)"/g) ?? []) {
      const texts = (named.length > 0 ? named : TESTS).map((path) => Deno.readTextFileSync(path));
      ok(texts.some((text) => text.includes(title)), `no test "${title}": ${row}`);
      titles++;
    }
  }
  ok(titles > 20, `${titles} titles`);
});
