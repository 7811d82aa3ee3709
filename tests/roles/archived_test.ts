/** Records from an archive's files, verified with nothing but the manifest. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { readArchived, Tally } from "../../src/roles/archived.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import { Play } from "../protocol/play.ts";
import { extendLog, rounds } from "./log.ts";

/** An archive with messages at rounds 6 and 12, and void rounds. */
function archived(seed: number) {
  const play = new Play(seed), archive = memoryArchive(Infinity, Infinity);
  const keep = (round: number, bytes: Uint8Array) => archive.append(round, bytes);
  for (const { round, bytes } of extendLog(play, 4)) keep(round, bytes);
  for (const text of ["first", "second"]) {
    const { reserved, talked } = play.talk([text]);
    for (const { certified, bytes } of [reserved, talked]) {
      keep(certified.record.header.round, bytes);
    }
    for (const { round, bytes } of extendLog(play, 3, [8])) keep(round, bytes);
  }
  return { play, archive, manifest: play.manifest, all: archive.read(0, Infinity, Infinity) };
}

Deno.test("a whole archive is verified, and one line tells what it holds", () => {
  const { play, archive, manifest, all } = archived(500), tally = new Tally();
  const seen = [...readArchived(archive, [manifest], 0)];
  assert.deepEqual(seen.map(({ record }) => record.header.round), all.map(({ round }) => round));
  const texts = seen.flatMap(({ messages }) => messages)
    .map(({ payload }) => new TextDecoder().decode(payload));
  assert.deepEqual(texts, ["first", "second"]);
  assert.equal(seen.reduce((sum, { skipped }) => sum + skipped, 0), 1);
  for (const one of seen) tally.add(one);
  const head = hex(play.head.hash), to = play.head.round;
  assert.equal(
    tally.line(false),
    `14 records, 2 messages, rounds 1 to ${to}, head ${head}: verified\n`,
  );
  assert.deepEqual(JSON.parse(tally.line(true)), {
    ...{ verified: true, records: 14, messages: 2, from: 1, to, head },
  });
});

Deno.test("from any round on: the records from there, and the messages of the first too", () => {
  const { archive, manifest, all } = archived(501);
  for (const from of rounds(1, all.at(-1)!.round)) {
    const seen = [...readArchived(archive, [manifest], from)];
    const expected = all.filter(({ round }) => round >= from).map(({ round }) => round);
    assert.deepEqual(seen.map(({ record }) => record.header.round), expected);
    assert.ok(seen[0].linked);
    if (from === 6) assert.equal(seen[0].messages.length, 1);
  }
});

Deno.test("one flipped byte anywhere names its round, and nothing after it is told", () => {
  const { manifest, all } = archived(502);
  for (const [at, { round, bytes }] of all.entries()) {
    for (
      const place of [0, 70, 90, 130, 200, bytes.length >> 1, bytes.length - 192, bytes.length - 1]
    ) {
      const archive = memoryArchive(Infinity, Infinity), altered = bytes.slice();
      altered[place] ^= 0x40;
      all.forEach((kept, i) => archive.append(kept.round, i === at ? altered : kept.bytes));
      const told: number[] = [];
      assert.throws(
        () => {
          for (const seen of readArchived(archive, [manifest], 0)) {
            told.push(seen.record.header.round);
          }
        },
        new RegExp(`^Protocol: record ${round} does not verify: `),
        `byte ${place} of ${round}`,
      );
      assert.deepEqual(told, all.slice(0, at).map((kept) => kept.round));
    }
  }
});

Deno.test("what is missing in an archive is said, at its beginning, within, and at its end", () => {
  const { manifest, all } = archived(503);
  const without = (gone: (at: number) => boolean) => {
    const archive = memoryArchive(Infinity, Infinity);
    all.forEach(({ round, bytes }, i) => gone(i) || archive.append(round, bytes));
    return (from: number) => [...readArchived(archive, [manifest], from)].length;
  };
  const late = without((i) => i < 5);
  assert.throws(() => late(0), /record 6 does not verify: .* missing, --from=6 reads from here on/);
  assert.throws(() => late(5), /record 6 does not verify: .* missing/);
  assert.equal(late(6), 9);
  assert.throws(() => without((i) => i === 7)(0), /record 10 does not verify: .* follows/);
  assert.throws(() => late(99), /no record from round 99 on: the newest is 15/);
  assert.throws(() => without(() => true)(0), /the archive is empty/);
});

Deno.test("a record under another round than its own is refused", () => {
  const { manifest, all } = archived(504), archive = memoryArchive(Infinity, Infinity);
  all.forEach(({ round, bytes }) => archive.append(round + (round > 9 ? 1 : 0), bytes));
  assert.throws(
    () => [...readArchived(archive, [manifest], 0)],
    /record 11 does not verify: it is the record of 10/,
  );
});
