/** A server whose archive lacks history fills it from others, whatever some of them send. */
import assert from "node:assert/strict";
import { concat, hex, u64 } from "../../src/protocol/bytes.ts";
import type { StoreError } from "../../src/ops/files.ts";
import { Archivist } from "../../src/roles/archivist.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { type Archive, memoryArchive } from "../../src/roles/records.ts";
import { instanceStreams } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { type Entry, extendLog, rounds } from "./log.ts";
import { peerOf, type Wire, Wires } from "./wire.ts";

/** An archivist at server 0 with an archive, and the log of its committee. */
function filling(seed: number, archive: Archive = memoryArchive(), length = 12) {
  const play = new Play(seed), wires = new Wires("server", play.servers[0].seed);
  wires.known.push(...play.servers.slice(1).map((s) => peerOf("server", s.seed)));
  const { manifest } = play, { broadcasts } = instanceStreams(manifest.parameters);
  const log = extendLog(play, length), { environment } = wires, epochs = new Epochs([manifest]);
  const make = () => new Archivist({ network: wires, environment, epochs, archive });
  const streams = () => wires.to(broadcasts);
  const has = () => archive.read(0, Infinity, Infinity).map(({ round }) => round);
  return { play, wires, archive, log, make, streams, has };
}

/** A holder that answers a follower honestly. */
function serve(wire: Wire, log: readonly Entry[]): void {
  for (const entry of log) if (wire.closed === undefined) wire.frame(entry.bytes);
}

Deno.test("records that follow each other are archived without asking anyone", () => {
  const { log, make, streams, has } = filling(400), archivist = make();
  archivist.start();
  for (const { certified } of log) archivist.record(certified);
  archivist.record(log[3].certified);
  assert.deepEqual(has(), rounds(1, 12));
  assert.equal(streams().length, 0);
});

Deno.test("an empty archive is filled until it links up, and no record is lost meanwhile", async () => {
  const { log, make, streams, has, play, archive } = filling(401), archivist = make();
  archivist.record(log[9].certified);
  assert.equal(streams().length, 0, "nothing is asked before the network is there");
  archivist.start();
  await Promise.resolve();
  const [wire] = streams();
  assert.deepEqual(wire.sent, [u64(0)]);
  serve(wire, log.slice(0, 5));
  archivist.record(log[10].certified);
  archivist.record(log[11].certified);
  assert.deepEqual(has(), rounds(1, 5));
  serve(wire, log.slice(5));
  assert.deepEqual(has(), rounds(1, 12));
  await Promise.resolve();
  assert.equal(streams().length, 0, "it asks for no more than it lacks");
  const [next] = extendLog(play, 1);
  archivist.record(next.certified);
  assert.deepEqual(has(), rounds(1, 13));
  log.concat(next).forEach((entry, i) =>
    assert.equal(hex(archive.read(0, 99, Infinity)[i].bytes), hex(entry.bytes))
  );
});

Deno.test("an archive that stopped in the middle goes on after its newest record", async () => {
  const archive = memoryArchive(), { log, make, streams, has } = filling(402, archive);
  for (const { round, bytes } of log.slice(0, 4)) archive.append(round, bytes);
  const archivist = make();
  archivist.start();
  archivist.record(log[11].certified);
  await Promise.resolve();
  const [wire] = streams();
  assert.deepEqual(wire.sent, [u64(5)]);
  serve(wire, log.slice(4));
  assert.deepEqual(has(), rounds(1, 12));
});

const LIES: Record<string, (log: readonly Entry[], seed: number) => readonly Uint8Array[]> = {
  "altered in a vector": (log) =>
    log.map(({ bytes }, i) => i === 3 ? flipped(bytes, bytes.length - 250) : bytes),
  "altered in a signature": (log) =>
    log.map(({ bytes }, i) => i === 3 ? flipped(bytes, bytes.length - 1) : bytes),
  "reordered": (log) => [0, 1, 2, 4, 3, 5, 6].map((i) => log[i].bytes),
  "with one left out": (log) => log.filter((_, i) => i !== 3).map(({ bytes }) => bytes),
  "truncated, then extended by another committee": (log, seed) => [
    ...log.slice(0, 3).map(({ bytes }) => bytes),
    ...extendLog(new Play(seed + 50), 9).slice(3).map(({ bytes }) => bytes),
  ],
  "truncated, then extended under signatures that are too few": (log) => {
    const forged = log[3].bytes;
    return [
      ...log.slice(0, 3).map(({ bytes }) => bytes),
      concat(forged.subarray(0, -64), new Uint8Array(64)),
    ];
  },
  "told twice": (log) => [0, 1, 2, 2, 3].map((i) => log[i].bytes),
};

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const out = bytes.slice();
  out[at] ^= 1;
  return out;
}

