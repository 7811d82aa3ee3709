/** Records over changes of the committee, as holders serve them and readers verify them. */
import assert from "node:assert/strict";
import { concat, equal, Reader, u64 } from "../../src/protocol/bytes.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { Feed } from "../../src/roles/feed.ts";
import { type ReaderOptions, ReaderRole, type Seen } from "../../src/roles/reader.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import { instanceStreams } from "../../src/roles/streams.ts";
import { Play, type PlayedRound } from "../protocol/play.ts";
import { fourEpochs, manifestsOf, roundOf, ROUNDS, TEXTS } from "./changes.ts";
import { peerOf, type Wire, Wires } from "./wire.ts";

const { zero, one, three, log, of } = fourEpochs(510);
const all = manifestsOf(three), streams = instanceStreams(zero.parameters);
const rounds = (seen: readonly Seen[]) => seen.map(({ record }) => record.header.round);
const texts = (seen: readonly Seen[]) =>
  seen.flatMap(({ messages }) => messages).map((m) => new TextDecoder().decode(m.payload));

/** A holder of the log from some round on. */
function holding(from = 0, archived = true) {
  const wires = new Wires("server", zero.servers[0].seed), archive = memoryArchive();
  const feed = new Feed(zero.manifest.root, archived ? archive : undefined);
  feed.serve(wires, zero.parameters);
  const add = (played: PlayedRound) => {
    archive.append(roundOf(played), played.bytes);
    feed.record(played.certified);
  };
  for (const played of log) if (roundOf(played) >= from) add(played);
  const dial = () => wires.dial(peerOf("reader", zero.random.bytes(32)), streams.broadcasts);
  return { feed, add, dial };
}

/** A reader whose peers are the servers of epoch 0 or others, and what it did. */
function reading(options: Partial<ReaderOptions> = {}, peers = zero.servers) {
  const wires = new Wires("reader", zero.random.bytes(32)), seen: Seen[] = [];
  wires.known.push(...peers.map((s) => peerOf("server", s.seed)));
  const stopped: string[] = [], gaps: [number, number][] = [];
  const epochs = options.epochs ?? new Epochs(all);
  const role = new ReaderRole({
    network: wires,
    environment: wires.environment,
    from: 0,
    record: (one) => void seen.push(one),
    gap: (from, to) => void gaps.push([from, to]),
    stopped: (error) => void stopped.push(error.message),
    ...options,
    epochs,
  });
  const stream = (): Wire | undefined => wires.to(streams.broadcasts)[0];
  const live = (): Wire | undefined => wires.to(streams.liveRound)[0];
  return { wires, role, epochs, seen, stopped, gaps, stream, live };
}
type Reading = ReturnType<typeof reading>;

/** Passes on what both ends of a stream send, until nothing is left or one ends. */
function relay(reader: Wire, holder: Wire): void {
  for (let more = true; more;) {
    more = false;
    for (const frame of reader.sent.splice(0)) {
      holder.frame(frame);
      more = true;
    }
    for (const frame of holder.sent.splice(0)) {
      if (reader.closed !== undefined) return;
      reader.frame(frame);
      more = true;
    }
  }
}

/** Lets a reader read from a holder for a while, over as many streams as it opens. */
async function readsFrom({ wires, stream }: Reading, { dial }: ReturnType<typeof holding>) {
  for (let i = 0; i < 5; i++) {
    await wires.pass(1_000);
    const wire = stream();
    if (wire) relay(wire, dial());
  }
}

Deno.test("a reader from 0 verifies all epochs, and counts void rounds over their borders", async () => {
  for (const archived of [true, false]) {
    const r = reading();
    await readsFrom(r, holding(0, archived));
    assert.deepEqual(rounds(r.seen), ROUNDS);
    assert.deepEqual(texts(r.seen), TEXTS);
    assert.deepEqual(r.seen.map(({ skipped }) => skipped), [0, 0, 0, 1, 2, 0, 0, 0]);
    assert.deepEqual(r.seen.map(({ manifest }) => manifest.epoch), [0, 0, 0, 0, 1, 1, 3, 3]);
    assert.ok(r.seen.every(({ linked, badSlots }) => linked && badSlots === 0));
    assert.deepEqual([r.stopped, r.gaps], [[], []]);
  }
});

