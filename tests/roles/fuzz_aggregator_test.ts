/** Damaged frames at the aggregator: envelopes of clients, rosters and headers of servers. */
import assert from "node:assert/strict";
import { decodeAggregate, Fold, participants } from "../../src/protocol/aggregate.ts";
import { concat, hex, u32, u64 } from "../../src/protocol/bytes.ts";
import { createEnvelope } from "../../src/protocol/envelope.ts";
import { signer } from "../../src/protocol/keys.ts";
import { encodeLineage } from "../../src/protocol/lineage.ts";
import { signManifest } from "../../src/protocol/manifest.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { NEWEST } from "../../src/roles/feed.ts";
import { Aggregator } from "../../src/roles/aggregator.ts";
import { instanceStreams } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { badHeader, badRecord, fuzz, openedBy } from "./fuzz.ts";
import { kinded, peerOf, Wires } from "./wire.ts";

async function started(seed: number, below: readonly Uint8Array[] = []) {
  const play = new Play(seed, { servers: 3, clients: 4 }), { manifest } = play;
  const wires = new Wires("aggregator", play.aggregator.seed),
    streams = instanceStreams(manifest.parameters);
  wires.known.push(...play.servers.map((s) => peerOf("server", s.seed)));
  const { environment } = wires, { signer: own } = play.aggregator;
  const role = new Aggregator({ network: wires, environment, signer: own, below });
  const signatures = play.servers.map((s) => signManifest(s.signer, manifest));
  const lineage = encodeLineage([{ manifest, signatures }]);
  role.start({ epochs: new Epochs([manifest]), lineage });
  await wires.pass(0);
  const [server, other] = wires.to(streams.aggregate), [client] = play.clients;
  const submit = wires.dial(peerOf("client", client.seed), streams.submit);
  const live = wires.dial(peerOf("client", client.seed), streams.liveRound);
  return { play, wires, streams, server, other, submit, live };
}

Deno.test("fuzz: rosters and opened headers at an aggregator", async () => {
  const { play, server, live, submit } = await started(220), header = play.header();
  const roster = kinded(1, play.roster.encode());
  const opened = kinded(0, openedBy(play, header.bytes));
  const places = [5, 5 + 64, 5 + 128];
  await fuzz({
    kind: "aggregator: roster",
    good: roster,
    // A roster that is not the header's opens nothing; that it is one is all that is known of it.
    feed(bytes) {
      server.events.frame(bytes);
      if (hex(bytes) !== hex(roster)) server.events.frame(opened);
    },
    state: () => `${live.sent.length}`,
    forge(random) {
      const out = roster.slice(), at = random.pick(places);
      if (random.below(2)) out.set(new Uint8Array(32), at);
      else out.set(roster.subarray(5 + 192, 5 + 192 + 32), at);
      if (random.below(8) === 0) out.set(u32(random.u32() | 0x10000), 1);
      return out;
    },
    accepted: () => assert.equal(server.closed, undefined),
  }, 31);
  await fuzz({
    kind: "aggregator: opened header",
    good: opened,
    feed: (bytes) => server.events.frame(bytes),
    // What is no header may be a roster; the next right one mends it.
    fair: (bytes) => bytes[0] === 1,
    state: () => `${live.sent.length}`,
    forge: (random) => kinded(0, openedBy(play, badHeader(random, header.bytes))),
    accepted: () => assert.equal(live.sent.length, 1),
  }, 32);
  submit.frame(play.envelope(0, header).bytes);
  assert.equal(submit.sent.length, 1);
});

Deno.test("fuzz: envelopes at an aggregator", async () => {
  const { play, wires, server, submit } = await started(221), header = play.header();
  server.frame(kinded(1, play.roster.encode()));
  server.frame(kinded(0, openedBy(play, header.bytes)));
  const good = play.envelope(0, header), [{ signer }] = play.clients;
  await fuzz({
    kind: "aggregator: submit",
    good: good.bytes,
    feed: (bytes) => submit.events.frame(bytes),
    state: () => `${submit.sent.length}`,
    forge(random) {
      const index = random.pick([1, 2, 3, 4, 2 ** 31, random.u32() | 8]);
      const { schedule, messages } = good, short = schedule.subarray(64);
      return random.below(2)
        ? createEnvelope(signer, header.hash, index, good).bytes
        : createEnvelope(signer, header.hash, 0, {
          schedule: short,
          messages: schedule.subarray(0, 64 + messages.length),
        }).bytes;
    },
    tidy: () => void (wires.log.length = 0),
    accepted: () => assert.equal(submit.sent.length, 1),
  }, 33);
  for (const i of [1, 2, 3]) submit.frame(play.envelope(i, header).bytes);
  const all = [0, 1, 2, 3].map((i) => play.envelope(i, header));
  assert.equal(hex(server.sent[0]), hex(play.fold(header, all).bytes));
});

