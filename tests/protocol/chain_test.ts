/** A chain followed with nothing but the manifest, from sources that lie. */
import assert from "node:assert/strict";
import { hex, u64 } from "../../src/protocol/bytes.ts";
import { Chain, checkLink, genesis, headOf, readMessages } from "../../src/protocol/chain.ts";
import { createRecord, encodeCertified } from "../../src/protocol/record.ts";
import { Play, type PlayedRound } from "./play.ts";
import { refuses } from "./refuses.ts";

const play = new Play(160), { manifest } = play;
const first = play.talk(["one", undefined, "three"]), second = play.talk([undefined, "two"]);
const rounds = [first.reserved, first.talked, second.reserved, second.talked];
const text = (payload: Uint8Array) => new TextDecoder().decode(payload);

/** A chain that has read some rounds. */
function follow(list: readonly PlayedRound[], options = {}): Chain {
  const chain = new Chain(manifest, options);
  for (const { bytes } of list) chain.extend(bytes);
  return chain;
}
/** Whatever differs in a record, signed by everyone. */
function certify(on: Play, header: ReturnType<Play["header"]>, from: readonly number[]) {
  const aggregate = on.fold(header, from.map((i) => on.envelope(i, header)));
  const opened = { schedule: aggregate.schedule, messages: aggregate.messages };
  const record = createRecord(on.manifest, header, aggregate, new Uint8Array(32), opened);
  const certificate = on.servers.map((s) =>
    s.signer.sign("final", u64(record.header.round), record.hash)
  );
  return encodeCertified({ record, certificate });
}

Deno.test("from genesis every record is verified and every message read", () => {
  const chain = new Chain(manifest);
  assert.equal(hex(chain.head.hash), hex(genesis(manifest).hash));
  const read = rounds.map(({ bytes }) => chain.extend(bytes));
  assert.deepEqual(read.map((r) => r.messages.map((m) => text(m.payload)).sort()), [
    [],
    ["one", "three"],
    [],
    ["two"],
  ]);
  assert.deepEqual(read[1].messages.map((m) => [m.round, m.slot]), [[2, 0], [2, 1]]);
  assert.ok(read.every((r) => r.linked && r.badSlots === 0 && r.participants.length === 3));
  assert.deepEqual(chain.head, play.head);
});

Deno.test("from anywhere the first link is not claimed, all later ones are checked", () => {
  const chain = new Chain(manifest, { anywhere: true });
  const [, b, c, d] = rounds;
  const start = chain.extend(b.bytes);
  assert.deepEqual([start.linked, start.messages, start.badSlots], [false, [], 0]);
  refuses("chain", () => chain.extend(d.bytes));
  assert.ok(chain.extend(c.bytes).linked);
  assert.deepEqual(chain.extend(d.bytes).messages.map((m) => text(m.payload)), ["two"]);
  const whole = new Chain(manifest, { anywhere: true });
  assert.ok(whole.extend(rounds[0].bytes).linked, "round 1 follows genesis, which is known");
});

Deno.test("from anywhere a record still needs its certificate and its participants", () => {
  const bytes = rounds[2].bytes.slice();
  bytes[bytes.length - 200] ^= 1;
  refuses("signature", () => new Chain(manifest, { anywhere: true }).extend(bytes));
  const few = certify(play, play.header(), [0, 1]);
  refuses("chain", () => new Chain(manifest, { anywhere: true }).extend(few), /participants/);
});

Deno.test("skipped, repeated and reordered records are refused, and change nothing", () => {
  const chain = follow(rounds.slice(0, 2)), before = hex(chain.head.hash);
  for (const wrong of [rounds[0], rounds[1], rounds[3]]) {
    refuses("chain", () => chain.extend(wrong.bytes));
    assert.equal(hex(chain.head.hash), before);
  }
  chain.extend(rounds[2].bytes);
  refuses("chain", () => new Chain(manifest).extend(rounds[1].bytes));
});

Deno.test("an altered record in a chain is refused, at every byte that was tried", () => {
  const { bytes } = rounds[1];
  for (let at = 0; at < bytes.length; at += 41) {
    const altered = bytes.slice();
    altered[at] ^= 1 << (at % 8);
    const chain = follow(rounds.slice(0, 1));
    assert.throws(() => chain.extend(altered), { name: "ProtocolError" }, `byte ${at}`);
    assert.equal(chain.head.round, 1);
    chain.extend(bytes);
  }
});

