/** A chain of records that goes on over changes of the committee. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { Chain, genesis } from "../../src/protocol/chain.ts";
import { checkExtends } from "../../src/protocol/opened.ts";
import { Play } from "./play.ts";
import { refuses } from "./refuses.ts";

const text = (payload: Uint8Array) => new TextDecoder().decode(payload);

// Epoch 0 ends with grants that nobody used, epoch 1 has one message, epoch 2 no record at all.
const zero = new Play(190);
const { reserved, talked } = zero.talk(["of the first"]);
const unused = zero.header();
const lapsed = zero.round(
  [zero.vectors(unused, { reserve: zero.slot(unused, "lapses").slot })],
  unused,
);
const one = zero.next([0, 1], 2);
const second = one.talk([undefined, "of the second"]);
const two = one.next([1, 2], 0), three = two.next([0, 1], 2);
const fourth = three.talk(["of the fourth"]);

const old = [reserved, talked, lapsed], middle = [second.reserved, second.talked];
const last = [fourth.reserved, fourth.talked];
const later = [one, two, three].map(({ manifest }) => manifest);

/** A chain from a manifest on that knows the next ones and has read some rounds. */
function follow(
  play: Play,
  next: readonly Play[] = [],
  rounds: readonly { readonly bytes: Uint8Array }[] = [],
  options = {},
): Chain {
  const chain = new Chain(play.manifest, options);
  for (const { manifest } of next) chain.adopt(manifest);
  for (const { bytes } of rounds) chain.extend(bytes);
  return chain;
}

Deno.test("records of four epochs are one chain, whose epochs are learned at any time", () => {
  const all = [...old, ...middle, ...last];
  const chain = follow(zero, [one, two, three]);
  const read = all.map(({ bytes }) => chain.extend(bytes));
  assert.deepEqual(read.map(({ manifest }) => manifest.epoch), [0, 0, 0, 1, 1, 3, 3]);
  assert.deepEqual(read.flatMap(({ messages }) => messages.map((m) => text(m.payload))), [
    "of the first",
    "of the second",
    "of the fourth",
  ]);
  assert.ok(read.every(({ linked, badSlots }) => linked && badSlots === 0));
  assert.deepEqual(chain.head, three.head);
  const running = follow(zero, [], old);
  for (const [manifest, rounds] of [[one, middle], [two, []], [three, last]] as const) {
    running.adopt(manifest.manifest);
    running.adopt(manifest.manifest);
    for (const { bytes } of rounds) running.extend(bytes);
  }
  assert.deepEqual(running.head, three.head);
  assert.equal(running.manifest.epoch, 3);
});

Deno.test("with the record that the next epoch starts from, the grants lapse", () => {
  const before = follow(zero, [], old);
  assert.equal(before.head.layout.grants.length, 1);
  const after = follow(zero, [one], old);
  assert.equal(after.manifest, one.manifest);
  assert.deepEqual(after.head, genesis(one.manifest, before.head.round));
  assert.equal(hex(after.head.hash), hex(before.head.hash));
  const carried = new Play(191);
  carried.round();
  const next = carried.next([0, 1], 1), chain = new Chain(next.manifest);
  refuses("chain", () => checkExtends(next.header({ carry: true }), chain.head), /carries/);
  refuses(
    "chain",
    () => chain.extend(next.round([], next.header({ carry: true })).bytes),
    /carries/,
  );
});

Deno.test("the first round of an epoch is above the record it starts from, where that is known", () => {
  const play = new Play(192), [a, b] = [play.round(), play.round()], next = play.next([0], 1);
  const low = next.round([], next.header({ round: 2 }));
  refuses("chain", () => follow(play, [next], [a, b, low]), /rise/);
  assert.ok(new Chain(next.manifest).extend(low.bytes).linked, "who begins later cannot know");
});

Deno.test("no record of an epoch after the one that the next epoch starts from", () => {
  const play = new Play(193), round = play.round(), next = play.next([0, 1], 1);
  const more = play.round();
  refuses(
    "chain",
    () => follow(play, [next], [round, more]),
    /of epoch 0 after the start of epoch 1/,
  );
  const beyond = follow(play, [next]);
  beyond.extend(round.bytes);
  assert.equal(beyond.manifest.epoch, 1);
  const astray = follow(play, [], [round, more]);
  astray.adopt(next.manifest);
  assert.equal(astray.manifest.epoch, 0);
  refuses("chain", () => astray.extend(next.round().bytes), /of epoch 1, which starts from/);
});

Deno.test("records of a later epoch wait for its start; an epoch cannot be passed over", () => {
  const chain = follow(zero, [one, two, three], old.slice(0, 2)), before = hex(chain.head.hash);
  for (const { bytes } of [...middle, ...last]) {
    refuses("chain", () => chain.extend(bytes), /starts from/);
    assert.equal(hex(chain.head.hash), before);
  }
  chain.extend(lapsed.bytes);
  refuses("chain", () => chain.extend(last[0].bytes), /of epoch 3, which starts from/);
  for (const { bytes } of middle) chain.extend(bytes);
  for (const { bytes } of old) refuses("chain", () => chain.extend(bytes), /after the start/);
  chain.extend(last[0].bytes);
});

Deno.test("an epoch that nobody told of is another committee", () => {
  refuses("mismatch", () => follow(zero, [], [...old, ...middle]));
});

Deno.test("what does not follow is not adopted, and changes nothing", () => {
  const chain = follow(zero);
  refuses("chain", () => chain.adopt(two.manifest), /rise/);
  refuses("chain", () => chain.adopt(new Play(194).next([0], 1).manifest), /follows another/);
  const parameters = { ...zero.parameters, leaseRounds: 33 };
  refuses("chain", () => chain.adopt(zero.next([0], 1, { parameters }).manifest), /parameters/);
  assert.equal(chain.newest, zero.manifest);
});

Deno.test("from anywhere the first record may be of any epoch known", () => {
  const anywhere = { anywhere: true };
  for (const [i, rounds] of [middle, last].entries()) {
    const chain = follow(zero, [one, two, three], [], anywhere);
    const first = chain.extend(rounds[0].bytes);
    assert.ok(first.linked, "it follows what its epoch starts from");
    assert.equal(first.manifest.epoch, [1, 3][i]);
    assert.equal(chain.extend(rounds[1].bytes).messages.length, 1);
  }
  const chain = follow(zero, [one, two, three], [middle[1], ...last], anywhere);
  assert.deepEqual(chain.head, three.head);
  assert.equal(new Chain(later[2], anywhere).extend(last[0].bytes).linked, true);
  const unlinked = follow(zero, [one], [], anywhere).extend(middle[1].bytes);
  assert.deepEqual([unlinked.linked, unlinked.messages], [false, []]);
  const few = middle[0].bytes.slice();
  few[few.length - 1] ^= 1;
  refuses("signature", () => follow(zero, [one], [], anywhere).extend(few));
});

Deno.test("an epoch may start from genesis, where no record was made", () => {
  const play = new Play(195), next = play.next([0, 1], 1), chain = follow(play, [next]);
  assert.equal(chain.manifest.epoch, 1);
  chain.extend(next.round().bytes);
  assert.deepEqual(chain.head, next.head);
});