Deno.test("fuzz: records at an aggregator, and what subscribers ask for", async () => {
  const { play, wires, streams } = await started(222), played = play.round();
  const [wire] = wires.to(streams.broadcasts);
  const reader = wires.dial(peerOf("reader", play.random.bytes(32)), streams.broadcasts);
  reader.frame(u64(NEWEST));
  assert.deepEqual(reader.sent.splice(0), [u64(0)], "there is none yet");
  await fuzz({
    kind: "aggregator: broadcasts, in",
    silent: true,
    good: played.bytes,
    feed: (bytes) => wire.events.frame(bytes),
    state: () => `${reader.sent.length}`,
    forge: (random) => badRecord(random, play, played.certified.record),
    tidy: () => void (wires.log.length = 0),
    accepted: () => assert.equal(reader.sent.length, 1),
  }, 34);
  const late = wires.dial(peerOf("reader", play.random.bytes(32)), streams.broadcasts);
  await fuzz({
    kind: "aggregator: broadcasts, out",
    good: u64(1),
    feed(bytes) {
      late.sent.length = 0;
      late.events.frame(bytes);
      assert.ok(late.sent.length <= 1);
    },
    // To ask for another round is fair; it gets what there is, or nothing.
    fair: (bytes) => bytes.length === 8 && bytes[7] === 0 && bytes[6] < 0x20,
    state: () => "nothing",
    accepted: () => assert.equal(late.sent.length, 1),
  }, 35);
});

Deno.test("fuzz: parts of an aggregator below another", async () => {
  const child = signer(new Uint8Array(32).fill(5)), other = signer(new Uint8Array(32).fill(6));
  const { play, wires, streams, server, submit } = await started(223, [child.key, other.key]);
  const header = play.header();
  const dial = (seed: number) =>
    wires.dial(peerOf("aggregator", new Uint8Array(32).fill(seed)), streams.aggregate);
  const below = dial(5), silent = dial(6);
  assert.throws(() => dial(7), /aggregate refused/);
  server.frame(kinded(1, play.roster.encode()));
  server.frame(kinded(0, openedBy(play, header.bytes)));
  assert.deepEqual(below.sent.map(([kind]) => kind), [1, 0], "a roster and the header");
  submit.frame(play.envelope(0, header).bytes);
  const fold = new Fold(header, play.parameters);
  for (const i of [1, 2, 3]) fold.add(play.envelope(i, header));
  const { bytes, bitmap } = fold.seal(child);
  await wires.pass(play.parameters.foldDeadline);
  assert.equal(server.sent.length, 0, "it waits for those below");
  silent.close("gone");
  await wires.pass(0);
  await fuzz({
    kind: "aggregator: part",
    good: bytes,
    feed: (frame) => below.events.frame(frame),
    // Its word that it has nothing: then it is not waited for any more.
    fair: (frame) => hex(frame) === hex(header.hash),
    state: () => `${server.sent.length}`,
    forge(random) {
      const at = random.pick([36, 36 + bitmap.length + 32, bytes.length - 96]);
      const out = bytes.slice(0, -64);
      out.set(at === 36 ? [0x10 | bitmap[0]] : random.bytes(4), at);
      return concat(out, child.sign("sign-aggregate", random.bytes(32)));
    },
    tidy: () => void (wires.log.length = 0),
    accepted: () => assert.equal(server.sent.length, 1),
  }, 36);
  const all = decodeAggregate(server.sent[0], header, play.parameters);
  assert.deepEqual(participants(all.bitmap), [0, 1, 2, 3]);
  assert.equal(hex(all.aggregator), hex(play.aggregator.signer.key), "it hands over as its own");
});
