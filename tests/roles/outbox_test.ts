/** The outbox against a model of rounds: every row of the protocol's section 8. */
import assert from "node:assert/strict";
import { decodeSchedule } from "../../src/protocol/schedule.ts";
import { readSlot } from "../../src/protocol/slot.ts";
import type { Progress, Submission } from "../../src/roles/outbox.ts";
import { client, parameters, Rounds } from "./rounds.ts";

const text = (s: string) => new TextEncoder().encode(s);

const retrying = (s: Submission) => s.status.kind === "retrying" ? s.status.reason : s.status.kind;
const exposed = { kind: "expired", reason: "exposed" };

Deno.test("a message is reserved, granted, sent and lands where its record has it", async () => {
  const { outbox } = client(), rounds = new Rounds(), payload = text("hello");
  const submission = outbox.send(payload);
  payload.fill(0x78); // the outbox has its own copy
  assert.equal(outbox.size, 1);
  rounds.play([outbox]);
  assert.deepEqual(submission.status, { kind: "pending" });
  const { record } = rounds.play([outbox]);
  assert.deepEqual(await submission.outcome, { kind: "landed", round: 2, slot: 0 });
  assert.equal(new TextDecoder().decode(record!.messages.subarray(20, 25)), "hello");
  assert.equal(outbox.size, 0);
});

Deno.test("vectors have the exact length, talking or not", () => {
  const { outbox } = client(), quiet = client(2).outbox, rounds = new Rounds();
  outbox.send(text("x"));
  for (let i = 0; i < 3; i++) {
    const { vectors, header } = rounds.play([outbox, quiet]);
    for (const v of vectors) {
      assert.equal(v?.messages.length, header.messageBytes);
      assert.equal(v?.schedule.length, vectors[0]?.schedule.length);
    }
  }
});

Deno.test("not granted: reserves again after 0..2^min(k, 6) - 1 rounds, under a new salt", () => {
  const { outbox, draws, drawn } = client(), rounds = new Rounds();
  const submission = outbox.send(text("crowded out"));
  draws.push(255, 255, 254, 255, 255, 255, 255);
  const at: number[] = [];
  for (let i = 0; at.length < 8; i++) {
    const { vectors } = rounds.play([outbox], { jam: true });
    if (vectors[0]!.schedule.some((byte) => byte !== 0)) at.push(i);
  }
  const gaps = at.slice(1).map((round, i) => round - at[i] - 1);
  assert.deepEqual(gaps, [1, 3, 6, 15, 31, 63, 63]);
  assert.equal(new Set(drawn).size, 8);
  assert.equal(retrying(submission), "not granted");
});

Deno.test("reserved in a void round: gone, and reserved again", () => {
  const { outbox, salts } = client(), rounds = new Rounds();
  const submission = outbox.send(text("void"));
  rounds.play([outbox], { lost: true });
  assert.equal(submission.status.kind, "pending");
  rounds.play([outbox]);
  assert.deepEqual(submission.status, { kind: "retrying", reason: "void round", attempt: 2 });
  assert.equal(salts.length, 2);
  rounds.play([outbox]);
  assert.deepEqual(submission.status, { kind: "landed", round: 3, slot: 0 });
});

Deno.test("lapsed before the slot was sent: no exposure, reserved again even with once", () => {
  const { outbox } = client(), rounds = new Rounds();
  const submission = outbox.send(text("lapse"), { once: true });
  rounds.play([outbox]);
  rounds.play([outbox], { skip: [0], carry: true, lost: true });
  rounds.play([outbox], { carry: false });
  assert.equal(retrying(submission), "lapsed");
  rounds.play([outbox]);
  assert.equal(submission.status.kind, "landed");
});

Deno.test("a slot that is kept back where it is not to speak lapses unsent, and lands later", () => {
  const { outbox } = client(), rounds = new Rounds();
  const submission = outbox.send(text("kept back"), { once: true });
  rounds.play([outbox]);
  const before = rounds.head, header = rounds.header();
  assert.ok(header.messageBytes > 0);
  const vectors = outbox.compose(header, before, { speak: false });
  assert.ok([...vectors.messages, ...vectors.schedule].every((byte) => byte === 0));
  rounds.certify([outbox], { header, vectors: [vectors], faults: {}, before });
  assert.equal(retrying(submission), "lapsed");
  rounds.play([outbox]);
  rounds.play([outbox]);
  assert.deepEqual(submission.status, { kind: "landed", round: 4, slot: 0 });
});

