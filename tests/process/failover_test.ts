/**
 * Five servers as processes, messages flowing: each is killed in turn, in every phase of a round,
 * and started again. All messages land, once, in one chain; another server leads meanwhile and says
 * who is missing; rounds go on when it is back.
 */
import { ok } from "node:assert/strict";
import { Instance, type Node } from "./instance.ts";
import { Talk } from "./talk.ts";

/** Servers killed one after another, each this many times. */
const KILLS = 20;
/** Phases of a round as a server logs them; `idle` is between two rounds. */
const PHASES = ["idle", "seen", "opened", "aggregated", "prepared", "released"] as const;
type Phase = typeof PHASES[number];

/** Lines of a server's log. */
function* lines(node: Node): Generator<Record<string, unknown>> {
  for (const line of node.log.split("\n")) {
    if (!line.startsWith("{")) continue;
    try {
      yield JSON.parse(line);
    } catch { /* cut off by its death */ }
  }
}

/** The phase in which a server is, or was when it died. */
function phaseOf(node: Node): Phase {
  let phase: Phase = "idle";
  for (const line of lines(node)) {
    if (line.event === "opening round" || line.event === "header seen") phase = "seen";
    if (line.event === "phase") phase = line.phase as Phase;
    if (line.event === "round finalized" || line.event === "round void") phase = "idle";
  }
  return phase;
}

const leads = (node: Node) =>
  [...lines(node)].filter(({ event }) => event === "leader").at(-1)?.self === true;

Deno.test("five servers, each killed in turn in every phase: nothing lost, nothing twice", async (t) => {
  await using it = new Instance("failover", 5, () => ["--log", "debug"]);
  await it.start(4);
  const talk = new Talk(it);
  await it.until("rounds", () => talk.rounds > 0);

  await t.step(
    "the leader dies: another leads, and names it; it returns: rounds go on",
    async () => {
      const leader = it.servers.findIndex(leads),
        others = it.servers.filter((_, i) => i !== leader);
      ok(leader >= 0);
      talk.speak();
      const before = others.map(({ log }) => log.length);
      const killed = performance.now();
      await it.kill(it.servers[leader]);
      const named = () =>
        others.some((node, i) =>
          /"event":"waiting","for":"server \d is away"/.test(node.log.slice(before[i]))
        );
      await it.until("another leads and says who is missing", named);
      const led = performance.now() - killed;
      const stood = talk.rounds;
      it.servers[leader] = await it.again(it.servers[leader]);
      const returned = performance.now();
      await it.until("a round", () => talk.rounds > stood);
      const back = performance.now() - returned;
      console.log(`another leads after ${led | 0} ms; rounds ${back | 0} ms after its return`);
    },
  );

  await t.step("each in turn, in every phase", async () => {
    const met = new Map<Phase, number>();
    for (let i = 0; i < KILLS; i++) {
      const index = i % it.servers.length, wanted = PHASES[i % PHASES.length];
      const stood = talk.rounds;
      talk.speak();
      await it.until("the phase", () => phaseOf(it.servers[index]) === wanted);
      await it.kill(it.servers[index]);
      const phase = phaseOf(it.servers[index]);
      met.set(phase, (met.get(phase) ?? 0) + 1);
      it.servers[index] = await it.again(it.servers[index]);
      await it.until("a round", () => talk.rounds > stood);
      // A third death in the same message's way would end it as exposed, as its sender is told.
      await talk.over();
    }
    console.log("killed in", JSON.stringify(Object.fromEntries(met)));
    for (const phase of PHASES) ok(met.has(phase), `nobody died in the phase ${phase}`);
  });

  await t.step("every message landed once, where its sender was told", () => talk.judge());
});
