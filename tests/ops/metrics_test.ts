/** Metrics: what is counted, what is read, and what a client must not have. */
import assert from "node:assert/strict";
import { type Metric, METRICS, PREFIX } from "../../src/ops/metric_table.ts";
import { Metrics, voidReason } from "../../src/ops/metrics.ts";
import type { Role } from "../../src/universe/network.ts";

const ROLES: Role[] = ["server", "aggregator", "client", "reader"];

/** Samples by name and labels, without `instance`. */
async function samples(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split("\n").filter((line) => /^[a-z]/.test(line));
  return new Map(lines.map((line) => {
    const [, name, labels, value] = /^(\w+)\{(.*)\} (\S+)$/.exec(line)!;
    assert.match(labels, /instance="acme\.mainnet"/);
    const own = labels.split(",").filter((label) => !label.startsWith("instance=")).join(",");
    return [name.slice(PREFIX.length) + (own && `{${own}}`), Number(value)];
  }));
}

Deno.test("metrics: what servers observe is counted, in the few kinds that a label may have", async () => {
  const metrics = new Metrics("server", "acme.mainnet"), { observe } = metrics;
  const phases = { open: 20, fold: 400, prepare: 10, unblind: 5, finalize: 2 };
  observe("info", "round finalized", { round: 1, participants: 5, messages: 3, ...phases });
  observe("info", "round finalized", { round: 2, participants: 4, messages: undefined });
  observe("warn", "round void", { round: 3, reason: "server 2 is away" });
  observe("warn", "round void", { round: 4, reason: 'no OPEN of server 1"} 1\nzipnet_up 9' });
  observe("debug", "phase", { round: 1, phase: "released" });
  observe("info", "client admitted", { client: "aa" });
  observe("info", "client refused", { client: "bb", reason: "the roster is full" });
  observe("error", "equivocation", { server: "cc", why: "two" });
  observe("info", "something that nobody counts", { round: 9 });
  const found = await samples(metrics);
  const expected: [string, number][] = [
    ["rounds_finalized_total", 2],
    ['messages_total{outcome="landed"}', 3],
    ["last_participants", 4],
    ['rounds_void_total{reason="away"}', 1],
    ['rounds_void_total{reason="open"}', 1],
    ['rounds_void_total{reason="declined"}', 0],
    ["partials_submitted_total", 1],
    ['admissions_total{result="admitted"}', 1],
    ['admissions_total{result="refused"}', 1],
    ['admissions_total{result="evicted"}', 0],
    ["equivocations_total", 1],
    ['round_phase_seconds_count{phase="fold"}', 1],
    ['round_phase_seconds_sum{phase="fold"}', 0.4],
  ];
  for (const [name, value] of expected) assert.equal(found.get(name), value, name);
  assert.ok(!(await metrics.text()).includes("aa"), "no client is named");
});

Deno.test("metrics: what is read is read anew each time, and absent where there is nothing", async () => {
  const metrics = new Metrics("server", "acme.mainnet");
  let round: number | undefined, bonds = new Map([["a", 1], ["b", 0]]);
  metrics.read("round", () => round);
  metrics.read("bonds", () => bonds);
  metrics.kept("cpu_seconds_total", () => round ?? 0);
  assert.equal((await samples(metrics)).has("round"), false);
  round = 7;
  let found = await samples(metrics);
  assert.equal(found.get("round"), 7);
  assert.equal(found.get('bonds{peer="b"}'), 0);
  assert.equal(found.get("cpu_seconds_total"), 7);
  bonds = new Map([["b", 1]]);
  round = 8;
  found = await samples(metrics);
  assert.equal(found.has('bonds{peer="a"}'), false);
  assert.equal(found.get('bonds{peer="b"}'), 1);
  assert.equal(found.get("cpu_seconds_total"), 8);
  bonds = new Map(Array.from({ length: 1_000 }, (_, i) => [`${i}`, 1]));
  const many = [...(await samples(metrics)).keys()].filter((name) => name.startsWith("bonds"));
  assert.equal(many.length, 256);
});

