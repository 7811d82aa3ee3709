/** Damaged frames at those who follow: a client, a reader, and whoever meets a committee. */
import assert from "node:assert/strict";
import { concat, hex, u32 } from "../../src/protocol/bytes.ts";
import { createReceipt } from "../../src/protocol/envelope.ts";
import { hash } from "../../src/protocol/hash.ts";
import { encodeLineage } from "../../src/protocol/lineage.ts";
import { signManifest } from "../../src/protocol/manifest.ts";
import { encodeProof } from "../../src/protocol/roster.ts";
import { meetCommittee } from "../../src/roles/committee.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { encodeWanted, WANTED } from "../../src/roles/evidence.ts";
import { ReaderRole, type Seen } from "../../src/roles/reader.ts";
import { CLIENT_REGISTRY, instanceStreams, SERVER_REGISTRY } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { badHeader, badRecord, fuzz, openedBy } from "./fuzz.ts";
import { Sender } from "./sender.ts";
import { peerOf, Wires } from "./wire.ts";

Deno.test("fuzz: opened headers at a client", async () => {
  const s = await new Sender(200).begin(), { play, live: wire } = s, header = play.header();
  const good = s.frame(header), proof = good.subarray(4 + header.bytes.length + 192);
  await fuzz({
    kind: "client: live-round",
    good,
    feed: (bytes) => wire.events.frame(bytes),
    state: () => `${s.envelopes} ${s.client.ready}`,
    forge(random) {
      const bytes = openedBy(play, badHeader(random, header.bytes));
      return concat(u32(bytes.length), bytes, proof);
    },
    // A header whose proof is cut off is still one: the client just does not stand in it.
    fair: (bytes) =>
      hex(bytes.subarray(0, good.length - proof.length)) ===
        hex(good.subarray(0, good.length - proof.length)),
    accepted: () => assert.equal(s.envelopes, 1),
  }, 1);
});

Deno.test("fuzz: the client's place beside an opened header", async () => {
  const s = await new Sender(201).begin(), { play, live: wire } = s;
  const header = play.header(), all = s.frame(header), at = 4 + header.bytes.length + 192;
  let round = header.round;
  const frame = (proof: Uint8Array) => {
    const bytes = openedBy(play, play.header({ round: round++ }).bytes);
    wire.events.frame(concat(u32(bytes.length), bytes, proof));
  };
  await fuzz(
    {
      kind: "client: roster proof",
      good: all.slice(at),
      feed: frame,
      state: () => `${s.envelopes} ${s.client.ready}`,
      forge: (random) =>
        encodeProof({ index: random.below(9), path: [random.bytes(32), random.bytes(32)] }),
      accepted: () => assert.equal(s.envelopes, 1),
      tidy: () => void s.wires.log.splice(0),
    },
    2,
    2_000,
  );
});

Deno.test("fuzz: records at a client", async () => {
  const s = await new Sender(202).begin(), { play } = s, played = play.round();
  const wire = s.broadcasts;
  s.wires.log.splice(0);
  await fuzz({
    kind: "client: broadcasts",
    silent: true,
    good: played.bytes,
    feed: (bytes) => wire.events.frame(bytes),
    state: () => `${s.rounds}`,
    forge: (random) => badRecord(random, play, played.certified.record),
    accepted: () => assert.equal(s.rounds, 1),
    tidy() {
      assert.equal(s.wires.log.every(({ event }) => event === "record refused"), true);
      s.wires.log.splice(0);
    },
  }, 3);
});

Deno.test("fuzz: answers to a registration, and receipts", async () => {
  const s = await new Sender(203).begin(), [registry] = s.wires.to(CLIENT_REGISTRY);
  const header = s.play.header(), envelope = s.read(s.show()!, header);
  const aggregator = s.play.aggregator, [submit] = s.wires.to(s.streams.submit);
  Object.assign(submit.peer, { key: aggregator.signer.key });
  const other = { ...envelope, index: 2 };
  await fuzz({
    kind: "client: submit",
    good: createReceipt(aggregator.signer, envelope),
    feed: (bytes) => submit.events.frame(bytes),
    state: () => `${s.client.ready}`,
    forge: (random) =>
      random.below(2)
        ? createReceipt(s.play.servers[0].signer, envelope)
        : createReceipt(aggregator.signer, { ...other, index: random.u32() }),
    accepted: () => assert.equal(s.client.ready, true),
  }, 4);
  const answer = concat(Uint8Array.of(1), new TextEncoder().encode("not on the list"));
  const texts = new Set<number>();
  await fuzz({
    kind: "client: client-registry",
    silent: true,
    good: answer,
    fair: (bytes) => bytes[0] === WANTED,
    feed(bytes) {
      registry.events.frame(bytes);
      texts.add(s.refused.length);
    },
    state: () => `${s.client.ready}`,
    accepted: () => assert.match(s.refused.at(-1)!, /not on the list/),
  }, 5);
  const wants = { ticket: false, token: true, collateral: false };
  await fuzz({
    kind: "client: what is wanted",
    good: encodeWanted(wants, s.play.random.bytes(40)),
    fair: (bytes) => bytes[0] !== WANTED,
    feed: (bytes) => registry.events.frame(bytes),
    state: () => `${s.client.ready}`,
    accepted: () => {},
  }, 6);
  assert.match(s.refused.at(-1)!, /asks for a token/);
  assert.ok(s.refused.every((text) => /^[ -~]*$/.test(text)), "what it tells is printable");
});

