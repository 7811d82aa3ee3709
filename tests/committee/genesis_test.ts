/** How a committee forms, in every order, through crashes, and with servers that do not fit. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { decodeLineage } from "../../src/protocol/lineage.ts";
import { createManifest, signManifest } from "../../src/protocol/manifest.ts";
import { PRESETS } from "../../src/protocol/parameters.ts";
import { concat } from "../../src/protocol/bytes.ts";
import { Random } from "../protocol/random.ts";
import { refuses } from "../protocol/refuses.ts";
import { Assembly, INSTANCE } from "./assembly.ts";

/** Starts all in a random order, with frames and cuts in between. */
function arrive(it: Assembly): void {
  const order = [...it.parties].sort(() => it.random.below(2) - 0.5);
  for (const party of order) {
    it.start(party);
    for (let n = it.random.below(12); n > 0; n--) it.step();
    if (it.random.below(2)) {
      const up = it.parties.filter(({ core }) => core);
      const a = it.random.pick(up), b = it.random.pick(up);
      if (a !== b) {
        it.cut(a, b);
        for (let n = it.random.below(6); n > 0; n--) it.step();
        it.link(a, b);
      }
    }
  }
}

for (const size of [2, 3, 5]) {
  Deno.test(`genesis: ${size} servers in any order, with lost links, form the one manifest`, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const it = new Assembly(seed, size, size);
      arrive(it);
      it.settle();
      it.stands(it.manifest());
      for (const { formed } of it.parties) {
        assert.equal(
          hex(decodeLineage(formed!.lineage, INSTANCE)[0].manifest.fingerprint),
          hex(it.manifest().fingerprint),
        );
      }
    }
  });
}

Deno.test("genesis: too few servers form nothing and sign nothing", () => {
  const it = new Assembly(7, 2, 3);
  it.parties.forEach((party) => it.start(party));
  it.settle();
  for (const party of it.parties) {
    assert.equal(party.formed, undefined);
    assert.equal(party.signed.size, 0);
    assert.equal(party.core!.waitsFor, "2 of 3 servers have met");
  }
});

Deno.test("genesis: a server that dies at any write, before or after it, comes back and joins", () => {
  for (const size of [3, 5]) {
    for (const durable of [false, true]) {
      for (const nth of [1, 2]) {
        for (let victim = 0; victim < size; victim++) {
          const it = new Assembly(100 + victim, size, size), party = it.parties[victim];
          party.dies = { left: nth, durable };
          arrive(it);
          it.settle();
          assert.equal(party.core, undefined, "it died");
          it.start(party);
          it.settle();
          it.stands(it.manifest());
        }
      }
    }
  }
});

Deno.test("genesis: all die at every write, and all come back", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const it = new Assembly(200 + seed, 3, 3);
    for (const party of it.parties) {
      party.dies = { left: 1 + it.random.below(2), durable: it.random.below(2) === 1 };
    }
    arrive(it);
    for (let n = 0; n < 4; n++) {
      it.settle();
      for (const party of it.parties) if (!party.core) it.start(party);
    }
    it.settle();
    it.stands(it.manifest());
  }
});

Deno.test("genesis: nothing is signed where it cannot be stored", () => {
  const it = new Assembly(9, 3, 3);
  for (const party of it.parties) party.dies = { left: 1, durable: false };
  arrive(it);
  it.settle();
  for (const { signed } of it.parties) assert.equal(signed.size, 0);
});

Deno.test("genesis: who lost everything is given the committee that stands; its own disk suffices too", () => {
  const it = new Assembly(10, 3, 3), [a, b, c] = it.parties;
  arrive(it);
  it.settle();
  it.crash(a);
  a.disk.clear();
  it.start(a);
  it.settle();
  it.stands(it.manifest());
  for (const party of [b, c]) it.crash(party);
  it.crash(a);
  it.start(a);
  it.stands(it.manifest(), [a]);
});

