/** The testnet with real processes: what it shows, how it ends, what it leaves behind. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { folders, Trial } from "./trial.ts";

const LAST = /^(\d+) rounds, (\d+) participants, (\d+) messages landed, (\d+) lost, (\d+) void$/;
/** A whole run of 20 rounds: seconds, on a machine that is busy with other tests. */
const RUN_MS = 120_000;
/** Every stop ends in under 5 s. */
const STOP_MS = 5_000;

Deno.test("every message lands within 20 rounds, and both readers have it", async () => {
  await using trial = new Trial(
    ...[
      "--rounds",
      "20",
      "--message",
      "one",
      "--message",
      "two words",
      "--message",
      "żółw \x1b[2J",
    ],
  );
  const { code, stdout, stderr } = await trial.ended(RUN_MS);
  const lines = stdout.trimEnd().split("\n");
  const last = LAST.exec(lines.at(-1)!);
  ok(last, `the last line is ${lines.at(-1)}\n${stderr}`);
  const [rounds, participants, landed, lost] = last.slice(1).map(Number);
  equal(code, 0, stderr);
  ok(rounds >= 20 && rounds <= 40, `${rounds} rounds`);
  // The fewest of any round: where the machine is busy, some may be late for one.
  ok(participants >= 3 && participants <= 5, `${participants} participants`);
  equal(landed, 3);
  equal(lost, 0);
  for (const text of ["one", "two words", "żółw \\x1b[2J"]) ok(lines.includes(`  ${text}`), stdout);
  ok(!stdout.includes("\x1b"), "no escape sequence reaches the output");
  await trial.gone(STOP_MS);
  deepEqual(folders(trial.pid), []);
});

Deno.test("a committee of two with the fewest clients, as JSON lines, keeps state and logs", async () => {
  await using trial = new Trial(
    ...["--servers", "2", "--allow-two", "--clients", "3", "--rounds", "5", "--json", "--keep"],
  );
  const { code, stdout, stderr } = await trial.ended(RUN_MS);
  equal(code, 0, stderr);
  const events = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const summary = events.at(-1);
  equal(summary.event, "summary");
  match(summary.line, LAST);
  equal(events.filter(({ event }) => event === "round").length, summary.rounds);
  equal(events.filter(({ event }) => event === "message").length, summary.landed);
  const [folder] = folders(trial.pid);
  const kept = [...Deno.readDirSync(folder)].map(({ name }) => name);
  for (const name of ["server-0", "server-1", "server-0.log"]) ok(kept.includes(name), `${kept}`);
});

for (const how of ["SIGINT to the group, twice", "SIGTERM to the group", "SIGTERM to it alone"]) {
  Deno.test(`${how}: it ends with 0 in under 5 s and leaves nothing behind`, async () => {
    await using trial = new Trial();
    await trial.says(/^round .* participants/m);
    const start = performance.now();
    if (how.endsWith("alone")) trial.kill("SIGTERM");
    else await trial.signal(how.startsWith("SIGINT") ? "SIGINT" : "SIGTERM", "group");
    if (how.endsWith("twice")) await trial.signal("SIGINT", "group").catch(() => {});
    const { code, stderr } = await trial.ended(STOP_MS);
    equal(code, 0, stderr);
    equal(stderr, "");
    await trial.gone(STOP_MS - (performance.now() - start));
    deepEqual(folders(trial.pid), []);
  });
}

Deno.test("SIGKILL of the testnet leaves no process behind", async () => {
  await using trial = new Trial();
  await trial.says(/^round .* participants/m);
  ok(
    (await trial.members()).length >= 12,
    "the testnet, 3 servers, aggregator, 5 clients, 2 readers",
  );
  trial.kill("SIGKILL");
  await trial.gone(STOP_MS);
});

Deno.test("a child that dies is reported, and the testnet ends with 1", async () => {
  await using trial = new Trial();
  await trial.says(/^round .* participants/m);
  const victim = (await trial.members()).find(({ command }) => command.includes("/server-1 "));
  ok(victim, "server 1 runs");
  await trial.signal("SIGKILL", victim.pid);
  const { code, stderr } = await trial.ended(STOP_MS);
  equal(code, 1);
  match(stderr, /^server 1 ended unexpectedly by SIGKILL, exit code 137$/m);
  await trial.gone(STOP_MS);
});

Deno.test("the first round comes in under 10 s", async () => {
  await using trial = new Trial();
  await trial.says(/^round .* participants/m, 10_000);
});

const REFUSED: Record<string, RegExp> = {
  "--server 3": /did you mean --servers\?/,
  "--servers 1": /a committee of 1/,
  "--servers 2": /needs --allow-two/,
  "--servers 4": /odd number/,
  "--clients 2": /from 3 to/,
  "--rounds none": /got "none"/,
  "--message": /expected a text/,
  "hello": /unexpected argument/,
};

Deno.test("bad options end with 2 and one line", async (t) => {
  for (const [args, expected] of Object.entries(REFUSED)) {
    await t.step(args, async () => {
      await using trial = new Trial(...args.split(" "));
      const { code, stdout, stderr } = await trial.ended(RUN_MS);
      equal(code, 2);
      equal(stdout, "");
      match(stderr, /^testnet: [^\n]+\n$/);
      match(stderr, expected);
    });
  }
});
