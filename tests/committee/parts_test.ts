/** The parts of a round at a server: who is waited for, and what is taken. */
import assert from "node:assert/strict";
import { Fold, sealAggregate } from "../../src/protocol/aggregate.ts";
import { type Signer, signer } from "../../src/protocol/keys.ts";
import { PRESETS } from "../../src/protocol/parameters.ts";
import { MAX_AGGREGATORS, MAX_PARTS_BYTES, Parts, patienceOf } from "../../src/committee/parts.ts";
import { Play } from "../protocol/play.ts";
import { refuses } from "../protocol/refuses.ts";

function stage(seed: number) {
  const play = new Play(seed, { servers: 3, clients: 8 });
  const parts = new Parts(play.parameters);
  const aggregators = [1, 2, 3].map((i) => signer(play.random.bytes(32).fill(i, 0, 1)));
  let header = play.header();
  const begin = (round = header.round) => {
    header = play.header({ round });
    parts.begin(header, play.roster);
  };
  const part = (by: Signer, indices: readonly number[]) => {
    const fold = new Fold(header, play.parameters);
    for (const i of indices) fold.add(play.envelope(i, header));
    return fold.seal(by);
  };
  return { play, parts, aggregators, begin, part, header: () => header };
}

Deno.test("a round waits for all that are here, and nobody that left", () => {
  const { parts, aggregators: [a, b, c], begin, part } = stage(910);
  for (const { key } of [a, b, c, c]) assert.ok(parts.join(key));
  begin();
  assert.equal(parts.complete, false);
  parts.take(part(a, [0, 1]), 1_000);
  assert.equal(parts.usableFor(1_500), undefined, "two of three");
  parts.take(part(b, [2]), 2_000);
  assert.equal(parts.usableFor(2_500), 500);
  assert.equal(parts.complete, false);
  parts.leave(c.key);
  assert.equal(parts.complete, false, "one of its two streams");
  parts.leave(c.key);
  assert.equal(parts.complete, true);
});

Deno.test("who handed nothing over while others did is not waited for, until it does", () => {
  const { parts, aggregators: [a, b], begin, part } = stage(911);
  for (const { key } of [a, b]) parts.join(key);
  begin(1);
  begin(2);
  assert.equal(parts.complete, false, "nobody handed anything over: no reason to doubt one");
  parts.take(part(a, [0, 1, 2]), 0);
  begin(3);
  assert.equal(parts.complete, false);
  parts.handed(a.key);
  assert.equal(parts.complete, true, "b was silent, and is not waited for");
  parts.hear(b.key);
  begin(4);
  parts.handed(a.key);
  assert.equal(parts.complete, false, "b is waited for again");
  parts.hear(b.key);
  assert.equal(parts.complete, false, "what comes too late does not count for this round");
  parts.handed(b.key);
  assert.equal(parts.complete, true);
});

Deno.test("a later part of an aggregator replaces its earlier one; one of nobody is refused", () => {
  const { play, parts, aggregators: [a, b], begin, part } = stage(912);
  begin();
  const first = part(a, [0]);
  assert.equal(parts.take(first, 0), undefined);
  assert.equal(parts.take(part(a, [0, 1]), 0), first);
  parts.take(part(b, [2]), 0);
  assert.equal(parts.choice.size, 3);
  assert.equal(parts.usableFor(5), 5);
  parts.take(part(a, [1]), 5);
  assert.equal(parts.usableFor(5), undefined, "two again");
  parts.take(part(a, [0, 1]), 9);
  refuses("range", () => parts.take(part(b, []), 0), /nobody/);
  play.roster.set(5, undefined);
  const absent = part(b, [5]);
  refuses("range", () => parts.take(absent, 0), /place 5, where nobody stands/);
  assert.equal(parts.choice.size, 3);
  begin(2);
  assert.deepEqual(parts.all, []);
  assert.equal(parts.usableFor(0), undefined);
});

Deno.test("aggregators, parts and their bytes are bounded, and no bound refuses a single part", () => {
  const { play, parts, begin, part, header } = stage(913);
  const many = Array.from(
    { length: MAX_AGGREGATORS + 1 },
    (_, i) => signer(new Uint8Array(32).fill(i + 1)),
  );
  assert.deepEqual(many.map(({ key }) => parts.join(key)), [
    ...Array(MAX_AGGREGATORS).fill(true),
    false,
  ]);
  begin();
  for (const one of many.slice(0, -1)) parts.take(part(one, [0]), 0);
  refuses("range", () => parts.take(part(many.at(-1)!, [1]), 0), /65 parts/);
  begin(2);
  const messages = new Uint8Array(MAX_PARTS_BYTES), { schedule } = part(many[0], [0]);
  const large = (by: Signer) =>
    sealAggregate({
      header: header().hash,
      bitmap: Uint8Array.of(1),
      root: new Uint8Array(32),
      schedule,
      messages,
    }, by);
  parts.take(large(many[0]), 0);
  refuses("range", () => parts.take(part(many[1], [1]), 0), /67\d{6} bytes/);
  parts.take(large(many[0]), 0);
  assert.ok(play.roster.count > 0);
});

Deno.test("patience is half the time to fold, unless the round would end too late", () => {
  assert.equal(patienceOf(PRESETS.dev), 60);
  assert.equal(patienceOf(PRESETS.interactive), 200);
  assert.equal(patienceOf(PRESETS.archival), 2_500);
  const tight = { ...PRESETS.dev, foldDeadline: 2_000, roundDeadline: 2_400 };
  assert.equal(patienceOf(tight), 100);
});