Deno.test("genesis: servers without disks that all restart form the same committee again", () => {
  const it = new Assembly(11, 3, 3);
  for (let boot = 0; boot < 3; boot++) {
    for (const party of it.parties) {
      it.crash(party);
      party.disk.clear();
    }
    arrive(it);
    it.settle();
    it.stands(it.manifest());
  }
});

Deno.test("genesis: with more servers than seats nobody signs twice, and at most one committee stands", () => {
  let stood = 0;
  for (let seed = 1; seed <= 80; seed++) {
    const it = new Assembly(300 + seed, 4, 3);
    arrive(it);
    it.settle();
    for (const { signed } of it.parties) assert.ok(signed.size <= 1, `seed ${it.seed}`);
    const formed = it.parties.flatMap(({ formed }) => formed ? [hex(formed.manifest.bytes)] : []);
    assert.ok(new Set(formed).size <= 1, `seed ${it.seed}: ${new Set(formed).size} committees`);
    if (formed.length !== 3) continue;
    stood++;
    const left = it.parties.find(({ formed }) => !formed)!;
    assert.match(left.core!.waitsFor!, /^not in the committee [0-9a-f]{64}; waits to be added$/);
    assert.equal(left.signed.size, 0);
    const warned = it.parties.flatMap(({ said }) =>
      said.filter(({ event }) => event === "more servers than seats")
    );
    assert.ok(warned.length <= it.parties.length);
  }
  assert.equal(stood, 80, "and one does stand");
});

Deno.test("genesis: four at once for three seats: the smallest keys get them, each warns once", () => {
  const it = new Assembly(12, 4, 3);
  for (const party of it.parties) it.start(party);
  it.settle();
  it.stands(it.manifest(it.parties.slice(0, 3)), it.parties.slice(0, 3));
  for (const { said } of it.parties) {
    assert.equal(said.filter(({ event }) => event === "more servers than seats").length, 1);
  }
});

Deno.test("genesis: other parameters or sizes are told once, both ways, and nothing forms", () => {
  const it = new Assembly(13, 3, 3), [a, b, c] = it.parties;
  c.parameters = { ...PRESETS.dev, roundPeriod: 1_000 };
  b.size = 5;
  arrive(it);
  it.settle();
  const told = (of: typeof a, about: typeof a) =>
    of.said.filter(({ event, fields }) =>
      event === "server differs" && fields.peer === hex(about.key)
    )
      .map(({ fields }) => fields.reason);
  const prefix = "would form another committee: ";
  assert.deepEqual(told(a, c), [`${prefix}roundPeriod 1000 there, 300 here`]);
  assert.deepEqual(told(c, a), [`${prefix}roundPeriod 300 there, 1000 here`]);
  assert.deepEqual(told(a, b), [`${prefix}committeeSize 5 there, 3 here`]);
  for (const { formed, signed } of it.parties) {
    assert.deepEqual([formed, signed.size], [undefined, 0]);
  }
});

Deno.test("genesis: a server with other options than its committee may not join it again", () => {
  for (const lost of [false, true]) {
    const it = new Assembly(14, 3, 3), [a] = it.parties;
    arrive(it);
    it.settle();
    it.crash(a);
    if (lost) a.disk.clear();
    a.parameters = { ...PRESETS.dev, maxTalkers: 65 };
    it.start(a);
    it.settle();
    assert.equal(a.formed, undefined);
    assert.match(a.refused!, /other options: maxTalkers 64 there, 65 here$/);
  }
});

Deno.test("genesis: a disk of another server, or a damaged one, is refused", () => {
  const it = new Assembly(15, 3, 3), [a, b] = it.parties;
  arrive(it);
  it.settle();
  const other = new Assembly(16, 3, 3), [x] = other.parties;
  for (const [name, bytes] of a.disk) x.disk.set(name, bytes);
  other.start(x);
  assert.match(x.refused!, /a committee without its key/);
  it.crash(b);
  const kept = b.disk.get("manifest")!;
  b.disk.set("manifest", kept.with(200, kept[200] ^ 1));
  it.start(b);
  assert.match(b.refused!, /holds no committee of its instance/);
});

