/** Several aggregates of one round made one. */
import assert from "node:assert/strict";
import { type Aggregate, decodeAggregate, participants } from "../../src/protocol/aggregate.ts";
import { equal, hex } from "../../src/protocol/bytes.ts";
import type { Header } from "../../src/protocol/header.ts";
import { signer } from "../../src/protocol/keys.ts";
import { choose, merge } from "../../src/protocol/merge.ts";
import { MerkleTree } from "../../src/protocol/merkle.ts";
import { Fold, sealAggregate } from "../../src/protocol/aggregate.ts";
import { Play } from "./play.ts";
import { Random } from "./random.ts";

/** A round of eight clients, and aggregators that fold some of them. */
function stage(seed: number) {
  const play = new Play(seed, { servers: 3, clients: 8 }), random = new Random(seed + 1);
  const header = play.header(), server = play.servers[1].signer;
  const envelopes = play.clients.map((_, i) => play.envelope(i, header));
  const part = (indices: readonly number[], by = signer(random.bytes(32))): Aggregate => {
    const fold = new Fold(header, play.parameters);
    for (const i of indices) fold.add(envelopes[i]);
    return fold.seal(by);
  };
  return { play, random, header, server, envelopes, part };
}

const indicesOf = ({ bitmap }: { bitmap: Uint8Array }) => participants(bitmap);
const opens = (play: Play, header: Header, { bytes }: Aggregate) =>
  decodeAggregate(bytes, header, play.parameters);

Deno.test("disjoint parts give the vectors and bitmap of one fold of all, in any order", () => {
  const { play, header, server, part, random } = stage(900);
  const parts = [[0, 5], [1, 2, 7], [3]].map((indices) => part(indices));
  const whole = part([0, 1, 2, 3, 5, 7]);
  for (let i = 0; i < 6; i++) {
    const shuffled = [...parts].sort(() => random.below(3) - 1);
    const choice = choose(shuffled), merged = opens(play, header, merge(choice.taken, server));
    assert.equal(choice.size, 6);
    assert.deepEqual(choice.left, []);
    assert.deepEqual(indicesOf(merged), [0, 1, 2, 3, 5, 7]);
    assert.equal(hex(merged.sum), hex(whole.sum));
    assert.equal(hex(merged.aggregator), hex(server.key));
    const roots = parts.map(({ root }) => root);
    assert.equal(hex(merged.root), hex(new MerkleTree(roots).root), "by lowest index");
  }
});

Deno.test("a single part keeps its digest, whoever signs it anew", () => {
  const { play, header, server, part } = stage(901), one = part([2, 4, 6]);
  const merged = opens(play, header, merge(choose([one]).taken, server));
  assert.ok(equal(merged.digest, one.digest));
  assert.ok(equal(merged.root, one.root));
  assert.ok(!equal(merged.aggregator, one.aggregator));
});

Deno.test("a client in two parts is counted once: the smaller part is left out whole, and named", () => {
  const { part } = stage(902);
  const large = part([0, 1, 2]), small = part([2, 3]), other = part([4, 5]);
  const choice = choose([small, other, large]);
  assert.deepEqual(choice.taken.map(indicesOf), [[0, 1, 2], [4, 5]]);
  assert.deepEqual(choice.left, [{ part: small, shared: [2] }]);
  assert.equal(choice.size, 5);
});

Deno.test("of two parts of one size that share a client, the lower key is taken", () => {
  const { part } = stage(903), both = [part([0, 1]), part([1, 2])];
  const lower = [...both].sort((a, b) => hex(a.aggregator) < hex(b.aggregator) ? -1 : 1)[0];
  for (const parts of [both, [...both].reverse()]) {
    assert.deepEqual(choose(parts).taken, [lower]);
  }
});

Deno.test("the same part twice counts once; nobody's part is passed over", () => {
  const { part } = stage(904), one = part([0, 1]);
  assert.equal(choose([one, one]).size, 2);
  assert.deepEqual(choose([part([])]), { taken: [], left: [], size: 0 });
});

Deno.test("a liar that names everyone keeps others out, and cannot be told from who has everyone", () => {
  const { header, part, envelopes } = stage(905), honest = part([0, 1]);
  const [{ schedule, messages }] = envelopes;
  const bitmap = Uint8Array.of(0xff), root = new Uint8Array(32);
  const liar = sealAggregate(
    { header: header.hash, bitmap, root, schedule, messages },
    signer(new Uint8Array(32).fill(7)),
  );
  const choice = choose([honest, liar]);
  assert.deepEqual(choice.taken, [liar]);
  assert.deepEqual(choice.left, [{ part: honest, shared: [0, 1] }]);
});

Deno.test("merging is by size alone: any choice is disjoint, and complete but for overlaps", () => {
  const { part, random } = stage(906);
  for (let round = 0; round < 200; round++) {
    const parts = Array.from(
      { length: 1 + random.below(5) },
      () => part([0, 1, 2, 3, 4, 5, 6, 7].filter(() => random.below(3) === 0)),
    );
    const { taken, left, size } = choose(parts);
    const all = taken.flatMap(indicesOf), at = `seed 906, round ${round}`;
    assert.equal(new Set(all).size, all.length, at);
    assert.equal(size, all.length, at);
    const some = parts.filter(({ bitmap }) => participants(bitmap).length > 0);
    assert.equal(taken.length + left.length, some.length, at);
    for (const { part, shared } of left) {
      const both = indicesOf(part).filter((i) => all.includes(i));
      assert.ok(shared.every((i) => both.includes(i)), at);
      assert.ok(shared.length > 0, at);
    }
  }
});
