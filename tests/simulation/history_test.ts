/** The log over time: late readers, readers that stop and go on, servers that lose their archive. */
import assert from "node:assert/strict";
import { encodeCertified } from "../../src/protocol/record.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { ReaderRole, type Seen } from "../../src/roles/reader.ts";
import { type Archive, MAX_KEPT_RECORDS, memoryArchive } from "../../src/roles/records.ts";
import { SimulatedInstance } from "../../src/roles/simulated.ts";
import type { DurableDisk } from "../../src/roles/simulated_disk.ts";
import type { Network } from "../../src/universe/network.ts";
import { Play } from "../protocol/play.ts";
import { extendLog } from "../roles/log.ts";
import { readArchived } from "../../src/roles/archived.ts";

/** An instance whose servers keep everything. */
async function world(seed: number, clients = 3) {
  const archives: Archive[] = [], gaps: string[] = [];
  const it = new SimulatedInstance({
    seed,
    clients,
    archive: (server) => archives[server] ??= memoryArchive(Infinity, Infinity),
    observe: (who, _level, event) => {
      if (event === "records missed" || event === "history lost") gaps.push(`${who}: ${event}`);
    },
  });
  await it.start();
  const ready = () => it.clients.filter((client) => client?.role.ready).length === clients;
  assert.ok(await it.run(ready, 60_000), `seed ${seed}: no start`);
  return { it, archives, gaps };
}

/** A network that knows no peers but those of these ids. */
function only(network: Network, ids: readonly string[]): Network {
  return {
    self: network.self,
    catalog: network.catalog,
    entry: network.entry,
    census: () => network.census(),
    serve: (kind, accept) => network.serve(kind, accept),
    start: () => network.start(),
    stop: () => network.stop(),
    favour: (id) => network.favour(id),
    counts: () => network.counts(),
    peers: (role) => network.peers(role).filter(({ id }) => ids.includes(id)),
    onPeer: (listener) => network.onPeer(listener),
    open: (peer, kind, events) => network.open(peer, kind, events),
  };
}

/** Rounds and hashes, to be compared. */
function story(log: readonly Seen[]): string[] {
  return log.map(({ record }) => `${record.header.round} ${hex(record.hash)}`);
}

Deno.test("a late reader gets 1,000 rounds of history from any server, verified", async () => {
  const { it, archives, gaps } = await world(70);
  const { clients } = it;
  for (const done of [250, 500, 750, 1_000]) {
    clients.forEach(({ role }, i) => role.outbox.send(Uint8Array.of(done >> 2, i)));
    assert.ok(await it.run(() => it.rounds >= done, 1_000_000));
  }
  const holders = [
    ...it.servers.map((server, i) => [`server ${i}`, [server!.network.self.id]] as const),
    ["whoever has it", [it.aggregator!, ...it.servers].map((one) => one!.network.self.id)] as const,
  ];
  const [{ role: { log: all } }] = it.readers;
  for (const [name, ids] of holders) {
    const { environment, network: make } = it.binding(`late, from ${name}`);
    const network = make("reader", environment.random(32)), log: Seen[] = [];
    await network.start();
    const role = new ReaderRole({
      network: only(network, ids),
      environment,
      epochs: new Epochs([it.manifest]),
      from: 0,
      record: (seen) => void log.push(seen),
      stopped: (error) => assert.fail(error),
    });
    assert.ok(await it.run(() => log.length >= 1_000, 60_000), `${name}: ${log.length}`);
    role.stop();
    assert.deepEqual(story(log.slice(0, 1_000)), story(all.slice(0, 1_000)), name);
    assert.ok(log.every(({ linked }) => linked));
    assert.equal(log.flatMap(({ messages }) => messages).length, 12, name);
  }
  const seen = [...readArchived(archives[0], [it.manifest], 0)];
  assert.deepEqual(story(seen.slice(0, 1_000)), story(all.slice(0, 1_000)));
  assert.ok(all.length > MAX_KEPT_RECORDS, "more than anyone keeps in memory");
  assert.deepEqual(gaps, []);
});

