import assert from "node:assert/strict";
import { concat, hex } from "../../../src/protocol/bytes.ts";
import { ProtocolError } from "../../../src/protocol/errors.ts";
import { blake3 } from "../../../src/protocol/hash.ts";
import {
  compareVersions,
  decodeDeparture,
  decodeEntry,
  DEPARTURE_BYTES,
  genuine,
  MAX_ENTRY,
  MAX_INSTANCES,
  MAX_STREAMS,
  MAX_TAGS,
  MAX_TICKETS,
  MAX_WORD,
  type Statement,
} from "../../../src/universe/discovery/entry.ts";
import { MAX_TICKET, Own } from "../../../src/universe/discovery/own.ts";
import { MAX_SAMPLE_MS, smooth } from "../../../src/universe/discovery/rtt.ts";
import { MAX_ADDRESS, MAX_ADDRESSES } from "../../../src/universe/hello.ts";
import { Random } from "../../protocol/random.ts";
import { departureOf, entryOf, INSTANCE, nodeOf, START, UNIVERSE } from "./making.ts";

const FULL: Partial<Statement> = {
  updated: START + 5,
  addresses: ["/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/1"],
  tags: ["server", "x.1"],
  streams: ["prices", "trades"],
  instances: [INSTANCE, UNIVERSE.map((byte) => byte + 0x50)],
  tickets: [{ class: "jwt", hash: blake3(UNIVERSE) }, { class: "tdx", hash: blake3(INSTANCE) }],
};

function refusal(bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown = decodeEntry): string {
  try {
    decode(bytes);
  } catch (error) {
    assert(error instanceof ProtocolError, String(error));
    return error.code;
  }
  return "none";
}

function full(): Statement {
  const words = (count: number) =>
    Array.from({ length: count }, (_, i) => String.fromCharCode(97 + i % 26).repeat(30) + (10 + i))
      .map((word) => word.slice(-MAX_WORD)).sort();
  return {
    ...entryOf(1),
    addresses: Array.from(
      { length: MAX_ADDRESSES },
      (_, i) => `/${i}${"x".repeat(MAX_ADDRESS - 2)}`,
    ),
    tags: words(MAX_TAGS),
    streams: words(MAX_STREAMS),
    instances: Array.from({ length: MAX_INSTANCES }, (_, i) => new Uint8Array(32).fill(i)),
    tickets: words(MAX_TICKETS).map((word) => ({ class: word, hash: blake3(UNIVERSE) })),
  };
}

Deno.test("entry: what is signed is read, in its published layout", () => {
  const entry = entryOf(1, FULL);
  const { bytes } = entry;
  assert.deepEqual(decodeEntry(bytes), entry);
  assert.deepEqual([bytes[0], bytes[1], hex(bytes.subarray(33, 65))], [1, 0x11, entry.id]);
  assert.equal(bytes[81], 2);
  assert.equal(bytes.length, 81 + 1 + 20 + 15 + 1 + 7 + 4 + 1 + 7 + 7 + 65 + 1 + 36 + 36 + 64);
  assert.deepEqual(entry.tickets.map((ticket) => ticket.class), ["jwt", "tdx"]);
  assert(genuine(entry));
});

Deno.test("entry: the fullest has MAX_ENTRY bytes, one more of anything is refused", () => {
  const most = full();
  assert.equal(entryOf(1, most).bytes.length, MAX_ENTRY);
  const more: Partial<Statement>[] = [
    { addresses: [...most.addresses, "/9"] },
    { addresses: ["/" + "x".repeat(MAX_ADDRESS)] },
    { tags: [...most.tags, "zz"] },
    { streams: [...most.streams, "zz"] },
    { tags: ["x".repeat(MAX_WORD + 1)] },
    { instances: [...most.instances, INSTANCE] },
    { tickets: [...most.tickets, { class: "zz", hash: UNIVERSE }] },
  ];
  for (const statement of more) {
    assert.throws(() => entryOf(1, statement), ProtocolError, Object.keys(statement)[0]);
  }
  assert.equal(refusal(new Uint8Array(MAX_ENTRY + 1)), "length");
});

