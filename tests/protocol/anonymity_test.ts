/**
 * What an envelope shows of what its sender did: nothing, while one server keeps its pads.
 *
 * Uniformity is tested by chi-square over 16 bins (the high, then the low half of each byte) at
 * every byte position. Bounds: 70 for the worst of the 4 × 3,328 statistics of 15 degrees of freedom
 * (uniform bytes exceed it in fewer than 1 of 10,000 seeds), five standard deviations for their sum.
 */
import assert from "node:assert/strict";
import { concat, hex } from "../../src/protocol/bytes.ts";
import {
  createEnvelope,
  joinVectors,
  splitVectors,
  type Vectors,
} from "../../src/protocol/envelope.ts";
import { pairKey, signer } from "../../src/protocol/keys.ts";
import { applyPads, xchacha20 } from "../../src/protocol/pad.ts";
import { createRecord } from "../../src/protocol/record.ts";
import { scheduleBytes } from "../../src/protocol/parameters.ts";
import { Play, type PlayedRound, SMALL } from "./play.ts";
import { Random } from "./random.ts";

const ROLES = ["talks", "reserves", "covers"] as const;
type Role = (typeof ROLES)[number];
const WORST = 70;

/** A stage whose head grants 128 bytes: one slot to each of clients 0 and 1. */
function granted(seed: number) {
  const play = new Play(seed), first = play.header();
  const slots = ["mine", "another's"].map((text) => play.slot(first, text).slot);
  play.round(slots.map((reserve) => play.vectors(first, { reserve })), first);
  return { play, header: play.header(), slots };
}

/** What a client of a role puts into its vectors. */
function vectorsOf(role: Role, stage: ReturnType<typeof granted>): Vectors {
  const { play, header, slots } = stage;
  if (role === "covers") return play.vectors(header);
  if (role === "talks") return play.vectors(header, { talk: slots[0] });
  return play.vectors(header, { reserve: play.slot(header, "the next").slot });
}

