/** A reader behind a reader, as processes: the second may reach nobody but the first. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { dataFolder, reader } from "../../testnet/command.ts";
import { Instance, sameStory } from "./instance.ts";

Deno.test("a reader behind a reader prints the whole log, also after that one was killed", async (t) => {
  await using it = new Instance("mirror");
  await it.start(3);
  const [witness] = it.readers;
  await it.until("some rounds", () => witness.records.length >= 4);

  const made = reader(it.site, 7, it.bootstrap);
  const args = [...made.args, "--listen", "/ip4/127.0.0.1/tcp/0"];
  // One identity over both of its lives: it is dialed by its key.
  const env = { ...made.env, ZIPNET_SECRET: "the mirror of this test" };
  let mirror = await it.up({ ...made, args, env });
  const port = mirror.addresses![0].match(/\/tcp\/(\d+)/)![1];
  const behind = reader(it.site, 8, mirror.addresses!);
  const last = it.run({
    ...behind,
    args: behind.args.map((arg) =>
      arg.startsWith("--allow-net=") ? `--allow-net=127.0.0.1:${port}` : arg
    ),
  });

  await t.step("from the first record to the newest", async () => {
    const to = witness.records.at(-1)!.round + 3;
    await it.until("it is at the head", () => (last.records.at(-1)?.round ?? 0) >= to);
    equal(last.records[0].round, witness.records[0].round);
    sameStory(witness.records, last.records);
  });

  await t.step("the one before it is killed, and comes back on its disk", async () => {
    mirror = await it.killed(mirror);
    const to = witness.records.at(-1)!.round + 3;
    await it.until("it goes on", () => last.records.at(-1)!.round >= to);
    sameStory(witness.records, last.records);
    const rounds = last.records.map(({ round }) => round);
    deepEqual(rounds, [...new Set(rounds)].sort((a, b) => a - b), "each once, in order");
  });

  await t.step("the archive that it serves from is whole", async () => {
    const printed = last.records.length;
    await it.kill(mirror, "SIGTERM");
    const folder = `${dataFolder(it.site, "reader", 7)}/reader/archive`;
    const command = reader(it.site, 7, []);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...command.args.filter((arg) => arg !== "--stop-with-stdin" && arg !== "--json"),
        ...["--archive", folder, "--verify"],
      ],
      env: { ...it.site.env },
      clearEnv: true,
      stdin: "null",
    }).output();
    equal(code, 0, new TextDecoder().decode(stderr));
    const said = new TextDecoder().decode(stdout);
    match(said, /^\d+ records, \d+ messages, rounds 1 to \d+, head [0-9a-f]{64}: verified\n$/);
    ok(parseInt(said) >= printed, `${said} and ${printed} handed on`);
  });
});
