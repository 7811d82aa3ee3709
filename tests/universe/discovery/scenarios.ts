/**
 * What discovery must do in every column: the scenarios of mosaik by their names, and those that it
 * does not test. A column brings a `World`; nothing here sleeps.
 */
import assert from "node:assert/strict";
import { hex } from "../../../src/protocol/bytes.ts";
import { blake3 } from "../../../src/protocol/hash.ts";
import { CATALOG } from "../../../src/universe/discovery/session.ts";
import { universeProtocolOf } from "../../../src/universe/node.ts";
import type { NetworkOptions } from "../../../src/universe/node.ts";
import type { PeerInfo } from "../../../src/universe/discovery/view.ts";
import { defaults, INSTANCE, Subject, UNIVERSE, type World } from "../conformance.ts";

export const ANOTHER = new Uint8Array(32).fill(0x66);

/** A node that runs. */
export async function node(
  world: World,
  name: string,
  bootstrap: readonly Subject[] = [],
  options: Partial<NetworkOptions> = {},
): Promise<Subject> {
  const addresses = bootstrap.map((one) => one.address);
  return await new Subject(world, { name, bootstrap: addresses, ...options }).start();
}

/** What a node knows of another. */
export function seen(by: Subject, of: Subject): PeerInfo | undefined {
  return by.network.catalog.get(of.network.self.id);
}

/** Whether each of them holds the entries of all others, and of nobody else. */
export function converged(nodes: readonly Subject[]): boolean {
  return nodes.every((one) => {
    const ids = one.network.catalog.peers().map(({ id }) => id);
    const others = nodes.filter((it) => it !== one).map((it) => it.network.self.id).sort();
    return ids.length === others.length && ids.every((id, i) => id === others[i]);
  });
}

export async function stopAll(...nodes: Subject[]): Promise<void> {
  await Promise.all(nodes.map((one) => one.world.settle(one.network.stop())));
}

async function convergeWithBootstrap(world: World): Promise<void> {
  const { clock } = world.environment("time", () => {});
  const start = clock.now();
  const nodes = [await node(world, "n0")];
  for (let n = 1; n < 10; n++) {
    nodes.push(await node(world, `n${n}`, [nodes[0]], { instance: n % 2 ? INSTANCE : ANOTHER }));
  }
  await world.until("equal catalogs", () => converged(nodes));
  assert(clock.now() - start <= 10_000, `${clock.now() - start} ms`);
  for (const one of nodes) {
    const ours = nodes.filter((it) =>
      it !== one && nodes.indexOf(it) % 2 === nodes.indexOf(one) % 2
    );
    assert(one.network.census().universe === 9 && ours.length >= 4);
    for (const info of one.network.catalog.peers()) {
      const its = nodes.find((it) => it.network.self.id === info.id)!;
      assert.deepEqual(info.addresses, [...its.network.self.addresses].sort());
      assert.deepEqual(info.tags, new Set(["server"]));
    }
  }
  await stopAll(...nodes);
}

async function manualSyncTrigger(world: World): Promise<void> {
  const a = await node(world, "a"), b = await node(world, "b"), c = await node(world, "c", [b]);
  await world.until("b and c know each other", () => converged([b, c]));
  assert(!seen(a, b));
  await world.settle(a.network.catalog.syncWith(b.network.self));
  assert(seen(a, b) && seen(a, c), "the answer is in when it resolves");
  await world.until("and both ways", () => !!seen(b, a) && !!seen(c, a));
  await world.settle(a.network.catalog.syncWith(b.network.self));
  await stopAll(a, b, c);
  await assert.rejects(a.network.catalog.syncWith(b.network.self), /NetworkError/);
}

