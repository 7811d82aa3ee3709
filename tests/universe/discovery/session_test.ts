/** Two catalogs that are compared over a pipe, and the frames in which they are. */
import assert from "node:assert/strict";
import { ProtocolError } from "../../../src/protocol/errors.ts";
import type { Peer, Stream } from "../../../src/universe/network.ts";
import { FrameError } from "../../../src/universe/hello.ts";
import type { Catalog } from "../../../src/universe/discovery/catalog.ts";
import {
  BUCKETS,
  decodeFrame,
  digest,
  Digester,
  DONE,
  encodeBuckets,
  encodeItems,
  encodeRows,
  encodeSummary,
  encodeWanted,
  isDeparture,
  type Item,
  MAX_FRAME,
  MAX_ROWS,
  MAX_WANTED,
} from "../../../src/universe/discovery/digest.ts";
import type { Departure, Entry } from "../../../src/universe/discovery/entry.ts";
import {
  type Holdings,
  MAX_OFFERED,
  ROUND_BURST,
  ROUND_MS,
  Session,
} from "../../../src/universe/discovery/session.ts";
import { Random } from "../../protocol/random.ts";
import { catalogOf, departureOf, entryOf, nodeOf, START } from "./making.ts";

/** A catalog as a side of a comparison. */
function side(n: number, tells = true) {
  const { catalog, time } = catalogOf({ self: "" });
  const timers: (() => void)[] = [];
  const faults: string[] = [];
  const peer: Peer = { ...nodeOf(n), id: entryOf(n).id, role: "server", addresses: [] };
  const holdings: Holdings = {
    clock: {
      now: () => time.now,
      wall: () => time.now,
      after(ms, task) {
        assert.equal(ms, ROUND_MS);
        timers.push(task);
        return () => void timers.splice(timers.indexOf(task), 1);
      },
    },
    digest: () => digest(catalog.items()),
    item: (id) => catalog.item(id),
    wants: (id, version, departure) => catalog.wants(id, version, departure),
    take: (item, from) => void take(catalog, item, from),
    fault: (_, reason) => void faults.push(reason),
    sample() {},
    tells,
  };
  return { catalog, time, timers, faults, holdings, peer };
}

function take(catalog: Catalog, item: Item, from: string): string {
  return isDeparture(item)
    ? catalog.depart(item as Departure, from)
    : catalog.upsert(item as Entry, from);
}

/** A pipe between two sides, and what went through it. */
function pipe(a: ReturnType<typeof side>, b: ReturnType<typeof side>) {
  const sent: Uint8Array[] = [];
  const closed: string[] = [];
  const stream = (peer: Peer, to: () => Session): Stream => ({
    peer,
    send(frame) {
      assert(frame.length <= MAX_FRAME);
      sent.push(frame);
      queueMicrotask(() => {
        try {
          if (closed.length === 0) to().frame(frame);
        } catch (error) {
          closed.push(String(error));
        }
      });
      return closed.length === 0;
    },
    limit() {},
    close(reason = "closed") {
      closed.push(reason);
      dialer.closed(reason);
      answerer.closed(reason);
    },
  });
  const dialer: Session = new Session(a.holdings, stream(b.peer, () => answerer), true, () => {});
  const answerer: Session = new Session(b.holdings, stream(a.peer, () => dialer), false, () => {});
  const bytes = () => sent.reduce((sum, frame) => sum + frame.length, 0);
  return { dialer, answerer, sent, closed, bytes };
}

function fill(catalog: Catalog, from: number, to: number): void {
  for (let n = from; n < to; n++) {
    const entry = entryOf(n);
    assert.equal(catalog.upsert(entry, entry.id), "new");
  }
}

const ids = (catalog: Catalog) => catalog.peers().map(({ id }) => id);

Deno.test("session: where catalogs agree, a comparison costs two frames", async () => {
  const a = side(9_001), b = side(9_002);
  for (const one of [a, b]) fill(one.catalog, 0, 40);
  const { dialer, sent, bytes } = pipe(a, b);
  await dialer.compare(false);
  assert.equal(sent.length, 2);
  assert.equal(bytes(), 2 + 32 * BUCKETS + 3);
  assert.deepEqual(a.timers, []);
});

