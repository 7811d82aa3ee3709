/** Whom a server asks that knows no record, and when it stops. */
import { deepEqual, equal } from "node:assert/strict";
import { concat, u64 } from "../../src/protocol/bytes.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { MAX_ASKED, OTHERS_MS, Recall } from "../../src/roles/recall.ts";
import { instanceStreams } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { roundOf } from "./changes.ts";
import { peerOf, type Wire, Wires } from "./wire.ts";

const play = new Play(610), early = play.round(), late = play.round();
const { broadcasts } = instanceStreams(play.manifest.parameters);
const NONE = u64(0);

/** A recall among so many aggregators, by the order of their ids, and what came of it. */
function recalling(count: number, listed?: readonly number[], patient = true) {
  const wires = new Wires("server", play.servers[0].seed), { environment } = wires;
  const seeds = Array.from({ length: count }, (_, i) => concat(u64(i), new Uint8Array(24)));
  const known = seeds.map((seed) => peerOf("aggregator", seed)).sort((a, b) =>
    a.id < b.id ? -1 : 1
  );
  wires.known.push(...known);
  const over: (number | undefined)[] = [];
  const recall = new Recall({
    network: wires,
    environment,
    epochs: new Epochs([play.manifest]),
    aggregators: listed?.map((i) => known[i].key),
    patient,
    over: (newest) => void over.push(newest?.record.header.round),
  });
  const of = (i: number): Wire | undefined =>
    wires.to(broadcasts).find(({ peer }) => peer.id === known[i].id);
  return { wires, recall, over, known, of };
}

Deno.test("where there is a list nobody else is asked, and it is over once all have answered", async () => {
  const { wires, over, known, of } = recalling(5, [1, 3]);
  deepEqual(wires.to(broadcasts).map(({ peer }) => peer.id), [known[1].id, known[3].id]);
  of(1)!.frame(NONE);
  deepEqual([over, of(1)], [[], undefined]);
  of(3)!.frame(late.bytes);
  deepEqual(over, [roundOf(late)]);
  await wires.pass(60_000);
  deepEqual([over.length, wires.opened.length], [1, 0]);
});

Deno.test("silent aggregators keep nobody from being asked", async () => {
  const { wires, over, of } = recalling(MAX_ASKED + 1), last = MAX_ASKED;
  equal(wires.opened.length, MAX_ASKED);
  equal(of(last), undefined);
  for (let i = 0; i < 100 && !of(last); i++) await wires.pass(100);
  of(last)!.frame(late.bytes);
  await wires.pass(OTHERS_MS);
  deepEqual(over, [roundOf(late)]);
});

Deno.test("who has no record at all gives the others time, though the first says that there is none", async () => {
  const { wires, over } = recalling(1);
  wires.to(broadcasts)[0].frame(early.bytes);
  wires.known.push(peerOf("aggregator", new Uint8Array(32).fill(9)));
  await wires.pass(OTHERS_MS - 1_000);
  deepEqual(over, []);
  wires.to(broadcasts)[0].frame(late.bytes);
  await wires.pass(1_000);
  deepEqual(over, [roundOf(late)]);
});

Deno.test("who lacks only the records of its epoch takes the answers of those it knows", async () => {
  const { wires, over, of } = recalling(2, undefined, false);
  of(1)!.frame(NONE);
  deepEqual(over, []);
  of(0)!.close("gone");
  await wires.pass(1);
  deepEqual(over, [undefined]);
});
