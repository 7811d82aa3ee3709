/** `deno task faults [NAME ...]`: rehearses faults on a network of containers, one after the other. */
import { EXIT } from "../../src/ops/exit.ts";
import { nearest } from "../../src/ops/nearest.ts";
import { exit, writeError, writeOutput } from "../../src/ops/system.ts";
import { oneLog, rehearse, SCENARIOS } from "./scenarios.ts";
import { Broken, noEngine, Stack } from "./stack.ts";

const names = Object.keys(SCENARIOS);
const asked = Deno.args.length > 0 ? Deno.args : names;

function say(line: string): void {
  writeOutput(`${line}\n`);
}

if (asked.includes("--help")) {
  say("deno task faults [NAME ...]: all, or those that are named\n");
  for (const [name, { what }] of Object.entries(SCENARIOS)) say(`  ${name.padEnd(12)} ${what}`);
  exit(EXIT.clean);
}
const unknown = asked.find((name) => !names.includes(name));
if (unknown !== undefined) {
  writeError(
    `faults: no ${unknown}; did you mean ${nearest(unknown, names) ?? names.join(", ")}?\n`,
  );
  exit(EXIT.options);
}
const none = await noEngine();
if (none !== undefined) {
  writeError(`faults: ${none}: they are rehearsed on containers\n`);
  exit(EXIT.failure);
}

const stack = new Stack(`zipnet-faults-${Deno.pid}`, "10.213.79");
let code: (typeof EXIT)[keyof typeof EXIT] = EXIT.clean;
try {
  await stack.compose("build", "--quiet", "setup");
  await stack.compose("up", "--detach", "--wait", "--no-build", "testnet");
  for (const name of asked) {
    const { againMs, landedBefore, landedAfter } = await rehearse(stack, name);
    say(
      `${name}: ${SCENARIOS[name].what}; rounds again after ${againMs} ms, ` +
        `${landedBefore} messages before, ${landedAfter} after, none lost`,
    );
  }
  const { rounds, messages } = await oneLog(stack);
  say(
    `${asked.length} rehearsed, ${rounds} rounds, ${messages} messages in one log at every server`,
  );
} catch (error) {
  if (!(error instanceof Broken)) throw error;
  writeError(`faults: ${error.message}\n`);
  code = EXIT.failure;
} finally {
  const left = await stack.down();
  if (left !== "") writeError(`faults: left behind: ${left}\n`);
}
exit(code);
