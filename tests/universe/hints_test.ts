import { deepEqual, equal, ok } from "node:assert/strict";
import { byTurns, Hints, MAX_ANSWER, MAX_EACH, MAX_HEARD } from "../../src/universe/hints.ts";
import { Seeded } from "../../src/universe/seeded.ts";

const random = new Seeded("hints").bytes;

Deno.test("hints: one node that answers, or one peer that it names, does not fill a look", () => {
  const hints = new Hints();
  for (let n = 0; n < 1_000; n++) hints.hear(`/greedy/${n}`, "greedy", "liar");
  equal(hints.choose(1_000, random).length, MAX_EACH);
  for (let n = 0; n < 1_000; n++) hints.hear(`/forged/${n}`, `peer ${n}`, "liar");
  equal(hints.choose(1_000, random).length, MAX_ANSWER);
  ok(!hints.full);
  hints.hear("/true", "true", "honest");
  hints.hear("/true", "true", "liar");
  const [first, second] = hints.choose(2, random).sort();
  ok(second === "/true" && first !== second, "by turns of those who told them");
  for (let n = 0; n < MAX_HEARD; n++) hints.hear(`/more/${n}`, `other ${n}`, `node ${n}`);
  ok(hints.full);
  equal(hints.choose(1_000, random).length, MAX_HEARD);
});

Deno.test("hints: among equals it is chance", () => {
  const all = Array.from({ length: 40 }, (_, n) => n);
  const chosen = Array.from({ length: 100 }, () => byTurns(all, String, 4, random));
  equal(new Set(chosen.flat()).size, 40);
  deepEqual(byTurns([], String, 4, random), []);
});
