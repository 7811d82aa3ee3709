/**
 * The committee of running processes changes, as operators change it: one is added, one replaced,
 * one removed, while messages flow; a dead one is left behind, and clients say what to pin.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { dataFolder } from "../../testnet/command.ts";
import { Instance } from "./instance.ts";
import { Talk } from "./talk.ts";

/** Runs the operator's tool. */
async function committee(folder: string, ...args: readonly string[]) {
  const flags = ["run", "-q", "--no-prompt", `--allow-read=${folder}`, `--allow-write=${folder}`];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...flags, "--allow-env=ZIPNET_DATA", "scripts/committee.ts", "--data", folder, ...args],
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

Deno.test("operators add, replace and remove servers while messages flow; a dead one needs a new pin", async (t) => {
  await using it = new Instance("committee");
  // For so long the old committee must be silent before clients end.
  Object.assign(it.site.env, { ZIPNET_CONNECT_TIMEOUT: "20s" });
  await it.start(4);
  const talk = new Talk(it);
  const folder = (index: number) => dataFolder(it.site, "server", index);
  const pauses: number[] = [];
  /** The operators of these members state the same; all of `members` run in the next epoch. */
  const change = async (epoch: number, operators: number[], members: number[], args: string[]) => {
    talk.speak();
    for (const index of operators) {
      const { code, out, err } = await committee(folder(index), ...args);
      equal(code, 0, err);
      match(out, new RegExp(`wished: epoch ${epoch} of ${members.length} servers`));
      // The server reads it, whoever wrote it.
      equal(Deno.statSync(`${folder(index)}/wish`).mode! & 0o777, 0o644);
    }
    const formed = new RegExp(`"committee formed".*"epoch":${epoch},"servers":${members.length}`);
    await it.until(
      `epoch ${epoch} of servers ${members}`,
      () => members.every((index) => formed.test(it.servers[index].log)),
    );
  };
  const goesOn = async () => {
    const stood = talk.rounds;
    talk.speak();
    await it.until("rounds go on", () => talk.rounds > stood + 2);
    await talk.over();
    const times = it.readers[0].lines.flatMap(({ time }) => typeof time === "number" ? [time] : []);
    pauses.push(Math.max(...times.slice(-40).map((time, i, all) => i ? time - all[i - 1] : 0)));
  };

  await t.step("one is added", async () => {
    await it.spare();
    await it.until("it waits", () =>
      /waits to be added|not in the committee/.test(it.servers[3].log));
    await change(1, [0, 1, 2], [0, 1, 2, 3], ["--add", it.keys[3]]);
    await goesOn();
  });

  await t.step("one is replaced", async () => {
    await it.spare();
    await change(2, [0, 1, 2, 3], [1, 2, 3, 4], ["--remove", it.keys[0], "--add", it.keys[4]]);
    await goesOn();
  });

  await t.step(
    "who has left says so, ends cleanly, and waits again at its next start",
    async () => {
      const left = it.servers[0];
      await it.until("it says so", () => /"not in the committee".*"epoch":2/.test(left.log));
      await it.kill(left, "SIGTERM");
      equal(left.ending!.code, 0, left.log);
      it.servers[0] = await it.again(left);
      await it.until("it waits", () => /"not in the committee"/.test(it.servers[0].log));
      await it.kill(it.servers[0], "SIGTERM");
      equal(it.servers[0].ending!.code, 0, it.servers[0].log);
    },
  );

  await t.step("one is removed; the aggregator and the rest restart into the epoch", async () => {
    await change(3, [1, 2, 3, 4], [2, 3, 4], ["--remove", it.keys[1]]);
    await goesOn();
    for (const index of [2, 3, 4]) {
      it.servers[index] = await it.killed(it.servers[index]);
      const stood = talk.rounds;
      await it.until("rounds go on", () => talk.rounds > stood + 1);
    }
    await goesOn();
  });

  await t.step("every message landed once, over four committees", async () => {
    await talk.judge();
    console.log(`longest pause around each change: ${pauses.join(", ")} ms`);
  });

  await t.step("what cannot be is refused, in one line", async () => {
    const refused = async (index: number, args: string[], code: number, line: RegExp) => {
      const result = await committee(folder(index), ...args);
      deepEqual([result.code, result.out], [code, ""], result.err);
      match(result.err, line);
      equal(result.err.trimEnd().split("\n").length, 1);
    };
    await refused(2, ["--add", "abc"], 2, /^zipnet: --add: expected a server's peer id of 64 hex/);
    await refused(2, ["--add", it.keys[3]], 2, /is in the committee already/);
    await refused(2, ["--remove", it.keys[0]], 2, /is not in the committee/);
    await refused(2, ["--remove", it.keys[2]], 2, /a committee of 2: expected 3 servers or more/);
    await refused(2, ["--ad", it.keys[0]], 2, /unknown option --ad; did you mean --add\?/);
    await refused(2, [it.keys[0]], 2, /expected an option; a key goes behind --add/);
    await refused(2, ["--clear", "--add", it.keys[0]], 2, /--clear takes the wish back/);
    await refused(9, [], 2, /holds no committee that stands: name the data folder/);
    const { out } = await committee(folder(2));
    match(
      out,
      /^committee [0-9a-f]{64}, epoch 3, 3 servers\n(?: {2}[0-9a-f]{64}\n){3}no change is/,
    );
  });

  await t.step("one dies for good: the rest go on, clients stop and say what to pin", async () => {
    const dead = it.servers[2];
    await it.kill(dead);
    await it.spare();
    await change(4, [3, 4], [3, 4, 5], ["--lost", it.keys[2], "--add", it.keys[5]]);
    const others = [...it.clients, ...it.readers, it.aggregator];
    await it.until("they stop", () => others.every(({ ending }) => ending), ...others);
    for (const node of others) {
      equal(node.ending!.code, 4, node.log);
      match(node.log, /epoch 4 lacks the signature of server .* of epoch 3: .* pin [0-9a-f]{64}/);
    }
  });
  ok(!it.logs.includes("equivocation"));
});