async function differentNetworksAreIsolated(world: World): Promise<void> {
  const universe = new Uint8Array(32).fill(0x77);
  const near = UNIVERSE.slice();
  near[31] ^= 1; // the same protocol names, so that only hellos and entries tell them apart
  const a = await node(world, "a");
  const b = await node(world, "b", [a]);
  const c = await node(world, "c", [a], { universe });
  const d = await node(world, "d", [c], { universe });
  const e = await node(world, "e", [a, c], { universe: near });
  await world.until("each finds its own", () => converged([a, b]) && converged([c, d]));
  await assert.rejects(world.settle(a.network.catalog.syncWith(c.network.self)), /NetworkError/);
  await assert.rejects(world.settle(e.network.catalog.syncWith(a.network.self)), /NetworkError/);
  assert(converged([a, b]) && converged([c, d]) && converged([e]));
  const { failures: [failure], ...bootstrap } = c.network.census().bootstrap;
  assert.deepEqual([bootstrap, failure.address], [{ tried: 1, answered: 0 }, a.address]);
  await stopAll(a, b, c, d, e);
}

async function gracefulDeparture(world: World): Promise<void> {
  const { clock } = world.environment("time", () => {});
  const hub = await node(world, "hub");
  const nodes = [hub];
  for (let n = 0; n < 5; n++) nodes.push(await node(world, `n${n}`, [hub]));
  await world.until("equal catalogs", () => converged(nodes));
  const events = hub.network.catalog.events();
  const start = clock.now();
  const left = nodes.splice(3, 1);
  await stopAll(...left);
  await world.until("it is gone everywhere", () => converged(nodes));
  assert(clock.now() - start <= 2_000, `${clock.now() - start} ms`);
  for (;;) {
    const { value } = await world.settle(events.next());
    if (value.kind !== "departed") continue;
    assert.equal(value.peer.id, left[0].network.self.id);
    break;
  }
  await stopAll(...nodes);
}

async function bootstrapOfAnotherInstance(world: World): Promise<void> {
  const stranger = await node(world, "stranger", [], { instance: ANOTHER });
  const a = await node(world, "a", [stranger]);
  const b = await node(world, "b", [stranger]);
  const client = await node(world, "c", [stranger], { role: "client", listen: [] });
  const reader = await node(world, "r", [stranger], { role: "reader", listen: [] });
  const seekers = [a, b, client, reader];
  await world.until(
    "all find their instance",
    () => seekers.every((one) => [a, b].every((it) => it === one || one.knows(it))),
  );
  await world.until("the servers meet", () => a.said("peer met", b.network.self.id));
  for (const one of seekers) {
    assert(!one.knows(stranger), "the stranger is no peer");
    assert.deepEqual(one.network.census().bootstrap, { tried: 1, answered: 1, failures: [] });
    assert.equal(one.network.census().instance, one === a || one === b ? 1 : 2);
  }
  assert.deepEqual([stranger.network.peers(), stranger.found], [[], []]);
  await stopAll(...seekers, stranger);
}

async function clientsAreNeverListed(world: World): Promise<void> {
  const hub = await node(world, "hub");
  const other = await node(world, "other", [hub]);
  const client = await node(world, "client", [hub], { role: "client" });
  const reader = await node(world, "reader", [hub], { role: "reader", listen: [] });
  assert(client.network.self.addresses.length > 0, "this client listens");
  client.network.entry.addTag("loud");
  await world.until("all know the servers", () => {
    return [client, reader].every((one) => seen(one, hub) && seen(one, other)) &&
      converged([hub, other]);
  });
  await world.settle(client.network.catalog.syncWith(other.network.self));
  await world.settle(other.network.catalog.syncWith(client.network.self));
  await world.settle(hub.network.catalog.syncWith(other.network.self));
  for (const one of [hub, other, reader]) assert(!seen(one, client), "a client is in no catalog");
  assert(converged([hub, other]), "nor is who does not listen");
  await stopAll(client, reader);
  assert(converged([hub, other]));
  await stopAll(hub, other);
}

