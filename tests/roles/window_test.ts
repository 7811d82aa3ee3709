/** What a holder sends to its subscribers, and when: flow control, gaps, and frames that lie. */
import assert from "node:assert/strict";
import { Reader, u64 } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { decodeCertified } from "../../src/protocol/record.ts";
import { Feed, NEWEST } from "../../src/roles/feed.ts";
import { MAX_KEPT_RECORDS, memoryArchive, type Records } from "../../src/roles/records.ts";
import { instanceStreams } from "../../src/roles/streams.ts";
import { WINDOW_BYTES, WINDOW_RECORDS } from "../../src/roles/window.ts";
import { Play } from "../protocol/play.ts";
import { Random } from "../protocol/random.ts";
import { type Entry, extendLog, rounds } from "./log.ts";
import { peerOf, type Wire, Wires } from "./wire.ts";

/** A holder of records, and what was read of its archive. */
class Holder {
  readonly play: Play;
  readonly wires: Wires;
  readonly feed: Feed;
  readonly history = memoryArchive(Infinity, Infinity);
  reads = 0;
  readRecords = 0;
  longestRead = 0;

  constructor(seed: number, archive = true) {
    this.play = new Play(seed);
    this.wires = new Wires("server", this.play.servers[0].seed);
    const { history } = this;
    const counted: Records = {
      get newest() {
        return history.newest;
      },
      get oldest() {
        return history.oldest;
      },
      read: (...asked) => {
        const out = history.read(...asked);
        this.reads++;
        this.readRecords += out.length;
        this.longestRead = Math.max(this.longestRead, out.length);
        return out;
      },
    };
    this.feed = new Feed(this.play.manifest.root, archive ? counted : undefined);
    this.feed.serve(this.wires, this.play.parameters);
  }

  /** Certifies records as a server does. */
  add(entries: readonly Entry[]): void {
    for (const { round, bytes, certified } of entries) {
      this.history.append(round, bytes);
      this.feed.record(certified);
    }
  }
  /** A subscriber. */
  dial(): Wire {
    const { broadcasts } = instanceStreams(this.play.parameters);
    return this.wires.dial(peerOf("reader", this.play.random.bytes(32)), broadcasts);
  }
  /** Rounds of the records in frames; a frame that offers a round as −round. */
  rounds(frames: readonly Uint8Array[]): number[] {
    return frames.map((bytes) =>
      bytes.length === 8
        ? -new Reader(bytes, "offer").u64()
        : decodeCertified(bytes, this.play.manifest).record.header.round
    );
  }
}

Deno.test("a slow subscriber is sent a window, whatever is certified meanwhile, and then all the rest", () => {
  const holder = new Holder(300), total = 2 * MAX_KEPT_RECORDS;
  holder.add(extendLog(holder.play, total));
  const slow = holder.dial(), got: number[] = [];
  slow.frame(u64(1));
  assert.equal(slow.sent.length, WINDOW_RECORDS);
  const before = holder.reads;
  holder.add(extendLog(holder.play, 100));
  assert.equal(slow.sent.length, WINDOW_RECORDS, "it acknowledged nothing");
  assert.equal(holder.reads, before, "for who is not served nothing is read");
  while (got.length < total + 100) {
    const [round] = holder.rounds([slow.sent.shift()!]);
    got.push(round);
    slow.frame(u64(round + 1));
    assert.ok(slow.sent.length <= WINDOW_RECORDS);
  }
  assert.deepEqual(got, rounds(1, total + 100));
  assert.equal(slow.sent.length, 0);
  assert.equal(slow.closed, undefined, "it was never cut");
  assert.ok(holder.readRecords <= total + 100, "no record is read twice");
  assert.ok(holder.reads <= (total + 100) / 3, `${holder.reads} reads: several records in each`);
  assert.ok(holder.longestRead <= WINDOW_RECORDS);
  holder.add(extendLog(holder.play, 1));
  assert.deepEqual(holder.rounds(slow.sent), [total + 101], "now it follows");
});

