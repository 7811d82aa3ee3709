import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { decodeSchedule } from "../../src/protocol/schedule.ts";
import { decodeTable, entry, mark, places } from "./oracle.ts";
import { Random } from "./random.ts";

const PER = 16, CELLS = 4 * PER;

/** What a malicious client may do to a table, once. */
const mischief: ((random: Random, table: Uint8Array, h: Uint8Array) => void)[] = [
  // An honest entry.
  (random, table, h) => {
    const c = random.bytes(16), bytes = entry(h, c, 1 + random.below(4));
    for (const place of places(h, c, PER)) mark(table, place, bytes);
  },
  // Half-written: some of its four cells.
  (random, table, h) => {
    const c = random.bytes(16), bytes = entry(h, c, 1);
    for (const place of places(h, c, PER)) if (random.below(2)) mark(table, place, bytes);
  },
  // One commitment with two contents, cell by cell.
  (random, table, h) => {
    const c = random.bytes(16), two = [entry(h, c, 1), entry(h, c, 2, 1)];
    for (const place of places(h, c, PER)) mark(table, place, random.pick(two));
  },
  // A valid entry in cells of its own and others.
  (random, table, h) => {
    const c = random.bytes(16), bytes = entry(h, c, 3, random.below(65_536));
    for (const place of places(h, c, PER)) mark(table, place, bytes);
    mark(table, random.below(CELLS), bytes);
  },
  // A loop: the XOR of two valid entries wherever either stands, and one of them alone in a cell.
  (random, table, h) => {
    const a = random.bytes(16), b = random.bytes(16);
    const ea = entry(h, a, 1), eb = entry(h, b, 1), pa = places(h, a, PER), pb = places(h, b, PER);
    for (const place of [...pa, ...pb]) mark(table, place, ea), mark(table, place, eb);
    mark(table, random.pick(pa), ea);
  },
  // Noise in one cell.
  (random, table) => mark(table, random.below(CELLS), random.bytes(24)),
];

Deno.test("the order of decoding is that of a naive decoder, on 2,000 random and malicious tables", () => {
  let peeled = 0, stalled = 0;
  for (let seed = 0; seed < 2_000; seed++) {
    const random = new Random(seed), h = random.bytes(32), table = new Uint8Array(24 * CELLS);
    const honest = random.below(40);
    for (let i = 0; i < honest; i++) mischief[0](random, table, h);
    if (seed % 2) {
      for (let i = random.below(12); i >= 0; i--) random.pick(mischief)(random, table, h);
    }
    const { entries, complete } = decodeSchedule(table, h);
    assert.deepEqual(
      {
        entries: entries.map((e) => ({ c: hex(e.commitment), units: e.units, flags: e.flags })),
        complete,
      },
      decodeTable(table, h),
      `seed ${seed}`,
    );
    peeled += entries.length;
    if (!complete) stalled++;
  }
  assert.ok(peeled > 20_000 && stalled > 200, `${peeled} peeled, ${stalled} tables stalled`);
});

Deno.test("a table full of valid lone entries ends at one entry a cell", () => {
  const random = new Random(1), h = random.bytes(32), table = new Uint8Array(24 * CELLS);
  for (let cell = 0; cell < CELLS; cell++) {
    for (;;) {
      const c = random.bytes(16);
      if (!places(h, c, PER).includes(cell)) continue;
      mark(table, cell, entry(h, c, 1));
      break;
    }
  }
  const { entries, complete } = decodeSchedule(table, h);
  assert.ok(entries.length >= 1 && entries.length <= CELLS && !complete);
  assert.equal(entries.length, decodeTable(table, h).entries.length);
});