for (const [what, lie] of Object.entries(LIES)) {
  Deno.test(`history ${what} is refused, and another holder is taken`, async () => {
    const seed = 410, { log, make, streams, has, wires } = filling(seed), archivist = make();
    archivist.start();
    archivist.record(log[11].certified);
    await Promise.resolve();
    const [liar] = streams();
    for (const bytes of lie(log, seed)) if (liar.closed === undefined) liar.frame(bytes);
    assert.ok(liar.closed !== undefined, "it is left");
    assert.deepEqual(has(), rounds(1, 3), "what was true before is kept");
    await wires.pass(200);
    const [honest] = streams();
    assert.notEqual(honest.peer.id, liar.peer.id);
    assert.deepEqual(honest.sent, [u64(4)]);
    serve(honest, log.slice(3));
    assert.deepEqual(has(), rounds(1, 12));
  });
}

Deno.test("a liar is not asked again while another holder is there", async () => {
  const { log, make, streams, wires, has } = filling(420), archivist = make();
  archivist.start();
  archivist.record(log[11].certified);
  await Promise.resolve();
  const [liar] = streams();
  assert.doesNotThrow(() => liar.frame(flipped(log[0].bytes, 200)));
  await wires.pass(200);
  for (let i = 0; i < 5; i++) {
    const [wire] = streams();
    assert.notEqual(wire.peer.id, liar.peer.id);
    serve(wire, log.slice(i, i + 1));
    wire.close("it went away");
    await wires.pass(10_000);
  }
  assert.deepEqual(has(), rounds(1, 5));
});

Deno.test("a gap is accepted only once every other server lacks the records, and is logged", async () => {
  const { log, make, streams, has, wires } = filling(421), archivist = make();
  archivist.start();
  archivist.record(log[11].certified);
  await Promise.resolve();
  const [first] = streams();
  first.frame(u64(8));
  assert.ok(first.closed !== undefined);
  await wires.pass(600_000);
  const [second] = streams();
  assert.notEqual(second.peer.id, first.peer.id, "who lacks them is not asked again");
  second.frame(u64(6));
  assert.deepEqual(second.sent, [u64(0), u64(6)]);
  serve(second, log.slice(5));
  assert.deepEqual(has(), rounds(6, 12));
  const lost = wires.log.filter(({ event }) => event === "history lost");
  assert.deepEqual(lost.map(({ fields }) => fields), [{ from: 0, to: 6 }]);
});

Deno.test("a record that could not be written is logged, and fetched once there is room", async () => {
  const disk = memoryArchive(), full = new Set<number>();
  const archive: Archive = {
    get newest() {
      return disk.newest;
    },
    get oldest() {
      return disk.oldest;
    },
    read: disk.read,
    place: disk.place,
    describe() {},
    append(round, bytes) {
      if (full.has(round)) throw new Error("no space left");
      disk.append(round, bytes);
    },
  };
  const { log, make, streams, has, wires } = filling(424, archive), archivist = make();
  archivist.start();
  for (const round of [4, 5, 6, 7]) full.add(round);
  for (const { certified } of log.slice(0, 5)) archivist.record(certified);
  await Promise.resolve();
  serve(streams()[0], log.slice(3, 4));
  assert.deepEqual(has(), rounds(1, 3));
  await wires.pass(1_000);
  assert.equal(streams().length, 0, "it does not fetch what it cannot write");
  full.clear();
  archivist.record(log[5].certified);
  await Promise.resolve();
  serve(streams()[0], log.slice(3, 6));
  assert.deepEqual(has(), rounds(1, 6));
  const said = wires.log.filter(({ event }) => event === "archive not written");
  assert.deepEqual(said.map(({ fields }) => fields?.round), [4, 4]);
});

Deno.test("an archive of another committee is refused with what to do", () => {
  const archive = memoryArchive(), { make } = filling(422, archive);
  const [other] = extendLog(new Play(423), 1);
  archive.append(other.round, other.bytes);
  const why = /record 1, the newest of the archive, .*another committee.*move the archive/;
  assert.throws(make, (error: StoreError) => error.exitCode === 5 && why.test(error.message));
});
