/** Following the committee: what a holder of a lineage can make a role believe, and what not. */
import assert from "node:assert/strict";
import { equal, hex } from "../../src/protocol/bytes.ts";
import { encodeLineage } from "../../src/protocol/lineage.ts";
import { meetCommittee } from "../../src/roles/committee.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { PASS_OVER_MS, watchCommittee } from "../../src/roles/watch.ts";
import { Play } from "../protocol/play.ts";
import { refuses } from "../protocol/refuses.ts";
import { committeeOf, forked, incomplete, lineageOf, registryOf } from "./changes.ts";
import { peerOf, Wires } from "./wire.ts";

const TIMEOUT = 30_000;

const zero = new Play(500);
zero.round();
const one = zero.next([0, 1], 2);
one.round();
const two = one.next([1, 2], 1);
/** Another committee in the place of epoch 1. */
const other = zero.next([0, 2], 1);

/** A watch at a reader that knows an epoch, and what came of it. */
async function watching(known = zero, epochs = committeeOf(known).epochs) {
  const wires = new Wires("reader", zero.random.bytes(32)),
    committee = { epochs, lineage: lineageOf(known) };
  wires.known.push(...zero.servers.map((s) => peerOf("server", s.seed)));
  const changes: Uint8Array[] = [], refused: string[] = [];
  const watch = watchCommittee({
    network: wires,
    environment: wires.environment,
    instance: { id: known.manifest.instance, name: "example" },
    committee,
    timeout: TIMEOUT,
    changed: (lineage) => void changes.push(lineage),
    refused: (error) => void refused.push(`${error.name} ${error.exitCode}: ${error.message}`),
  });
  await wires.pass(1);
  const said = () => wires.log.filter(({ event }) => event === "another committee");
  /** Time passes, with rounds that go on or without. */
  const pass = async (ms: number, rounds: boolean) => {
    for (let left = ms; left > 0; left -= 1_000) {
      if (rounds) watch.alive();
      await wires.pass(Math.min(left, 1_000));
    }
  };
  /** Whoever is asked says the same, for a while. */
  const insist = async (lineage: Uint8Array, ms: number, rounds: boolean) => {
    const asked = new Set<string>();
    for (let left = ms; left > 0; left -= 1_000) {
      const wire = registryOf(wires);
      if (wire) {
        asked.add(wire.peer.id);
        wire.frame(lineage);
      }
      await pass(1_000, rounds);
    }
    return asked;
  };
  return { wires, watch, epochs, changes, refused, said, pass, insist };
}

Deno.test("a lineage that leads on is taken when it is pushed, and the stream stays", async () => {
  const w = await watching(), wire = registryOf(w.wires)!;
  wire.frame(lineageOf(zero));
  assert.deepEqual(w.changes, []);
  const told: number[] = [];
  w.epochs.onChange(() => told.push(w.changes.length));
  wire.frame(lineageOf(one));
  assert.equal(w.epochs.newest, w.epochs.all[1]);
  assert.ok(equal(w.epochs.newest.fingerprint, one.manifest.fingerprint));
  assert.deepEqual(told, [0], "who reads the log knows it first");
  wire.frame(lineageOf(one));
  wire.frame(lineageOf(two));
  assert.deepEqual(w.changes, [lineageOf(one), lineageOf(two)]);
  assert.equal(wire.closed, undefined);
  assert.deepEqual([w.said(), w.refused], [[], []]);
});

Deno.test("several changes at once are taken, whichever epoch a lineage begins with", async () => {
  const w = await watching(), three = two.next([0, 1], 1), four = three.next([0, 1], 1);
  registryOf(w.wires)!.frame(lineageOf(two));
  assert.deepEqual(w.epochs.all.map(({ epoch }) => epoch), [0, 1, 2]);
  registryOf(w.wires)!.frame(encodeLineage(four.lineage.slice(1)));
  assert.deepEqual(w.epochs.all.map(({ epoch }) => epoch), [0, 1, 2, 3, 4]);
  assert.equal(w.changes.length, 2);
  const late = await watching(one, new Epochs([one.manifest]));
  registryOf(late.wires)!.frame(lineageOf(two));
  assert.deepEqual(late.epochs.all.map(({ epoch }) => epoch), [1, 2]);
});

