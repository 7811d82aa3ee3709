/** When a server offers the parts of aggregators to the order, merged, and what it refuses of them. */
import assert from "node:assert/strict";
import { type Aggregate, Fold, participants, sealAggregate } from "../../src/protocol/aggregate.ts";
import { concat, equal, hex } from "../../src/protocol/bytes.ts";
import type { Header } from "../../src/protocol/header.ts";
import { type Signer, signer } from "../../src/protocol/keys.ts";
import { choose, merge } from "../../src/protocol/merge.ts";
import { patienceOf } from "../../src/committee/parts.ts";
import { refuses } from "../protocol/refuses.ts";
import { Stage } from "./stage.ts";

const BLOB = 2;

/** The honest server, leading or not, with aggregators here and a round open. */
function folding(seed: number, aggregators: number, leads = true) {
  const stage = new Stage(seed, leads ? 0 : 2), { member, play } = stage;
  const signers = Array.from(
    { length: aggregators },
    (_, i) => signer(new Uint8Array(32).fill(40 + i)),
  );
  for (const { key } of signers) assert.ok(member.aggregators.join(key));
  const header = stage.open(), patience = patienceOf(play.parameters);
  const part = (by: Signer, indices: readonly number[], under: Header = header): Aggregate => {
    const fold = new Fold(under, play.parameters);
    for (const i of indices) fold.add(play.envelope(i, under));
    return fold.seal(by);
  };
  const hand = (frame: Uint8Array, by: Signer) => {
    member.aggregate(frame, by.key);
    stage.flush();
  };
  const gives = (by: Signer, indices: readonly number[]) => {
    const made = part(by, indices);
    hand(made.bytes, by);
    return made;
  };
  /** D in the order. */
  const digest = () => member.state.live?.digest;
  /** The merged aggregate that the server handed to the others. */
  const pushed = () => {
    const wanted = digest();
    return wanted &&
      stage.frames.find((frame) => frame[0] === BLOB && equal(frame.subarray(1, 33), wanted));
  };
  return { stage, member, play, header, patience, signers, part, hand, gives, digest, pushed };
}

Deno.test("the leader offers the part of a single aggregator as it comes", () => {
  const { signers: [a], gives, digest, pushed, stage, header } = folding(930, 1);
  const part = gives(a, [0, 1, 2]);
  assert.ok(equal(digest()!, part.digest));
  assert.equal(pushed(), undefined, "everyone has it from the aggregator");
  assert.ok(stage.has("prepare", header));
});

Deno.test("of two, it waits for the second, and all PREPARE what was merged", () => {
  const { signers: [a, b], gives, digest, pushed, stage, header, play } = folding(931, 2);
  const first = gives(a, [0, 1, 3]);
  assert.equal(digest(), undefined);
  const second = gives(b, [2]);
  const { signer: own } = play.servers[0];
  const merged = merge(choose([second, first]).taken, own);
  assert.ok(equal(digest()!, merged.digest));
  assert.equal(hex(pushed()!.subarray(33)), hex(merged.bytes), "signed by who merged");
  assert.ok(stage.has("prepare", header));
  const secrets = stage.prepared(stage.secrets(header, merged));
  stage.released(secrets);
  stage.finals();
  assert.deepEqual(participants(stage.certified[0].record.bitmap), [0, 1, 2, 3]);
  assert.ok(equal(stage.certified[0].record.root, merged.root));
});

Deno.test("one that has nothing says so; one that says nothing is waited for, with patience", () => {
  for (const [index, silent] of [false, true].entries()) {
    const { signers: [a, b], gives, hand, digest, stage, header, patience } = folding(
      932 + index,
      2,
    );
    const part = gives(a, [0, 1, 2]);
    if (silent) {
      stage.pass(patience - 1);
      assert.equal(digest(), undefined);
      stage.pass(1);
    } else hand(header.hash, b);
    assert.ok(equal(digest()!, part.digest));
  }
});

