/** The committed vectors are what the code makes, and what noble makes from the text alone. */
import assert from "node:assert/strict";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { buildVectors } from "../../scripts/vectors.ts";
import { NATIVE_FROM } from "../../src/protocol/pad.ts";
import {
  ascii,
  B3,
  cat,
  decodeTable,
  entry,
  H,
  hx,
  label,
  le,
  mark,
  merkle,
  merklePath,
  pad,
  places,
  publicKey,
  sign,
  un,
  vec,
  zeros,
} from "./oracle.ts";
import vectors from "./vectors.json" with { type: "json" };

Deno.test("the committed vectors are a fresh build's", () => {
  assert.deepEqual(JSON.parse(JSON.stringify(buildVectors())), vectors);
});

Deno.test("names", () => {
  const { universe, instance, subIds, nodeSeeds } = vectors.names;
  assert.equal(
    universe.id,
    "b82b6f3b4a1e53d2d56523f5a7b1974e3842ac37a068cc302286065a8853cf43",
  );
  assert.equal(universe.id, hx(B3(ascii(universe.name))));
  const id = B3(label("instance"), un(universe.id), vec(ascii(instance.name)));
  assert.equal(instance.id, hx(id));
  assert.equal(subIds.length, 7);
  for (const sub of subIds) {
    assert.equal(sub.id, hx(B3(label("derive"), id, vec(ascii(sub.purpose)))));
  }
  const [plain, upper, short, words, accents] = nodeSeeds;
  assert.equal(plain.seed, "01".repeat(32));
  assert.equal(upper.seed, "ab".repeat(32));
  for (const hashed of [short, words]) assert.equal(hashed.seed, hx(B3(ascii(hashed.text))));
  assert.equal(accents.seed, hx(B3(un("c3a974c3a9"))));
});

Deno.test("presets", () => {
  const numbers = {
    interactive: [1_024, 64, 4_096, 65_536, 3, 32, 1_000, 400, 5_000],
    archival: [8_192, 1_024, 16_384, 1_048_576, 3, 32, 30_000, 5_000, 60_000],
    dev: [1_024, 64, 4_096, 65_536, 3, 32, 300, 120, 3_000],
  };
  assert.deepEqual(vectors.presets.map((p) => p.name), Object.keys(numbers));
  for (const { name, bytes } of vectors.presets) {
    const fields = numbers[name as keyof typeof numbers].map((n) => le(n, 4));
    assert.equal(bytes, hx(cat(zeros(1), ...fields, zeros(64))), name);
  }
});

Deno.test("labels: 40, none twice, each in front of what it labels", () => {
  const { labels } = vectors.derivations;
  assert.equal(new Set(labels.map((l) => l.label)).size, 40);
  for (const one of labels) assert.equal(one.hash, hx(H(one.label)), one.label);
});

Deno.test("a pair key", () => {
  const { instance, shared, client, server, pairKey } = vectors.derivations;
  const ends = [client.key, client.agreement, server.key, server.agreement].map(un);
  const info = cat(label("pair"), ...ends);
  assert.equal(pairKey, hx(hkdf(sha256, un(shared), un(instance), info, 32)));
});

Deno.test("pads, below and above the size at which the implementation changes", () => {
  const lengths = vectors.pads.map((p) => p.pad.length / 2);
  assert.ok(lengths.includes(NATIVE_FROM - 1) && lengths.includes(NATIVE_FROM));
  assert.ok(lengths.some((n) => n < 64) && lengths.some((n) => n > 2 * NATIVE_FROM));
  for (const v of vectors.pads) {
    assert.equal(v.pad, hx(pad(un(v.key), un(v.h), v.pad.length / 2)));
  }
});