Deno.test("session: after one, both hold what either held, newest and departed", async () => {
  const a = side(9_001), b = side(9_002);
  fill(a.catalog, 0, 300);
  fill(b.catalog, 200, 700);
  a.catalog.upsert(entryOf(250, { updated: START + 5, tags: ["newer"] }), "x");
  b.catalog.upsert(entryOf(260, { updated: START + 5, tags: ["newer"] }), "x");
  a.catalog.depart(departureOf(270, START, START + 5), "x");
  b.catalog.depart(departureOf(280, START, START + 5), "x");
  const { dialer } = pipe(a, b);
  await dialer.compare(false);
  await Promise.resolve();
  assert.deepEqual(ids(a.catalog), ids(b.catalog));
  assert.equal(a.catalog.size, 698);
  for (const n of [250, 260]) {
    for (const one of [a, b]) assert(one.catalog.get(entryOf(n).id)!.tags.has("newer"), `${n}`);
  }
  const again = pipe(a, b);
  await again.dialer.compare(false);
  assert.equal(again.sent.length, 2, "they agree now");
});

Deno.test("session: one changed entry costs its bucket and itself", async () => {
  const a = side(9_001), b = side(9_002);
  for (const one of [a, b]) fill(one.catalog, 0, 480);
  const changed = entryOf(3, { updated: START + 1 });
  b.catalog.upsert(changed, "x");
  const { dialer, bytes } = pipe(a, b);
  await dialer.compare(false);
  const bucket = ids(a.catalog).filter((id) => id[0] === changed.id[0]).length;
  assert.equal(bytes(), 514 + 3 + 2 + 49 * bucket + 33 + 1 + 5 + changed.bytes.length + 1);
});

Deno.test("session: who does not tell hears all and says nothing", async () => {
  const a = side(9_001, false), b = side(9_002);
  fill(a.catalog, 0, 10);
  fill(b.catalog, 10, 20);
  const { dialer } = pipe(a, b);
  await dialer.compare(true);
  assert.deepEqual([a.catalog.size, b.catalog.size], [20, 10]);
});

Deno.test("session: much to offer takes rounds", async () => {
  const a = side(9_001), b = side(9_002);
  fill(a.catalog, 0, MAX_OFFERED + 100);
  const { dialer } = pipe(a, b);
  await dialer.compare(false);
  await new Promise((resolve) => queueMicrotask(() => queueMicrotask(() => resolve(0))));
  assert.equal(b.catalog.size, MAX_OFFERED);
});

Deno.test("session: silence ends it, and an end while it waits rejects", async () => {
  const a = side(9_001), b = side(9_002);
  const { dialer, answerer, closed } = pipe(a, b);
  answerer.frame = () => {};
  const waits = dialer.compare(false);
  a.timers[0]();
  await assert.rejects(waits, /no answer/);
  assert.equal(closed.length, 1);
  await assert.rejects(dialer.compare(false), /closed/);
});

Deno.test("session: what is out of turn, or too often, is refused", () => {
  const a = side(9_001), b = side(9_002);
  fill(b.catalog, 0, 5);
  const { dialer, answerer } = pipe(a, b);
  const summary = encodeSummary(false, Array(BUCKETS).fill(new Uint8Array(32)));
  for (const frame of [encodeBuckets(1), encodeRows([])[0], DONE]) {
    assert.throws(() => dialer.frame(frame), FrameError, "outside a round");
    assert.throws(() => answerer.frame(frame), FrameError, "of an answerer");
  }
  assert.throws(() => dialer.frame(summary), FrameError);
  dialer.compare(false).catch(() => {});
  assert.throws(() => dialer.frame(DONE), FrameError, "nothing was wanted");
  assert.throws(() => dialer.frame(encodeRows([])[0]), FrameError, "no bucket differs");
  for (let n = 0; n < ROUND_BURST; n++) answerer.frame(summary);
  assert.throws(() => answerer.frame(summary), /more rounds/);
  const wanted = encodeWanted(Array(MAX_WANTED).fill(nodeOf(1).key));
  assert.throws(() => {
    for (let n = 0; n < 100; n++) answerer.frame(wanted);
  }, /more items than a stream may ask for/);
  const items = encodeItems([entryOf(1)])[0];
  assert.throws(() => {
    for (let n = 0; n < 10_000; n++) answerer.frame(items);
  }, /more items than a stream may bring/);
});