Deno.test("genesis: an outsider is shown the committee, and signs nothing", () => {
  const it = new Assembly(17, 4, 3), members = it.parties.slice(1), [late] = it.parties;
  for (const party of members) it.start(party);
  it.settle();
  it.start(late);
  it.settle();
  it.stands(it.manifest(members), members);
  assert.equal(late.formed, undefined);
  assert.equal(late.core!.waitsFor!.includes(hex(it.manifest(members).fingerprint)), true);
  assert.equal(late.signed.size, 0);
});

Deno.test("genesis: outsiders enough for a committee of their own do not form one", () => {
  const it = new Assembly(19, 6, 3), late = it.parties.slice(0, 3), members = it.parties.slice(3);
  for (const party of members) it.start(party);
  it.settle();
  for (const party of late) it.start(party);
  it.settle();
  it.stands(it.manifest(members), members);
  for (const { formed, signed } of late) assert.deepEqual([formed, signed.size], [undefined, 0]);
});

Deno.test("genesis: who has not signed follows a manifest that can still win, not one that cannot", () => {
  const it = new Assembly(20, 4, 3), [a, b, c, d] = it.parties;
  const first = it.manifest([a, b, c]), second = it.manifest([a, b, d]);
  // A's word rules out the other manifest, whichever it is.
  for (const [wins, loses, loser] of [[first, second, d], [second, first, c]] as const) {
    const alone = new Assembly(20, 4, 3), [, party] = alone.parties;
    alone.start(party);
    const core = party.core!;
    for (const [of, manifest] of [[loser, loses], [a, wins]] as const) {
      core.connected(of.key);
      const signature = signManifest(of.signer, manifest);
      core.receive(of.key, concat(Uint8Array.of(1), manifest.bytes, signature));
    }
    const [would] = core.greeting();
    assert.equal(hex(would.subarray(-wins.bytes.length)), hex(wins.bytes));
    assert.equal(party.signed.size, 0, "it signs once all members say the same");
  }
});

Deno.test("genesis: false frames are refused: signatures of others, forged ones, garbage", () => {
  const it = new Assembly(18, 3, 3), [a, b, c] = it.parties;
  it.start(a);
  const manifest = it.manifest(), core = a.core!;
  core.connected(b.key);
  const signed = (bytes: Uint8Array, signature: Uint8Array) =>
    concat(Uint8Array.of(1), bytes, signature);
  refuses(
    "signature",
    () => core.receive(b.key, signed(manifest.bytes, signManifest(c.signer, manifest))),
  );
  const foreign = createManifest({ ...manifest, instance: new Uint8Array(32).fill(9) });
  refuses(
    "mismatch",
    () => core.receive(b.key, signed(foreign.bytes, signManifest(b.signer, foreign))),
  );
  const without = it.manifest([a, c]);
  refuses(
    "mismatch",
    () => core.receive(b.key, signed(without.bytes, signManifest(b.signer, without))),
  );
  refuses("range", () => core.receive(b.key, Uint8Array.of(5)));
  refuses("length", () => core.receive(b.key, new Uint8Array(0)));
  const random = new Random(18);
  for (let n = 0; n < 400; n++) {
    const frame = concat(Uint8Array.of(random.below(6)), random.bytes(1 + random.below(400)));
    refuses(
      // Whatever is wrong with it, it is a `ProtocolError`.
      (() => {
        try {
          core.receive(b.key, frame);
        } catch (error) {
          return (error as { code: "range" }).code;
        }
        throw new Error(`seed 18, run ${n} was taken`);
      })(),
      () => core.receive(b.key, frame),
    );
  }
  assert.equal(a.signed.size, 0);
});
