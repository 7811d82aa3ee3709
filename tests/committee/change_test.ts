/** How running members make their next epoch: in every order, through crashes, and against liars. */
import assert from "node:assert/strict";
import { compare, concat, equal, hex, Writer, ZERO32 } from "../../src/protocol/bytes.ts";
import { acceptLineage, decodeLineage, encodeLineage } from "../../src/protocol/lineage.ts";
import { createManifest, type Manifest, signManifest } from "../../src/protocol/manifest.ts";
import {
  decodeFormed,
  encodeFormed,
  encodeSaved,
  savedInstance,
} from "../../src/committee/formed.ts";
import { checkWish, decodeWish, encodeWish } from "../../src/committee/wish.ts";
import { Play } from "../protocol/play.ts";
import { refuses } from "../protocol/refuses.ts";
import { Random } from "../protocol/random.ts";
import { Assembly, INSTANCE, type Party } from "./assembly.ts";

/** A committee of the first `size` of `count` servers; the others are here, and wait. */
function running(seed: number, count: number, size: number): Assembly {
  const it = new Assembly(seed, count, size);
  for (const party of it.parties.slice(0, size)) it.start(party);
  it.settle();
  it.stands(it.manifest(it.parties.slice(0, size)), it.parties.slice(0, size));
  for (const party of it.parties.slice(size)) it.start(party);
  it.settle();
  return it;
}

/** The manifest of the epoch after the parties' first one. */
function second(it: Assembly, first: readonly Party[], next: readonly Party[]): Manifest {
  const before = it.manifest([...first]);
  return createManifest({
    ...before,
    epoch: 1,
    previous: before.fingerprint,
    start: before.root,
    servers: next.map(({ key }) => key),
  });
}

/** All of `members` run in the epoch; nobody ended an epoch for two others. */
function moved(it: Assembly, manifest: Manifest, members: readonly Party[]): void {
  const at = `seed ${it.seed}`;
  for (const party of it.parties) {
    for (const ended of party.closed.values()) assert.ok(ended.size <= 1, at);
  }
  for (const party of members) {
    assert.equal(party.refused, undefined, at);
    const { formed } = party;
    assert.ok(formed, `${at}: ${party.name}: ${party.core?.waitsFor}`);
    assert.equal(hex(formed.manifest.fingerprint), hex(manifest.fingerprint), at);
  }
}

const CHANGES: readonly (readonly [name: string, next: (all: readonly Party[]) => Party[]])[] = [
  ["one is added", (all) => all.slice(0, 4)],
  ["two are added", (all) => all.slice(0, 5)],
  ["one is replaced", ([a, b, , d]) => [a, b, d]],
  ["one is removed, three added", ([, b, c, d, e, f]) => [b, c, d, e, f]],
  ["all are replaced", ([, , , d, e, f]) => [d, e, f]],
];

for (const [name, pick] of CHANGES) {
  Deno.test(`change: ${name}: everyone moves on, and clients follow without a new pin`, () => {
    for (let seed = 1; seed <= 25; seed++) {
      const it = running(seed, 6, 3), first = it.parties.slice(0, 3), next = pick(it.parties);
      const known = first[0].formed!.manifest;
      // One operator after the other, in any order.
      for (const party of [...first].sort(() => it.random.below(2) - 0.5)) {
        for (const other of it.parties) assert.equal(other.stands!.manifest.epoch, 0);
        it.wish([party], next);
        it.settle();
      }
      moved(it, second(it, first, next), next);
      for (const party of first.filter((one) => !next.includes(one))) {
        assert.equal(party.formed, undefined, "it has left");
        assert.equal(party.stands!.manifest.epoch, 1);
        assert.match(party.core!.waitsFor!, /^not in the committee .* waits to be added$/);
      }
      const lineage = decodeLineage(next[0].formed!.lineage, INSTANCE);
      assert.ok("accepted" in acceptLineage(lineage, { known }));
    }
  });
}

Deno.test("change: frames lost, links cut and members that die at any write end in one next epoch", () => {
  let deaths = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const it = running(1_000 + seed, 5, 3), first = it.parties.slice(0, 3);
    const next = it.random.below(2) ? it.parties.slice(1, 4) : it.parties;
    it.wish(first, next);
    for (const party of it.parties) {
      if (it.random.below(2)) continue;
      party.dies = { left: 1 + it.random.below(3), durable: it.random.below(2) === 1 };
    }
    for (let n = 0; n < 12; n++) {
      for (let k = it.random.below(20); k > 0; k--) it.step();
      it.tick();
      const up = it.parties.filter(({ core }) => core);
      if (up.length > 1 && it.random.below(2)) {
        const a = it.random.pick(up), b = it.random.pick(up);
        if (a !== b) {
          it.cut(a, b);
          for (let k = it.random.below(6); k > 0; k--) it.step();
          it.link(a, b);
        }
      }
      for (const party of it.parties) {
        if (party.core || it.random.below(3) > 0) continue;
        deaths++;
        party.dies = undefined;
        it.start(party);
      }
    }
    for (const party of it.parties) {
      party.dies = undefined;
      if (!party.core) it.start(party);
    }
    it.settle();
    moved(it, second(it, first, next), next);
  }
  assert.ok(deaths > 50, `${deaths} deaths`);
});