/** Counts of byte halves by position. */
class Halves {
  readonly #counts: Uint32Array;
  #samples = 0;
  constructor(readonly length: number) {
    this.#counts = new Uint32Array(2 * 16 * length);
  }
  add(bytes: Uint8Array): void {
    this.#samples++;
    for (let i = 0; i < this.length; i++) {
      this.#counts[32 * i + (bytes[i] >>> 4)]++;
      this.#counts[32 * i + 16 + (bytes[i] & 15)]++;
    }
  }
  /** Chi-square of each half of each position. */
  statistics(): number[] {
    const expected = this.#samples / 16;
    return Array.from({ length: 2 * this.length }, (_, which) => {
      let sum = 0;
      for (let bin = 0; bin < 16; bin++) {
        sum += (this.#counts[16 * which + bin] - expected) ** 2 / expected;
      }
      return sum;
    });
  }
  get uniform(): boolean {
    const all = this.statistics(), total = all.reduce((sum, x) => sum + x, 0);
    const mean = 15 * all.length, deviation = Math.sqrt(2 * mean);
    return Math.max(...all) < WORST && Math.abs(total - mean) < 5 * deviation;
  }
}

Deno.test("10,000 envelopes are uniform noise under one server's pads, and not without them", () => {
  const stage = granted(170), { play, header } = stage, random = new Random(171);
  const length = scheduleBytes(SMALL) + header.messageBytes;
  assert.equal(length, 1_536 + 128);
  const hidden = ROLES.map(() => new Halves(length)), bare = ROLES.map(() => new Halves(length));
  const all = new Halves(length), sizes = new Set<number>();
  const client = signer(random.bytes(32));
  const roles = ROLES.map((role) => Array.from({ length: 16 }, () => vectorsOf(role, stage)));
  for (let i = 0; i < 10_000; i++) {
    const role = i % 3,
      keys = play.servers.map((s) =>
        pairKey(random.bytes(32), {
          instance: play.manifest.instance,
          client: { key: client.key, agreement: random.bytes(32) },
          server: { key: s.signer.key, agreement: s.agreement.key },
        })
      );
    const padded = applyPads(xchacha20, keys, header.hash, joinVectors(roles[role][i % 16]));
    const sent = createEnvelope(client, header.hash, 0, splitVectors(padded, SMALL));
    sizes.add(sent.bytes.length);
    const [last, ...others] = keys;
    const left = applyPads(xchacha20, others, header.hash, joinVectors(sent));
    hidden[role].add(left);
    all.add(left);
    bare[role].add(applyPads(xchacha20, [last], header.hash, left));
  }
  assert.equal(sizes.size, 1, "one length");
  ROLES.forEach((role, i) => {
    assert.ok(hidden[i].uniform, `a client that ${role} shows under one pad`);
    assert.ok(!bare[i].uniform, `a client that ${role} does not show without pads`);
  });
  assert.ok(all.uniform);
});

/** One round of the same seed, header, roster and others, in which client 0 plays a role. */
function played(role: Role): PlayedRound {
  const stage = granted(172), { play, header } = stage;
  const vectors = vectorsOf(role, stage);
  // The blinds must not depend on how much randomness the role took.
  play.random = new Random(173);
  return play.round([vectors], header);
}
const rounds = ROLES.map(played);

Deno.test("whatever a client does, its envelope has one length and the same bytes around its vectors", () => {
  const around = rounds.map(({ envelopes: [e] }) => {
    const messages = 32 + 4 + 4 + e.schedule.length;
    return {
      length: e.bytes.length,
      before: hex(e.bytes.subarray(0, 40)),
      between: hex(e.bytes.subarray(messages, messages + 4)),
      after: e.bytes.length - messages - 4 - e.messages.length,
    };
  });
  assert.deepEqual(around[1], around[0]);
  assert.deepEqual(around[2], around[0]);
  assert.equal(around[0].after, 64);
  assert.equal(new Set(rounds.map((r) => hex(r.envelopes[0].hash))).size, 3);
  for (const i of [1, 2]) {
    assert.equal(new Set(rounds.map((r) => hex(r.envelopes[i].bytes))).size, 1, "others' too");
  }
});

Deno.test("the aggregate and the record differ in their vectors and what is computed from them alone", () => {
  const rest = rounds.map(({ aggregate, certified: { record }, shares }) => ({
    aggregate: aggregate.bytes.length,
    bitmap: hex(aggregate.bitmap),
    aggregator: hex(aggregate.aggregator),
    shares: shares.map((s) => hex(concat(s.header, s.blind, s.schedule, s.messages))),
    record: record.bytes.length,
    header: hex(record.header.bytes),
    recordBitmap: hex(record.bitmap),
    lengths: [record.schedule.length, record.messages.length],
  }));
  assert.deepEqual(rest[1], rest[0]);
  assert.deepEqual(rest[2], rest[0]);
});

Deno.test("two servers that take their pads out of one envelope see noise; three see the message", () => {
  const stage = granted(174), { play, header, slots } = stage;
  const { bytes: _, ...sent } = play.envelope(0, header, vectorsOf("talks", stage));
  const without = (servers: number[]) =>
    hex(
      applyPads(xchacha20, servers.map((s) => play.pair(0, s)), header.hash, joinVectors(sent)),
    );
  const text = hex(slots[0]);
  for (const some of [[], [0], [0, 1], [1, 2], [0, 2]]) assert.ok(!without(some).includes(text));
  assert.ok(without([0, 1, 2]).includes(text));
});

Deno.test("a record made of a cover round holds no messages and no grants", () => {
  const { play, header } = granted(175);
  const round = play.round([], header);
  assert.ok(round.certified.record.schedule.every((byte) => byte === 0));
  assert.ok(round.certified.record.messages.every((byte) => byte === 0));
  const again = createRecord(
    play.manifest,
    header,
    round.aggregate,
    round.sharesHash,
    round.certified.record,
  );
  assert.equal(hex(again.hash), hex(round.certified.record.hash));
});