Deno.test("a window is bounded in bytes too, but for one record", () => {
  const holder = new Holder(301), [first] = extendLog(holder.play, 1);
  const long = { ...first.certified.record, bytes: new Uint8Array(WINDOW_BYTES / 2 + 1) };
  const previous = () => new Uint8Array(32);
  for (const round of rounds(1, 6)) {
    const header = { ...long.header, round, previous: previous() };
    const bytes = round === 4 ? new Uint8Array(2 * WINDOW_BYTES) : long.bytes;
    const record = { ...long, header, hash: new Uint8Array(32), bytes };
    holder.feed.record({ record, certificate: [] });
  }
  const wire = holder.dial();
  wire.frame(u64(1));
  const waiting: number[] = [];
  for (const round of rounds(1, 6)) {
    waiting.push(wire.sent.length);
    assert.ok(wire.sent.length > 0, `record ${round} comes`);
    assert.ok(wire.sent.length === 1 || wire.sent.length * long.bytes.length <= 2 * WINDOW_BYTES);
    wire.sent.shift();
    wire.frame(u64(round + 1));
  }
  assert.ok(Math.max(...waiting) <= 2, `${waiting}`);
});

Deno.test("200 subscribers, each at its own pace, each get every record once", () => {
  const holder = new Holder(302), random = new Random(302), total = 120;
  holder.add(extendLog(holder.play, 40));
  const readers = rounds(1, 200).map((i) => {
    const wire = holder.dial(), from = 1 + i % 40;
    wire.frame(u64(from));
    return { wire, from, pace: 1 + random.below(12), got: [] as number[] };
  });
  const turn = (turn: number) => {
    for (const { wire, pace, got } of readers) {
      assert.ok(wire.sent.length <= WINDOW_RECORDS);
      if (turn % pace !== 0 || wire.sent.length === 0) continue;
      got.push(...holder.rounds(wire.sent.splice(0)));
      wire.frame(u64(got.at(-1)! + 1));
    }
  };
  for (let i = 0; i < total - 40; i++) {
    holder.add(extendLog(holder.play, 1));
    turn(i);
  }
  for (let i = 0; i < 600; i++) turn(i);
  for (const { got, from } of readers) assert.deepEqual(got, rounds(from, total));
});

Deno.test("fuzz: acknowledgements that rise, fall and lie", () => {
  for (let seed = 0; seed < 300; seed++) {
    const holder = new Holder(303), random = new Random(9_000 + seed);
    holder.add(extendLog(holder.play, 30, [7, 8, 19]));
    const wire = holder.dial(), from = random.below(34);
    wire.frame(u64(from));
    const got: number[] = [];
    let acknowledged = from;
    for (let i = 0; i < 60 && wire.closed === undefined; i++) {
      got.push(...holder.rounds(wire.sent.splice(0)));
      const next = (got.at(-1) ?? from - 1) + 1;
      const flight = got.filter((round) => round >= acknowledged).length;
      assert.ok(flight <= WINDOW_RECORDS, `seed ${seed}: ${flight} on the way`);
      const ways = [
        () => acknowledged + random.below(Math.max(1, next - acknowledged + 1)),
        () => random.below(40),
        () => next + 1 + random.below(5),
        () => NEWEST - random.below(2),
        () => random.u32() * 2 ** 20,
      ];
      const round = random.below(4) ? ways[0]() : random.pick(ways)();
      const fair = round >= acknowledged && round <= next;
      try {
        wire.frame(u64(round));
        assert.ok(fair, `seed ${seed}: ${round} taken after ${acknowledged}, sent up to ${next}`);
        acknowledged = round;
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        assert.ok(!fair, `seed ${seed}: ${round} refused after ${acknowledged}, up to ${next}`);
        assert.ok(wire.closed !== undefined);
      }
      const all = rounds(from, 33).filter((round) => round > 0 && ![7, 8, 19].includes(round));
      assert.deepEqual(got, all.slice(0, got.length), `seed ${seed}: in order, each once`);
    }
  }
});

Deno.test("a holder says from which round on it has records, and waits to be asked for that", () => {
  const holder = new Holder(304, false);
  const entries = extendLog(holder.play, MAX_KEPT_RECORDS + 88, [100]);
  holder.add(entries);
  const oldest = entries.at(-MAX_KEPT_RECORDS)!.round, wire = holder.dial();
  wire.frame(u64(5));
  assert.deepEqual(holder.rounds(wire.sent), [-oldest]);
  holder.add(extendLog(holder.play, 1));
  assert.equal(wire.sent.length, 1, "nothing comes unasked");
  const early = holder.dial();
  early.frame(u64(5));
  assert.throws(() => early.frame(u64(oldest - 1)), /round 88 acknowledged, expected 5 to 5/);
  // One was dropped since: it is told again.
  wire.frame(u64(oldest));
  assert.deepEqual(holder.rounds(wire.sent), [-oldest, -(oldest + 1)]);
  wire.frame(u64(oldest + 1));
  assert.deepEqual(
    holder.rounds(wire.sent).slice(2),
    rounds(oldest + 1, oldest + 9).filter((r) => r !== 100).slice(0, 8),
  );
});

