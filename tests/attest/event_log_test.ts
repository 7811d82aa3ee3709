/** Event logs as bytes: what is read of them, what they replay to, and every way not to fit. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { concat, hex, u32 } from "../../src/protocol/bytes.ts";
import {
  MAX_ALGORITHMS,
  MAX_EVENT_LOG_BYTES,
  MAX_EVENTS,
  NO_ACTION,
  parseEventLog,
  replayEvents,
  SHA384,
} from "../../src/attest/event_log.ts";
import { Random } from "../protocol/random.ts";
import { event, specId, type SpecIdChanges, u16 } from "./event_log.ts";
import { refusalOf, refused } from "./refused.ts";
import { spoilt } from "./spoil.ts";

const SEED = 7_300, FLIPS = 3_000;
const random = new Random(91);
const DIGESTS = Array.from({ length: 6 }, () => random.bytes(48));
const [a, b, c, d, e, f] = DIGESTS;
const LOG = concat(
  specId(),
  event(1, a),
  event(2, b),
  event(1, c, { text: "" }),
  event(0, f, { type: NO_ACTION }),
  event(3, d),
  event(3, f, { type: NO_ACTION }),
  event(3, e),
);
const ZERO = "00".repeat(48);

/** The register after these digests. */
function after(...digests: Uint8Array[]): string {
  return digests.reduce(
    (at, digest) => createHash("sha384").update(at + hex(digest), "hex").digest("hex"),
    ZERO,
  );
}
const replayed = (log: Uint8Array) => replayEvents(parseEventLog(log)).map(hex);
const EXPECTED = [after(a, c), after(b), after(d, e), ZERO];

Deno.test("a log replays to the four registers, each of its own events in order", () => {
  assert.deepEqual(replayed(LOG), EXPECTED);
  assert.deepEqual(replayed(concat(specId(), event(4, a))), [ZERO, ZERO, ZERO, after(a)]);
  assert.deepEqual(replayed(specId()), [ZERO, ZERO, ZERO, ZERO]);
  assert.notDeepEqual(replayed(concat(specId(), event(1, c), event(1, a)))[0], after(a, c));
});

Deno.test("an event is read as it was written; what extends nothing has no register", () => {
  const text = "a command line";
  const [only] = parseEventLog(concat(specId(), event(3, a, { type: 0x0d, text })));
  assert.deepEqual(only, { rtmr: 2, type: 13, digest: a, data: new TextEncoder().encode(text) });
  const [silent] = parseEventLog(concat(specId(), event(0, a, { type: NO_ACTION })));
  assert.equal("rtmr" in silent, false);
});

Deno.test("a table's filling behind the last event is no event", async () => {
  for (const filling of [0xff, 0]) {
    for (const length of [1, 3, 4, 15, 16, 4_000]) {
      const table = concat(LOG, new Uint8Array(length).fill(filling));
      assert.deepEqual(replayed(table), EXPECTED, `${length} of ${filling}`);
    }
    const mixed = concat(LOG, new Uint8Array(40).fill(filling), Uint8Array.of(1));
    await refused("event-log-malformed", () => parseEventLog(mixed));
  }
});

Deno.test("a log of more algorithms replays its SHA-384", () => {
  const sha256 = concat(u16(0x0b), new Uint8Array(32).fill(7));
  const head = specId({ algorithms: [[0x0b, 32], [SHA384, 48]], vendor: Uint8Array.of(1, 2) });
  assert.equal(replayed(concat(head, event(1, a, { more: [sha256] })))[0], after(a));
});