Deno.test("another server waits twice as long, and offers then", () => {
  const { signers: [a], gives, digest, stage, patience } = folding(934, 1, false);
  const part = gives(a, [0, 1, 2]);
  stage.pass(2 * patience - 1);
  assert.equal(digest(), undefined);
  stage.pass(1);
  assert.ok(equal(digest()!, part.digest));
});

Deno.test("below the minimum nothing is offered, and a later part replaces an earlier one", () => {
  const { signers: [a, b], gives, digest, stage, patience } = folding(935, 2);
  gives(a, [0]);
  gives(b, [3]);
  stage.pass(10 * patience);
  assert.equal(digest(), undefined);
  gives(a, [0, 1]);
  assert.ok(digest(), "three clients of two aggregators");
});

Deno.test("what was offered stands, whatever comes later", () => {
  const { signers: [a, b], gives, digest, stage, patience } = folding(936, 2);
  const part = gives(a, [0, 1, 2]);
  stage.pass(patience);
  const before = digest()!;
  gives(b, [3]);
  gives(a, [0, 1, 2, 3]);
  stage.pass(1_000);
  assert.ok(equal(digest()!, before));
  assert.ok(equal(part.digest, before));
});

Deno.test("what was offered and is not in the order yet is offered again, not another", () => {
  const { signers: [a, b], part, digest, stage, patience, member } = folding(941, 2);
  const first = part(a, [0, 1, 2]);
  member.aggregate(first.bytes, a.key);
  stage.now += patience;
  member.tick();
  const frames = stage.frames.length;
  member.aggregate(part(b, [3]).bytes, b.key);
  stage.now += 1_000;
  member.tick();
  assert.equal(stage.frames.length, frames, "nothing is merged and sent any more");
  stage.flush();
  assert.ok(equal(digest()!, first.digest));
});

Deno.test("a part that shares a client is left out, and the log names it and the client", () => {
  const { signers: [a, b], gives, digest, stage, play } = folding(937, 2);
  const large = gives(a, [0, 1, 2]);
  gives(b, [2, 3]);
  assert.ok(equal(digest()!, large.digest));
  const [{ event, fields }] = stage.warnings.filter(({ event }) => event === "part left out");
  assert.equal(event, "part left out");
  assert.equal(fields!.aggregator, hex(b.key));
  assert.equal(fields!.clients, hex(play.clients[2].signer.key));
});

Deno.test("refused: another's part, nobody's part, bits past the roster, a broken one", () => {
  const { signers: [a, b], part, hand, digest, header, stage } = folding(938, 2);
  const good = part(a, [0, 1, 2]), { schedule, messages, root } = good;
  refuses("signature", () => hand(good.bytes, b), /another aggregator/);
  refuses("range", () => hand(part(a, []).bytes, a), /nobody/);
  const past = { header: header.hash, bitmap: Uint8Array.of(0x1f), root, schedule, messages };
  refuses("encoding", () => hand(sealAggregate(past, a).bytes, a));
  refuses("signature", () => hand(good.bytes.with(-1, good.bytes.at(-1)! ^ 1), a));
  refuses("trailing", () => hand(concat(good.bytes, Uint8Array.of(0)), a));
  stage.pass(1_000);
  assert.equal(digest(), undefined);
});

Deno.test("a part for another header, or after one is in the order, is late and changes nothing", () => {
  const { signers: [a, b], part, hand, digest, header, play } = folding(939, 2);
  const other = play.header({ round: header.round + 1 });
  refuses("mismatch", () => hand(part(a, [0, 1, 2], other).bytes, a));
  refuses("mismatch", () => hand(other.hash, a));
  hand(part(a, [0, 1, 2]).bytes, a);
  hand(header.hash, b);
  const before = digest()!;
  hand(part(b, [3]).bytes, b);
  assert.ok(equal(digest()!, before));
});

Deno.test("while no round is open a part is late", () => {
  const { signers: [a], part, hand, stage, header, member } = folding(940, 1);
  stage.abandon(header);
  assert.equal(member.state.live, undefined);
  refuses("mismatch", () => hand(part(a, [0, 1, 2]).bytes, a), /while no round is open/);
});
