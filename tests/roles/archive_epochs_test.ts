/** Archives over changes of the committee: how they are read, and how a server keeps one whole. */
import assert from "node:assert/strict";
import { equal, u64 } from "../../src/protocol/bytes.ts";
import { readArchived } from "../../src/roles/archived.ts";
import { Archivist } from "../../src/roles/archivist.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import type { Seen } from "../../src/roles/reader.ts";
import { type Archive, memoryArchive } from "../../src/roles/records.ts";
import { instanceStreams } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { fourEpochs, manifestsOf, roundOf, ROUNDS, TEXTS } from "./changes.ts";
import { peerOf, Wires } from "./wire.ts";

const { zero, one, three, log, of } = fourEpochs(520), all = manifestsOf(three);
const rounds = (seen: readonly Seen[]) => seen.map(({ record }) => record.header.round);
const texts = (seen: readonly Seen[]) =>
  seen.flatMap(({ messages }) => messages).map((m) => new TextDecoder().decode(m.payload));

/** An archive with the records up to a round. */
function upTo(round: number): Archive {
  const archive = memoryArchive();
  for (const played of log) {
    if (roundOf(played) <= round) archive.append(roundOf(played), played.bytes);
  }
  return archive;
}

/** An archivist at a server that stays in epochs 0 and 1. */
function keeping(archive: Archive, epochs = new Epochs(all)) {
  const stays = zero.servers.find(({ signer: { key } }) =>
    one.manifest.servers.some((server) => equal(server, key))
  )!;
  const wires = new Wires("server", stays.seed), { broadcasts } = instanceStreams(zero.parameters);
  wires.known.push(...three.servers.map((s) => peerOf("server", s.seed)));
  const archivist = new Archivist({
    network: wires,
    environment: wires.environment,
    epochs,
    archive,
  });
  archivist.start();
  const has = () => archive.read(0, Infinity, Infinity).map(({ round }) => round);
  return { archivist, wires, epochs, has, stream: () => wires.to(broadcasts)[0] };
}

Deno.test("an archive is read over all epochs, from any round on", () => {
  const archive = memoryArchive();
  for (const played of log) archive.append(roundOf(played), played.bytes);
  const seen = [...readArchived(archive, all, 0)];
  assert.deepEqual([rounds(seen), texts(seen)], [ROUNDS, TEXTS]);
  assert.deepEqual(seen.map(({ skipped }) => skipped), [0, 0, 0, 1, 2, 0, 0, 0]);
  for (const [at, from] of ROUNDS.entries()) {
    assert.deepEqual(rounds([...readArchived(archive, all, from)]), ROUNDS.slice(at));
    const late = memoryArchive();
    for (const played of log.slice(at)) late.append(roundOf(played), played.bytes);
    const [one] = readArchived(late, all, from);
    assert.deepEqual([one.linked, one.skipped], [from === 1, 0]);
    if (from === 1) continue;
    const whole = () => [...readArchived(late, all, 0)];
    assert.throws(whole, /it is the first here/);
  }
  const holed = memoryArchive();
  for (const played of log) if (roundOf(played) !== 5) holed.append(roundOf(played), played.bytes);
  assert.throws(() => [...readArchived(holed, all, 0)], /record 8 does not verify: .*epoch 1/);
  assert.throws(
    () => [...readArchived(archive, all.slice(0, 1), 0)],
    /record 8 .*another committee/,
  );
});

Deno.test("records are archived over a change without asking anyone, after a restart in any epoch too", () => {
  for (const [at, round] of ROUNDS.entries()) {
    const k = keeping(upTo(round));
    for (const { certified } of log.slice(at)) k.archivist.record(certified);
    assert.deepEqual(k.has(), ROUNDS);
    assert.equal(k.stream(), undefined);
  }
  const k = keeping(memoryArchive());
  for (const { certified } of log) k.archivist.record(certified);
  assert.deepEqual(k.has(), ROUNDS);
});

Deno.test("the first record of an epoch carries no grants", () => {
  const k = keeping(upTo(5)),
    play = new Play(zero.seed + 1, { servers: 2, clients: 0 }, undefined, {
      from: zero,
      stay: [0, 1],
    });
  const carried = play.round([], play.header({ round: 8, carry: true }));
  assert.throws(() => k.archivist.record(carried.certified), /carries grants/);
  assert.deepEqual(k.has(), [1, 2, 3, 5]);
});

Deno.test("what is missing is filled over a change", async () => {
  for (const [at, round] of [0, ...ROUNDS.slice(0, -1)].entries()) {
    const k = keeping(upTo(round));
    k.archivist.record(of(11).certified);
    await k.wires.pass(1);
    if (at === ROUNDS.length - 1) continue;
    assert.deepEqual(k.stream().sent, [u64(round === 0 ? 0 : round + 1)]);
    for (const { bytes } of log.slice(at)) k.stream()?.frame(bytes);
    assert.deepEqual(k.has(), ROUNDS);
    await k.wires.pass(1);
    assert.equal(k.stream(), undefined, "it asks for no more than it lacks");
  }
});

Deno.test("a record of an epoch that is not known is left out, and comes once it is", async () => {
  const k = keeping(upTo(3), new Epochs([zero.manifest]));
  k.archivist.record(of(5).certified);
  k.archivist.record(of(8).certified);
  await k.wires.pass(1);
  assert.deepEqual([k.has(), k.stream()], [[1, 2, 3, 5], undefined]);
  k.epochs.adopt(all);
  k.archivist.record(of(9).certified);
  await k.wires.pass(1);
  for (const round of [8, 9]) k.stream()?.frame(of(round).bytes);
  assert.deepEqual(k.has(), [1, 2, 3, 5, 8, 9]);
  assert.throws(
    () => keeping(upTo(8), new Epochs([zero.manifest])),
    /record 8, the newest of the archive/,
  );
});