Deno.test("entry: lists that do not rise, words out of form and odd ends are refused", () => {
  const bad: Partial<Statement>[] = [
    { tags: ["b", "a"] },
    { tags: ["a", "a"] },
    { streams: ["b", "a"] },
    { addresses: ["/b", "/a"] },
    { instances: [UNIVERSE, UNIVERSE] },
    { tickets: [{ class: "a", hash: UNIVERSE }, { class: "a", hash: INSTANCE }] },
    { tags: ["A"] },
    { tags: [""] },
    { streams: ["a_b"] },
    { addresses: ["memory"] },
    { addresses: ["/a b"] },
    { updated: START - 1 },
  ];
  for (const statement of bad) assert.throws(() => entryOf(1, statement), ProtocolError);
  const { bytes } = entryOf(1, FULL);
  for (let length = 0; length < bytes.length; length++) {
    assert.notEqual(refusal(bytes.subarray(0, length)), "none", `${length} bytes`);
  }
  assert.equal(refusal(concat(bytes, new Uint8Array(1))), "trailing");
  assert.equal(refusal(bytes.with(0, 2)), "range");
});

Deno.test("entry: whatever byte is changed, it is refused or not its node's", () => {
  const { bytes } = entryOf(1, FULL);
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.with(at, bytes[at] ^ (1 << at % 8));
    if (refusal(changed) === "none") assert(!genuine(decodeEntry(changed)), `byte ${at}`);
  }
});

Deno.test("entry: a departure is read and checked as strictly", () => {
  const departure = departureOf(1, START, START + 9);
  assert.equal(departure.bytes.length, DEPARTURE_BYTES);
  assert.deepEqual(decodeDeparture(departure.bytes), departure);
  assert(genuine(departure));
  for (let at = 0; at < DEPARTURE_BYTES; at++) {
    const changed = departure.bytes.with(at, departure.bytes[at] ^ 4);
    if (refusal(changed, decodeDeparture) !== "none") continue;
    assert(!genuine(decodeDeparture(changed)), `byte ${at}`);
  }
  assert.equal(refusal(departure.bytes.subarray(1), decodeDeparture), "range");
  assert.equal(refusal(entryOf(1).bytes, decodeDeparture), "trailing");
});

Deno.test("entry: 20,000 damaged ones break neither decoder", () => {
  const seed = 41, random = new Random(seed);
  const goods = [entryOf(1, FULL).bytes, entryOf(1, full()).bytes, departureOf(1).bytes];
  for (let i = 0; i < 20_000; i++) {
    const bytes = random.pick(goods).slice(
      0,
      random.below(8) === 0 ? random.below(500) : undefined,
    );
    for (let n = random.below(4); n >= 0 && bytes.length > 0; n--) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    for (const decode of [decodeEntry, decodeDeparture]) {
      try {
        assert.deepEqual(decode(bytes).bytes, bytes);
      } catch (error) {
        assert(error instanceof ProtocolError, `seed ${seed}, ${i}: ${error}`);
      }
    }
  }
});

Deno.test("entry: a later start is newer than any version before it", () => {
  const order = [[1, 1], [1, 2], [1, 900], [2, 2], [2, 3]]
    .map(([started, updated]) => ({ started, updated }));
  order.forEach((a, i) =>
    order.forEach((b, j) => assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j)))
  );
});

function own() {
  const time = { now: START };
  let changes = 0;
  const it = new Own({
    signer: nodeOf(1),
    clock: { now: () => time.now, wall: () => time.now, after: () => () => {} },
    universe: UNIVERSE,
    instances: [INSTANCE],
    tags: ["server"],
    changed: () => void changes++,
  });
  return { it, time, changes: () => changes };
}

