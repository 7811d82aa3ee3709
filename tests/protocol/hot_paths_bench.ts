/**
 * The hot paths of a round, each beside a reference measured in the same run: noble for the pads,
 * one Ed25519 verification for what a client and a server do in a round.
 */
import { xchacha20 as noble } from "@noble/ciphers/chacha.js";
import { Fold } from "../../src/protocol/aggregate.ts";
import { signer, verify } from "../../src/protocol/keys.ts";
import { xchacha20 } from "../../src/protocol/pad.ts";
import { PRESETS, scheduleBytes } from "../../src/protocol/parameters.ts";
import { createEntry, decodeSchedule, insertEntry } from "../../src/protocol/schedule.ts";
import { createEnvelope } from "../../src/protocol/envelope.ts";

const key = new Uint8Array(32).fill(7), h = new Uint8Array(32).fill(9);

for (const size of [256, 1_024, 3_072, 16_384, 65_536]) {
  const bytes = new Uint8Array(size), group = `pad of ${size} bytes`;
  Deno.bench(
    "noble xchacha20",
    { group, baseline: true },
    () => void noble(key, h.subarray(0, 24), bytes),
  );
  Deno.bench("this pad", { group }, () => void xchacha20.apply(key, h, bytes));
}

const one = signer(new Uint8Array(32).fill(1)), signature = one.sign("open", h);
const group = "beside one Ed25519 verification";
Deno.bench(
  "Ed25519 verify",
  { group, baseline: true },
  () => void verify(one.key, signature, "open", h),
);

const table = new Uint8Array(scheduleBytes(PRESETS.dev));
for (let i = 0; i < 16; i++) {
  const c = crypto.getRandomValues(new Uint8Array(16));
  insertEntry(table, h, createEntry(h, c, 2));
}
Deno.bench("schedule of 16 reservations, decoded", { group }, () => void decodeSchedule(table, h));

const header = { hash: h, messageBytes: 1_024, rosterSize: 1_000 };
const vectors = { schedule: table, messages: new Uint8Array(1_024) };
const envelopes = Array.from({ length: 100 }, (_, i) => createEnvelope(one, h, i, vectors));
Deno.bench("fold of 100 envelopes, without verification", { group }, () => {
  const fold = new Fold(header, PRESETS.dev);
  for (const envelope of envelopes) fold.add(envelope);
});
