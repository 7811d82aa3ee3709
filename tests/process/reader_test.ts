/** A reader as a process: killed at any moment it goes on where it stopped; it verifies and ends. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { dataFolder, reader } from "../../testnet/command.ts";
import { parseRecord } from "../../testnet/record.ts";
import { Random } from "../protocol/random.ts";
import { Instance, type Node } from "./instance.ts";

/** SIGKILLs of the reader. */
const KILLS = 8;

Deno.test("a reader that is killed at any moment prints every record, and at most one again", async (t) => {
  await using it = new Instance("reader");
  await it.start(3);
  const [witness] = it.readers, { bootstrap } = it;
  const command = reader(it.site, 7, bootstrap);
  const seed = Deno.pid, random = new Random(seed);
  const printed: number[] = [], ends: number[] = [];

  await t.step("killed and started again", async () => {
    for (let boot = 0; boot <= KILLS; boot++) {
      const node = it.run(command), last = boot === KILLS;
      const records = () => node.lines.filter((line) => "record" in line);
      const enough = last ? 3 : 1 + random.below(4);
      await it.until(`the reader's boot ${boot}`, () => records().length >= enough);
      node.child.kill("SIGKILL");
      await it.until("its end", () => node.ending !== undefined, node);
      printed.push(...records().map((line) => parseRecord(line).round));
      ends.push(printed.length);
    }
    const to = printed.at(-1)!;
    await it.until("the witness has it", () => witness.records.at(-1)!.round >= to);
    const all = witness.records.map(({ round }) => round).filter((round) => round <= to);
    const again = printed.filter((round, i) => i > 0 && round === printed[i - 1]);
    deepEqual([...new Set(printed)], all, `seed ${seed}: no gap, in order`);
    printed.forEach((round, i) => {
      if (i === 0 || round !== printed[i - 1]) return;
      ok(ends.includes(i), `seed ${seed}: record ${round} again only where it was killed`);
    });
    ok(again.length <= KILLS, `seed ${seed}: ${again}`);
  });

  /** Runs a reader with further options to its end. */
  const run = async (index: number, ...options: string[]) => {
    const args = reader(it.site, index, bootstrap).args.filter((arg) => arg !== "--json");
    const { success, code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...args.filter((arg) => arg !== "--stop-with-stdin"), ...options],
      env: { ...it.site.env },
      clearEnv: true,
      stdin: "null",
    }).output();
    const [out, log] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { success, code, out, error: log.split("\n").find((l) => l.startsWith("zipnet: ")) };
  };

  await t.step("--from 0 --verify: one line, exit 0", async () => {
    const before = witness.records.length;
    const { code, out, error } = await run(8, "--from", "0", "--verify");
    equal(code, 0, `${error}`);
    match(out, /^\d+ records, \d+ messages, rounds 1 to \d+, head [0-9a-f]{64}: verified\n$/);
    const records = parseInt(out), head = out.match(/[0-9a-f]{64}/)![0];
    ok(records >= before);
    await it.until("the witness has it", () => witness.records.some(({ hash }) => hash === head));
    const { out: json } = await run(8, "--from", "3", "--verify", "--json");
    const last = JSON.parse(json.trimEnd().split("\n").at(-1)!);
    deepEqual([last.verified, last.from], [true, 3]);
  });

  await t.step("rounds that are not there yet: exit 1 and why", async () => {
    const { code, error } = await run(8, "--from", "1000000", "--verify");
    equal(code, 1);
    match(error!, /Protocol: no record from round 1000000 on: the newest is \d+/);
  });

  await t.step("a second reader in one folder: exit 5", async () => {
    const { code, error } = await run(0);
    equal(code, 5);
    match(error!, /reader-0\/reader is held by another process/);
  });

  await t.step("a place that is damaged, or of another log: exit 5", async () => {
    const folder = `${dataFolder(it.site, "reader", 7)}/reader`,
      bytes = Deno.readFileSync(`${folder}/place`);
    bytes[40] ^= 1;
    Deno.writeFileSync(`${folder}/place`, bytes);
    const { code, error } = await run(7);
    equal(code, 5);
    match(error!, /is damaged/);
  });

  await t.step(
    "files that fail while it runs: exit 5 and why, of a reader and of a server",
    async () => {
      const fails = async (node: Node, file: string) => {
        // What is replaced is written under this name first. One that is there is renamed at once.
        for (let made = false; !made;) {
          try {
            Deno.mkdirSync(`${file}.new`);
            made = true;
          } catch (error) {
            if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
          }
        }
        equal((await node.child.ended).code, 5, node.log);
        match(node.log, /^zipnet: .* cannot be used as data folder: Is a directory/m);
        equal(/^ +at /m.test(node.log), false, "no trace");
      };
      const node = it.run(reader(it.site, 9, bootstrap));
      await it.until("a record", () => node.records.length > 0, node);
      await fails(node, `${dataFolder(it.site, "reader", 9)}/reader/place`);
      await fails(it.servers[1], `${dataFolder(it.site, "server", 1)}/state-0`);
    },
  );
});
