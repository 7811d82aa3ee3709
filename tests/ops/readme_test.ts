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
