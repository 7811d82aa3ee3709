import assert from "node:assert/strict";
import { equal, hex, u32 } from "../../src/protocol/bytes.ts";
import { hash } from "../../src/protocol/hash.ts";
import { agreement, signer } from "../../src/protocol/keys.ts";
import { maxPath, MerkleTree, verifyPath } from "../../src/protocol/merkle.ts";
import {
  decodeProof,
  encodeProof,
  Roster,
  rosterLeaf,
  verifyProof,
} from "../../src/protocol/roster.ts";
import { merkle, merklePath } from "./oracle.ts";
import { Random } from "./random.ts";
import { refuses } from "./refuses.ts";

const random = new Random(60);
const leaves = (n: number) => Array.from({ length: n }, (_, i) => hash("roster", u32(i)));
const entries = Array.from({ length: 9 }, () => ({
  client: signer(random.bytes(32)).key,
  agreement: agreement(random.bytes(32)).key,
}));
function roster(size: number): Roster {
  const made = new Roster();
  for (let i = 0; i < size; i++) made.set(i, entries[i]);
  return made;
}

Deno.test("a tree grown leaf by leaf is the tree built at once, for 0 to 70 leaves", () => {
  const grown = new MerkleTree();
  for (let n = 0; n <= 70; n++) {
    const all = leaves(n);
    assert.equal(hex(grown.root), hex(merkle(all)), `${n} leaves`);
    assert.equal(hex(new MerkleTree(all).root), hex(grown.root));
    assert.equal(grown.size, n);
    grown.set(n, hash("roster", u32(n)));
  }
});

Deno.test("a changed leaf changes the root as in a tree built anew", () => {
  for (const n of [1, 2, 5, 8, 13]) {
    const all = leaves(n), tree = new MerkleTree(all);
    for (let i = 0; i < n; i++) {
      all[i] = hash("node", u32(i));
      tree.set(i, all[i]);
      assert.equal(hex(tree.root), hex(merkle(all)));
    }
  }
});

Deno.test("every path verifies at its own index, size and leaf only", () => {
  for (let n = 1; n <= 17; n++) {
    const all = leaves(n), tree = new MerkleTree(all);
    for (let i = 0; i < n; i++) {
      const path = tree.path(i),
        check = (size: number, at: number, leaf: Uint8Array, p = path) =>
          verifyPath(tree.root, size, at, leaf, p);
      assert.deepEqual(path.map(hex), merklePath(all, i).map(hex));
      assert.ok(path.length <= maxPath(n));
      assert.ok(check(n, i, all[i]));
      for (let other = 0; other < n; other++) {
        if (other !== i) assert.ok(!check(n, other, all[i]) && !check(n, i, all[other]));
      }
      assert.ok(!check(n, -1, all[i]) && !check(n, n, all[i]) && !check(0, 0, all[i]));
      assert.ok(!check(n, i, all[i], [...path, all[0]]));
      if (path.length) assert.ok(!check(n, i, all[i], path.slice(1)));
    }
  }
});

Deno.test("a roster comes back, with its gaps", () => {
  const made = roster(9);
  made.set(4, undefined);
  made.set(8, undefined);
  const read = Roster.decode(made.encode(), 9);
  assert.deepEqual([hex(read.root), read.size, read.count], [hex(made.root), 9, 7]);
  assert.deepEqual([...read.clients()].map(([i]) => i), [0, 1, 2, 3, 5, 6, 7]);
  assert.equal(read.at(4), undefined);
  assert.equal(read.indexOf(entries[4].client), undefined);
  assert.equal(read.indexOf(entries[5].client), 5);
});

Deno.test("a place is refilled; a new session of a client changes its leaf", () => {
  const made = roster(3);
  made.set(1, { ...entries[1], agreement: entries[8].agreement });
  assert.notEqual(hex(made.root), hex(roster(3).root));
  made.set(1, entries[5]);
  assert.equal(made.indexOf(entries[1].client), undefined);
  made.set(1, entries[1]);
  assert.equal(hex(made.root), hex(roster(3).root));
});