Deno.test("change: a majority alone moves nobody, whatever it wants", () => {
  for (const lost of [false, true]) {
    const it = running(31, 5, 3), [a, b, c, d] = it.parties;
    const known = c.formed!.manifest;
    it.wish([a, b], [a, b, d], lost ? [c] : []);
    it.settle();
    assert.equal(c.formed!.manifest.epoch, 0, "the third goes on in its epoch");
    if (!lost) {
      for (const party of [a, b]) {
        assert.equal(party.formed!.manifest.epoch, 0);
        assert.match(party.core!.waitsFor!, /its operator has not the same wish$/);
        assert.equal(party.held, false, "rounds go on meanwhile");
      }
      continue;
    }
    // Declared lost, it is left behind, and knows; clients do not follow.
    assert.equal(a.formed!.manifest.epoch, 1);
    const warned = c.said.filter(({ event }) => event === "another committee");
    assert.deepEqual(warned.map(({ fields }) => fields.reason), [
      "this server has not signed its removal, and goes on",
    ]);
    const answer = acceptLineage(decodeLineage(a.formed!.lineage, INSTANCE), { known });
    assert.ok("refused" in answer && answer.refused === "unsigned");
  }
});

Deno.test("change: no later link ends a server either, though it signed the ones before", () => {
  const it = running(38, 4, 3), [a, b, c, d] = it.parties, members = [a, b, c];
  const one = second(it, members, it.parties);
  const two = createManifest({
    ...one,
    epoch: 2,
    previous: one.fingerprint,
    servers: [a, b, d].map(({ key }) => key),
  });
  const epoch = (manifest: Manifest, before: readonly Party[], now: readonly Party[]) => ({
    manifest,
    signatures: now.map(({ signer }) => signManifest(signer, manifest)),
    departed: before.map(() => undefined),
  });
  const lineage = encodeLineage([
    ...decodeLineage(c.formed!.lineage, INSTANCE),
    epoch(one, members, it.parties),
    epoch(two, it.parties, [a, b, d]),
  ]);
  c.core!.receive(
    a.key,
    concat(Uint8Array.of(2), encodeFormed({ record: new Uint8Array(0), lineage })),
  );
  assert.deepEqual(
    c.said.filter(({ event }) => event === "another committee").map(({ fields }) => fields.reason),
    ["this server has not signed its removal, and goes on"],
  );
  assert.equal(c.formed!.manifest.epoch, 0);
  it.crash(c);
  it.start(c);
  assert.equal(c.formed!.manifest.epoch, 0, "nor after a restart");
});

Deno.test("change: with a member that is dead the rest go on, and only a new pin follows them", () => {
  const it = running(32, 5, 3), [a, b, c, d] = it.parties, known = a.formed!.manifest;
  it.crash(c);
  it.wish([a, b], [a, b, d]);
  it.settle();
  assert.match(a.core!.waitsFor!, /: away$/, "it is waited for while it is not declared lost");
  it.wish([a, b], [a, b, d], [c]);
  it.settle();
  moved(it, second(it, it.parties.slice(0, 3), [a, b, d]), [a, b, d]);
  const { lineage, manifest } = d.formed!;
  const epochs = decodeLineage(lineage, INSTANCE);
  assert.ok("refused" in acceptLineage(epochs, { known }));
  assert.ok("accepted" in acceptLineage(epochs, { pin: manifest.fingerprint }));
});

Deno.test("change: nothing begins before all want the same and the new servers are here", () => {
  const it = running(33, 5, 3), [a, b, c, d] = it.parties, first = it.parties.slice(0, 3);
  it.crash(d);
  it.wish(first, [a, b, c, d]);
  it.settle();
  for (const party of first) assert.equal(party.held, false);
  assert.match(a.core!.waitsFor!, /: away$/);
  it.start(d);
  for (const party of first) party.busy = true;
  it.settle();
  for (const party of first) assert.equal(party.held, true, "no round is opened any more");
  assert.equal(a.core!.waitsFor, "the round in progress");
  assert.equal(a.closed.size, 0);
  for (const party of first) party.busy = false;
  it.settle();
  moved(it, second(it, first, [a, b, c, d]), [a, b, c, d]);
});

