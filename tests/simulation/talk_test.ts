/** Forty clients, three hundred rounds, with and without loss: nothing is lost, nothing differs. */
import assert from "node:assert/strict";
import { talk, type TalkResult } from "./talk.ts";

const SEED = 20_261_122;
const base = { seed: SEED, clients: 40, rounds: 300, talkers: 4 };

function holds(result: TalkResult): void {
  console.log(JSON.stringify(result));
  assert.ok(result.landed >= 1_000, `${result.landed} landed`);
  assert.equal(result.lost, 0);
  assert.equal(result.disagreeing, 0);
  assert.ok(result.rounds >= 300);
}

let first: TalkResult;

Deno.test("40 clients, 300 rounds: all messages land, readers agree", async () => {
  first = await talk(base);
  holds(first);
});

Deno.test("40 clients, 300 rounds, 5 % loss and random delays: all messages land", async () => {
  holds(await talk({ ...base, loss: 0.05, delay: [1, 40] }));
});

Deno.test("the same seed gives the same log byte for byte, another seed another log", async () => {
  assert.equal((await talk(base)).log, first.log);
  assert.notEqual((await talk({ ...base, seed: SEED + 1 })).log, first.log);
});