Deno.test("digest: frames are read as they were written, and split where they are full", () => {
  const items = [entryOf(1), departureOf(2), entryOf(3)];
  const { buckets, hashes } = digest(items);
  assert.deepEqual(digest([...items].reverse()), { buckets, hashes });
  assert.deepEqual(decodeFrame(encodeSummary(true, hashes)), {
    kind: "summary",
    push: true,
    hashes: [...hashes],
  });
  const [rows, ...more] = encodeRows(buckets.flat()).map(decodeFrame);
  assert(rows.kind === "rows" && !rows.more && more.length === 0);
  assert.deepEqual(
    rows.rows.map(({ id, departure }) => [id, departure]).sort(),
    items.map((item) => [item.id, isDeparture(item)]).sort(),
  );
  assert.deepEqual(decodeFrame(encodeItems(items)[0]), { kind: "items", items });
  assert.deepEqual(encodeItems([]), []);
  const pages = encodeRows(Array(2 * MAX_ROWS + 1).fill(buckets.flat()[0])).map(decodeFrame);
  assert.deepEqual(pages.map((page) => page.kind === "rows" && [page.more, page.rows.length]), [
    [true, MAX_ROWS],
    [true, MAX_ROWS],
    [false, 1],
  ]);
  const many = encodeItems(Array(1_000).fill(items[0]));
  assert(many.length > 1 && many.every((frame) => frame.length <= MAX_FRAME));
});

Deno.test("digest: 20,000 damaged frames break neither decoder nor catalog", () => {
  const seed = 43, random = new Random(seed);
  const items = Array.from({ length: 30 }, (_, n) => n % 5 ? entryOf(n) : departureOf(n));
  const { buckets, hashes } = digest(items);
  const goods = [
    encodeSummary(true, hashes),
    ...encodeRows(buckets.flat()),
    ...encodeItems(items),
    encodeWanted(items.map((item) => item.key)),
    encodeBuckets(0xffff),
    DONE,
  ];
  const a = side(9_001), b = side(9_002);
  fill(b.catalog, 100, 110);
  const before = ids(b.catalog);
  for (let i = 0; i < 20_000; i++) {
    const bytes = random.pick(goods).slice();
    const cut = random.below(6) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
    for (let n = random.below(3); n >= 0 && cut.length > 0; n--) {
      cut[random.below(cut.length)] ^= 1 << random.below(8);
    }
    const { dialer, answerer } = pipe(a, b);
    for (const session of [dialer, answerer]) {
      try {
        const frame = decodeFrame(cut);
        if (frame.kind !== "items") session.frame(cut);
      } catch (error) {
        const named = error instanceof ProtocolError || error instanceof FrameError;
        assert(named, `seed ${seed}, ${i}: ${error}`);
      }
    }
  }
  assert.deepEqual(ids(b.catalog), before);
  assert.equal(a.catalog.size, 0);
});

Deno.test("digest: a change costs its buckets, and leaves what a digest from nothing would be", () => {
  const digester = new Digester(), random = new Random(11), held = new Map<string, Item>();
  let before = digester.of([]);
  for (let step = 0; step < 200; step++) {
    const touched = new Set<number>();
    for (let change = random.below(4); change > 0; change--) {
      const n = random.below(40), updated = START + step;
      const item: Item = random.below(4) ? entryOf(n, { updated }) : departureOf(n, START, updated);
      if (random.below(3)) held.set(item.id, item);
      else if (!held.delete(item.id)) continue;
      touched.add(item.key[0] >> 4);
    }
    const now = digester.of([...held.values()]);
    assert.deepEqual(now, digest([...held.values()].reverse()));
    for (let n = 0; n < BUCKETS; n++) {
      if (!touched.has(n)) assert.equal(now.hashes[n], before.hashes[n], `bucket ${n} untouched`);
    }
    before = now;
  }
});