Deno.test("change: a wish that is taken back before anyone signed changes nothing", () => {
  const it = running(34, 4, 3), [a, b, c, d] = it.parties;
  for (const party of [a, b, c]) party.busy = true;
  it.wish([a, b, c], [a, b, c, d]);
  it.settle();
  assert.equal(a.held, true);
  b.wish = undefined;
  it.settle();
  for (const party of [a, b, c]) {
    party.busy = false;
    assert.equal(party.held, false);
  }
  it.settle();
  assert.equal(a.formed!.manifest.epoch, 0);
});

Deno.test("change: who signed can only finish: its wish taken back, it says so, and goes on holding", () => {
  const it = running(35, 4, 3), [a, b, c, d] = it.parties, first = [a, b, c];
  c.dies = { left: 1, durable: true };
  it.wish(first, [a, b, c, d]);
  it.settle();
  assert.equal(c.core, undefined, "it died as it signed");
  const wish = c.wish;
  c.wish = c.dies = undefined;
  it.start(c);
  it.settle();
  assert.match(
    c.core!.waitsFor!,
    /this server signed the next epoch [0-9a-f]{64}, state that wish/,
  );
  assert.equal(c.held, true);
  c.wish = wish;
  it.settle();
  moved(it, second(it, first, [a, b, c, d]), [a, b, c, d]);
});

Deno.test("change: nobody signs while one comes from another record, until it has learned", () => {
  const it = running(39, 4, 4), [a, b, c, d] = it.parties;
  b.forgot = new Uint8Array(32).fill(8);
  it.wish(it.parties, [a, c, d]);
  it.settle();
  for (const party of it.parties) assert.equal(party.closed.size, 0, `${party.core!.waitsFor}`);
  assert.match(a.core!.waitsFor!, /: it is not at the end of its epoch$/);
  b.forgot = undefined;
  it.settle();
  moved(it, second(it, it.parties, [a, c, d]), [a, c, d]);
});

Deno.test("change: epoch after epoch, with one away for all of them", () => {
  const it = running(36, 6, 3), all = it.parties, known = all[0].formed!.manifest;
  let members = all.slice(0, 3);
  // The last one sees nothing of what follows, and is told at its return.
  it.crash(all[5]);
  for (let n = 1; n <= 4; n++) {
    const next = n % 2 ? all.slice(0, 5) : all.slice(1, 4);
    it.wish(members, next);
    it.settle();
    members = next;
    for (const party of members) assert.equal(party.formed!.manifest.epoch, n);
  }
  it.start(all[5]);
  it.settle();
  assert.equal(all[5].stands!.manifest.epoch, 4);
  const lineage = decodeLineage(members[0].formed!.lineage, INSTANCE);
  assert.equal(lineage.length, 5);
  assert.ok("accepted" in acceptLineage(lineage, { known }));
  // All restart, on their disks.
  for (const party of all) it.crash(party);
  for (const party of all) it.start(party);
  it.settle();
  for (const party of members) assert.equal(party.formed!.manifest.epoch, 4);
});

