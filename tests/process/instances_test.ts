/** Three instances share a universe, a host and one bootstrap address, and nothing else. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { type Neighbour, Neighbours, NODES } from "./neighbours.ts";

const NAMES = ["one.mainnet", "two.mainnet", "three.mainnet"];
const ROUNDS = 10, ROUNDS_AFTER = 4;

/** All of it landed, and no round was lost. */
function whole(one: Neighbour, rounds: number): void {
  const { landed, lost, sent, void: voids, rounds: done } = one.tally;
  ok(done >= rounds && landed === sent && sent >= rounds, JSON.stringify(one.tally));
  deepEqual([lost, voids], [0, []], JSON.stringify(one.tally));
  one.judge();
}

Deno.test("three instances on one universe, begun at one address", async (t) => {
  await using they = new Neighbours(NAMES);
  await they.start();
  const [first, ...others] = they.all;

  await t.step(`${ROUNDS} rounds of each at the same time: nothing lost, none void`, async () => {
    await Promise.all(they.all.map((one) => one.rounds(ROUNDS)));
    for (const one of they.all) whole(one, ROUNDS);
  });

  await t.step("no peer has a stream of two instances", () => {
    const peers = they.all.map((one) => one.peers);
    deepEqual(peers.map(({ size }) => size), [NODES, NODES, NODES]);
    equal(new Set(peers.flatMap((set) => [...set])).size, 3 * NODES);
  });

  await t.step("the one that all began at stops: nothing changes for the others", async () => {
    const before = others.map(({ it }) => it.logs.split('"event":"peer lost"').length);
    for (const one of others) one.begin();
    const going = others.map((one) => one.rounds(ROUNDS_AFTER));
    await Promise.all([first.stop(), ...going]);
    await Promise.all(others.map((one) => one.rounds(ROUNDS_AFTER)));
    for (const one of others) whole(one, 2 * ROUNDS_AFTER);
    deepEqual(others.map(({ it }) => it.logs.split('"event":"peer lost"').length), before);
    for (const one of others) equal(one.peers.size, NODES);
  });
});
