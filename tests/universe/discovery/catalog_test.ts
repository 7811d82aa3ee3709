import assert from "node:assert/strict";
import { ANNOUNCE_MS } from "../../../src/universe/discovery/announce.ts";
import {
  DRIFT_MS,
  LEASE_MS,
  MAX_ENTRIES,
  NEW_BURST,
  NEW_PER_SECOND,
  VERSION_BURST,
  VERSIONS_PER_SECOND,
} from "../../../src/universe/discovery/catalog.ts";
import { decodeEntry, type Version } from "../../../src/universe/discovery/entry.ts";
import { EVENT_BACKLOG, EventQueue } from "../../../src/universe/discovery/events.ts";
import { MAX_BUCKETS, Quota } from "../../../src/universe/discovery/quota.ts";
import { MAX_TOMBS, Tombs } from "../../../src/universe/discovery/tombs.ts";
import { catalogOf, departureOf, entryOf, nodeOf, START } from "./making.ts";

const FROM = "f".repeat(64);
const OTHER = "e".repeat(64);
const id = (n: number) => entryOf(n).id;

Deno.test("catalog: only what is newer changes it", () => {
  const { catalog, changes } = catalogOf();
  const later = entryOf(1, { updated: START + 10, tags: ["later"] });
  assert.equal(catalog.upsert(entryOf(1), FROM), "new");
  assert.equal(catalog.upsert(entryOf(1), FROM), "stale");
  assert.equal(catalog.upsert(later, FROM), "updated");
  assert.equal(catalog.upsert(entryOf(1), OTHER), "stale");
  assert.deepEqual([...catalog.get(id(1))!.tags], ["later"]);
  assert.equal(catalog.upsert(entryOf(1, { started: START + 1 }), FROM), "updated");
  assert.deepEqual(changes, ["discovered", "updated", "updated"].map((it) => `${it} ${id(1)}`));
});

Deno.test("catalog: a lease ends, and what is past it is not taken", () => {
  const { catalog, time, changes } = catalogOf();
  catalog.upsert(entryOf(1), FROM);
  time.now = START + LEASE_MS - 1;
  assert.equal(catalog.peers().length, 1);
  time.now++;
  assert.deepEqual([catalog.peers(), catalog.get(id(1)), catalog.items()], [[], undefined, []]);
  assert.equal(changes.at(-1), `departed ${id(1)}`);
  assert.equal(catalog.upsert(entryOf(2), FROM), "outdated");
  assert(!catalog.wants(id(2), entryOf(2), false));
  assert.equal(catalog.upsert(entryOf(1, { updated: time.now }), FROM), "new");
});

Deno.test("catalog: what comes from the future, or another universe, is refused", () => {
  const { catalog } = catalogOf();
  const ahead = START + DRIFT_MS;
  assert.equal(catalog.upsert(entryOf(1, { updated: ahead + 1 }), FROM), "drifted");
  assert.equal(catalog.upsert(entryOf(1, { started: ahead + 1 }), FROM), "drifted");
  assert.equal(catalog.depart(departureOf(1, START, ahead + 1), FROM), "drifted");
  assert(!catalog.wants(id(1), { started: START, updated: ahead + 1 }, false));
  assert.equal(catalog.upsert(entryOf(1, { updated: ahead }), FROM), "new");
  const universe = new Uint8Array(32);
  assert.equal(catalog.upsert(entryOf(2, { universe }), FROM), "other-universe");
});

Deno.test("catalog: what is forged changes nothing, and does not use up its node's versions", () => {
  const { catalog } = catalogOf();
  catalog.upsert(entryOf(1), FROM);
  for (let n = 1; n < 3 * VERSION_BURST; n++) {
    const { bytes } = entryOf(1, { updated: START + n });
    const forged = decodeEntry(bytes.with(bytes.length - 3, bytes.at(-3)! ^ 1));
    assert.equal(catalog.upsert(forged, FROM), "forged");
  }
  const stranger = entryOf(2).bytes.slice();
  stranger.set(nodeOf(3).key, 33);
  assert.equal(catalog.upsert(decodeEntry(stranger), FROM), "forged");
  assert.equal(catalog.upsert(entryOf(1, { updated: START + 99 }), FROM), "updated");
  assert.equal(catalog.size, 1);
});

