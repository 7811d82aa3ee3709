/** Whose place may be freed for absence, and what a server holds against whoever frees one. */
import assert from "node:assert/strict";
import { Attendance } from "../../src/committee/attendance.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { Roster } from "../../src/protocol/roster.ts";

const LEASE = 4, PERIOD = 100;
const keyOf = (index: number) => new Uint8Array(32).fill(index + 1);

function stage() {
  const roster = new Roster();
  const seat = (index: number) =>
    roster.set(index, { client: keyOf(index), agreement: keyOf(index + 100) });
  for (const index of [0, 1]) seat(index);
  const attendance = new Attendance({ leaseRounds: LEASE, roundPeriod: PERIOD });
  const records = (count: number, ...participants: number[]) => {
    for (let i = 0; i < count; i++) attendance.record(participants, roster);
  };
  const expire = (index: number, now = 0) => {
    attendance.expired(keyOf(index), now);
    roster.set(index, undefined);
  };
  const wronged = (now = 0) => attendance.wronged(roster, now);
  return { roster, seat, attendance, records, expire, wronged };
}

Deno.test("a lease runs from the last record that a client took part in, or came with", () => {
  const { records, attendance, roster } = stage();
  records(1, 0);
  records(LEASE - 1, 0);
  assert.deepEqual(attendance.absent(roster), []);
  records(1, 0);
  assert.deepEqual(attendance.absent(roster), [{ index: 1, client: keyOf(1) }]);
  records(1, 1);
  assert.deepEqual(attendance.absent(roster), []);
});

Deno.test("a place that is freed within the lease of who was seen is held against it", () => {
  const { records, expire, wronged, seat } = stage();
  records(1, 0, 1);
  records(LEASE - 1, 0);
  expire(1);
  assert.equal(wronged(), hex(keyOf(1)));
  seat(1);
  assert.equal(wronged(), undefined, "it stands again");
});

Deno.test("whoever only stood in the roster is not missed: others know for how long", () => {
  const { records, expire, wronged } = stage();
  records(2, 0);
  expire(1);
  assert.equal(wronged(), undefined);
});

Deno.test("a wrong is held for as long as a lease lasts, though no record comes", () => {
  const { records, expire, wronged } = stage();
  records(1, 0, 1);
  expire(1, 50);
  assert.equal(wronged(50 + LEASE * PERIOD - 1), hex(keyOf(1)));
  assert.equal(wronged(50 + LEASE * PERIOD), undefined);
});
