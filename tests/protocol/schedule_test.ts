import assert from "node:assert/strict";
import { hex, xorInto } from "../../src/protocol/bytes.ts";
import { cellsPerTable, PRESETS, scheduleBytes } from "../../src/protocol/parameters.ts";
import { createEntry, decodeSchedule, insertEntry } from "../../src/protocol/schedule.ts";
import { entry, mark, places } from "./oracle.ts";
import { Random } from "./random.ts";
import { refuses } from "./refuses.ts";

const forTalkers = (maxTalkers: number) => scheduleBytes({ ...PRESETS.dev, maxTalkers });

/** A table of `talkers` honest entries. */
function full(random: Random, bytes: number, talkers: number, h: Uint8Array) {
  const table = new Uint8Array(bytes), sent = new Set<string>();
  for (let i = 0; i < talkers; i++) {
    const c = random.bytes(16);
    sent.add(hex(c));
    insertEntry(table, h, createEntry(h, c, 1 + random.below(9)));
  }
  return { table, sent };
}

Deno.test("the table has four sub-tables of the stated sizes", () => {
  const cells = (maxTalkers: number) => 4 * cellsPerTable({ ...PRESETS.dev, maxTalkers });
  assert.deepEqual([1, 32, 33, 64, 255, 256, 1_024, 4_096].map(cells), [
    64,
    64,
    68,
    128,
    512,
    384,
    1_536,
    6_144,
  ]);
});

/** Mean + 5 standard deviations of a count that comes in pairs, as stalled reservations do. */
const bound = (mean: number) => mean + 5 * Math.sqrt(2 * mean);

for (
  const { talkers, tables, lostRate } of [
    { talkers: 32, tables: 3_000, lostRate: 0.0007 },
    { talkers: 64, tables: 1_500, lostRate: 0.00007 },
    { talkers: 128, tables: 500, lostRate: 0.00001 },
  ]
) {
  Deno.test(`at full load ${talkers} talkers' reservations decode at the stated rate`, () => {
    const random = new Random(talkers);
    let lost = 0, stalled = 0;
    for (let i = 0; i < tables; i++) {
      const h = random.bytes(32);
      const { table, sent } = full(random, forTalkers(talkers), talkers, h);
      const { entries, complete } = decodeSchedule(table, h);
      assert.ok(entries.every((e) => sent.has(hex(e.commitment))), "an entry nobody sent");
      assert.equal(complete, entries.length === talkers);
      lost += talkers - entries.length;
      if (!complete) stalled++;
    }
    // Almost every stall is two entries that share all four cells.
    const per = cellsPerTable({ ...PRESETS.dev, maxTalkers: talkers });
    const pairs = tables * talkers * (talkers - 1) / 2 / per ** 4;
    assert.ok(lost <= bound(tables * talkers * lostRate), `${lost} reservations lost`);
    assert.ok(stalled <= bound(1.2 * pairs), `${stalled} of ${tables} tables stalled`);
  });
}

Deno.test("an overloaded table grants what peels and invents nothing", () => {
  const random = new Random(5);
  let peeled = 0;
  for (const load of [1.5, 2, 4, 8]) {
    const h = random.bytes(32);
    const { table, sent } = full(random, forTalkers(32), 32 * load, h);
    const { entries, complete } = decodeSchedule(table, h);
    assert.equal(complete, entries.length === sent.size);
    assert.ok(entries.every((e) => sent.has(hex(e.commitment))));
    if (load === 8) assert.ok(!complete);
    peeled += entries.length;
  }
  assert.ok(peeled > 0);
});

Deno.test("units and flags come out as they went in", () => {
  const h = new Random(6).bytes(32), c = new Random(7).bytes(16);
  const table = new Uint8Array(forTalkers(1));
  for (const place of places(h, c, 16)) mark(table, place, entry(h, c, 65_535, 0x0102));
  const { entries, complete } = decodeSchedule(table, h);
  assert.deepEqual(entries, [{ commitment: c, units: 65_535, flags: 0x0102 }]);
  assert.ok(complete);
});

Deno.test("a half-written entry is peeled once and ends", () => {
  const h = new Random(8).bytes(32), c = new Random(9).bytes(16);
  for (const missing of [1, 2, 3]) {
    const table = new Uint8Array(forTalkers(1));
    for (const place of places(h, c, 16).slice(missing)) mark(table, place, entry(h, c, 1));
    const { entries, complete } = decodeSchedule(table, h);
    assert.equal(entries.length, 1);
    assert.ok(!complete);
  }
});

Deno.test("one entry twice cancels; one commitment with two units is peeled at most once", () => {
  const h = new Random(10).bytes(32), c = new Random(11).bytes(16);
  const table = new Uint8Array(forTalkers(1));
  insertEntry(table, h, createEntry(h, c, 1));
  insertEntry(table, h, createEntry(h, c, 1));
  assert.deepEqual(decodeSchedule(table, h), { entries: [], complete: true });
  const [first, ...rest] = places(h, c, 16);
  mark(table, first, entry(h, c, 1));
  for (const place of rest) mark(table, place, entry(h, c, 2));
  assert.equal(decodeSchedule(table, h).entries.length, 1);
});

Deno.test("an entry in another cell than its own, or of another header, is not taken", () => {
  const random = new Random(12), h = random.bytes(32), c = random.bytes(16);
  const own = places(h, c, 16);
  const table = new Uint8Array(forTalkers(1));
  for (let cell = 0; cell < 64; cell++) if (!own.includes(cell)) mark(table, cell, entry(h, c, 1));
  assert.deepEqual(decodeSchedule(table, h), { entries: [], complete: false });
  const other = new Uint8Array(forTalkers(1));
  insertEntry(other, h, createEntry(h, c, 1));
  assert.equal(decodeSchedule(other, random.bytes(32)).entries.length, 0);
});

Deno.test("decoding does not change the vector it is given", () => {
  const random = new Random(13), h = random.bytes(32);
  const { table } = full(random, forTalkers(32), 20, h);
  const before = hex(table);
  decodeSchedule(table, h);
  assert.equal(hex(table), before);
  xorInto(table, table.slice());
  assert.deepEqual(decodeSchedule(table, h), { entries: [], complete: true });
});

Deno.test("a vector that is not four equal sub-tables is refused", () => {
  const h = new Uint8Array(32);
  for (const bytes of [0, 24, 95, 97, 120]) {
    refuses("length", () => decodeSchedule(new Uint8Array(bytes), h));
    refuses("length", () => insertEntry(new Uint8Array(bytes), h, new Uint8Array(24)));
  }
});
