/** Crashes, clocks, losses and liars: what only a simulated universe can show of discovery. */
import assert from "node:assert/strict";
import { concat } from "../../../src/protocol/bytes.ts";
import { DRIFT_MS, LEASE_MS, MAX_ENTRIES } from "../../../src/universe/discovery/catalog.ts";
import {
  decodeEntry,
  type Entry,
  signDeparture,
  signEntry,
  type Statement,
} from "../../../src/universe/discovery/entry.ts";
import { NEWS } from "../../../src/universe/discovery/discovery.ts";
import { FORGIVEN_MS, MAX_FAULTS } from "../../../src/universe/discovery/scores.ts";
import { MEETING } from "../../../src/universe/meet.ts";
import { MemoryUniverse } from "../../../src/universe/memory.ts";
import type { Tap } from "../../../src/universe/memory_transport.ts";
import type { Environment } from "../../../src/universe/environment.ts";
import { INSTANCE, secretOf, type Subject, type World } from "../conformance.ts";
import { simulated } from "../simulated.ts";
import { Liar } from "./liar.ts";
import { nodeOf, statementOf } from "./making.ts";
import { ANOTHER, converged, node, seen } from "./scenarios.ts";

function start(seed: number, options = {}): { universe: MemoryUniverse; world: World } {
  const universe = new MemoryUniverse({ seed, ...options });
  return { universe, world: simulated(universe) };
}

async function trio(world: World): Promise<Subject[]> {
  const a = await node(world, "a"),
    b = await node(world, "b", [a]),
    c = await node(world, "c", [a]);
  await world.until("equal catalogs", () => converged([a, b, c]));
  return [a, b, c];
}

/** An entry of node `n`, made now. */
function entryNow(universe: MemoryUniverse, n: number, statement: Partial<Statement> = {}): Entry {
  const now = universe.clock.now();
  return signEntry(nodeOf(n), statementOf({ started: now, updated: now, ...statement }));
}

/** A node's environment with a clock that is wrong. */
function skewed(environment: Environment, ms: number): Environment {
  const { clock } = environment;
  return {
    ...environment,
    random: environment.random,
    observe: environment.observe,
    clock: {
      now: clock.now,
      wall: () => clock.wall() + ms,
      after: (wait, task) => clock.after(wait, task),
    },
  };
}

Deno.test("discovery: stale_peers_are_purged, a crashed one within its lease", async () => {
  const { universe, world } = start(21);
  const [a, b, c] = await trio(world);
  universe.crash(b.network);
  const crashed = universe.clock.now();
  await universe.advance(5_000);
  assert(seen(a, b) && seen(c, b), "a crash tells nobody");
  await universe.run(() => !seen(a, b) && !seen(c, b), LEASE_MS);
  assert(converged([a, c]));
  assert(universe.clock.now() - crashed <= LEASE_MS + 1_000, "looked at now and then");
  await universe.advance(2 * LEASE_MS);
  assert(converged([a, c]), "the living renew their leases, and nobody brings it back");
});

Deno.test("discovery: a departed peer is not brought back, by sync or by gossip", async () => {
  const { universe, world } = start(22);
  const [a, b, c] = await trio(world);
  const liar = await Liar.start(world);
  await liar.meet(a);
  const kept = entryNow(universe, 77);
  liar.tell([kept]);
  await world.until("known", () => !!c.network.catalog.get(kept.id));
  await universe.advance(1_000);
  const { updated } = entryNow(universe, 77);
  const leaves = signDeparture(nodeOf(77), { ...kept, updated });
  liar.gossip.publish(concat(Uint8Array.of(1), leaves.bytes));
  const known = () => [a, b, c].some((one) => one.network.catalog.get(kept.id));
  await world.until("gone", () => !known());
  for (let at = 0; at < LEASE_MS + DRIFT_MS + 10_000; at += 5_000) {
    const now = universe.clock.now();
    const newer = signEntry(nodeOf(77), statementOf({ started: kept.started, updated: now }));
    liar.tell([kept, at < 60_000 ? newer : kept]);
    liar.gossip.publish(concat(Uint8Array.of(0), kept.bytes));
    await universe.advance(5_000);
    assert(!known(), `${at} ms later`);
  }
  assert.equal(liar.closed, 0, "what is old is no fault");
  liar.tell([entryNow(universe, 77)]);
  await world.until("a later start", known);
});