Deno.test("who is behind is left without a word, and not asked again at once", async () => {
  const w = await watching(one), asked: string[] = [], from = w.wires.now;
  while (asked.length < 3) {
    const wire = registryOf(w.wires);
    if (wire) {
      asked.push(wire.peer.id);
      wire.frame(lineageOf(zero));
      assert.notEqual(wire.closed, undefined);
    }
    await w.wires.pass(100);
  }
  assert.equal(new Set(asked).size, 3, "each other one first");
  assert.ok(w.wires.now - from < PASS_OVER_MS);
  await w.wires.pass(from + PASS_OVER_MS - 100 - w.wires.now);
  assert.equal(registryOf(w.wires), undefined);
  const until = from + 2 * PASS_OVER_MS;
  while (registryOf(w.wires) === undefined && w.wires.now < until) await w.wires.pass(100);
  assert.ok(registryOf(w.wires), "later it is asked again");
  assert.deepEqual([w.said(), w.refused], [[], []]);
});

const CLAIMS: Record<string, [lineage: Uint8Array, known: Play, reason: RegExp]> = {
  "lacks the signature of one who left": [
    incomplete(one, [2]),
    zero,
    new RegExp(`lacks the signature of server .* pin ${hex(one.manifest.fingerprint)}$`),
  ],
  "has another committee in its place": [lineageOf(other), one, /two committees claim/],
};

for (const [what, [lineage, known, reason]] of Object.entries(CLAIMS)) {
  Deno.test(`a lineage that ${what} ends nobody while rounds go on, and does in silence`, async () => {
    const w = await watching(known);
    const asked = await w.insist(lineage, 10 * TIMEOUT, true);
    assert.equal(asked.size, 3, "others are asked");
    assert.deepEqual(w.refused, []);
    assert.equal(w.said().length, 1, "it is said once");
    assert.match(String(w.said()[0].fields?.reason), reason);
    assert.deepEqual([w.epochs.newest, w.changes], [known.manifest, []]);
    await w.pass(TIMEOUT - 2_000, false);
    await w.insist(lineage, TIMEOUT - 5_000, false);
    assert.deepEqual(w.refused, [], "it is heard again first");
    await w.pass(8_000, false);
    assert.equal(w.refused.length, 1);
    assert.match(w.refused[0], /^Refused 4: example: /);
    assert.match(w.refused[0], reason);
    await w.pass(3 * TIMEOUT, false);
    assert.equal(w.refused.length, 1, "once");
    assert.equal(registryOf(w.wires), undefined, "and nobody is asked any more");
  });
}

Deno.test("a claim does not outlast a sign of the known committee", async () => {
  const w = await watching();
  registryOf(w.wires)!.frame(incomplete(one, [2]));
  await w.pass(5_000, false);
  w.watch.alive();
  await w.pass(10 * TIMEOUT, false);
  assert.deepEqual([w.refused, w.said().length], [[], 1]);
});

const INVENTED: Record<string, [lineage: Uint8Array, reason: RegExp]> = {
  "has others in the place of the first epoch": [forked(zero, 501), /two committees claim/],
  "begins after the known epoch": [
    encodeLineage(two.lineage.slice(1)),
    new RegExp(
      `begins with epoch 1, after the known epoch 0.* pin ${hex(two.manifest.fingerprint)}$`,
    ),
  ],
};

for (const [what, [lineage, reason]] of Object.entries(INVENTED)) {
  Deno.test(`a lineage that ${what}, and that no known member signed, ends nobody`, async () => {
    const w = await watching();
    assert.equal((await w.insist(lineage, 5 * TIMEOUT, false)).size, 3, "others are asked");
    assert.equal(w.said().length, 1, "it is said once");
    assert.match(String(w.said()[0].fields?.reason), reason);
    assert.deepEqual([w.refused, w.epochs.newest], [[], zero.manifest]);
  });
}

