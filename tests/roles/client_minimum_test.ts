/** A client's own minimum of participants: what leaves it after a record with fewer. */
import assert from "node:assert/strict";
import { participants } from "../../src/protocol/aggregate.ts";
import type { PlayedRound } from "../protocol/play.ts";
import type { Sender } from "./sender.ts";
import { round, talking } from "./talker.ts";

/** A round, of which the client hears; without client 0 where it is `short`. */
async function played(s: Sender, short = false): Promise<PlayedRound> {
  const { play } = s, fold = play.fold.bind(play);
  if (short) play.fold = (header, envelopes) => fold(header, envelopes.slice(1));
  const it = round(s);
  play.fold = fold;
  s.broadcasts.frame(it.bytes);
  await s.wires.pass(1);
  return it;
}

/** How many took part, and whether anything was said or reserved. */
function seen({ certified: { record } }: PlayedRound) {
  const some = (bytes: Uint8Array) => bytes.some((byte) => byte !== 0);
  const { bitmap, messages, schedule } = record;
  return [participants(bitmap).length, messages.length > 0, some(messages), some(schedule)];
}

Deno.test("after a record with fewer than its own minimum a client sends cover, then its message", async () => {
  const s = await talking(550, 4), sent = s.client.outbox.send(new TextEncoder().encode("enough"));
  assert.deepEqual(seen(await played(s, true)), [3, false, false, true]);
  assert.deepEqual(seen(await played(s, true)), [3, true, false, false], "its slot is kept back");
  assert.deepEqual(seen(await played(s)), [4, false, false, false], "so is a new reservation");
  for (let i = 0; i < 8 && sent.status.kind !== "landed"; i++) await played(s);
  assert.equal(sent.status.kind, "landed");
});
