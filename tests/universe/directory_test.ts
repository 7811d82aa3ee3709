import assert from "node:assert/strict";
import {
  Directory,
  FORGET_MS,
  MAX_KNOWN,
  MAX_MISSED,
  MAX_READERS,
} from "../../src/universe/directory.ts";
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
  const hear = (n: number) => it.hear({ ...peer(n, "server", "/memory/x"), age: n });
  for (let n = 1; n <= MAX_KNOWN; n++) hear(n);
  it.link(peer(1_000));
  assert.equal(it.peers().length, MAX_KNOWN);
  assert(it.get(peer(1_000).id) && !it.get(peer(MAX_KNOWN).id), "for whom was seen longest ago");
  for (let n = MAX_KNOWN; n <= MAX_KNOWN + 50; n++) hear(n);
  assert.equal(it.peers().length, MAX_KNOWN);
  assert(it.get(peer(1_000).id));
});

Deno.test("directory: who was missed most often gives way to a newcomer, who was met does not", () => {
  const { it } = directory();
  it.link(peer(1));
  it.unlink(peer(1).id);
  for (let n = 2; n <= MAX_KNOWN; n++) it.hear({ ...peer(n, "server", "/memory/x"), age: 0 });
  for (const [n, times] of [[1, 9], [7, 2], [8, 3]]) {
    for (let i = 0; i < times; i++) it.miss(peer(n).id);
  }
  const hear = (n: number) => {
    it.hear({ ...peer(n, "server", "/memory/x"), age: 0 });
    return it.get(peer(n).id) !== undefined;
  };
  assert(hear(900) && !it.get(peer(8).id), "for the one missed three times");
  assert(!hear(8) && hear(901) && !it.get(peer(7).id), "which has no better claim than others");
  assert(hear(902) && it.peers().length === MAX_KNOWN, "for any of its equals");
  assert(it.get(peer(1).id));
  it.link(peer(8));
  assert.deepEqual([it.missed(peer(8).id), it.missed(peer(7).id)], [0, 2]);
});

Deno.test("directory: a reader that was not reached gives way, none that was not tried", () => {
  const { it } = directory();
  const hear = (n: number) => {
    it.hear({ ...peer(n, "reader", "/memory/x"), age: 0 });
    return it.get(peer(n).id) !== undefined;
  };
  for (let n = 1; n <= MAX_READERS; n++) assert(hear(n));
  assert(!hear(100));
  it.miss(peer(5).id);
  assert(hear(100) && !it.get(peer(5).id) && !hear(5));
  assert.equal(it.peers("reader").length, MAX_READERS);
});

Deno.test("directory: it is remembered of so many how often they were missed", () => {
  const { it } = directory();
  for (let n = 1; n <= MAX_MISSED + 1; n++) it.miss(peer(n).id);
  assert.deepEqual([it.missed(peer(1).id), it.missed(peer(2).id)], [0, 1]);
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
