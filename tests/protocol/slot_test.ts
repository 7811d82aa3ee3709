import assert from "node:assert/strict";
import { hex, unhex } from "../../src/protocol/bytes.ts";
import { layoutOf } from "../../src/protocol/layout.ts";
import { PRESETS } from "../../src/protocol/parameters.ts";
import { createEntry, decodeSchedule, insertEntry } from "../../src/protocol/schedule.ts";
import { commitment, createSlot, readSlot } from "../../src/protocol/slot.ts";
import { Random } from "./random.ts";
import { refuses } from "./refuses.ts";

const p = PRESETS.dev, random = new Random(90);
const h = random.bytes(32), later = random.bytes(32);
const granted = (slot: Uint8Array) => ({ commitment: commitment(h, slot) });

Deno.test("payloads of every length around a unit come back", () => {
  for (const n of [1, 43, 44, 45, 107, 108, 109, p.maxMessageBytes]) {
    const payload = random.bytes(n), slot = createSlot(random.bytes(16), payload, p);
    assert.equal(slot.length, 64 * Math.ceil((20 + n) / 64));
    const reading = readSlot(slot, granted(slot), h, p);
    assert.ok(reading.good);
    assert.equal(hex(reading.payload), hex(payload));
  }
});

Deno.test("empty and over-long payloads and other salts are refused", () => {
  const salt = random.bytes(16);
  refuses("range", () => createSlot(salt, new Uint8Array(0), p));
  refuses("range", () => createSlot(salt, new Uint8Array(p.maxMessageBytes + 1), p));
  refuses("length", () => createSlot(salt.subarray(1), Uint8Array.of(1), p));
});

Deno.test("a garbled slot is told from a good one at every bit", () => {
  const slot = createSlot(random.bytes(16), random.bytes(30), p);
  for (let bit = 0; bit < 512; bit++) {
    const bad = slot.slice();
    bad[bit >> 3] ^= 1 << (bit & 7);
    assert.deepEqual(readSlot(bad, granted(slot), h, p), { good: false, reason: "garbled" });
  }
});

Deno.test("empty, truncated and stolen slots are not good", () => {
  const slot = createSlot(random.bytes(16), random.bytes(60), p);
  const other = createSlot(random.bytes(16), random.bytes(60), p);
  const reason = (bytes: Uint8Array) => {
    const reading = readSlot(bytes, granted(slot), h, p);
    return reading.good ? "good" : reading.reason;
  };
  assert.equal(reason(new Uint8Array(128)), "empty");
  assert.equal(reason(slot.subarray(0, 64)), "garbled");
  assert.equal(reason(other), "garbled");
});

Deno.test("a slot with its own commitment but a broken layout is malformed", () => {
  const slot = createSlot(random.bytes(16), random.bytes(30), p);
  const broken = (change: (bytes: Uint8Array) => void, units = 1) => {
    const bytes = new Uint8Array(64 * units);
    bytes.set(slot);
    change(bytes);
    return readSlot(bytes, granted(bytes), h, p);
  };
  const length = (n: string) => (b: Uint8Array) => b.set(unhex(n, 4), 16);
  assert.ok(broken(() => {}).good);
  for (
    const [change, units] of [
      [length("00000000")],
      [length("2d000000")],
      [length("ffffffff")],
      [length("01100000"), 65],
      [(b: Uint8Array) => b.fill(1, 63)],
      [(b: Uint8Array) => b.fill(1, 50, 51)],
      [() => {}, 2],
      [(b: Uint8Array) => b.fill(0, 16)],
    ] as [(b: Uint8Array) => void, number?][]
  ) assert.deepEqual(broken(change, units), { good: false, reason: "malformed" });
});

Deno.test("a commitment copied into another round is worthless", () => {
  const slot = createSlot(random.bytes(16), random.bytes(30), p), c = commitment(h, slot);
  assert.notEqual(hex(commitment(later, slot)), hex(c));
  const copied = new Uint8Array(24 * 128);
  insertEntry(copied, later, createEntry(h, c, 1));
  assert.equal(decodeSchedule(copied, later).entries.length, 0, "the entry as it was");
  const made = new Uint8Array(24 * 128);
  insertEntry(made, later, createEntry(later, c, 1));
  const record = { hash: random.bytes(32), schedule: made, header: { hash: later } };
  const [grant] = layoutOf(record, p).grants;
  assert.equal(hex(grant.commitment), hex(c), "an entry made for it");
  assert.deepEqual(readSlot(slot, grant, later, p), { good: false, reason: "garbled" });
});
