/** The load tool with real processes: what it measures, that it sees a loss, what it leaves behind. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { systemClock, systemRandom } from "../../src/ops/system.ts";
import type { Process } from "../../testnet/child.ts";
import type { Command } from "../../testnet/command.ts";
import { cacheEnvironment, spawn } from "../../testnet/host.ts";
import { Lines } from "../../testnet/lines.ts";
import { type LoadOptions, parseLoadOptions } from "../../testnet/load/options.ts";
import { plot } from "../../testnet/load/plot.ts";
import { load } from "../../testnet/load/run.ts";
import { folders, Trial } from "./trial.ts";

const SMALL = ["--clients", "6", "--rounds", "8", "--period", "400ms", "--rate", "6"];
/** A whole run: about 12 s on a machine that does nothing else. */
const RUN_MS = 120_000;

class LoadTrial extends Trial {
  protected override get tool() {
    return { set: "load", module: "testnet/load/main.ts" };
  }
}

Deno.test("load: few clients talk, all lands, every role is measured, the plot is left", async () => {
  await using trial = new LoadTrial(...SMALL, "--sizes", "exponential:300");
  const { code, stdout, stderr } = await trial.ended(RUN_MS);
  equal(code, 0, stderr);
  const lines = stdout.trimEnd().split("\n");
  match(lines[0], /^3 servers, 1 aggregator, 6 clients in 2 processes, 1 reader up in \d+ ms$/);
  match(lines[1], /^latency +p50 \d+ +p90 \d+ +p99 \d+ +max \d+ ms, from send to landed$/);
  const [, sent, landed] = /^messages +(\d+) sent, (\d+) landed, 0 lost, 0 expired$/.exec(
    lines[3],
  )!;
  ok(Number(sent) > 0);
  equal(landed, sent);
  const used = /: \d+ to \d+ MB, too short for a slope per 1,000 rounds; [\d.]+ ms of CPU a round/;
  for (const role of ["server    3", "aggregator 1", "reader    1", "client    1", "crowd     1"]) {
    match(lines.find((line) => line.startsWith(role)) ?? `no line ${role}\n${stdout}`, used);
  }
  const moved = /^(server|aggregator|crowd) .* [1-9][\d.]* KB in and [1-9][\d.]* KB out a round$/gm;
  equal(stdout.match(moved)?.length, 3, stdout);
  match(
    lines.at(-1)!,
    new RegExp(`^8 rounds, [3-6] participants, ${landed} messages landed, 0 lost`),
  );
  const file = /^plot +(.*)$/m.exec(stdout)![1], svg = Deno.readTextFileSync(file);
  Deno.removeSync(file);
  equal(svg.match(/<circle /g)?.length, Number(landed));
  await trial.gone(5_000);
  deepEqual(folders(trial.pid), []);
});

Deno.test("load: a message that its client believes landed and no record has makes it exit 1", async () => {
  const options = parseLoadOptions(SMALL) as LoadOptions, output: string[] = [];
  const errors: string[] = [], folder = `.testnet/load-lost-${Deno.pid}`;
  Deno.mkdirSync(folder, { recursive: true });
  let planted = "";
  const lying = (command: Command): Process => {
    const process = spawn(command);
    if (!command.name.startsWith("crowd")) return process;
    const lines = new Lines(), encoder = new TextEncoder();
    const stdout = process.stdout.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform(chunk, controller) {
          for (const line of lines.push(chunk)) {
            const said = JSON.parse(line);
            if (planted === "" && said.outcome === "landed") [planted, said.slot] = [said.id, 63];
            controller.enqueue(encoder.encode(JSON.stringify(said) + "\n"));
          }
        },
      }),
    );
    const { stdin, stderr, status } = process;
    return { stdin, stdout, stderr, status, kill: (signal) => process.kill(signal) };
  };
  try {
    const code = await load(options, {
      spawn: lying,
      clock: systemClock,
      random: systemRandom,
      site: {
        folder,
        env: { ...cacheEnvironment(), ZIPNET_METRICS: "127.0.0.1:0" },
        committeeSecret: hex(systemRandom(32)),
      },
      output: (line) => output.push(line),
      error: (line) => errors.push(line),
      plot: (book) => plot(book, "planted").slice(0, 4),
    }, new Promise(() => {}));
    equal(code, 1, output.join("\n"));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  deepEqual(errors.map((line) => line.replace(/round \d+/, "round N")), [
    `message ${planted} is lost: landed in round N, but the readers' record does not have it`,
  ]);
  match(output.at(-1)!, / messages landed, 1 lost, \d+ void$/);
});

Deno.test("load: stopped early it says so, exits 1, and leaves nothing behind", async () => {
  await using trial = new LoadTrial("--clients", "3", "--rounds", "100000", "--period", "200ms");
  await trial.says(/^3 servers.* up in /m);
  trial.kill("SIGTERM");
  const { code, stderr } = await trial.ended(10_000);
  equal(code, 1);
  match(stderr, /^stopped before 100000 rounds were over$/m);
  await trial.gone(5_000);
  deepEqual(folders(trial.pid), []);
  try {
    for (const { name } of Deno.readDirSync(".testnet")) {
      if (name.endsWith(`-${trial.pid}.svg`)) Deno.removeSync(`.testnet/${name}`);
    }
  } catch { /* nothing was measured yet, nothing was drawn */ }
});

Deno.test("load: bad options end with 2 and one line", async () => {
  const plots = ["README.md", "http://localhost/a.svg", ".testnet/no-folder/a.svg", ".testnet/"];
  for (const args of [["--sizes", "normal:3"], ...plots.map((file) => ["--plot", file])]) {
    await using trial = new LoadTrial(...args);
    const { code, stdout, stderr } = await trial.ended(RUN_MS);
    equal(code, 2);
    equal(stdout, "");
    match(stderr, /^load: --(sizes|plot): expected [^\n]+\n$/);
  }
});