Deno.test("metrics: a counter that something else keeps has all of its labels", async () => {
  const metrics = new Metrics("server", "acme.mainnet");
  let sent = 5;
  metrics.kept("bytes_total", () => new Map([["round sent", sent], ["round received", 7]]));
  const found = async (direction: string) =>
    (await samples(metrics)).get(`bytes_total{stream="round",direction="${direction}"}`);
  assert.equal(await found("sent"), 5);
  sent = 6;
  assert.equal(await found("sent"), 6);
  assert.equal(await found("received"), 7);
});

Deno.test("metrics: a client has none that counts messages or rounds, whatever it observes", async () => {
  const metrics = new Metrics("client", "acme.mainnet");
  for (
    const event of ["round finalized", "round void", "phase", "aggregate sent", "envelope late"]
  ) {
    metrics.observe("info", event, { round: 1, messages: 1, participants: 3, phase: "released" });
  }
  for (const name of Object.keys(METRICS) as (keyof typeof METRICS)[]) {
    if (METRICS[name].kind === "gauge") metrics.read(name, () => 1);
  }
  const names = new Set([...(await samples(metrics)).keys()].map((name) => name.split("{")[0]));
  for (const name of names) {
    assert.doesNotMatch(name, /message|round|envelope|submission|participant/);
  }
});

Deno.test("metrics: a client counts what became of its messages where it was asked to", async () => {
  const metrics = new Metrics("client", "acme.mainnet", true);
  for (const rounds of [2, 2, 9]) metrics.submitted("landed", rounds);
  metrics.submitted("expired", 64);
  metrics.submitted("refused", 1);
  const found = await samples(metrics);
  const expected: [string, number][] = [
    ['messages_total{outcome="landed"}', 3],
    ['messages_total{outcome="expired"}', 1],
    ['messages_total{outcome="refused"}', 1],
    ["submission_rounds_count", 4],
    ["submission_rounds_sum", 77],
    ['submission_rounds_bucket{le="2"}', 2],
    ['submission_rounds_bucket{le="8"}', 2],
    ['submission_rounds_bucket{le="12"}', 3],
  ];
  for (const [name, value] of expected) assert.equal(found.get(name), value, name);
  const silent = new Metrics("client", "acme.mainnet");
  silent.submitted("landed", 2);
  assert.doesNotMatch(await silent.text(), /messages|submission/);
});

Deno.test("metrics: every role has those of the table and no other", async () => {
  for (const [role, asked] of [...ROLES.map((it) => [it, false]), ["client", true]] as const) {
    const metrics = new Metrics(role as Role, "acme.mainnet", asked as boolean);
    for (const name of Object.keys(METRICS) as (keyof typeof METRICS)[]) {
      if (METRICS[name].kind === "gauge" && name !== "last_participants") {
        metrics.read(name, () => 1);
      }
    }
    const types = [...(await metrics.text()).matchAll(/^# TYPE zipnet_(\w+) (\w+)$/gm)];
    const expected = Object.entries<Metric>(METRICS).filter(([, it]) =>
      it.roles.includes(role as Role) && (asked || !it.asked?.includes(role as Role))
    );
    assert.deepEqual(
      types.map(([, name, kind]) => `${name} ${kind}`).sort(),
      expected.map(([name, { kind }]) => `${name} ${kind}`).sort(),
    );
  }
});

Deno.test("metrics: reasons of void rounds are of seven kinds", () => {
  const kinds: [string, string][] = [
    ["server 2 is away", "away"],
    ["server 0, 2 is away", "away"],
    ["server 1 declined: open-behind", "declined"],
    ["no OPEN of server 1", "open"],
    ["no aggregate", "aggregate"],
    ["no PREPARE of server 0", "prepare"],
    ["no PARTIAL of server 0", "partial"],
    ["a share is lost with its key", "other"],
    ["", "other"],
  ];
  for (const [reason, kind] of kinds) {
    assert.equal(voidReason(reason), kind);
    assert.ok(METRICS.rounds_void_total.values!.includes(kind));
  }
});

Deno.test("metrics: the page for operators lists all, and no other", () => {
  const page = Deno.readTextFileSync("src/ops/README.md");
  const listed = [...page.matchAll(/^\| `zipnet_(\w+)`/gm)].map(([, name]) => name);
  assert.deepEqual(listed, Object.keys(METRICS));
});
