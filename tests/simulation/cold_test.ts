/** All servers lose their heads at once: what goes on, and who is told where nothing can. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { type Archive, memoryArchive } from "../../src/roles/records.ts";
import { Trial } from "./trial.ts";

const base = { clients: 5, servers: 3 };
/** Messages that may end as exposed, where the servers forget what they vouched for. */
const EXPOSED = 1;

/** All servers die at once, and come back with nothing but their archives. */
async function loseServers(trial: Trial, ms: number): Promise<void> {
  const { servers, universe } = trial.world;
  for (const index of servers.keys()) trial.crashServer(index);
  await universe.advance(ms);
  for (const index of servers.keys()) await trial.startServer(index, "an empty disk");
}

/** Rounds go on after `lose`, and the log of the readers is only ever extended. */
async function keepsLog(trial: Trial, lose: () => Promise<void>): Promise<void> {
  const readers = trial.world.readers.map(({ role }) => role);
  const logs = () => readers.map(({ log }) => log.map(({ record }) => hex(record.hash)));
  // A record that readers have, and no aggregator yet, is lost with the servers.
  const newest = () => Math.max(...readers.map(({ log }) => log.at(-1)!.record.header.round));
  await trial.until("it has it", () => trial.world.aggregator!.role.newest >= newest());
  await lose();
  const before = logs();
  trial.everybodySpeaks();
  await trial.goesOn(20_000);
  await trial.judge(EXPOSED);
  logs().forEach((log, i) => assert.deepEqual(log.slice(0, before[i].length), before[i]));
  for (const { log } of readers) assert.ok(log.slice(1).every(({ linked }) => linked), "a gap");
}

Deno.test("all servers lose everything again and again, with and without a pause", async () => {
  for (const ms of [0, 50, 2_000, 20_000]) {
    await Trial.run(
      { ...base, seed: 560 + ms },
      (trial) => keepsLog(trial, () => loseServers(trial, ms)),
    );
  }
});

Deno.test("all registers are lost, one archive is not, and no aggregator has the log", async () => {
  const archives: Archive[] = [];
  const archive = (server: number) =>
    server === 1 ? archives[server] ??= memoryArchive(Infinity, Infinity) : memoryArchive();
  await Trial.run({ ...base, archive, seed: 570 }, (trial) =>
    keepsLog(trial, async () => {
      trial.world.crash(trial.world.aggregator!);
      // What is under way is certified, and archived everywhere.
      await trial.world.universe.advance(2_000);
      await loseServers(trial, 1_000);
      await trial.until("they stand", () => trial.world.servers.every((it) => it!.joined));
      await trial.world.startAggregator();
    }));
});

Deno.test("nobody has the log any more: nothing is opened before an aggregator has said so", async () => {
  await Trial.run({ ...base, seed: 580 }, async (trial) => {
    const { world } = trial;
    world.crash(world.aggregator!);
    await loseServers(trial, 1_000);
    await world.universe.advance(10_000);
    const heads = () => world.servers.map((it) => it!.role.member.head.round);
    assert.deepEqual(heads(), [0, 0, 0]);
    assert.equal(
      world.servers[0]!.role.member.waitsFor,
      "the newest record, which an aggregator may have",
    );
    await world.startAggregator();
    for (const client of world.clients.splice(0)) world.crash(client);
    for (let i = 0; i < base.clients; i++) await world.startClient(i);
    await trial.until("a new log", () => heads().every((round) => round >= 3), 60_000);
  });
});
