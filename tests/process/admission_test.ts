/** A server without the secret, or without a seat, beside a running instance of processes. */
import { equal, match, ok } from "node:assert/strict";
import { server } from "../../testnet/command.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { Instance, type Node } from "./instance.ts";

/** The log lines of an event. */
function events(node: Node, event: string): Record<string, unknown>[] {
  const lines = node.log.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line)).filter((line) => line.event === event);
}

Deno.test("who does not belong to a committee is refused, and the rounds go on", async (t) => {
  await using it = new Instance("admission");
  await it.start(3);
  const [reader] = it.readers;
  const goesOn = async () => {
    const before = reader.records.length;
    await it.until("three more rounds", () => reader.records.length >= before + 3);
  };
  const [{ fingerprint }] = events(it.servers[0], "committee formed");
  const seed = hex(crypto.getRandomValues(new Uint8Array(32)));
  const command = server(it.site, 7, 3, seed, it.bootstrap);

  await t.step("every server formed the same committee", () => {
    for (const node of it.servers) {
      const formed = events(node, "committee formed");
      equal(formed.length, 1, node.log);
      equal(formed[0].fingerprint, fingerprint);
    }
  });

  await t.step("a wrong secret: its operator and ours are told, and nothing forms", async () => {
    const wrong = { ...command.env, ZIPNET_COMMITTEE_SECRET: "not the secret of this committee" };
    const node = await it.up({ ...command, env: wrong });
    const refused = (of: Node) =>
      events(of, "server refused").filter(({ reason }) =>
        /did not prove the committee secret/.test(String(reason))
      );
    await it.until("both operators know", () =>
      refused(node).length > 0 && it.servers.some((of) => refused(of).length > 0));
    await goesOn();
    equal(events(node, "committee formed").length, 0);
    ok(!it.logs.includes("not the secret of this committee"));
    node.child.kill("SIGKILL");
    await it.until("its end", () => node.ending !== undefined, node);
  });

  await t.step("the secret and no seat: it waits, and says for what", async () => {
    const node = await it.up({ ...command, args: [...command.args, "--connect-timeout", "1s"] });
    await it.until("it says so", () =>
      events(node, "waiting").some((line) =>
        line.for === `not in the committee ${fingerprint}; waits to be added`
      ));
    await goesOn();
    node.child.kill("SIGKILL");
    await it.until("its end", () => node.ending !== undefined, node);
  });

  await t.step(
    "other parameters than the committee's: exit 4 and a line that names them",
    async () => {
      const { child } = it.servers[2];
      child.kill("SIGKILL");
      await it.until("its end", () => it.servers[2].ending !== undefined, it.servers[2]);
      const { code, line } = await it.ends(
        it.serverCommand(2),
        (args) => [...args, "--round-period", "1s"],
      );
      equal(code, 4);
      match(line, /Refused: .*roundPeriod 300 there, 1000 here/);
      it.servers[2] = await it.up(it.serverCommand(2));
      await goesOn();
    },
  );

  await t.step("--check tells the fingerprint of a data folder, and no secret", async () => {
    const { args, env } = it.serverCommand(0);
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: [...args, "--check"],
      env: { ...env },
      clearEnv: true,
      stdin: "null",
      stderr: "null",
    }).output();
    equal(code, 0);
    const text = new TextDecoder().decode(stdout);
    equal(JSON.parse(text).committee, fingerprint);
    ok(!text.includes(it.site.committeeSecret) && !text.includes("committeeSecret"));
  });
});