Deno.test("own entry: a version grows with a change, and only with one", () => {
  const { it, time, changes } = own();
  it.addTag("early");
  it.start(["/memory/b", "/memory/a", "/memory/b"]);
  assert.deepEqual([it.entry.started, it.entry.updated], [START, START]);
  assert.deepEqual(it.entry.addresses, ["/memory/a", "/memory/b"]);
  assert.deepEqual(it.entry.tags, ["early", "server"]);
  const body = new Uint8Array(10).fill(1);
  const steps: [() => void, boolean][] = [
    [() => it.addTag("a"), true],
    [() => it.addTag("a"), false],
    [() => it.removeTag("b"), false],
    [() => it.removeTag("a"), true],
    [() => it.addStream("prices"), true],
    [() => it.addStream("prices"), false],
    [() => it.removeStream("prices"), true],
    [() => it.removeStream("prices"), false],
    [() => it.setTicket("jwt", undefined), false],
    [() => it.setTicket("jwt", body), true],
    [() => it.setTicket("jwt", body.slice()), false],
    [() => it.setTicket("jwt", body.with(0, 2)), true],
    [() => it.setTicket("jwt", undefined), true],
  ];
  let said = 0;
  for (const [i, [step, changed]] of steps.entries()) {
    const before = it.entry;
    step();
    assert.equal(compareVersions(it.entry, before) > 0, changed, `step ${i}`);
    assert.equal(it.entry.started, START);
    assert(genuine(it.entry));
    if (changed) said++;
  }
  assert.equal(changes(), said);
  time.now += 5_000;
  it.renew();
  assert.deepEqual([it.entry.started, it.entry.updated], [START, START + 5_000]);
});

Deno.test("own entry: over its bounds it refuses and stays as it was", () => {
  const { it } = own();
  it.start(["/memory/a"]);
  for (let i = 1; i < MAX_TAGS; i++) it.addTag(`t${i}`);
  for (let i = 0; i < MAX_STREAMS; i++) it.addStream(`s${i}`);
  for (let i = 0; i < MAX_TICKETS; i++) it.setTicket(`c${i}`, new Uint8Array(i + 1));
  const before = it.entry;
  const over = [
    () => it.addTag("more"),
    () => it.addStream("more"),
    () => it.setTicket("more", new Uint8Array(1)),
    () => it.setTicket("c0", new Uint8Array(MAX_TICKET + 1)),
    () => it.setTicket("c0", new Uint8Array(0)),
    () => it.setTicket("No", new Uint8Array(1)),
    () => it.addTag("Upper"),
    () => it.addStream(""),
  ];
  for (const step of over) assert.throws(step, RangeError);
  assert.equal(it.entry, before);
});

Deno.test("own entry: a body is answered by its hash while it is shown; a departure ends all", () => {
  const { it } = own();
  it.start(["/memory/a"]);
  const body = Uint8Array.of(1, 2, 3);
  it.setTicket("jwt", body);
  const [{ hash }] = it.entry.tickets;
  assert.deepEqual(hash, blake3(body));
  assert.deepEqual(it.body(hash), body);
  it.setTicket("jwt", Uint8Array.of(4));
  assert.equal(it.body(hash), undefined);
  const last = it.entry;
  assert(compareVersions(it.depart(), last) > 0);
});

Deno.test("own entry: a life that begins before one that others know is moved after it", () => {
  const { it } = own();
  it.start(["/memory/a"]);
  const earlier = { started: START + 9_000, updated: START + 20_000 };
  it.outlive(earlier);
  assert(compareVersions(it.entry, earlier) > 0);
});

Deno.test("rtt: smoothed as RFC 6298 does", () => {
  assert.deepEqual(smooth(undefined, 100), { smoothed: 100, variation: 50 });
  assert.deepEqual(smooth({ smoothed: 100, variation: 50 }, 200), {
    smoothed: 112.5,
    variation: 62.5,
  });
  const before = { smoothed: 10, variation: 5 };
  for (const odd of [-1, NaN, Infinity, MAX_SAMPLE_MS + 1]) {
    assert.equal(smooth(before, odd), before);
    assert.equal(smooth(undefined, odd), undefined);
  }
  assert.deepEqual(smooth(undefined, 0), { smoothed: 0, variation: 0 });
});

Deno.test("rtt: equal samples leave no variation, and an outlier is forgotten", () => {
  let trip = smooth(undefined, 40);
  for (let i = 0; i < 60; i++) trip = smooth(trip, 40);
  assert(trip!.smoothed === 40 && trip!.variation < 0.001);
  trip = smooth(trip, 4_000);
  assert(trip!.smoothed > 500 && trip!.variation > 900);
  for (let i = 0; i < 80; i++) trip = smooth(trip, 40);
  assert(Math.abs(trip!.smoothed - 40) < 1);
});
