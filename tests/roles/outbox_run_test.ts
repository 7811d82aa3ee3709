/** Twenty outboxes through 500 faulty rounds, from a seed: what they report is what the log holds. */
import assert from "node:assert/strict";
import { readSlot } from "../../src/protocol/slot.ts";
import { Outbox, type SendOptions, type Submission } from "../../src/roles/outbox.ts";
import { type Faults, parameters, type Round, Rounds, seeded } from "./rounds.ts";

const CLIENTS = 20, ROUNDS = 500;

interface Sent {
  submission: Submission;
  payload: string;
  client: number;
  options: SendOptions;
  exposures: number;
}

/** What the log holds: each payload with the places where it landed. */
class Log {
  readonly places = new Map<string, string[]>();
  add({ record, before }: Round): void {
    if (record === undefined || !record.header.carry || before.header === undefined) return;
    for (const [slot, grant] of before.layout.grants.entries()) {
      const bytes = record.messages.subarray(grant.offset, grant.offset + grant.length);
      const reading = readSlot(bytes, grant, before.header, parameters);
      if (!reading.good) continue;
      const payload = new TextDecoder().decode(reading.payload);
      this.places.set(payload, [...this.of(payload), `${record.header.round}/${slot}`]);
    }
  }
  of(payload: string): string[] {
    return this.places.get(payload) ?? [];
  }
}

async function run(seed: number): Promise<Map<string, number>> {
  const source = seeded(seed), clock = { now: 0 }, rounds = new Rounds(), log = new Log();
  const byte = () => source(1)[0];
  const some = (outOf256: number) => {
    return Array.from({ length: CLIENTS }, (_, i) => i).filter(() => byte() < outOf256);
  };
  const boxes = Array.from(
    { length: CLIENTS },
    (_, i) => new Outbox({ parameters, random: seeded(1_000 * seed + i), now: () => clock.now }),
  );
  const all: Sent[] = [], gaps = new Set<number>();
  // Once a header lapsed the grants of a head, they stay lapsed; only then may an old record come.
  let lapsed = false, late: Round | undefined;
  for (let n = 0; n < ROUNDS; n++) {
    clock.now += 1_000;
    for (const client of n < ROUNDS - 150 ? some(16) : []) {
      const options = { once: byte() < 64, deadline: byte() < 64 ? 5_000 : 80_000 };
      const payload = `${client}/${n}/`.padEnd(8 + byte() % 190, "x");
      const submission = boxes[client].send(new TextEncoder().encode(payload), options);
      const sent = { submission, payload, client, options, exposures: 0 };
      submission.onProgress((progress) => {
        if (progress.kind === "retrying" && progress.reason === "exposed") sent.exposures++;
      });
      all.push(sent);
    }
    const faults: Faults = {
      carry: !lapsed,
      lost: byte() < 50,
      out: some(16),
      skip: some(8),
      unseen: some(8),
      garble: byte() < 12,
      jam: byte() < 8,
    };
    const missed = byte() < 16 ? some(24) : [];
    let round = rounds.play(boxes, { ...faults, lost: true });
    if (!faults.lost) round = rounds.certify(boxes, round, missed);
    else if (late !== undefined && byte() < 80) round = rounds.certify(boxes, late, missed);
    else {
      lapsed ||= byte() < 128;
      if (lapsed) late ??= round;
    }
    log.add(round);
    if (round.record !== undefined) {
      lapsed = false;
      late = undefined;
      for (const client of missed) {
        boxes[client].reset();
        gaps.add(client);
      }
    }
    for (const box of boxes) box.expire();
    await Promise.resolve();
  }
  clock.now += 300_000;
  for (const box of boxes) box.expire();
  const kinds = new Map<string, number>();
  for (const { submission, payload, client, options, exposures } of all) {
    const outcome = await submission.outcome, places = log.of(payload);
    const kind = outcome.kind === "landed" ? "landed" : outcome.reason;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (outcome.kind === "landed") {
      assert.ok(places.includes(`${outcome.round}/${outcome.slot}`), payload);
    } else {
      assert.ok(["exposed", "deadline", "deadline, exposed"].includes(outcome.reason));
      if (outcome.reason === "deadline") assert.deepEqual(places, []);
      if (outcome.reason === "exposed" && !gaps.has(client)) assert.deepEqual(places, []);
    }
    assert.ok(places.length <= 1 + exposures, `${payload} landed ${places.length} times`);
    if (options.once) assert.ok(places.length <= 1 && exposures === 0);
    if (places.length > 1) kinds.set("twice", (kinds.get("twice") ?? 0) + 1);
  }
  for (const box of boxes) assert.equal(box.size, 0);
  for (const payload of log.places.keys()) {
    assert.ok(all.some((sent) => sent.payload === payload), "nobody else's words");
  }
  return kinds;
}

for (const seed of [1, 2, 3]) {
  Deno.test(`what ${CLIENTS} outboxes report in ${ROUNDS} rounds is true, seed ${seed}`, async () => {
    const kinds = await run(seed);

    for (const kind of ["landed", "exposed", "deadline", "deadline, exposed"]) {
      assert.ok((kinds.get(kind) ?? 0) > 0, `no outcome ${kind}`);
    }
    assert.ok(kinds.get("landed")! > 350, `${kinds.get("landed")} landed`);
  });
}