Deno.test("discovery: clocks may differ by DRIFT_MS, on every path", async () => {
  for (
    const [ms, heard] of [[50_000, true], [-50_000, true], [DRIFT_MS + 90_000, false]] as const
  ) {
    const { universe, world } = start(23);
    const [a, b] = await trio(world);
    const environment = skewed(universe.environment("d"), ms);
    const d = await node(world, "d", [a], { environment });
    await universe.advance(50_000);
    assert.equal(!!seen(a, d) && !!seen(b, d), heard, `${ms} ms`);
    await world.settle(d.network.catalog.syncWith(a.network.self));
    await world.settle(a.network.catalog.syncWith(d.network.self));
    await universe.advance(LEASE_MS);
    assert.equal(!!seen(a, d) && !!seen(b, d), heard, `${ms} ms, by sync and a lease later`);
  }
});

Deno.test("discovery: forged and tampered entries are refused, who sends them is cut", async () => {
  for (const way of ["sync", "gossip"]) {
    const { universe, world } = start(24);
    const [a, b, c] = await trio(world);
    const liar = await Liar.start(world);
    await liar.meet(a);
    const held = () =>
      [a, b, c].map((one) => one.network.catalog.peers().map((peer) => [peer.id, peer.addresses]));
    const before = held();
    for (let n = 0; n < MAX_FAULTS; n++) {
      const forged = entryNow(universe, 50 + n).bytes.slice();
      if (n % 2) forged.set(nodeOf(9).key, 33);
      else forged[forged.length - 1] ^= 1;
      const item = decodeEntry(forged);
      if (way === "sync") {
        liar.tell([item]);
        await world.until("the session ends", () => liar.closed === n + 1);
        if (n + 1 < MAX_FAULTS) await liar.meet(a);
      } else liar.gossip.publish(concat(Uint8Array.of(0), forged));
      await universe.advance(100);
      assert(a.said("peer scored down", liar.id));
    }
    assert.deepEqual(held(), before);
    assert(liar.closed > 0, "cut");
    const good = entryNow(universe, 60);
    const cut = liar.closed;
    await liar.meet(a);
    assert.equal(liar.closed, cut + 1, "and not heard");
    await universe.advance(FORGIVEN_MS);
    await liar.meet(a);
    liar.tell([good]);
    await world.until("for a while", () => !!c.network.catalog.get(good.id));
    assert(!b.said("peer scored down") && !c.said("peer scored down"), "nobody passed it on");
  }
});

Deno.test("discovery: noise on the topic is rejected and its sender scored down", async () => {
  const { universe, world } = start(25);
  const [a] = await trio(world);
  const noise = [new Uint8Array(0), Uint8Array.of(2, 1), new Uint8Array(9_000), Uint8Array.of(0)];
  for (const [n, message] of noise.entries()) {
    const liar = await Liar.start(world, `liar ${n}`);
    await liar.meet(a);
    liar.gossip.publish(message);
    await universe.advance(100);
    assert(a.said("peer scored down", liar.id), `message ${n}`);
  }
  const universes = await Liar.start(world, "far");
  await universes.meet(a);
  const foreign = entryNow(universe, 70, { universe: ANOTHER });
  universes.gossip.publish(concat(Uint8Array.of(0), foreign.bytes));
  await universe.advance(100);
  assert(a.said("peer scored down", universes.id) && !a.network.catalog.get(foreign.id));
});