Deno.test("a subscriber that lags behind what a holder keeps hears it, after what it was sent", () => {
  const holder = new Holder(305, false);
  holder.add(extendLog(holder.play, 20));
  const wire = holder.dial();
  wire.frame(u64(1));
  holder.add(extendLog(holder.play, MAX_KEPT_RECORDS));
  wire.frame(u64(4));
  assert.equal(wire.sent.length, 8, "half of the window is still on its way");
  wire.frame(u64(5));
  assert.deepEqual(holder.rounds(wire.sent), [...rounds(1, 8), -21]);
  wire.frame(u64(9));
  assert.equal(wire.closed, undefined, "what was on its way may still be acknowledged");
  wire.frame(u64(21));
  assert.deepEqual(holder.rounds(wire.sent).slice(9), rounds(21, 28));
});

Deno.test("no record is missing before the first of all, nor where rounds were void", () => {
  const holder = new Holder(306, false);
  holder.add(extendLog(holder.play, 10, [1, 2, 6, 7]));
  for (const [from, first] of [[0, 3], [1, 3], [6, 8]]) {
    const wire = holder.dial();
    wire.frame(u64(from));
    assert.equal(holder.rounds(wire.sent)[0], first);
  }
});

Deno.test("the newest record and what follows: also where there is none yet", () => {
  const holder = new Holder(307), wires = [holder.dial(), holder.dial()];
  wires[0].frame(u64(NEWEST));
  assert.throws(() => {
    wires[1].frame(u64(NEWEST));
    wires[1].frame(u64(3));
  }, /round 3 acknowledged, expected 0 to 0/);
  assert.deepEqual(wires[0].sent.splice(0), [u64(0)], "there is none, and it is told so once");
  const entries = extendLog(holder.play, 3);
  holder.add(entries.slice(0, 2));
  assert.deepEqual(holder.rounds(wires[0].sent), [1, 2]);
  const late = holder.dial();
  late.frame(u64(NEWEST));
  holder.add(entries.slice(2));
  assert.deepEqual(holder.rounds(late.sent), [2, 3]);
});

Deno.test("a server whose archive is behind serves the newest from memory, and says what it lacks", () => {
  const holder = new Holder(308), entries = extendLog(holder.play, 40);
  for (const { round, bytes } of entries.slice(0, 10)) holder.history.append(round, bytes);
  for (const { certified } of entries.slice(29)) holder.feed.record(certified);
  const newest = holder.dial(), all = holder.dial();
  newest.frame(u64(NEWEST));
  assert.deepEqual(holder.rounds(newest.sent), [40]);
  all.frame(u64(1));
  all.frame(u64(9));
  assert.deepEqual(holder.rounds(all.sent), rounds(1, 10));
  all.frame(u64(11));
  assert.deepEqual(holder.rounds(all.sent).at(-1), -30);
  all.frame(u64(30));
  assert.deepEqual(holder.rounds(all.sent).slice(11), rounds(30, 37));
});

Deno.test("a server whose archive is empty says from which round on it has records", () => {
  const holder = new Holder(309);
  for (const { certified } of extendLog(holder.play, 9).slice(4)) holder.feed.record(certified);
  const wire = holder.dial();
  wire.frame(u64(0));
  assert.deepEqual(holder.rounds(wire.sent), [-5]);
});

Deno.test("an old record that is certified again does not hide the newest", () => {
  const holder = new Holder(310), entries = extendLog(holder.play, 11);
  for (const { round, bytes } of entries.slice(0, 10)) holder.history.append(round, bytes);
  const wire = holder.dial();
  for (const { certified } of entries.slice(4, 6)) holder.feed.record(certified);
  wire.frame(u64(NEWEST));
  assert.deepEqual(holder.rounds(wire.sent), [10]);
  holder.add(entries.slice(10));
  assert.deepEqual(holder.rounds(wire.sent), [10, 11]);
});
