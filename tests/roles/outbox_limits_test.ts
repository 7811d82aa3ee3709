/** The outbox's ends and bounds: reset, deadline, close, sizes, wiping. */
import assert from "node:assert/strict";
import { hex, u32 } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { MAX_PENDING, type Submission } from "../../src/roles/outbox.ts";
import { client, parameters, Rounds } from "./rounds.ts";

const text = (s: string) => new TextEncoder().encode(s);

const retrying = (s: Submission) => s.status.kind === "retrying" ? s.status.reason : s.status.kind;
Deno.test("reset: reservations and grants lapse, what was sent is exposed", () => {
  const { outbox } = client(), rounds = new Rounds();
  const first = outbox.send(text("sent")), second = outbox.send(text("reserved"));
  rounds.play([outbox]);
  const late = rounds.play([outbox], { lost: true });
  outbox.reset();
  assert.equal(retrying(first), "exposed");
  assert.equal(retrying(second), "lapsed");
  rounds.certify([outbox], late);
  assert.equal(first.status.kind, "landed", "the old one landed after all");
  const { schedule, messages } = rounds.play([outbox]).vectors[0]!;
  assert.ok(schedule.some((byte) => byte !== 0) && messages.every((byte) => byte === 0));
});

Deno.test("a record that comes again changes nothing", () => {
  for (const once of [true, false]) {
    const { outbox } = client(), rounds = new Rounds();
    const before = rounds.head;
    const submission = outbox.send(text("again"), { once });
    const { record } = rounds.play([outbox]), after = rounds.head;
    const late = rounds.play([outbox], { lost: true });
    rounds.play([outbox], { carry: false, lost: true });
    outbox.record(record!, before, after, true);
    assert.equal(retrying(submission), once ? "pending" : "exposed");
    rounds.certify([outbox], late);
    assert.equal(submission.status.kind, "landed");
  }
});

Deno.test("deadline: expires, and says whether the words may be known", () => {
  const { outbox, clock } = client(), rounds = new Rounds();
  const first = outbox.send(text("a"), { deadline: 10 });
  rounds.play([outbox]);
  const second = outbox.send(text("b"), { deadline: 11 }), third = outbox.send(text("c"));
  rounds.play([outbox], { lost: true });
  clock.now += 9;
  outbox.expire();
  assert.equal(outbox.size, 3);
  clock.now += 2;
  outbox.expire();
  assert.deepEqual(first.status, { kind: "expired", reason: "deadline, exposed" });
  assert.deepEqual(second.status, { kind: "expired", reason: "deadline" });
  clock.now += 300_000;
  const { schedule } = rounds.play([outbox]).vectors[0]!;
  assert.ok(schedule.every((byte) => byte === 0));
  assert.deepEqual(third.status, { kind: "expired", reason: "deadline" });
});

Deno.test("close expires what is open and refuses what comes", async () => {
  const { outbox } = client(), open = outbox.send(text("a"));
  outbox.close("stopped");
  assert.deepEqual(await open.outcome, { kind: "expired", reason: "stopped" });
  assert.deepEqual(outbox.send(text("b")).status, {
    kind: "refused",
    reason: "outbox is closed: stopped",
  });
  assert.equal(outbox.size, 0);
});

Deno.test("bounds: payloads, deadlines, pending messages", () => {
  const { outbox } = client(), max = parameters.maxMessageBytes;
  const range = (message: RegExp) => (error: unknown) =>
    error instanceof ProtocolError && error.code === "range" && message.test(error.message);
  assert.throws(() => outbox.send(new Uint8Array(0)), range(/1 to 200 bytes, got 0/));
  assert.throws(() => outbox.send(new Uint8Array(max + 1)), range(/1 to 200 bytes, got 201/));
  for (const deadline of [0, -1, NaN]) {
    assert.throws(() => outbox.send(text("a"), { deadline }), range(/deadline/));
  }
  for (let i = 0; i < MAX_PENDING; i++) outbox.send(u32(i));
  const refused = outbox.send(new Uint8Array(max));
  assert.equal(outbox.size, MAX_PENDING);
  assert.deepEqual(refused.status, {
    kind: "refused",
    reason: "outbox is full, 1024 messages pending",
  });
});

Deno.test("a header is composed for once; cover only where it is not to speak", () => {
  const { outbox } = client(), rounds = new Rounds();
  outbox.send(text("a"));
  const header = rounds.header(), twin = { ...header, hash: new Uint8Array(32) };
  const { schedule } = outbox.compose(header, rounds.head, { speak: false });
  assert.ok(schedule.every((byte) => byte === 0));
  assert.throws(() => outbox.compose(twin, rounds.head), /header 1 after header 1/);
  for (const reset of [false, true]) {
    if (reset) outbox.reset();
    assert.throws(() => outbox.compose(header, rounds.head), ProtocolError);
  }
  const stray = { ...rounds.header(), previous: new Uint8Array(32).fill(1) };
  assert.throws(() => outbox.compose(stray, rounds.head), /does not extend/);
  const again = client(2).outbox, submission = again.send(text("a")), next = rounds.header();
  again.compose(next, rounds.head);
  again.skip(next);
  assert.equal(submission.status.kind, "pending");
});

Deno.test("payload, slots and salts are wiped when the fate is known", () => {
  const wiped: Uint8Array[] = [];
  Uint8Array.prototype.fill = function (...args) {
    if (hex(this).includes(hex(text("secret")))) wiped.push(this);
    return Object.getPrototypeOf(Uint8Array.prototype).fill.apply(this, args);
  };
  try {
    const { outbox, salts } = client(), rounds = new Rounds();
    outbox.send(text("secret"));
    rounds.play([outbox], { out: [0] });
    rounds.play([outbox]);
    rounds.play([outbox], { skip: [0], lost: true });
    rounds.play([outbox], { carry: false });
    assert.deepEqual(wiped.map((bytes) => bytes.length), [64, 64, 64, 64]);
    rounds.play([outbox]);
    assert.equal(outbox.size, 0);
    assert.deepEqual(wiped.map((bytes) => bytes.length), [64, 64, 64, 64, 64, 6]);
    assert.deepEqual(salts.map(hex), Array(3).fill("00".repeat(16)));
  } finally {
    delete (Uint8Array.prototype as { fill?: unknown }).fill;
  }
});