Deno.test("discovery: a flood of nodes leaves our instance to be found", async () => {
  const { universe, world } = start(26);
  const hub = await node(world, "hub", [], { instance: ANOTHER });
  const a = await node(world, "a", [hub]);
  await world.until("known", () => converged([hub, a]));
  const instances = [[ANOTHER], [new Uint8Array(32)], [INSTANCE]];
  for (let sender = 0; sender < 8; sender++) {
    const liar = await Liar.start(world, `sybil ${sender}`);
    await liar.meet(hub);
    for (let n = 0; n < 600; n += 50) {
      liar.tell(Array.from({ length: 50 }, (_, i) => {
        const name = 1_000 * (sender + 1) + n + i;
        return entryNow(universe, name, {
          instances: instances[name % 3],
          addresses: ["/memory/x"],
        });
      }));
      await universe.advance(20);
    }
  }
  const size = hub.network.catalog.peers().length;
  assert(size > 4_000 && size <= MAX_ENTRIES, `${size} entries`);
  const b = await node(world, "b", [hub]);
  const c = await node(world, "c", [hub], { role: "client", listen: [] });
  await world.until("they find theirs", () => b.knows(a) && c.knows(a) && a.knows(b));
  await world.until("and meet", () => a.said("peer met", b.network.self.id));
});

Deno.test("discovery: a clock that went back over a restart costs a moment", async () => {
  const { universe, world } = start(27);
  const [a, b, c] = await trio(world);
  universe.crash(c.network);
  await universe.advance(1_000);
  const environment = skewed(universe.environment("c"), -30_000);
  const again = await node(world, "c", [a], { environment });
  again.network.entry.addTag("again");
  await world.until("known as it is now", () => {
    return [a, b].every((one) => seen(one, again)?.tags.has("again"));
  });
  await universe.advance(2 * LEASE_MS);
  assert(converged([a, b, again]));
});

Deno.test("discovery: a partition parts catalogs, and they meet again", async () => {
  const { universe, world } = start(28);
  const nodes = [await node(world, "n0", [], { instance: ANOTHER })];
  for (let n = 1; n < 8; n++) {
    nodes.push(await node(world, `n${n}`, [nodes[0]], { instance: n % 2 ? INSTANCE : ANOTHER }));
  }
  await world.until("equal catalogs", () => converged(nodes));
  const halves = [nodes.slice(0, 4), nodes.slice(4)];
  universe.partition(halves.map((half) => half.map((one) => one.network)));
  await universe.advance(LEASE_MS + 10_000);
  assert(halves.every(converged), "each half alone");
  nodes[5].network.entry.addTag("during");
  await universe.advance(1_000);
  universe.heal();
  assert(
    await universe.run(() => converged(nodes), 120_000),
    "whole again, by the bootstrap address",
  );
  assert(seen(nodes[1], nodes[5])!.tags.has("during"));
});

Deno.test("discovery: with a fifth of all frames lost, ten nodes converge", async () => {
  const { universe, world } = start(29, { loss: 0.2, delay: [1, 200] });
  const nodes = [await node(world, "n0")];
  for (let n = 1; n < 10; n++) nodes.push(await node(world, `n${n}`, [nodes[0]]));
  assert(await universe.run(() => converged(nodes), 20_000));
  await universe.advance(LEASE_MS);
  assert(converged(nodes));
});

Deno.test("discovery: an identity that runs twice is told of, and floods nobody", async () => {
  const { universe, world } = start(30);
  const [a, b, c] = await trio(world);
  const twin = await node(world, "twin", [a, b], {
    secret: secretOf("c"),
    listen: ["/memory/twin"],
  });
  const before = universe.timeline.fired;
  await universe.advance(300_000);
  const said = (one: Subject) => one.log.filter((it) => it.event === "own entry outlived").length;
  assert(said(twin) + said(c) > 0, "told");
  assert(said(twin) <= 31 && said(c) <= 31, `${said(twin)} and ${said(c)} times`);
  const rate = (universe.timeline.fired - before) / 300;
  assert(rate < 200, `${rate} events a second`);
});