Deno.test("a log that does not fit is refused, and says why", async () => {
  const head = (changes: SpecIdChanges) => specId(changes);
  const algorithms = (...list: [number, number][]) => head({ algorithms: list });
  const many = Array.from({ length: MAX_ALGORITHMS + 1 }, (_, i): [number, number] => [20 + i, 8]);
  const cases: Record<string, [RegExp, Uint8Array]> = {
    "nothing": [/expected 4 more bytes/, new Uint8Array(0)],
    "a first event of another type": [/of type 8, expected 3/, head({ type: 8 })],
    "a first event of no register": [/of no register/, head({ index: 5 })],
    "another name": [/expected "Spec ID Event03"/, head({ name: "Spec ID Event02\0" })],
    "a first event cut": [/more bytes/, head({ more: 1 })],
    "a first event that ends early": [/first event: expected/, head({ more: -1 })],
    "bytes behind its vendor": [/1 bytes after its end/, concat(head({ more: 1 }), u16(0))],
    "many algorithms": [/9 algorithms/, head({ algorithms: many })],
    "an algorithm twice": [/12 stands twice/, algorithms([SHA384, 48], [SHA384, 48])],
    "a long digest": [/a digest of 65 bytes/, algorithms([SHA384, 48], [1, 65])],
    "SHA-384 of 32 bytes": [/no SHA-384/, algorithms([SHA384, 32])],
    "no SHA-384": [/no SHA-384/, algorithms([0x0b, 32])],
    "no algorithm": [/no SHA-384/, algorithms()],
    "an event of MRTD": [/of register 0/, concat(LOG, event(0, a))],
    "an event of a fifth register": [/of register 5/, concat(LOG, event(5, a))],
    "a silent one of a fifth register": [
      /register 5/,
      concat(LOG, event(5, a, { type: NO_ACTION })),
    ],
    "two digests of one": [/2 digests/, concat(LOG, event(1, a, { more: [a] }))],
    "an algorithm twice in an event": [
      /algorithm 12, unknown or twice/,
      concat(
        algorithms([SHA384, 48], [0x0b, 32]),
        event(1, a, { more: [concat(u16(SHA384), a)] }),
      ),
    ],
    "an unknown algorithm": [
      /algorithm 99, unknown/,
      concat(algorithms([SHA384, 48], [0x0b, 32]), event(1, a, { more: [u16(99)] })),
    ],
    "an event without a digest": [
      /without SHA-384/,
      concat(LOG, u32(1), u32(8), u32(0), u32(0)),
    ],
    "an event of 4 GiB": [/expected 4294967295 more/, concat(LOG.subarray(0, -8), u32(0xffffffff))],
    "too many events": [
      /over 4096 events/,
      concat(specId(), ...Array.from({ length: MAX_EVENTS + 1 }, () => event(1, a))),
    ],
    "a log over its bound": [
      /of 4194305 bytes/,
      concat(LOG, new Uint8Array(MAX_EVENT_LOG_BYTES + 1 - LOG.length)),
    ],
  };
  for (const [what, [message, log]] of Object.entries(cases)) {
    await refused("event-log-malformed", () => parseEventLog(log), what);
    assert.throws(() => parseEventLog(log), { message }, what);
  }
  const most = concat(specId(), ...Array.from({ length: MAX_EVENTS }, () => event(1, a)));
  assert.equal(parseEventLog(most).length, MAX_EVENTS);
});

Deno.test("a log cut within an event is refused; between two events it is another log", async () => {
  let whole = 0;
  for (let n = 0; n < LOG.length; n++) {
    if (await refusalOf(() => parseEventLog(LOG.subarray(0, n))) === undefined) whole++;
  }
  // After the first event and six others; and within the zeros that one event begins with, which
  // look like filling.
  assert.equal(whole, 7 + 4);
});

Deno.test("fuzz: a changed byte of a log gives a code, or other registers where it is a digest's", async () => {
  let refusals = 0;
  for (let run = 0; run < FLIPS; run++) {
    const { bytes, at } = spoilt(new Random(SEED + run), LOG);
    const code = await refusalOf(() => {
      const values = replayed(bytes);
      const ofDigest = [a, b, c, d, e].some((digest) => {
        const from = indexOf(LOG, digest);
        return at >= from && at < from + 48;
      });
      const what = `seed ${SEED + run}, byte ${at}`;
      if (ofDigest) assert.notDeepEqual(values, EXPECTED, what);
    });
    if (code !== undefined) refusals++;
  }
  assert.ok(refusals > FLIPS / 10, `${refusals} of ${FLIPS} refused`);
});

/** Where `part` first stands in `whole`. */
function indexOf(whole: Uint8Array, part: Uint8Array): number {
  return hex(whole).indexOf(hex(part)) / 2;
}
