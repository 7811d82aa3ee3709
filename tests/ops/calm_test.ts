/** A log that nobody outside can fill. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { calm, LINES_PER_EVENT, LINES_PER_PEER } from "../../src/ops/calm.ts";
import type { Fields } from "../../src/universe/environment.ts";

/** A calm log, what it wrote, and its time. */
function log() {
  const lines: { event: string; fields?: Fields }[] = [], clock = { ms: 0, now: () => clock.ms };
  const observe = calm((_, event, fields) => lines.push({ event, fields }), clock);
  return { lines, clock, observe };
}

Deno.test("a peer that comes and goes in a loop writes few lines, and they say how many there were", () => {
  const { lines, clock, observe } = log();
  for (let i = 0; i < 10_000; i++) {
    clock.ms += 10;
    observe("info", i % 2 ? "peer lost" : "peer met", { peer: "aa" });
  }
  const most = LINES_PER_PEER.burst + 100 * LINES_PER_PEER.perSecond;
  ok(lines.length > 100 && lines.length <= most, `${lines.length} lines, at most ${most}`);
  const told = lines.reduce((sum, { fields }) => sum + Number(fields?.suppressed ?? 0), 0);
  ok(told + lines.length > 9_800, `${told} told of`);
});

Deno.test("one peer's flood hides no other peer, and no line about nobody", () => {
  const { lines, observe } = log();
  for (let i = 0; i < 1_000; i++) observe("warn", "stream refused", { peer: "aa" });
  lines.length = 0;
  observe("warn", "stream refused", { peer: "bb" });
  observe("info", "round finalized", { round: 7 });
  observe("error", "equivocation", { peer: "aa" });
  deepEqual(lines.map(({ event }) => event), ["stream refused", "round finalized", "equivocation"]);
});

Deno.test("ever new names write no more than an event may", () => {
  const { lines, observe } = log();
  for (let i = 0; i < 5_000; i++) observe("info", "connection refused", { host: `10.0.${i}` });
  equal(lines.length, LINES_PER_EVENT.burst);
});