Deno.test("discovery: what a stranger says anew is not multiplied by those who follow", async () => {
  let hubId = "", told = 0;
  const tap: Tap = ({ from }, frame) => {
    if (from === hubId) told += frame.length;
  };
  const { universe, world } = start(31, { tap });
  const hub = await node(world, "hub");
  hubId = hub.network.self.id;
  const followers = 10, seconds = 30, nodes = 32;
  const clients: Subject[] = [];
  for (let n = 0; n < followers; n++) {
    clients.push(await node(world, `c${n}`, [hub], { role: "client", listen: [] }));
  }
  await world.until("all follow", () => clients.every((one) => seen(one, hub)));
  const liar = await Liar.start(world);
  await liar.meet(hub);
  const addresses = Array.from({ length: 8 }, (_, n) => `/${"x".repeat(253)}${n}`);
  const started = universe.clock.now();
  let said = 0;
  told = 0;
  for (let second = 0; second < seconds; second++) {
    const items = Array.from({ length: nodes }, (_, n) =>
      entryNow(universe, 2_000 + n, {
        started,
        updated: universe.clock.now(),
        addresses,
        instances: [n % 2 ? INSTANCE : ANOTHER],
      }));
    liar.tell(items);
    said = items.reduce((sum, { bytes }) => sum + bytes.length, 0);
    await universe.advance(1_000);
  }
  // News, and comparisons: at most three in that time, of at most all that the liar said last.
  const most = followers * (2 * (NEWS.burst + seconds * NEWS.perSecond) + 3 * said);
  assert(told < most, `${told} bytes, at most ${most}`);
  assert.equal(liar.closed, 0, "what is too much is no fault");
  const late = await node(world, "late", [hub]);
  await world.until("the honest are found", () => clients.every((one) => seen(one, late)));
});

/** A bootstrap node of another instance, where a liar has told of servers that nobody can reach. */
async function forged(universe: MemoryUniverse, world: World, count: number): Promise<Subject> {
  const hub = await node(world, "hub", [], { instance: ANOTHER });
  const liar = await Liar.start(world);
  await liar.meet(hub);
  liar.tell(Array.from({ length: count }, (_, n) =>
    entryNow(universe, 1_000 + n, {
      addresses: Array.from({ length: 8 }, (_, i) => `/memory/victim-${n}-${i}`),
    })));
  await world.until("told", () => hub.network.catalog.peers().length >= count);
  return hub;
}

Deno.test("discovery: forged servers keep none of an instance from the others", async () => {
  for (let seed = 40; seed < 46; seed++) {
    const { universe, world } = start(seed);
    const hub = await forged(universe, world, 500);
    const a = await node(world, `a ${seed}`, [hub]);
    await universe.advance(3_000);
    const b = await node(world, `b ${seed}`, [hub]);
    await world.until("they meet", () => a.said("peer met", b.network.self.id));
  }
});

Deno.test("discovery: forged servers are dialed a few at a time, and ever more rarely", async () => {
  const { universe, world } = start(47);
  const hub = await forged(universe, world, 500);
  const a = await node(world, "a", [hub]);
  const dialed = () => a.log.filter(({ event }) => event === "peer not reached").length;
  const rates: number[] = [];
  for (let minute = 0; minute < 3; minute++) {
    const before = dialed();
    await universe.advance(60_000);
    rates.push((dialed() - before) / 60);
  }
  const least = MEETING.burst / 60 + MEETING.perSecond;
  assert(rates.every((rate) => rate > 0 && rate <= least), `${rates} dials a second`);
  const b = await node(world, "b", [hub]);
  await world.until("and who is there is met", () => b.said("peer met", a.network.self.id));
});