Deno.test("a copy is not reached by later changes, nor the roster by the copy's", () => {
  const made = roster(5), copy = made.clone(), root = hex(made.root);
  made.set(2, undefined);
  copy.set(5, entries[5]);
  assert.deepEqual([made.size, copy.size, made.count, copy.count], [5, 6, 4, 6]);
  assert.equal(copy.indexOf(entries[2].client), 2);
  assert.equal(hex(copy.root), hex(roster(6).root));
  made.set(2, entries[2]);
  assert.equal(hex(made.root), root);
});

Deno.test("a roster of the most places there may be comes back", () => {
  const most = 65_536, bytes = new Uint8Array(4 + 64 * most);
  bytes.set(u32(most));
  for (const [i, e] of entries.entries()) {
    bytes.set(e.client, 4 + 64 * (most - 1 - i));
    bytes.set(e.agreement, 36 + 64 * (most - 1 - i));
  }
  const read = Roster.decode(bytes, most);
  assert.deepEqual([read.size, read.count, read.indexOf(entries[0].client)], [most, 9, most - 1]);
  assert.ok(equal(read.encode(), bytes));
  const header = { rosterRoot: read.root, rosterSize: most };
  assert.ok(verifyProof(header, entries[0], { index: most - 1, path: read.path(most - 1) }));
});

Deno.test("a roster with a key twice, half a place, or too many places is refused", () => {
  const bytes = roster(3).encode(), place = (i: number) => 4 + 64 * i;
  const decode = (b: Uint8Array) => Roster.decode(b, 3);
  const client = bytes.slice();
  client.copyWithin(place(1), place(0), place(0) + 32);
  refuses("encoding", () => decode(client));
  const session = bytes.slice();
  session.copyWithin(place(1) + 32, place(0) + 32, place(1));
  refuses("encoding", () => decode(session));
  for (const half of [0, 32]) {
    const empty = bytes.slice();
    empty.fill(0, place(2) + half, place(2) + half + 32);
    refuses("encoding", () => decode(empty));
  }
  const small = bytes.slice();
  small.fill(0, place(0), place(0) + 32)[place(0)] = 1;
  refuses("key", () => decode(small));
  refuses("range", () => Roster.decode(bytes, 2));
  refuses("range", () => decode(u32(2 ** 32 - 1)));
});

Deno.test("a proof holds for its entry under its header only", () => {
  const made = roster(7), header = { rosterRoot: made.root, rosterSize: 7 };
  const proof = decodeProof(encodeProof({ index: 5, path: made.path(5) }));
  assert.ok(verifyProof(header, entries[5], proof));
  assert.ok(!verifyProof(header, entries[4], proof));
  assert.ok(!verifyProof(header, { ...entries[5], agreement: entries[4].agreement }, proof));
  assert.ok(!verifyProof(header, entries[5], { ...proof, index: 4 }));
  assert.ok(!verifyProof({ ...header, rosterSize: 5 }, entries[5], proof));
  assert.ok(!verifyProof({ ...header, rosterRoot: roster(6).root }, entries[5], proof));
});

Deno.test("a proof's index and path have bounds", () => {
  const path = (length: number) => Array.from({ length }, () => new Uint8Array(32));
  decodeProof(encodeProof({ index: 65_535, path: path(16) }));
  refuses("range", () => decodeProof(encodeProof({ index: 65_536, path: path(16) })));
  refuses("range", () => decodeProof(encodeProof({ index: 0, path: path(17) })));
  refuses("length", () => decodeProof(encodeProof({ index: 0, path: path(2) }).subarray(0, 68)));
});

Deno.test("nobody's leaf is that of zero keys", () => {
  const zero = new Uint8Array(32);
  assert.equal(
    hex(rosterLeaf(3, undefined)),
    hex(rosterLeaf(3, { client: zero, agreement: zero })),
  );
});