Deno.test("catalog: who departed comes back by a later start alone", () => {
  const { catalog, time, changes } = catalogOf();
  catalog.upsert(entryOf(1), FROM);
  assert.equal(catalog.depart(departureOf(1, START, START + 5), OTHER), "departed");
  assert.deepEqual([catalog.peers(), changes.at(-1)], [[], `departed ${id(1)}`]);
  assert.equal(catalog.depart(departureOf(1, START, START + 5), OTHER), "stale");
  for (const updated of [START, START + 5, START + 50_000]) {
    assert.equal(catalog.upsert(entryOf(1, { updated }), FROM), "stale");
    assert(!catalog.wants(id(1), { started: START, updated }, false));
  }
  time.now += LEASE_MS + DRIFT_MS;
  const late = entryOf(1, { updated: START + DRIFT_MS });
  assert.equal(catalog.upsert(late, FROM), "outdated", "no copy outlives the tombstone");
  assert.equal(catalog.upsert(entryOf(1, { started: time.now }), FROM), "new");
  assert.equal(catalog.items().length, 1);
  assert.equal(catalog.depart(departureOf(1, START, START + 6), FROM), "stale");
  assert.equal(catalog.depart(departureOf(2, START, START), FROM), "outdated");
});

Deno.test("catalog: a departure that comes before its entry keeps it out", () => {
  const { catalog } = catalogOf();
  assert.equal(catalog.depart(departureOf(1, START, START + 5), FROM), "departed");
  assert.equal(catalog.upsert(entryOf(1), OTHER), "stale");
  catalog.upsert(entryOf(2, { started: START + 9 }), FROM);
  assert.equal(catalog.depart(departureOf(2, START, START + 5), FROM), "stale");
  assert.equal(catalog.size, 1);
});

Deno.test("catalog: its own node's word is told to the node, not held", () => {
  const heard: Version[] = [];
  const { catalog } = catalogOf({ self: id(1), own: (version) => void heard.push(version) });
  assert.equal(catalog.upsert(entryOf(1, { updated: START + 3 }), FROM), "own");
  assert.equal(catalog.depart(departureOf(1), FROM), "own");
  const { bytes } = entryOf(1, { updated: START + 4 });
  assert.equal(catalog.upsert(decodeEntry(bytes.with(bytes.length - 1, 0)), FROM), "own");
  assert.deepEqual(heard.map(({ updated }) => updated), [START + 3, START]);
  assert.equal(catalog.size, 0);
});

Deno.test("catalog: a sender makes so many nodes known, but itself always", () => {
  const { catalog, time } = catalogOf();
  for (let n = 0; n < NEW_BURST; n++) assert.equal(catalog.upsert(entryOf(n), FROM), "new");
  assert.equal(catalog.upsert(entryOf(9_000), FROM), "limited");
  assert.equal(catalog.depart(departureOf(9_000), FROM), "limited");
  assert.equal(catalog.upsert(entryOf(9_000), id(9_000)), "new");
  assert.equal(catalog.upsert(entryOf(9_001), OTHER), "new");
  assert.equal(catalog.upsert(entryOf(0, { updated: START + 1 }), FROM), "updated");
  time.now += 1_000;
  for (let n = 0; n < NEW_PER_SECOND; n++) {
    assert.equal(catalog.upsert(entryOf(9_100 + n), FROM), "new");
  }
  assert.equal(catalog.upsert(entryOf(9_200), FROM), "limited");
});

Deno.test("catalog: a node's versions are taken at a rate", () => {
  const { catalog, time } = catalogOf();
  const outcomes = Array.from(
    { length: VERSION_BURST + 5 },
    (_, n) => catalog.upsert(entryOf(1, { updated: START + n }), FROM),
  );
  assert.deepEqual(outcomes.slice(VERSION_BURST), Array(5).fill("limited"));
  time.now += 1_000 / VERSIONS_PER_SECOND;
  assert.equal(catalog.upsert(entryOf(1, { updated: time.now }), FROM), "updated");
  assert(1_000 / VERSIONS_PER_SECOND < ANNOUNCE_MS / 2, "who says nothing new is always heard");
});