Deno.test("rosters of 0 to 9 places: leaves, root and every proof", () => {
  assert.equal(vectors.rosters.length, 10);
  vectors.rosters.forEach((v, size) => {
    const bytes = un(v.bytes);
    assert.equal(hx(bytes.slice(0, 4)), hx(le(size, 4)));
    assert.equal(bytes.length, 4 + 64 * size);
    const leaves = Array.from(
      { length: size },
      (_, i) => H("roster", le(i, 4), bytes.slice(4 + 64 * i, 68 + 64 * i)),
    );
    assert.deepEqual(v.leaves, leaves.map(hx));
    assert.equal(v.root, hx(merkle(leaves)));
    assert.equal(v.proofs.length, size);
    v.proofs.forEach((proof, i) => {
      const path = merklePath(leaves, i);
      assert.equal(proof, hx(cat(le(i, 4), le(path.length, 1), ...path)), `${i} of ${size}`);
    });
  });
  assert.equal(vectors.rosters[0].root, "00".repeat(32));
  assert.equal(vectors.rosters[9].bytes.slice(8 + 128 * 3, 8 + 128 * 4), "00".repeat(64));
});

Deno.test("a schedule: entries, cells, table, decoding", () => {
  const v = vectors.schedule, h = un(v.h), table = zeros(24 * 64);
  for (const r of v.reservations) {
    const bytes = entry(h, un(r.commitment), r.units);
    assert.equal(r.entry, hx(bytes));
    for (const place of places(h, un(r.commitment), 16)) mark(table, place, bytes);
  }
  assert.equal(v.table, hx(table));
  const decoded = decodeTable(table, h);
  assert.deepEqual(v.decoded, decoded.entries.map((e) => e.c));
  assert.deepEqual([v.complete, decoded.complete], [true, true]);
  assert.equal(decoded.entries.length, v.reservations.length);
});

Deno.test("a layout: order, what is dropped, what is passed over", () => {
  const v = vectors.schedule;
  const most = Math.ceil((20 + v.maxMessageBytes) / 64);
  const wanted = v.reservations.filter((r) => r.units <= most)
    .map((r) => ({ ...r, order: hx(H("order", un(v.recordHash), un(r.commitment))) }))
    .sort((a, b) => (a.order < b.order ? -1 : 1));
  const grants: { commitment: string; offset: number; length: number }[] = [];
  let offset = 0;
  for (const { commitment, units } of wanted) {
    const length = 64 * units;
    if (offset + length > v.maxVectorBytes) continue;
    grants.push({ commitment, offset, length });
    offset += length;
  }
  assert.deepEqual(v.grants, grants);
  assert.equal(v.bytes, offset);
  assert.ok(wanted.length < v.reservations.length && grants.length < wanted.length);
  const last = wanted.findIndex((w) => w.commitment === grants.at(-1)!.commitment);
  assert.ok(last >= grants.length, "none was passed over before another that fits");
});

Deno.test("a lineage: manifests that follow each other, their own signatures and those who left", () => {
  const v = vectors.lineage;
  const epochs = v.epochs.map(({ seeds, ...epoch }) => ({
    ...epoch,
    servers: new Map(seeds.map((seed) => [hx(publicKey(un(seed))), un(seed)])),
  }));
  const write = (list: typeof epochs, without: readonly string[]) => {
    const parts = [le(list.length, 2)];
    list.forEach(({ servers, start, manifest, fingerprint }, i) => {
      const before = list[i - 1], bytes = un(manifest);
      assert.equal(hx(bytes.slice(32, 36)), hx(le(i, 4)));
      assert.equal(hx(bytes.slice(36, 68)), before?.fingerprint ?? hx(zeros(32)));
      assert.equal(hx(bytes.slice(68, 100)), start);
      assert.equal(hx(bytes.slice(102, -101)), [...servers.keys()].sort().join(""));
      assert.equal(fingerprint, hx(H("manifest", bytes)));
      const signature = (key: string) =>
        sign((servers.get(key) ?? before.servers.get(key))!, "sign-manifest", un(fingerprint));
      parts.push(vec(bytes), ...[...servers.keys()].sort().map(signature));
      if (!before) return;
      const old = [...before.servers.keys()].sort();
      const left = old.filter((key) => !servers.has(key) && !without.includes(key));
      const bits = left.reduce((sum, key) => sum | 1 << old.indexOf(key), 0);
      parts.push(vec(Uint8Array.of(bits)), ...left.map(signature));
    });
    return hx(cat(...parts));
  };
  assert.equal(v.bytes, write(epochs, []));
  assert.equal(v.incomplete, write(epochs.slice(0, 2), [...epochs[0].servers.keys()]));
  assert.ok(v.incomplete.length < write(epochs.slice(0, 2), []).length);
});