async function ticketRenewal(world: World): Promise<void> {
  const a = await node(world, "a"), b = await node(world, "b", [a]);
  const id = a.network.self.id;
  const bodies = [new Uint8Array(5_000).fill(1), Uint8Array.of(2)];
  const hashes = bodies.map((body) => hex(blake3(body)));
  for (const [i, body] of bodies.entries()) {
    a.network.entry.setTicket("jwt", body);
    await world.until("the ticket is shown", () => seen(b, a)?.tickets[0]?.hash === hashes[i]);
    assert.deepEqual(seen(b, a)!.tickets, [{ class: "jwt", hash: hashes[i] }]);
    assert.deepEqual(await world.settle(b.network.catalog.ticket(id, hashes[i])), body);
  }
  assert.equal(await world.settle(b.network.catalog.ticket(id, hashes[0])), undefined, "renewed");
  assert.equal(await world.settle(b.network.catalog.ticket("0".repeat(64), hashes[1])), undefined);
  a.network.entry.setTicket("jwt", undefined);
  const late = b.network.catalog.ticket(id, hashes[1]);
  assert.equal(await world.settle(late), undefined, "shown no longer, though the entry names it");
  await world.until("it is taken back", () => seen(b, a)?.tickets.length === 0);
  await stopAll(a, b);
}

async function tagsAndStreamsChange(world: World): Promise<void> {
  const a = await node(world, "a"),
    b = await node(world, "b", [a]),
    c = await node(world, "c", [b]);
  await world.until("equal catalogs", () => converged([a, b, c]));
  let changes = 0;
  const end = c.network.catalog.onChange(() => void changes++);
  a.network.entry.addTag("x.1");
  a.network.entry.addStream("prices");
  await world.until("c hears of it", () => !!seen(c, a)?.streams.has("prices"));
  assert(seen(c, a)!.tags.has("x.1") && changes > 0);
  end();
  a.network.entry.removeStream("prices");
  await world.until("it is withdrawn", () => !seen(c, a)?.streams.has("prices"));
  await stopAll(a, b, c);
}

async function restartWithTheSameId(world: World): Promise<void> {
  const hub = await node(world, "hub"), other = await node(world, "other", [hub]);
  const first = await node(world, "a", [hub]);
  first.network.entry.addTag("first");
  await world.until("known", () => !!seen(other, first)?.tags.has("first"));
  await stopAll(first);
  await world.until("gone", () => !seen(other, first) && !seen(hub, first));
  const again = await node(world, "a", [other]);
  await world.until("known again, as it is now", () => {
    const infos = [seen(hub, again), seen(other, again)];
    return infos.every((info) => info !== undefined && !info.tags.has("first"));
  });
  await stopAll(hub, other, again);
}

async function roundTripTimes(world: World): Promise<void> {
  const a = await node(world, "a"), b = await node(world, "b", [a]);
  await world.until("both measured", () => {
    return [seen(a, b)?.rtt, seen(b, a)?.rtt].every((rtt) => rtt !== undefined && rtt >= 0);
  });
  assert(seen(a, b)!.rtt! < 2_000);
  await stopAll(a, b);
}

async function oversizedFrames(world: World): Promise<void> {
  const b = await node(world, "b");
  const stranger = defaults(world, "stranger");
  const transport = world.transport(stranger);
  await world.settle(transport.listen([]));
  const target = { key: b.network.self.key, addresses: [b.address] };
  const { signal } = new AbortController();
  const link = await world.settle(
    transport.open(target, universeProtocolOf(UNIVERSE, CATALOG), signal),
  );
  let closed = 0;
  link.events = { frame() {}, oversize() {}, closed: () => (closed++, world.poke()) };
  link.send(new Uint8Array(CATALOG.maxFrame + 1));
  await world.until("it is cut at its hello", () => closed === 1);
  await transport.stop();
  await stopAll(b);
}

/** Every scenario that a column runs. */
export const SCENARIOS: readonly [string, (world: World) => Promise<void>][] = [
  ["converge_with_bootstrap", convergeWithBootstrap],
  ["manual_sync_trigger", manualSyncTrigger],
  ["different_networks_are_isolated", differentNetworksAreIsolated],
  ["graceful_departure", gracefulDeparture],
  ["a bootstrap peer of another instance leads to one's own", bootstrapOfAnotherInstance],
  ["no client is ever listed, nor who does not listen", clientsAreNeverListed],
  ["a ticket is shown by its hash, asked for, renewed and taken back", ticketRenewal],
  ["tags and streams reach those who are not linked", tagsAndStreamsChange],
  ["restart with the same id", restartWithTheSameId],
  ["round-trip times are measured on heartbeats", roundTripTimes],
  ["an oversized frame is cut", oversizedFrames],
];
