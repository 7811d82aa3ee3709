import assert from "node:assert/strict";
import { Directory, FORGET_MS, MAX_KNOWN } from "../../src/universe/directory.ts";
import type { Peer, Role } from "../../src/universe/network.ts";

function peer(n: number, role: Role = "server", ...addresses: string[]): Peer {
  const key = new Uint8Array(32).fill(n & 255).fill(n >> 8, 0, 1);
  const id = [...key].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { id, key, role, addresses };
}

function directory() {
  const time = { now: 1_000_000 };
  const clock = { now: () => time.now, wall: () => time.now, after: () => () => {} };
  const random = (length: number) => new Uint8Array(length);
  return { time, it: new Directory(peer(0).id, { clock, random, observe() {} }) };
}

Deno.test("directory: a peer's own word stands above hearsay, newer hearsay above older", () => {
  const { it } = directory();
  const id = peer(1).id;
  it.hear({ ...peer(1, "server", "/memory/old"), age: 5_000 });
  it.hear({ ...peer(1, "aggregator", "/memory/new"), age: 1_000 });
  it.hear({ ...peer(1, "server", "/memory/older"), age: 9_000 });
  assert.deepEqual(it.get(id), peer(1, "aggregator", "/memory/new"));
  it.link(peer(1, "server", "/memory/own"));
  it.hear({ ...peer(1, "aggregator", "/memory/lie"), age: 0 });
  assert.deepEqual(it.get(id), peer(1, "server", "/memory/own", "/memory/lie"));
});

Deno.test("directory: who is linked stays, clients go with their links, the unseen are forgotten", () => {
  const { it, time } = directory();
  it.link(peer(1));
  it.link(peer(2, "client"));
  it.hear({ ...peer(3, "server", "/memory/3"), age: 0 });
  it.unlink(peer(2).id);
  assert.deepEqual(it.peers().map((known) => known.key[5]), [1, 3]);
  time.now += FORGET_MS + 1;
  it.expire();
  assert.deepEqual(it.peers().map((known) => known.key[5]), [1]);
});

Deno.test("directory: whose entry is gone goes, unless it was met", () => {
  const { it } = directory();
  it.hear({ ...peer(1, "server", "/memory/1"), age: 0 });
  it.link(peer(2));
  it.unlink(peer(2).id);
  assert(!it.met(peer(1).id) && it.met(peer(2).id));
  for (const n of [1, 2, 3]) it.forget(peer(n).id);
  assert.deepEqual(it.peers().map((known) => known.key[5]), [2]);
});

Deno.test("directory: hearsay does not grow it over its bound, whom one meets finds room", () => {
  const { it } = directory();
  for (let n = 1; n <= MAX_KNOWN + 50; n++) it.hear({ ...peer(n, "server", "/memory/x"), age: n });
  assert.equal(it.peers().length, MAX_KNOWN);
  it.link(peer(1_000));
  assert.equal(it.peers().length, MAX_KNOWN);
  assert(it.get(peer(1_000).id) && !it.get(peer(MAX_KNOWN).id));
});

Deno.test("directory: listeners hear each peer once, and one that throws harms nobody", () => {
  const { it } = directory();
  const heard: number[] = [];
  it.link(peer(1));
  it.onPeer(() => {
    throw new Error("mistake");
  });
  const end = it.onPeer((known) => heard.push(known.key[5]));
  it.link(peer(1));
  it.link(peer(2));
  end();
  it.link(peer(3));
  assert.deepEqual(heard, [1, 2]);
});
