import assert from "node:assert/strict";
import { compare, hex } from "../../src/protocol/bytes.ts";
import { hash } from "../../src/protocol/hash.ts";
import { layoutOf } from "../../src/protocol/layout.ts";
import { PRESETS, scheduleBytes } from "../../src/protocol/parameters.ts";
import { entry, mark, places } from "./oracle.ts";
import { Random } from "./random.ts";

const p = { ...PRESETS.dev, maxTalkers: 16, maxMessageBytes: 300, maxVectorBytes: 2_048 };
const random = new Random(100), h = random.bytes(32);

/** A record whose schedule holds entries of these units and flags. */
function record(list: readonly { units: number; flags?: number }[], hashOf = random.bytes(32)) {
  const schedule = new Uint8Array(scheduleBytes(p));
  for (const { units, flags } of list) {
    const c = random.bytes(16), bytes = entry(h, c, units, flags);
    for (const place of places(h, c, 16)) mark(schedule, place, bytes);
  }
  return { hash: hashOf, schedule, header: { hash: h } };
}
const units = (...list: number[]) => list.map((n) => ({ units: n }));

Deno.test("offsets follow the order of H(order ‖ record hash ‖ c)", () => {
  const made = record(units(1, 2, 3, 4, 5)), { grants, bytes, complete } = layoutOf(made, p);
  assert.ok(complete);
  const order = (c: Uint8Array) => hash("order", made.hash, c);
  let at = 0;
  grants.forEach((grant, i) => {
    assert.equal(grant.offset, at);
    at += grant.length;
    if (i) assert.ok(compare(order(grants[i - 1].commitment), order(grant.commitment)) < 0);
  });
  assert.deepEqual([grants.length, bytes, at], [5, 960, 960]);
});

Deno.test("another record hash gives another order of the same grants", () => {
  const made = record(units(1, 1, 1, 1, 1, 1, 1, 1)), other = { ...made, hash: random.bytes(32) };
  const names = (of: typeof made) => layoutOf(of, p).grants.map((g) => hex(g.commitment));
  assert.notDeepEqual(names(made), names(other));
  assert.deepEqual(names(made).sort(), names(other).sort());
});

Deno.test("entries with flags, no units or too many are dropped", () => {
  const made = record([
    { units: 1 },
    { units: 1, flags: 1 },
    { units: 1, flags: 0x8000 },
    { units: 0 },
    { units: 6 },
    { units: 65_535 },
    { units: 5 },
  ]);
  const { grants, complete } = layoutOf(made, p);
  assert.ok(complete);
  assert.deepEqual(grants.map((g) => g.length).sort(), [320, 64]);
});

Deno.test("at most maxTalkers are granted, and maxVectorBytes is never passed", () => {
  assert.equal(layoutOf(record(Array(20).fill({ units: 1 })), p).grants.length, 16);
  for (let i = 0; i < 50; i++) {
    const { grants, bytes } = layoutOf(
      record(Array.from({ length: 12 }, () => ({ units: 1 + random.below(5) }))),
      p,
    );
    assert.ok(bytes <= p.maxVectorBytes);
    assert.equal(grants.reduce((sum, g) => sum + g.length, 0), bytes);
  }
});

Deno.test("what does not fit is passed over for what comes after it", () => {
  let seen = 0;
  for (let i = 0; i < 40; i++) {
    const made = record(units(5, 5, 5, 5, 5, 5, 5, 2, 1));
    const { grants, bytes } = layoutOf(made, p);
    // Six of five units leave 128 bytes: the seventh is passed over.
    if (grants.filter((g) => g.length === 320).length === 6 && bytes > 6 * 320) seen++;
    assert.ok(bytes > p.maxVectorBytes - 320, "one more would have fit");
  }
  assert.ok(seen > 0);
});

Deno.test("a table that does not decode grants what was peeled, or nothing", () => {
  const noise = { ...record([]), schedule: random.bytes(scheduleBytes(p)) };
  assert.deepEqual(layoutOf(noise, p), { grants: [], bytes: 0, complete: false });
  const made = record(units(1, 2));
  made.schedule[24 * 5 + 3] ^= 1;
  const { grants, complete } = layoutOf(made, p);
  assert.ok(!complete && grants.length <= 2);
  assert.deepEqual(layoutOf(record([]), p), { grants: [], bytes: 0, complete: true });
});