Deno.test("carry 1 after a void round: the same bytes in the same place", () => {
  const { outbox } = client(), rounds = new Rounds();
  const submission = outbox.send(text("carried"), { once: true });
  rounds.play([outbox]);
  const sent = [1, 2, 3].map(() => rounds.play([outbox], { lost: true }).vectors[0]!.messages);
  sent.push(rounds.play([outbox]).vectors[0]!.messages);
  for (const bytes of sent) assert.deepEqual(bytes, sent[0]);
  assert.deepEqual(submission.status, { kind: "landed", round: 5, slot: 0 });
});

Deno.test("left out with its slot: 1 to 4 rounds, no exposure, the third in a row warns", () => {
  const { outbox, draws, warnings } = client(), other = client(2).outbox, rounds = new Rounds();
  const submission = outbox.send(text("left out"), { once: true });
  for (const [i, draw] of [0, 255, 1].entries()) {
    assert.equal(warnings.length, 0);
    rounds.play([outbox, other]);
    draws.push(draw);
    rounds.play([outbox, other], { out: [0] });
    assert.deepEqual(submission.status, { kind: "retrying", reason: "left out", attempt: i + 2 });
    for (let wait = 0; wait <= (draw & 3); wait++) {
      const { schedule } = rounds.play([outbox, other]).vectors[0]!;
      assert.ok(schedule.every((byte) => byte === 0));
    }
  }
  assert.deepEqual(warnings, ["left out three times in a row, change aggregator"]);
});

Deno.test("left out as cover: the third in a row warns just so, one between does not", () => {
  const { outbox, warnings } = client(), other = client(2).outbox, rounds = new Rounds();
  for (const out of [[0], [0], [], [0], [0]]) rounds.play([outbox, other], { out });
  assert.equal(warnings.length, 0);
  rounds.play([outbox, other], { out: [0] });
  assert.equal(warnings.length, 1);
});

Deno.test("left out with a reservation: reserved again", () => {
  const { outbox } = client(), rounds = new Rounds();
  const submission = outbox.send(text("reservation"));
  rounds.play([outbox], { out: [0] });
  assert.equal(retrying(submission), "left out");
  rounds.play([outbox]);
  rounds.play([outbox]);
  assert.equal(submission.status.kind, "landed");
});

Deno.test("a bad slot in a record with it: reserved again twice, then exposed", async () => {
  const { outbox } = client(), rounds = new Rounds(), seen: Progress[] = [];
  const submission = outbox.send(text("garbled"));
  submission.onProgress((progress) => seen.push(progress));
  for (let i = 0; i < 3; i++) {
    rounds.play([outbox]);
    rounds.play([outbox], { garble: true });
  }
  assert.deepEqual(await submission.outcome, exposed);
  assert.deepEqual(seen, [
    { kind: "retrying", reason: "exposed", attempt: 2 },
    { kind: "retrying", reason: "exposed", attempt: 3 },
    exposed,
  ]);
  assert.equal(outbox.size, 0);
});

Deno.test("once: the first exposure is the end", () => {
  const { outbox } = client(), rounds = new Rounds();
  const garbled = outbox.send(text("a"), { once: true });
  rounds.play([outbox]);
  rounds.play([outbox], { garble: true });
  assert.deepEqual(garbled.status, exposed);
  const lapsed = outbox.send(text("b"), { once: true });
  rounds.play([outbox]);
  rounds.play([outbox], { lost: true });
  const { vectors } = rounds.play([outbox], { carry: false });
  assert.ok(vectors[0]!.schedule.every((byte) => byte === 0), "not reserved again");
  assert.deepEqual(lapsed.status, exposed);
});

Deno.test("carry 0 after the slot was sent: an exposure, unless the old one lands after all", () => {
  for (const once of [false, true]) {
    const { outbox } = client(), rounds = new Rounds();
    const submission = outbox.send(text("late"), { once });
    rounds.play([outbox]);
    const late = rounds.play([outbox], { lost: true });
    const { vectors } = rounds.play([outbox], { carry: false, lost: true });
    assert.equal(vectors[0]!.schedule.some((byte) => byte !== 0), !once);
    assert.equal(retrying(submission), once ? "pending" : "exposed");
    rounds.certify([outbox], late);
    assert.deepEqual(submission.status, { kind: "landed", round: 2, slot: 0 });
    assert.ok(rounds.play([outbox]).vectors[0]!.schedule.every((byte) => byte === 0), "it stops");
  }
});

