/** Clients that lie to the aggregator, and servers that do. */
import assert from "node:assert/strict";
import { equal } from "../../src/protocol/bytes.ts";
import { createEnvelope, type Envelope } from "../../src/protocol/envelope.ts";
import { decodeAggregate, participants } from "../../src/protocol/aggregate.ts";
import { encodeOpened } from "../../src/protocol/opened.ts";
import { encodeLineage } from "../../src/protocol/lineage.ts";
import { signManifest } from "../../src/protocol/manifest.ts";
import { Aggregator } from "../../src/roles/aggregator.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { instanceStreams } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { refuses } from "../protocol/refuses.ts";
import { kinded, peerOf, type Wire, Wires } from "./wire.ts";

/** An aggregator with an open round, its streams to the servers, and what it sealed. */
async function folding(seed: number) {
  const play = new Play(seed, { servers: 3, clients: 4 }), { manifest } = play;
  const wires = new Wires("aggregator", play.aggregator.seed),
    streams = instanceStreams(manifest.parameters);
  wires.known.push(...play.servers.map((s) => peerOf("server", s.seed)));
  const role = new Aggregator({
    network: wires,
    environment: wires.environment,
    signer: play.aggregator.signer,
  });
  const signatures = play.servers.map((s) => signManifest(s.signer, manifest));
  const lineage = encodeLineage([{ manifest, signatures }]);
  role.start({ epochs: new Epochs([manifest]), lineage });
  await wires.pass(0);
  const [server] = wires.to(streams.aggregate), header = play.header();
  server.frame(kinded(1, play.roster.encode()));
  const open = (h = header) => server.frame(kinded(0, encodeOpened(play.open(h))));
  const client = (i: number) => wires.dial(peerOf("client", play.clients[i].seed), streams.submit);
  const sealed = () => {
    const bytes = server.sent.at(-1);
    return bytes && decodeAggregate(bytes, header, manifest.parameters);
  };
  return { play, wires, streams, server, header, open, client, sealed };
}

const receipts = (wire: Wire) => wire.sent.length;

Deno.test("envelopes of all four are folded once each, and each gets a receipt", async () => {
  const { play, header, open, client, sealed } = await folding(50);
  open();
  const wires = [0, 1, 2, 3].map(client);
  wires.forEach((wire, i) => wire.frame(play.envelope(i, header).bytes));
  assert.deepEqual(wires.map(receipts), [1, 1, 1, 1]);
  const all = [0, 1, 2, 3].map((i) => play.envelope(i, header));
  assert.deepEqual(sealed()!.digest, play.fold(header, all).digest);
});

/** A client sends something bad first; the round is that of the other three and its own good one. */
async function survives(seed: number, bad: (play: Play, good: Envelope) => Uint8Array) {
  const { play, header, open, client, sealed } = await folding(seed);
  open();
  const good = play.envelope(0, header), liar = client(3);
  refuses("signature", () => liar.frame(bad(play, good)));
  assert.ok(liar.closed !== undefined);
  for (const i of [0, 1, 2, 3]) client(i).frame(play.envelope(i, header).bytes);
  assert.deepEqual(participants(sealed()!.bitmap), [0, 1, 2, 3]);
  const all = [0, 1, 2, 3].map((i) => play.envelope(i, header));
  assert.deepEqual(sealed()!.digest, play.fold(header, all).digest);
}

Deno.test("an envelope in another client's name is refused", async () => {
  await survives(
    51,
    (play, { header, ...v }) => createEnvelope(play.clients[3].signer, header, 0, v).bytes,
  );
});

Deno.test("an envelope with a forged signature is refused", async () => {
  await survives(52, (_, { bytes }) => bytes.with(-1, bytes.at(-1)! ^ 1));
});

Deno.test("an envelope at a place where nobody stands is refused", async () => {
  const { play, server, open, client } = await folding(53);
  play.roster.set(3, undefined);
  server.frame(kinded(1, play.roster.encode()));
  const header = play.header();
  open(header);
  refuses("signature", () => client(3).frame(play.envelope(3, header).bytes));
});

Deno.test("an envelope past the roster, or of another length, is refused", async () => {
  const { play, header, open, client } = await folding(54);
  open();
  const { schedule, messages } = play.envelope(0, header), { signer } = play.clients[0];
  const past = createEnvelope(signer, header.hash, 4, { schedule, messages });
  refuses("range", () => client(0).frame(past.bytes));
  const long = createEnvelope(signer, header.hash, 0, { schedule, messages: new Uint8Array(64) });
  refuses("range", () => client(0).frame(long.bytes));
});