Deno.test("change: what a liar invites to or hands out is refused, or leads nowhere", () => {
  const it = running(37, 5, 3), [a, b, c, d, e] = it.parties, first = it.manifest([a, b, c]);
  const next = second(it, [a, b, c], [a, b, c, d]);
  const { lineage } = a.formed!;
  const invitation = (manifest: Manifest, record = new Uint8Array(0), of = lineage) =>
    new Writer().u8(4).vector(of).vector(record).bytes(manifest.bytes).end();
  const hears = (frame: Uint8Array) => d.core!.receive(a.key, frame);
  hears(invitation(second(it, [a, b, c], [a, b, c, e])));
  const elsewhere = createManifest({ ...next, start: new Uint8Array(32).fill(7) });
  refuses("chain", () => hears(invitation(elsewhere)));
  refuses("chain", () => hears(invitation(createManifest({ ...next, epoch: 2 }))));
  refuses("range", () => hears(invitation(next).subarray(0, 300)));
  const parameters = { ...next.parameters, roundPeriod: 7 };
  refuses("chain", () => hears(invitation(createManifest({ ...next, parameters }))));
  assert.equal(d.signed.size, 0);
  // Alone with one liar, a member is not moved: neither by an epoch without it, nor by a fork.
  const others = second(it, [a, b, c], [a, e]);
  const signatures = others.servers.map((key) =>
    signManifest(it.parties.find((party) => equal(party.key, key))!.signer, others)
  );
  const epochs = decodeLineage(lineage, INSTANCE), record = new Uint8Array(0);
  const handed = (bytes: Uint8Array) =>
    concat(Uint8Array.of(2), encodeFormed({ record, lineage: bytes }));
  const departed = first.servers.map((key) =>
    equal(key, b.key) ? signManifest(b.signer, others) : undefined
  );
  const false1 = encodeLineage([...epochs, { manifest: others, signatures, departed }]);
  c.core!.receive(a.key, handed(false1));
  assert.equal(c.formed!.manifest.epoch, 0);
  assert.ok(c.said.some(({ fields }) => /has not signed its removal/.test(`${fields.reason}`)));
  const fork = createManifest({ ...first, servers: [a.key, e.key] });
  const forked = fork.servers.map((key) =>
    signManifest(it.parties.find((party) => equal(party.key, key))!.signer, fork)
  );
  c.core!.receive(a.key, handed(encodeLineage([{ manifest: fork, signatures: forked }])));
  assert.ok(c.said.some(({ fields }) => /another committee of the same/.test(`${fields.reason}`)));
  assert.equal(c.formed!.manifest.epoch, 0);
  const parties = [a, e].sort((x, y) => compare(x.key, y.key));
  const later = createManifest({
    ...fork,
    epoch: 1,
    previous: fork.fingerprint,
    start: fork.root,
    servers: [b.key, e.key],
  });
  const chained = encodeLineage([
    { manifest: fork, signatures: forked },
    {
      manifest: later,
      signatures: later.servers.map((key) =>
        signManifest(it.parties.find((party) => equal(party.key, key))!.signer, later)
      ),
      departed: parties.map(({ key, signer }) =>
        equal(key, a.key) ? signManifest(signer, later) : undefined
      ),
    },
  ]);
  c.core!.receive(a.key, handed(chained));
  assert.ok(c.said.some(({ fields }) => /does not follow the committee/.test(`${fields.reason}`)));
  assert.equal(c.formed!.manifest.epoch, 0);
});

Deno.test("formed: an epoch's start is proven by the certified record of that hash, and no other", () => {
  const play = new Play(40), { manifest } = play;
  const [one, two] = [play.round(), play.round()];
  const next = createManifest({
    ...manifest,
    epoch: 1,
    previous: manifest.fingerprint,
    start: one.certified.record.hash,
  });
  const sign = (of: Manifest) => play.servers.map(({ signer }) => signManifest(signer, of));
  const lineage = encodeLineage([
    { manifest, signatures: sign(manifest) },
    { manifest: next, signatures: sign(next), departed: manifest.servers.map(() => undefined) },
  ]);
  const read = (record: Uint8Array) =>
    decodeFormed(encodeFormed({ record, lineage }), manifest.instance);
  const { start } = read(one.bytes);
  assert.deepEqual([start.round, hex(start.hash)], [1, hex(one.certified.record.hash)]);
  refuses("chain", () => read(new Uint8Array(0)));
  refuses("chain", () => read(two.bytes));
  refuses("chain", () => read(new Play(41).round().bytes));
  const forged = one.bytes.slice();
  forged[forged.length - 1] ^= 1;
  refuses("signature", () => read(forged));
  const saved = encodeSaved({ formed: read(one.bytes) });
  assert.deepEqual(savedInstance(saved), manifest.instance);
  assert.deepEqual(savedInstance(encodeSaved({ signed: manifest })), manifest.instance);
});

Deno.test("wish: round trip; what cannot be one is refused with what is wrong", () => {
  const random = new Random(38), it = running(38, 4, 3), [a, b, c, d] = it.parties;
  const manifest = it.manifest([a, b, c]), from = manifest.fingerprint;
  const keys = [d, b, a].map(({ key }) => key);
  const bytes = encodeWish({ from, servers: keys, lost: [c.key] });
  const wish = decodeWish(bytes);
  assert.deepEqual(encodeWish(wish), bytes);
  checkWish(wish, manifest);
  for (let n = 0; n < bytes.length; n++) refuses("length", () => decodeWish(bytes.subarray(0, n)));
  refuses("trailing", () => decodeWish(concat(bytes, Uint8Array.of(0))));
  refuses("encoding", () => decodeWish(concat(from, new Writer().u16(2).end(), a.key, a.key)));
  refuses("range", () => decodeWish(concat(from, new Writer().u16(1).end(), a.key)));
  refuses("range", () => decodeWish(concat(from, new Writer().u16(65).end(), random.bytes(2080))));
  const bad = (change: Partial<typeof wish>) => () => checkWish({ ...wish, ...change }, manifest);
  refuses("range", bad({ from: ZERO32 }));
  refuses("range", bad({ servers: manifest.servers, lost: [] }));
  refuses("range", bad({ lost: [d.key] }));
  refuses("range", bad({ lost: [a.key] }));
  refuses("range", bad({ servers: keys.slice(0, 1), lost: manifest.servers }));
});
