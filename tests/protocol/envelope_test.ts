/** Envelopes and their fold, against clients and aggregators that cheat. */
import assert from "node:assert/strict";
import {
  decodeAggregate,
  Fold,
  maxAggregateBytes,
  participants,
  participates,
} from "../../src/protocol/aggregate.ts";
import { concat, hex, u32 } from "../../src/protocol/bytes.ts";
import {
  checkEnvelope,
  checkReceipt,
  createEnvelope,
  createReceipt,
  decodeEnvelope,
  maxEnvelopeBytes,
} from "../../src/protocol/envelope.ts";
import { scheduleBytes } from "../../src/protocol/parameters.ts";
import { merkle } from "./oracle.ts";
import { Play } from "./play.ts";
import { refuses } from "./refuses.ts";

const play = new Play(120, { servers: 3, clients: 9 }), p = play.parameters;
const earlier = play.header();
const replayed = play.envelope(0, earlier);
play.round([play.vectors(earlier, { reserve: play.slot(earlier, "a text").slot })], earlier);
const header = play.header(), envelopes = play.clients.map((_, i) => play.envelope(i, header));
const decode = (bytes: Uint8Array) => decodeEnvelope(bytes, header, p);
/** What an aggregator does with bytes that came in. */
const accept = (bytes: Uint8Array) => {
  const envelope = decode(bytes);
  checkEnvelope(envelope, play.roster.at(envelope.index)?.client);
  return envelope;
};

Deno.test("an envelope comes back and is its client's own", () => {
  for (const [i, envelope] of envelopes.entries()) {
    const read = accept(envelope.bytes);
    assert.deepEqual([read.index, hex(read.hash)], [i, hex(envelope.hash)]);
    assert.ok(read.bytes.length <= maxEnvelopeBytes(p));
  }
});

Deno.test("an envelope of an earlier round is refused, replayed or relabelled", () => {
  refuses("mismatch", () => accept(replayed.bytes));
  const { bytes } = replayed, quiet = play.header({ carry: false });
  refuses("mismatch", () => decodeEnvelope(bytes, quiet, p));
  const moved = concat(quiet.hash, bytes.subarray(32));
  refuses("signature", () => {
    const envelope = decodeEnvelope(moved, quiet, p);
    checkEnvelope(envelope, play.roster.at(0)!.client);
  });
});

Deno.test("an envelope at another's index, nobody's index or past the roster is refused", () => {
  const { bytes } = envelopes[0];
  const at = (index: number) => concat(bytes.subarray(0, 32), u32(index), bytes.subarray(36));
  refuses("signature", () => accept(at(1)));
  refuses("range", () => accept(at(9)));
  refuses("range", () => accept(at(2 ** 32 - 1)));
  refuses("signature", () => checkEnvelope(decode(bytes), undefined));
  const own = createEnvelope(play.clients[0].signer, header.hash, 1, envelopes[0]);
  refuses("signature", () => accept(own.bytes));
});

Deno.test("vectors of another length are refused", () => {
  const vectors = play.vectors(header), { signer } = play.clients[0];
  for (const length of [0, 63, 65, 128]) {
    const messages = new Uint8Array(length);
    const made = createEnvelope(signer, header.hash, 0, { ...vectors, messages });
    refuses("range", () => accept(made.bytes));
  }
  for (const length of [0, scheduleBytes(p) - 24, scheduleBytes(p) + 24]) {
    const schedule = new Uint8Array(length);
    const made = createEnvelope(signer, header.hash, 0, { ...vectors, schedule });
    refuses("range", () => accept(made.bytes));
  }
});

Deno.test("a second envelope of an index under one header is not folded", () => {
  const fold = new Fold(header, p);
  fold.add(envelopes[2]);
  const before = fold.seal(play.aggregator.signer).digest;
  const other = play.envelope(2, header, play.vectors(header, { reserve: new Uint8Array(64) }));
  refuses("encoding", () => fold.add(envelopes[2]));
  refuses("encoding", () => fold.add(other));
  assert.equal(fold.size, 1);
  assert.equal(hex(fold.folded(2)!), hex(envelopes[2].hash));
  assert.equal(fold.folded(3), undefined);
  assert.equal(hex(fold.seal(play.aggregator.signer).digest), hex(before));
});

Deno.test("an envelope for another header is not folded and leaves no trace", () => {
  const fold = new Fold(header, p);
  refuses("mismatch", () => fold.add(replayed));
  assert.equal(fold.size, 0);
  const { bitmap } = fold.seal(play.aggregator.signer);
  assert.deepEqual(participants(bitmap), []);
});

Deno.test("the fold does not depend on the order of arrival; root and bitmap go by index", () => {
  const some = [8, 0, 3].map((i) => envelopes[i]), sorted = [0, 3, 8].map((i) => envelopes[i]);
  const one = play.fold(header, some), two = play.fold(header, sorted);
  assert.equal(hex(one.bytes), hex(two.bytes));
  assert.deepEqual(participants(one.bitmap), [0, 3, 8]);
  assert.equal(hex(one.bitmap), "0901");
  assert.ok(participates(one.bitmap, 3) && !participates(one.bitmap, 4));
  assert.equal(hex(one.root), hex(merkle(sorted.map((e) => e.hash))));
});

Deno.test("sealing does not end a fold: what comes later is in the next seal only", () => {
  const fold = new Fold(header, p);
  fold.add(envelopes[0]);
  const first = fold.seal(play.aggregator.signer), copy = hex(first.schedule);
  fold.add(envelopes[1]);
  assert.equal(hex(first.schedule), copy);
  assert.equal(
    hex(fold.seal(play.aggregator.signer).bytes),
    hex(play.fold(header, envelopes.slice(0, 2)).bytes),
  );
});

Deno.test("an aggregate comes back; a changed, foreign or over-full one is refused", () => {
  const { bytes, digest } = play.fold(header, envelopes);
  const read = (b: Uint8Array) => decodeAggregate(b, header, p);
  assert.equal(hex(read(bytes).digest), hex(digest));
  assert.ok(bytes.length <= maxAggregateBytes(p));
  refuses("mismatch", () => decodeAggregate(bytes, earlier, p));
  const changed = (at: number, xor: number) => {
    const out = bytes.slice();
    out[at] ^= xor;
    return out;
  };
  refuses("encoding", () => read(changed(37, 0x02)), /past the roster/);
  refuses("encoding", () => read(changed(37, 0x80)));
  refuses("signature", () => read(changed(36, 0x01)));
  refuses("signature", () => read(changed(80, 1)));
  refuses("signature", () => read(changed(bytes.length - 90, 1)));
  refuses("range", () => read(changed(32, 1)));
});

Deno.test("a receipt is of one envelope and one aggregator", () => {
  const { signer } = play.aggregator, receipt = createReceipt(signer, envelopes[4]);
  checkReceipt(receipt, signer.key, envelopes[4]);
  refuses("mismatch", () => checkReceipt(receipt, signer.key, envelopes[5]));
  refuses("signature", () => checkReceipt(receipt, play.clients[0].signer.key, envelopes[4]));
  const other = play.envelope(4, header, play.vectors(header, { reserve: new Uint8Array(64) }));
  refuses("mismatch", () => checkReceipt(receipt, signer.key, other));
});