Deno.test("fuzz: records and opened headers at a reader", async () => {
  const play = new Play(204), { manifest } = play, header = play.header();
  const wires = new Wires("reader", play.random.bytes(32)),
    streams = instanceStreams(manifest.parameters);
  wires.known.push(...play.servers.map((s) => peerOf("server", s.seed)));
  const played = play.round([], header), log: Seen[] = [];
  let stopped = 0, starts = 0, ahead = 0, alive = 0;
  const start = () => {
    starts++;
    return new ReaderRole({
      network: wires,
      environment: wires.environment,
      epochs: new Epochs([manifest]),
      from: 0,
      record: (seen) => void log.push(seen),
      alive: () => void alive++,
      stopped: () => void stopped++,
    });
  };
  const reader = start();
  await wires.pass(1);
  const [live] = wires.to(streams.liveRound), opened = openedBy(play, header.bytes);
  await fuzz({
    kind: "reader: live-round",
    good: concat(u32(opened.length), opened),
    feed: (bytes) => live.events.frame(bytes),
    state: () => `${log.length} ${stopped} ${alive}`,
    forge(random) {
      const bytes = openedBy(play, badHeader(random, header.bytes));
      return concat(u32(bytes.length), bytes);
    },
    accepted: () => assert.equal(alive, 1),
  }, 6);
  reader.stop();
  await wires.pass(1);
  await fuzz({
    kind: "reader: broadcasts",
    silent: true,
    good: played.bytes,
    feed(bytes) {
      const one = start(), wire = wires.to(streams.broadcasts).at(-1)!;
      wire.events.frame(bytes);
      one.stop();
      // A record of another committee may be one of a later epoch.
      if (wire.closed === "a committee that is not known yet") ahead++;
      if (log.length === 0) assert.equal(stopped, starts - 1 - ahead);
    },
    state: () => `${log.length}`,
    forge: (random) => badRecord(random, play, played.certified.record),
    accepted: () => assert.equal(log.length, 1),
    tidy: () => void (wires.opened.length = wires.log.length = 0),
  }, 7);
});

Deno.test("fuzz: lineages at whoever meets a committee", async () => {
  const play = new Play(205), { manifest } = play;
  const wires = new Wires("reader", play.random.bytes(32));
  wires.known.push(...play.servers.map((s) => peerOf("server", s.seed)));
  let met = 0;
  const meeting = meetCommittee({
    network: wires,
    environment: wires.environment,
    instance: { id: manifest.instance, name: "example" },
    universe: "mosaik.universe",
    timeout: 60_000,
  }).then(() => met++);
  await wires.pass(1);
  const [wire] = wires.to(SERVER_REGISTRY);
  const sign = (m = manifest) =>
    encodeLineage([{
      manifest: m,
      signatures: play.servers.map((s) => signManifest(s.signer, m)),
    }]);
  await fuzz({
    kind: "reader: server-registry",
    good: sign(),
    feed: (bytes) => wire.events.frame(bytes),
    state: () => `${met} ${wires.log.filter(({ event }) => event === "committee met").length}`,
    forge(random) {
      const bytes = manifest.bytes.slice();
      const [at, value] = random.pick([
        [random.below(32), random.bytes(1)],
        [100, random.bytes(1)],
        [102, manifest.servers[1]],
        [102 + 96, Uint8Array.of(2 + random.below(200))],
        [102 + 97 + 4 * random.below(9), u32(random.below(2) ? 0 : 0xffffffff)],
      ] as [number, Uint8Array][]);
      bytes.set(value, at);
      const fingerprint = hash("manifest", bytes);
      const signatures = play.servers.map((s) => s.signer.sign("sign-manifest", fingerprint));
      return concat(u32(bytes.length), bytes, ...signatures);
    },
    accepted: () => assert.equal(wires.log.at(-1)?.event, "committee met"),
  }, 8);
  await meeting;
});
