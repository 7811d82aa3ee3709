/** An aggregator over a change of the committee: its links, its round, and whom it serves. */
import assert from "node:assert/strict";
import { equal, hex, u64 } from "../../src/protocol/bytes.ts";
import { decodeAggregate, participants } from "../../src/protocol/aggregate.ts";
import { encodeOpened } from "../../src/protocol/opened.ts";
import { Aggregator } from "../../src/roles/aggregator.ts";
import { instanceStreams, SERVER_REGISTRY } from "../../src/roles/streams.ts";
import { Play, type PlayedRound } from "../protocol/play.ts";
import { committeeOf, lineageOf } from "./changes.ts";
import { kinded, peerOf, type Wire, Wires } from "./wire.ts";

/** An aggregator of a committee of which one server leaves and two join. */
async function changing(seed: number) {
  const zero = new Play(seed, { servers: 3, clients: 4 }), committee = committeeOf(zero);
  const wires = new Wires("aggregator", zero.aggregator.seed);
  const streams = instanceStreams(zero.parameters);
  let alive = 0;
  const role = new Aggregator({
    network: wires,
    environment: wires.environment,
    signer: zero.aggregator.signer,
  });
  const know = (play: Play) => {
    const known = new Set(wires.known.map(({ id }) => id));
    const peers = play.servers.map((s) => peerOf("server", s.seed));
    wires.known.push(...peers.filter(({ id }) => !known.has(id)));
  };
  know(zero);
  role.start(committee, () => void alive++);
  await wires.pass(1);
  /** By server, the stream for aggregates. */
  const links = () => new Map(wires.to(streams.aggregate).map((wire) => [wire.peer.id, wire]));
  const link = (play: Play, server: number) => links().get(hex(play.manifest.servers[server]))!;
  const opens = (play: Play, wire: Wire, header = play.header()) => {
    wire.frame(kinded(1, play.roster.encode()));
    wire.frame(kinded(0, encodeOpened(play.open(header))));
    return header;
  };
  const client = (i: number) => wires.dial(peerOf("client", zero.clients[i].seed), streams.submit);
  const dial = (kind = streams.broadcasts) =>
    wires.dial(peerOf("reader", zero.random.bytes(32)), kind);
  const first = zero.round();
  wires.to(streams.broadcasts)[0].frame(first.bytes);
  const next = () => {
    const one = zero.next([0, 1], 2);
    know(one);
    return one;
  };
  /** The watch heard of it. */
  const change = async (one: Play) => {
    committee.epochs.adopt([one.manifest]);
    role.hand(lineageOf(one));
    await wires.pass(1_000);
  };
  return {
    zero,
    wires,
    streams,
    role,
    committee,
    links,
    link,
    opens,
    client,
    dial,
    first,
    next,
    change,
    alive: () => alive,
  };
}

Deno.test("links to who left are closed, to who joined opened, to who stays begun anew", async () => {
  const a = await changing(540), before = a.links(), one = a.next();
  await a.change(one);
  const after = a.links();
  assert.deepEqual([...after.keys()].sort(), one.manifest.servers.map(hex).sort());
  for (const [id, wire] of before) {
    assert.ok(wire.closed !== undefined);
    assert.notEqual(after.get(id), wire);
  }
  await a.wires.pass(60_000);
  assert.equal(a.links().size, 4, "and nobody else is dialed again");
  const back = one.next([0, 1, 2, 3], 0, { servers: a.zero.manifest.servers });
  a.committee.epochs.adopt([back.manifest]);
  await a.wires.pass(1_000);
  assert.deepEqual([...a.links().keys()].sort(), a.zero.manifest.servers.map(hex).sort());
  a.role.stop();
  a.committee.epochs.adopt([back.next([0, 1], 1).manifest]);
  await a.wires.pass(60_000);
  assert.equal(a.links().size, 0);
});

Deno.test("the round of the old epoch ends, and one of the new is folded for the new servers", async () => {
  const a = await changing(541), { zero } = a, header = a.opens(zero, a.link(zero, 0));
  const old = zero.envelope(0, header), submit = a.client(0);
  const one = a.next();
  await a.change(one);
  submit.frame(old.bytes);
  assert.equal(submit.sent.length, 0, "no receipt for a round that is over");
  await a.wires.pass(60_000);
  // The new epoch counts the round that was open again.
  const again = a.opens(one, a.link(one, 0));
  assert.equal(again.round, header.round);
  submit.frame(old.bytes);
  assert.equal(submit.sent.length, 0);
  for (const i of [0, 1, 2, 3]) a.client(i).frame(one.envelope(i, again).bytes);
  for (const wire of a.links().values()) {
    const aggregate = decodeAggregate(wire.sent.at(-1)!, again, one.parameters);
    assert.deepEqual(participants(aggregate.bitmap), [0, 1, 2, 3]);
  }
  assert.equal(a.links().size, 4);
});

Deno.test("a header before its lineage ends the stream, one of an old epoch changes nothing", async () => {
  const a = await changing(542), one = a.next(), wire = a.link(a.zero, 0);
  const signs = a.alive();
  assert.equal(signs, 1, "a record is one");
  a.opens(one, wire);
  assert.equal(wire.closed, "a committee that is not known yet");
  await a.change(one);
  const live = a.dial(a.streams.liveRound);
  const late = a.zero.header({ round: 9, carry: false, messageBytes: 0 });
  a.opens(a.zero, a.link(one, 0), late);
  assert.deepEqual([live.sent.length, a.alive()], [0, signs]);
  const header = a.opens(one, a.link(one, 1));
  assert.deepEqual([live.sent.length, a.alive()], [1, signs + 1]);
  assert.ok(equal(live.sent[0].subarray(4, 4 + header.bytes.length), header.bytes));
});

Deno.test("subscribers stay: they get the records and the lineage of the new epoch", async () => {
  const a = await changing(543), feed = a.dial(), registry = a.dial(SERVER_REGISTRY);
  feed.frame(u64(0));
  assert.deepEqual(feed.sent.splice(0), [a.first.bytes]);
  feed.frame(u64(2));
  assert.deepEqual(registry.sent, [a.committee.lineage]);
  const one = a.next();
  await a.change(one);
  assert.deepEqual(registry.sent.slice(1), [lineageOf(one)]);
  assert.deepEqual(a.dial(SERVER_REGISTRY).sent, [lineageOf(one)]);
  const records: PlayedRound[] = [one.round(), one.round()];
  const [follows] = a.wires.to(a.streams.broadcasts);
  for (const { bytes } of records) follows.frame(bytes);
  assert.deepEqual(feed.sent, records.map(({ bytes }) => bytes));
  assert.deepEqual([feed.closed, registry.closed], [undefined, undefined]);
  registry.close("enough");
  await a.wires.pass(1);
  registry.send = () => assert.fail("who left is told nothing");
  a.role.hand(lineageOf(one));
});

Deno.test("a record that comes before its lineage reaches subscribers once that is known", async () => {
  const a = await changing(544), feed = a.dial(), one = a.next(), record = one.round();
  feed.frame(u64(2));
  const [wire] = a.wires.to(a.streams.broadcasts);
  wire.frame(record.bytes);
  assert.equal(wire.closed, "a committee that is not known yet");
  await a.change(one);
  const [follows] = a.wires.to(a.streams.broadcasts);
  assert.deepEqual(follows.sent, [u64(2)]);
  follows.frame(record.bytes);
  assert.deepEqual(feed.sent, [record.bytes]);
});