Deno.test("a reader that was offline goes on where it stopped, without gap or repeat", async () => {
  for (const seed of [71, 72, 73]) {
    const { it, gaps } = await world(seed), chance = it.universe.randomness("when it stops");
    const log: Seen[] = [];
    let after: Uint8Array | undefined;
    for (let boot = 0; boot < 12; boot++) {
      const { environment, network: make } = it.binding("the reader");
      const network = make("reader", environment.random(32));
      await network.start();
      new ReaderRole({
        network,
        environment,
        epochs: new Epochs([it.manifest]),
        from: 0,
        after,
        record: (seen) => {
          log.push(seen);
          after = encodeCertified(seen);
        },
        stopped: (error) => assert.fail(error),
      });
      await it.universe.advance(3_000 * chance.real());
      it.crash({ network });
      await it.universe.advance(5_000 * chance.real());
    }
    assert.ok(log.length > 20, `seed ${seed}: ${log.length}`);
    const [{ role: { log: all } }] = it.readers;
    assert.deepEqual(story(log), story(all.slice(0, log.length)), `seed ${seed}`);
    assert.deepEqual(
      log.map(({ skipped }) => skipped),
      all.slice(0, log.length).map((s) => s.skipped),
    );
    assert.deepEqual(gaps, [], `seed ${seed}`);
  }
});

Deno.test("a server that lost its archive fills it from the others while rounds go on", async () => {
  for (const [seed, lost] of [[74, 0], [75, 1], [76, 2]]) {
    const { it, archives, gaps } = await world(seed);
    assert.ok(await it.run(() => it.rounds >= 40, 60_000));
    it.crash(it.servers[lost]!);
    delete archives[lost];
    if (seed !== 75) (it.disks[lost] as DurableDisk).lose("state-0");
    await it.startServer(lost);
    const end = it.rounds + 20;
    const has = () => it.rounds >= end && archives.every(({ newest }) => newest >= end);
    assert.ok(await it.run(has, 120_000), `seed ${seed}: rounds go on`);
    const contents = archives.map((archive) =>
      archive.read(0, end, Infinity).filter(({ round }) => round <= end).map(({ round, bytes }) =>
        `${round} ${hex(bytes.subarray(-64))}`
      )
    );
    // A round that was void has no record anywhere.
    assert.ok(contents[lost].length > 50 && contents[lost].length <= end, `seed ${seed}`);
    for (const content of contents) assert.deepEqual(content, contents[lost], `seed ${seed}`);
    assert.deepEqual(gaps, [], `seed ${seed}`);
  }
});

Deno.test("where all lost a part of the log, the archives and a reader go on after the gap", async () => {
  const { it, archives, gaps } = await world(77);
  assert.ok(await it.run(() => it.rounds >= 10, 60_000));
  for (const index of [0, 1, 2]) it.crash(it.servers[index]!);
  it.crash(it.aggregator!);
  archives.length = 0;
  for (const index of [0, 1, 2]) await it.startServer(index);
  await it.startAggregator();
  const end = it.rounds + 20;
  assert.ok(await it.run(() => it.rounds >= end, 120_000));
  const { environment, network: make } = it.binding("late");
  const network = make("reader", environment.random(32)), log: Seen[] = [];
  await network.start();
  const missed: [number, number][] = [];
  new ReaderRole({
    network,
    environment,
    epochs: new Epochs([it.manifest]),
    from: 0,
    record: (seen) => void log.push(seen),
    gap: (from, to) => void missed.push([from, to]),
    stopped: (error) => assert.fail(error),
  });
  assert.ok(await it.run(() => log.length >= 10, 60_000));
  const first = log[0].record.header.round;
  assert.deepEqual(missed, [[0, first]]);
  assert.ok(archives.every(({ oldest }) => oldest === first), `${archives.map((a) => a.oldest)}`);
  assert.equal(gaps.filter((gap) => /server . *: history lost/.test(gap)).length, 3, `${gaps}`);
});

Deno.test("a server with the archive of another committee ends, and says what to do", async () => {
  const play = new Play(79), [{ round, bytes }] = extendLog(play, 1);
  let described = false;
  const foreign = Object.assign(memoryArchive(), { describe: () => void (described = true) });
  foreign.append(round, bytes);
  const failures: string[] = [];
  const it = new SimulatedInstance({
    seed: 79,
    clients: 3,
    archive: (server) => server === 1 ? foreign : memoryArchive(),
    observe: (who, _level, event, { reason } = {}) => {
      if (event === "server failed") failures.push(`${who}: ${reason}`);
    },
  });
  await it.start();
  assert.ok(await it.run(() => failures.length > 0, 60_000), "it waits for ever");
  assert.match(failures[0], /^server 1: record 1, the newest of the archive, .*move the archive/);
  assert.equal(described, false, "the committee that it verifies with is still beside it");
});