Deno.test("records that come before the lineage are waited for, and none is missed", async () => {
  const r = reading({ epochs: new Epochs([zero.manifest]) }), holder = holding();
  await readsFrom(r, holder);
  assert.deepEqual(rounds(r.seen), [1, 2, 3, 5]);
  r.epochs.adopt(all.slice(0, 2));
  await readsFrom(r, holder);
  assert.deepEqual(rounds(r.seen), [1, 2, 3, 5, 8, 9]);
  r.epochs.adopt(all);
  await readsFrom(r, holder);
  assert.deepEqual(rounds(r.seen), ROUNDS);
  assert.ok(r.seen.every(({ linked }) => linked));
  assert.deepEqual([r.stopped, r.gaps], [[], []]);
  assert.ok(!r.wires.log.some(({ level }) => level === "warn"));
});

Deno.test("a lineage that comes before the last records of an epoch changes nothing for them", async () => {
  // Of a server that stays: the streams of those who left are ended.
  const r = reading({ epochs: new Epochs([zero.manifest]) }, zero.servers.slice(0, 1));
  await r.wires.pass(1);
  const wire = r.stream()!;
  wire.frame(of(1).bytes);
  r.epochs.adopt(all);
  for (const round of ROUNDS.slice(1)) wire.frame(of(round).bytes);
  assert.deepEqual([rounds(r.seen), texts(r.seen), r.stopped], [ROUNDS, TEXTS, []]);
});

Deno.test("a place in an old epoch is gone on from, and one at its border", async () => {
  for (const [at, round] of ROUNDS.entries()) {
    const r = reading({ after: of(round).bytes });
    await readsFrom(r, holding());
    assert.deepEqual(rounds(r.seen), ROUNDS.slice(at + 1));
    assert.ok(r.seen.every(({ linked }) => linked));
    assert.equal(r.seen[0]?.skipped ?? 0, at + 1 < ROUNDS.length ? ROUNDS[at + 1] - round - 1 : 0);
    assert.deepEqual([r.stopped, r.gaps], [[], []]);
  }
});

Deno.test("who begins in the middle of the log is told nothing of what lies before", async () => {
  for (const [at, from] of ROUNDS.entries()) {
    const r = reading({ from });
    await readsFrom(r, holding());
    assert.deepEqual(rounds(r.seen), ROUNDS.slice(at));
    assert.deepEqual(r.gaps, []);
    // Of a holder that has nothing before that round.
    const late = reading({ from });
    await readsFrom(late, holding(from));
    assert.deepEqual(rounds(late.seen), ROUNDS.slice(at));
    assert.deepEqual([late.seen[0].linked, late.seen[0].skipped], [from === 1, 0]);
    assert.ok(late.seen.slice(1).every(({ linked }) => linked));
    assert.deepEqual(late.gaps, []);
  }
});

Deno.test("the record that begins an epoch does not hide that some before it are missing", async () => {
  for (const started of [false, true]) {
    const r = reading({}, three.servers), asked = new Set<string>();
    await r.wires.pass(1);
    if (started) { for (const round of [1, 2, 3]) r.stream()!.frame(of(round).bytes); }
    for (let left = three.servers.length; left > 0; left--) {
      assert.equal(r.seen.length, started ? 3 : 0, "others are asked first");
      asked.add(r.stream()!.peer.id);
      r.stream()!.frame(of(8).bytes);
      await r.wires.pass(1_000);
    }
    assert.equal(asked.size, three.servers.length);
    assert.deepEqual(r.gaps, [[started ? 3 : 0, 8]]);
    assert.deepEqual([r.seen.at(-1)!.linked, r.seen.at(-1)!.skipped], [false, 0]);
    r.stream()!.frame(of(9).bytes);
    assert.deepEqual(texts(r.seen.slice(-1)), ["two"], "from there on all is read");
  }
});

Deno.test("a gap may span epochs, but nothing goes back to an epoch that is over", async () => {
  const r = reading({}, three.servers);
  await r.wires.pass(1);
  for (const round of [1, 2]) r.stream()!.frame(of(round).bytes);
  for (let left = three.servers.length; left > 0; left--) {
    r.stream()!.frame(of(11).bytes);
    await r.wires.pass(1_000);
  }
  assert.deepEqual([r.gaps, rounds(r.seen)], [[[2, 11]], [1, 2, 11]]);
  const over = new Play(510);
  Object.assign(over, { head: { ...zero.head } });
  r.stream()!.frame(over.round([], over.header({ round: 20 })).bytes);
  assert.equal(r.stopped.length, 1);
  assert.match(
    r.stopped[0],
    /^stopped after round 11: a record of epoch 0 after the start of epoch/,
  );
});