Deno.test("an envelope that is sent again, by whomever, is folded once", async () => {
  const { play, header, open, client, sealed } = await folding(55);
  open();
  const { bytes } = play.envelope(0, header), mine = client(0), other = client(3);
  for (const wire of [mine, mine, other]) wire.frame(bytes);
  assert.equal(receipts(mine), 2, "a repeat is answered by the same receipt");
  assert.ok(equal(mine.sent[0], mine.sent[1]));
  for (const i of [1, 2, 3]) client(i).frame(play.envelope(i, header).bytes);
  const all = [0, 1, 2, 3].map((i) => play.envelope(i, header));
  assert.deepEqual(sealed()!.digest, play.fold(header, all).digest);
});

Deno.test("a second, different envelope under one header is refused; the first stands", async () => {
  const { play, header, open, client, sealed } = await folding(56);
  open();
  const vectors = play.vectors(header, { reserve: play.slot(header, "two").slot });
  const liar = client(0);
  liar.frame(play.envelope(0, header).bytes);
  refuses("encoding", () => liar.frame(play.envelope(0, header, vectors).bytes));
  for (const i of [1, 2, 3]) client(i).frame(play.envelope(i, header).bytes);
  const all = [0, 1, 2, 3].map((i) => play.envelope(i, header));
  assert.deepEqual(sealed()!.digest, play.fold(header, all).digest);
});

Deno.test("an envelope for an old header is not folded and not answered", async () => {
  const { play, header, open, client } = await folding(57);
  open();
  const old = play.envelope(0, header), wire = client(0);
  const next = play.header({ round: header.round + 1 });
  open(next);
  wire.frame(old.bytes);
  assert.equal(receipts(wire), 0);
  wire.frame(play.envelope(0, next).bytes);
  assert.equal(receipts(wire), 1);
});

Deno.test("below the minimum it hands over what it has, and again, not too often, what comes", async () => {
  const { play, wires, header, open, client, server } = await folding(58);
  const { foldDeadline } = play.parameters;
  open();
  const sizes = () =>
    server.sent.map((bytes) => {
      if (bytes.length === 32) return equal(bytes, header.hash) ? 0 : -1;
      return participants(decodeAggregate(bytes, header, play.parameters).bitmap).length;
    });
  const submit = (i: number) => client(i).frame(play.envelope(i, header).bytes);
  await wires.pass(foldDeadline - 1);
  assert.deepEqual(sizes(), []);
  await wires.pass(1);
  assert.deepEqual(sizes(), [0]);
  submit(0);
  assert.deepEqual(sizes(), [0], "at once again");
  await wires.pass(foldDeadline / 8);
  assert.deepEqual(sizes(), [0, 1]);
  submit(1);
  submit(2);
  assert.deepEqual(sizes(), [0, 1, 3], "enough goes at once");
  submit(3);
  await wires.pass(10 * foldDeadline);
  assert.deepEqual(sizes(), [0, 1, 3]);
});

Deno.test("after it was sealed a round takes nobody in: one set a header", async () => {
  const { play, wires, header, open, client, server } = await folding(59);
  open();
  for (const i of [0, 1, 2]) client(i).frame(play.envelope(i, header).bytes);
  await wires.pass(play.parameters.foldDeadline + 1);
  const late = client(3);
  late.frame(play.envelope(3, header).bytes);
  client(0).frame(play.envelope(0, header).bytes);
  assert.deepEqual([server.sent.length, receipts(late)], [1, 0]);
});

Deno.test("a server's header without every OPEN, or with another roster, opens nothing", async () => {
  const { play, streams, wires, header, client } = await folding(60);
  const wire = client(0), [a, b] = wires.to(streams.aggregate).slice(1);
  const { opens } = play.open(header);
  b.frame(kinded(1, play.roster.encode()));
  const bad = { header, opens: opens.with(2, opens[1]) };
  refuses("signature", () => b.frame(kinded(0, encodeOpened(bad))));
  const other = play.roster.clone();
  other.set(0, undefined);
  a.frame(kinded(1, other.encode()));
  refuses("mismatch", () => a.frame(kinded(0, encodeOpened(play.open(header)))));
  wire.frame(play.envelope(0, header).bytes);
  assert.equal(receipts(wire), 0);
});