Deno.test("gaps in round numbers are void rounds", () => {
  const gap = new Play(161);
  const far = gap.round([], gap.header({ round: 1_000 }));
  assert.equal(new Chain(gap.manifest).extend(far.bytes).record.header.round, 1_000);
});

Deno.test("a certified record on the right hash with a round that does not rise is refused", () => {
  const stale = certify(play, play.header({ round: play.head.round }), [0, 1, 2]);
  refuses("chain", () => follow(rounds).extend(stale), /rise/);
});

Deno.test("a certified record with too few participants or another layout is refused", () => {
  const chain = follow(rounds);
  refuses("chain", () => chain.extend(certify(play, play.header(), [0, 1])), /participants/);
  const longer = play.header({ messageBytes: 64 });
  refuses("chain", () => chain.extend(certify(play, longer, [0, 1, 2])), /message bytes/);
  const carried = new Play(162), header = carried.header({ carry: true, messageBytes: 0 });
  const onGenesis = certify(carried, header, [0, 1, 2]);
  refuses("chain", () => new Chain(carried.manifest).extend(onGenesis), /genesis/);
});

Deno.test("with carry 0 the grants lapse and the round has no messages", () => {
  const lapse = new Play(163), header = lapse.header();
  const reserved = lapse.round(
    [lapse.vectors(header, { reserve: lapse.slot(header, "lost").slot })],
    header,
  );
  const empty = lapse.round([], lapse.header({ carry: false, messageBytes: 0 }));
  const chain = new Chain(lapse.manifest);
  chain.extend(reserved.bytes);
  assert.equal(chain.head.layout.grants.length, 1);
  const read = chain.extend(empty.bytes);
  assert.deepEqual([read.messages, read.badSlots], [[], 0]);
});

Deno.test("a slot that somebody garbled, or that stayed empty, is counted and not read", () => {
  const jam = new Play(164), header = jam.header();
  const texts = ["left alone", "overwritten", "never sent"];
  const slots = texts.map((t) => jam.slot(header, t).slot);
  const reserved = jam.round(slots.map((reserve) => jam.vectors(header, { reserve })), header);
  const before = jam.head, next = jam.header(), [a, b] = slots;
  const vectors = [jam.vectors(next, { talk: a }), jam.vectors(next, { talk: b }), undefined];
  const grant = before.layout.grants.find((g) => {
    const sent = vectors[1]!.messages;
    return sent.subarray(g.offset, g.offset + g.length).some((byte) => byte !== 0);
  })!;
  const noise = jam.vectors(next);
  noise.messages.set(jam.random.bytes(grant.length), grant.offset);
  const garbled = jam.round([vectors[0], vectors[1], noise], next);
  const chain = new Chain(jam.manifest);
  chain.extend(reserved.bytes);
  const read = chain.extend(garbled.bytes);
  assert.deepEqual(read.messages.map((m) => text(m.payload)), ["left alone"]);
  assert.equal(read.badSlots, 2);
});

Deno.test("a reservation table that does not decode grants nothing and stops nothing", () => {
  const jam = new Play(165), header = jam.header(), vectors = jam.vectors(header);
  vectors.schedule.set(jam.random.bytes(vectors.schedule.length));
  const reserve = jam.slot(header, "unlucky").slot;
  const jammed = jam.round([vectors, jam.vectors(header, { reserve })], header);
  const chain = new Chain(jam.manifest);
  chain.extend(jammed.bytes);
  assert.deepEqual(chain.head.layout, { grants: [], bytes: 0, complete: false });
  const { reserved, talked } = jam.talk(["after all"]);
  chain.extend(reserved.bytes);
  assert.deepEqual(chain.extend(talked.bytes).messages.map((m) => text(m.payload)), ["after all"]);
});

Deno.test("readers, links and heads agree with each other", () => {
  const { record } = first.talked.certified, { before } = first;
  checkLink(record, before, manifest);
  assert.equal(readMessages(record, before, manifest).messages.length, 2);
  assert.equal(readMessages(record, genesis(manifest), manifest).messages.length, 0);
  assert.equal(headOf(record, manifest).round, 2);
});