Deno.test("a second record that begins an epoch stops a reader", async () => {
  const r = reading(), other = zero.next([0, 1], 2);
  await r.wires.pass(1);
  for (const round of [1, 2, 3, 5, 8]) r.stream()!.frame(of(round).bytes);
  const fork = other.round(
    [],
    other.header({ round: 12, bundles: other.servers.map((s) => s.bundle) }),
  );
  assert.ok(equal(other.manifest.fingerprint, one.manifest.fingerprint), "the same servers");
  r.stream()!.frame(fork.bytes);
  assert.match(r.stopped[0], /record 12 follows/);
});

Deno.test("holders that left the committee are left, and asked only where nobody else is there", async () => {
  const r = reading({ epochs: new Epochs([zero.manifest]) }, zero.servers.slice(2));
  const gone = peerOf("server", zero.servers[2].seed);
  await r.wires.pass(1);
  assert.deepEqual([r.stream()!.peer.id, r.live()!.peer.id], [gone.id, gone.id]);
  const stays = peerOf("server", zero.servers[0].seed);
  r.wires.known.push(stays);
  r.epochs.adopt(all.slice(0, 2));
  await r.wires.pass(1_000);
  assert.deepEqual([r.stream()!.peer.id, r.live()!.peer.id], [stays.id, stays.id]);
  for (const wire of [r.stream()!, r.live()!]) wire.close("away");
  await r.wires.pass(1_000);
  assert.deepEqual([r.stream()!.peer.id, r.live()!.peer.id], [stays.id, stays.id]);
  r.wires.known.splice(r.wires.known.indexOf(stays), 1);
  r.stream()!.close("away");
  await r.wires.pass(1_000);
  assert.equal(r.stream()!.peer.id, gone.id);
});

Deno.test("only headers of the newest epoch count, and a later one only ends the stream", async () => {
  let alive = 0;
  const epochs = new Epochs([zero.manifest]), other = new Play(511);
  const r = reading({ epochs, alive: () => void alive++, from: 0 });
  const frame = (play: Play, round: number) => {
    const opened = play.open(play.header({ round, carry: false, messageBytes: 0 }));
    const bytes = concat(opened.header.bytes, ...opened.opens);
    return concat(Uint8Array.of(bytes.length & 255, bytes.length >> 8, 0, 0), bytes);
  };
  await r.wires.pass(1);
  r.live()!.frame(frame(zero, 6));
  r.live()!.frame(frame(zero, 6));
  assert.equal(alive, 1, "told again is no sign");
  const ended = r.live()!;
  ended.frame(frame(other, 7));
  assert.equal(ended.closed, "a committee that is not known yet");
  await r.wires.pass(1_000);
  epochs.adopt(all.slice(0, 2));
  await r.wires.pass(1_000);
  r.live()!.frame(frame(zero, 7));
  assert.equal(alive, 1, "the old epoch is over");
  assert.equal(r.live()!.closed, undefined);
  r.live()!.frame(frame(one, 6));
  assert.equal(alive, 2, "the new one may count void rounds again");
});

Deno.test("a subscriber stays over a change, and a window acknowledges over its border", () => {
  const holder = holding(100), wire = holder.dial();
  wire.frame(u64(0));
  assert.deepEqual(wire.sent.splice(0), [u64(0)], "there is none yet");
  for (const played of log) {
    holder.add(played);
    assert.deepEqual(wire.sent.splice(0), [played.bytes]);
    wire.frame(u64(roundOf(played) + 1));
  }
  assert.equal(wire.closed, undefined);
});

Deno.test("a holder says what it lacks before an epoch's first record", () => {
  const offers: number[][] = [];
  for (const from of [1, 8, 10]) {
    for (const archived of [true, false]) {
      const wire = holding(from, archived).dial();
      wire.frame(u64(0));
      const [answer] = wire.sent;
      offers.push(answer.length === 8 ? [from, new Reader(answer, "offer").u64()] : [from]);
    }
  }
  assert.deepEqual(offers, [[1], [1], [8, 8], [8, 8], [10, 10], [10, 10]]);
});