Deno.test("catalog: a flood of nodes neither grows it nor hides our instance", () => {
  const ours = [id(1), id(2)];
  const { catalog, time } = catalogOf({ kept: (one) => one === ours[0] });
  const instances = [new Uint8Array(32)];
  assert.equal(catalog.upsert(entryOf(1), OTHER), "new");
  assert.equal(catalog.upsert(entryOf(2), OTHER), "new");
  assert.equal(catalog.upsert(entryOf(3, { instances }), OTHER), "new");
  for (let n = 0; n < MAX_ENTRIES + 300; n++) {
    time.now = START + 1_000 * Math.floor(n / NEW_PER_SECOND / 30);
    const sender = `${n % 20}`;
    catalog.upsert(entryOf(100 + n, { instances }), sender);
  }
  assert.equal(catalog.size, MAX_ENTRIES);
  assert(ours.every((one) => catalog.get(one)), "our instance stays");
  assert(catalog.get(id(3)), "so does what others brought little of");
  assert.equal(catalog.upsert(entryOf(4), "0"), "new", "a newcomer of ours finds room");
  assert.equal(catalog.upsert(entryOf(5, { instances }), "honest"), "new", "and others' too");
  assert.equal(catalog.size, MAX_ENTRIES);
});

Deno.test("catalog: nobody's own entries push out those that others brought", () => {
  const { catalog } = catalogOf();
  const instances = [new Uint8Array(32)];
  catalog.upsert(entryOf(1, { instances }), OTHER);
  for (let n = 2; n < MAX_ENTRIES + 200; n++) {
    const entry = entryOf(n, { instances });
    catalog.upsert(entry, entry.id);
  }
  assert.equal(catalog.size, MAX_ENTRIES);
  assert(catalog.get(id(1)));
  const more = entryOf(9_999, { instances });
  assert.equal(catalog.upsert(more, more.id), "full");
});

Deno.test("catalog: a round-trip time is shown, and is news where it changed much", () => {
  const { catalog } = catalogOf();
  assert(!catalog.sample(id(1), 40), "of nobody");
  catalog.upsert(entryOf(1), FROM);
  assert.equal(catalog.get(id(1))!.rtt, undefined);
  assert(catalog.sample(id(1), 40));
  assert(!catalog.sample(id(1), 44));
  assert.equal(catalog.peers()[0].rtt, 40.5);
  assert(catalog.sample(id(1), 400));
  catalog.upsert(entryOf(1, { updated: START + 1 }), FROM);
  assert(catalog.get(id(1))!.rtt! > 80, "it outlives a version");
});

Deno.test("quota, tombs and events are bounded", async () => {
  const quota = new Quota(1, 1);
  assert(quota.take("a", 0) && !quota.take("a", 999) && quota.take("a", 2_000));
  for (let n = 0; n < MAX_BUCKETS; n++) quota.take(`${n}`, 0);
  assert(quota.take("a", 2_000), "forgotten");
  const tombs = new Tombs(1_000);
  tombs.add(departureOf(0), true);
  const one = departureOf(1);
  for (let n = 1; n < MAX_TOMBS + 9; n++) tombs.add({ ...one, id: `${n}` }, false);
  assert.equal(tombs.all().length, MAX_TOMBS);
  assert(tombs.get(departureOf(0).id), "those of nodes that were known stay");
  assert.equal(tombs.get("1"), undefined);
  assert.equal(tombs.expire(START), START + 1_000);
  assert.equal(tombs.expire(START + 1_000), Infinity);
  assert.equal(tombs.all().length, 0);
  let released = 0;
  const queue = new EventQueue(() => released++);
  const peer = catalogOf().catalog;
  peer.upsert(entryOf(1), FROM);
  const [info] = peer.peers();
  const first = queue.next();
  for (let n = 0; n <= EVENT_BACKLOG + 1; n++) queue.push({ kind: "updated", peer: info });
  assert.deepEqual(await first, { done: false, value: { kind: "updated", peer: info } });
  queue.end();
  let waiting = 0;
  for await (const _ of queue) waiting++;
  assert.deepEqual([waiting, released], [EVENT_BACKLOG, 1]);
});