Deno.test("a reservation given up as void is used when its record comes after all", () => {
  const { outbox } = client(), rounds = new Rounds();
  const submission = outbox.send(text("revived"));
  const late = rounds.play([outbox], { lost: true });
  rounds.play([outbox], { lost: true });
  rounds.certify([outbox], late);
  rounds.play([outbox]);
  assert.deepEqual(submission.status, { kind: "landed", round: 3, slot: 0 });
});

Deno.test("a record under a header that was never seen speaks for itself", () => {
  const { outbox } = client(), other = client(2).outbox, rounds = new Rounds();
  const submission = outbox.send(text("unseen"));
  rounds.play([outbox, other]);
  rounds.play([outbox, other], { lost: true });
  rounds.play([outbox, other], { unseen: [0] });
  assert.equal(retrying(submission), "left out");
  while (retrying(submission) !== "landed") rounds.play([outbox, other]);
  const second = outbox.send(text("unseen, carry 0"));
  rounds.play([outbox, other]);
  rounds.play([outbox, other], { lost: true });
  rounds.play([outbox, other], { unseen: [0], carry: false });
  assert.equal(retrying(second), "exposed");
  const third = outbox.send(text("unseen, not sent"));
  for (let i = 0; i < 2; i++) rounds.play([outbox, other]);
  assert.equal(second.status.kind, "landed");
  rounds.play([outbox, other], { unseen: [0] });
  assert.equal(retrying(third), "lapsed");
});

Deno.test("records missed without a reset: what was reserved or sent does not hang", () => {
  const { outbox } = client(), other = client(2).outbox, rounds = new Rounds();
  const first = outbox.send(text("sent")), second = outbox.send(text("reserved"));
  rounds.play([outbox, other]);
  const gap = rounds.play([outbox, other], { lost: true });
  rounds.certify([outbox, other], gap, [0]);
  const { messages } = rounds.play([outbox, other]).vectors[0]!;
  assert.ok(
    messages.length === 64 && messages.every((byte) => byte === 0),
    "not in another's slot",
  );
  assert.equal(retrying(first), "exposed");
  assert.equal(retrying(second), "void round");
});

Deno.test("several in flight: one reserved while the slots of others are carried", () => {
  const { outbox } = client(), rounds = new Rounds();
  const all = ["a", "bb".repeat(40), "c", "d"].map((s) => outbox.send(text(s)));
  rounds.play([outbox]);
  for (let i = 0; i < 3; i++) {
    const { vectors, header } = rounds.play([outbox]);
    assert.ok(vectors[0]!.messages.length > 0);
    assert.equal(decodeSchedule(vectors[0]!.schedule, header.hash).entries.length, 1);
  }
  rounds.play([outbox]);
  assert.deepEqual(
    all.map((s) => s.status),
    [2, 3, 4, 5].map((round) => ({
      kind: "landed",
      round,
      slot: 0,
    })),
  );
});

Deno.test("overload: slots follow the order of the layout, those without a grant retry", () => {
  const rounds = new Rounds();
  const boxes = Array.from({ length: 14 }, (_, i) => client(i + 1).outbox);
  const all = boxes.map((box, i) => box.send(text(`talker ${i}`)));
  rounds.play(boxes);
  const denied = all.filter((s) => retrying(s) === "not granted");
  assert.equal(denied.length, 14 - parameters.maxTalkers);
  const { grants } = rounds.head.layout, under = rounds.head.header!;
  const { record, header } = rounds.play(boxes);
  for (const [slot, grant] of grants.entries()) {
    const bytes = record!.messages.subarray(grant.offset, grant.offset + grant.length);
    const reading = readSlot(bytes, grant, under, parameters);
    const i = Number(reading.good && new TextDecoder().decode(reading.payload).split(" ")[1]);
    assert.deepEqual(all[i].status, { kind: "landed", round: header.round, slot });
  }
});
