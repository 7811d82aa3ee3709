/** Memory over 300 rounds of three servers, and that a slope is told from a saw. */
import { equal, ok, throws } from "node:assert/strict";
import { longRun } from "../bench/long_run.ts";
import { floors, LEAST_ROUNDS, maxSlopeKB, slope, WINDOWS } from "../bench/slope.ts";

const ROUNDS = 300;

/** Samples of memory that grows by `leak` bytes a round, under a heap that is collected at times. */
function saw(leak: number, rounds = 1_000, tooth = 17) {
  return Array.from({ length: rounds }, (_, i) => ({
    rounds: i + 1,
    bytes: 100e6 + leak * i + 1e6 * (i % tooth),
  }));
}

Deno.test("a slope is found under a saw ten times as high, and none where there is none", () => {
  for (const leak of [0, 1_000, -1_000]) {
    const found = slope(saw(leak));
    ok(Math.abs(found - leak) < 50, `${found} instead of ${leak} bytes a round`);
  }
  equal(floors(saw(0)).length, WINDOWS);
  ok(floors(saw(0)).every(({ rounds, bytes }) => rounds > 500 && bytes === 100e6));
  equal(floors(saw(0, LEAST_ROUNDS)).length, WINDOWS);
  throws(() => slope(saw(0, LEAST_ROUNDS - 2)), /38 samples, expected at least 40/);
});

Deno.test(`${ROUNDS} rounds: no server's memory grows beyond its caches`, async () => {
  let samples = 0;
  const { nodes, rounds } = await longRun(ROUNDS, () => samples++);
  equal(rounds, ROUNDS);
  equal(samples, ROUNDS);
  const servers = nodes.filter(({ node }) => node.startsWith("server"));
  equal(servers.length, 3);
  for (const { node, slopeKBPer1000Rounds: slope, ...found } of servers) {
    ok(slope < maxSlopeKB(ROUNDS), `${node}: ${slope} KB per 1,000 rounds`);
    ok(found.startUpMs > 0, `${node}: started in ${found.startUpMs} ms`);
    ok(found.archiveBytesPerRound! > 0, `${node}: an archive that is empty`);
  }
});
