/** Holders that send a reader what is not the log: it stops and names the record. */
import assert from "node:assert/strict";
import { concat, u64 } from "../../src/protocol/bytes.ts";
import { encodeCertified } from "../../src/protocol/record.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { ReaderRole, type Seen } from "../../src/roles/reader.ts";
import { instanceStreams } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { peerOf, Wires } from "./wire.ts";

/** A reader after round 1, the record of round 2, and what it did. */
async function reading(seed: number) {
  const play = new Play(seed), { manifest } = play, secret = play.random.bytes(32);
  const wires = new Wires("reader", secret), log: Seen[] = [], stopped: string[] = [];
  wires.known.push(...play.servers.map((s) => peerOf("server", s.seed)));
  const role = new ReaderRole({
    network: wires,
    environment: wires.environment,
    epochs: new Epochs([manifest]),
    from: 0,
    record: (seen) => void log.push(seen),
    stopped: (error) => void stopped.push(`${error.name}: ${error.message}`),
  });
  await wires.pass(1);
  const { broadcasts } = instanceStreams(manifest.parameters), first = play.round().bytes;
  wires.to(broadcasts)[0].frame(first);
  const second = play.round();
  return { play, wires, role, log, stopped, broadcasts, first, second };
}
type Reading = Awaited<ReturnType<typeof reading>>;

const FALSE: Record<string, [spoil: (r: Reading) => Uint8Array, reason: RegExp]> = {
  "one signature missing": [
    ({ second: { certified } }) =>
      encodeCertified({
        ...certified,
        certificate: certified.certificate.with(1, new Uint8Array(64)),
      }),
    /record 2 without the FINAL of server 1/,
  ],
  "its signatures reordered": [
    ({ second: { certified } }) =>
      encodeCertified({ ...certified, certificate: certified.certificate.toReversed() }),
    /record 2 without the FINAL of server 0/,
  ],
  "a signature cut off": [
    ({ second }) => second.bytes.subarray(0, -64),
    /certified record: expected 64/,
  ],
  "a server's signature for another record": [
    ({ first, second: { bytes } }) => concat(bytes.subarray(0, -64), first.subarray(-64)),
    /record 2 without the FINAL of server 2/,
  ],
  "a round that it has": [({ first }) => first, /record 1 .*rounds must rise/],
};

for (const [what, [spoil, reason]] of Object.entries(FALSE)) {
  Deno.test(`a record with ${what} stops a reader, which names it`, async () => {
    const r = await reading(90), [wire] = r.wires.to(r.broadcasts);
    wire.frame(spoil(r));
    assert.equal(r.log.length, 1);
    assert.equal(r.stopped.length, 1);
    assert.match(r.stopped[0], /^Protocol: stopped after round 1: /);
    assert.match(r.stopped[0], reason);
    assert.ok(wire.closed !== undefined);
    await r.wires.pass(60_000);
    assert.equal(r.wires.to(r.broadcasts).length, 0, "it asks nobody else");
  });
}

Deno.test("a record of a committee that is not known stops nobody: another is asked", async () => {
  const r = await reading(93), [wire] = r.wires.to(r.broadcasts), next = r.play.next([0, 1], 1);
  wire.frame(next.round().bytes);
  assert.equal(wire.closed, "a committee that is not known yet");
  assert.deepEqual([r.log.length, r.stopped], [1, []]);
  await r.wires.pass(1_000);
  const [other] = r.wires.to(r.broadcasts);
  assert.notEqual(other.peer.id, wire.peer.id);
  other.frame(r.second.bytes);
  assert.deepEqual(r.log.map(({ record }) => record.header.round), [1, 2]);
});

Deno.test("a good record after another is read", async () => {
  const r = await reading(91);
  r.wires.to(r.broadcasts)[0].frame(r.second.bytes);
  assert.deepEqual(r.log.map(({ record }) => record.header.round), [1, 2]);
  assert.deepEqual(r.stopped, []);
});

Deno.test("holders that all leave records out are noticed: the reader says which it missed", async () => {
  const r = await reading(92), third = r.play.round(), asked = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const [wire] = r.wires.to(r.broadcasts);
    asked.add(wire.peer.id);
    wire.frame(third.bytes);
    assert.equal(r.log.length, i < 2 ? 1 : 2, "it is taken once nobody else is left");
    await r.wires.pass(1_000);
  }
  assert.equal(asked.size, 3);
  const missed = r.wires.log.find(({ event }) => event === "records missed");
  assert.deepEqual(missed?.fields, { from: 1, to: 3 });
  assert.deepEqual([r.log.at(-1)!.linked, r.log.at(-1)!.messages], [false, []]);
});

Deno.test("a holder that leaves records out is left for one that has them", async () => {
  const r = await reading(93), third = r.play.round(), [liar] = r.wires.to(r.broadcasts);
  liar.frame(third.bytes);
  assert.ok(liar.closed !== undefined);
  await r.wires.pass(1_000);
  const [other] = r.wires.to(r.broadcasts);
  assert.notEqual(other.peer.id, liar.peer.id);
  assert.deepEqual(other.sent, [u64(2)]);
  for (const { bytes } of [r.second, third]) other.frame(bytes);
  assert.deepEqual(r.log.map(({ record }) => record.header.round), [1, 2, 3]);
  assert.deepEqual(other.sent.slice(1), [u64(3), u64(4)]);
  assert.ok(!r.wires.log.some(({ event }) => event === "records missed"));
});