Deno.test("silence before a claim does not count: there is time for others to answer", async () => {
  const w = await watching();
  await w.pass(5 * TIMEOUT + 10_000, false);
  registryOf(w.wires)!.frame(incomplete(one, [2]));
  await w.pass(TIMEOUT - 1_000, false);
  assert.deepEqual(w.refused, []);
  registryOf(w.wires)!.frame(lineageOf(one));
  assert.equal(w.changes.length, 1);
  await w.pass(3 * TIMEOUT, false);
  assert.deepEqual(w.refused, [], "the claim is answered");
});

Deno.test("where nobody claims anything, silence only makes it ask another holder", async () => {
  const w = await watching(), asked: string[] = [];
  for (let i = 0; i < 8; i++) {
    asked.push(registryOf(w.wires)!.peer.id);
    registryOf(w.wires)!.frame(lineageOf(zero));
    await w.pass(TIMEOUT + 1_000, false);
  }
  assert.ok(asked.every((id, i) => id !== asked[i - 1]), "never the same twice in a row");
  assert.deepEqual([w.refused, w.said()], [[], []]);
  const before = registryOf(w.wires);
  assert.ok(before);
  await w.pass(3 * TIMEOUT, true);
  assert.equal(registryOf(w.wires), before, "while rounds go on it stays");
});

Deno.test("of several claims the one that a member of the known epoch has signed is told", async () => {
  const w = await watching(one);
  registryOf(w.wires)!.frame(lineageOf(other));
  await w.pass(1_000, false);
  registryOf(w.wires)!.frame(incomplete(two, [0]));
  await w.pass(1_000, false);
  registryOf(w.wires)!.frame(lineageOf(other));
  await w.pass(2 * TIMEOUT, false);
  assert.equal(w.said().length, 2);
  assert.match(w.refused[0], new RegExp(`pin ${hex(two.manifest.fingerprint)}`));
});

Deno.test("bytes that are no lineage are no claim, and their holder is passed over", async () => {
  const w = await watching(), wire = registryOf(w.wires)!, false_ = lineageOf(one);
  false_[false_.length - 1] ^= 1;
  refuses("signature", () => wire.frame(false_));
  for (let others = 2; others > 0; others--) {
    await w.wires.pass(1_000);
    assert.notEqual(registryOf(w.wires)!.peer.id, wire.peer.id);
    refuses("signature", () => registryOf(w.wires)!.frame(false_));
  }
  await w.wires.pass(PASS_OVER_MS - 3_000);
  assert.equal(registryOf(w.wires), undefined);
  await w.pass(3 * TIMEOUT, false);
  assert.deepEqual([w.refused, w.said(), w.changes], [[], [], []]);
});

Deno.test("a watch that was stopped asks and says nothing any more", async () => {
  const w = await watching();
  registryOf(w.wires)!.frame(incomplete(one, [2]));
  w.watch.stop();
  await w.pass(3 * TIMEOUT, false);
  assert.equal(registryOf(w.wires), undefined);
  assert.deepEqual(w.refused, []);
});

Deno.test("who is pinned on a later epoch passes over a holder that is behind; all of them refuse it", async () => {
  for (
    const [answers, expected] of [[[zero, two], "met"], [[zero, zero, zero], "Refused"]] as const
  ) {
    const wires = new Wires("reader", zero.random.bytes(32));
    wires.known.push(...zero.servers.map((s) => peerOf("server", s.seed)));
    const { instance } = zero.manifest;
    const meeting = meetCommittee({
      network: wires,
      environment: wires.environment,
      instance: { id: instance, name: "example" },
      universe: "example.universe",
      pin: two.manifest.fingerprint,
      timeout: TIMEOUT,
    }).then(() => "met", ({ name }: Error) => name);
    for (const play of answers) {
      await wires.pass(1_000);
      registryOf(wires)!.frame(lineageOf(play));
    }
    await wires.pass(1);
    assert.equal(await meeting, expected);
  }
});
