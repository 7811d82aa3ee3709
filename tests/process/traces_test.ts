/** Traces: one for each round, over all servers and the aggregator, and none that a client makes. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { INSTANCE } from "../../testnet/command.ts";
import { Collector, type Span, value } from "./collector.ts";
import { Instance } from "./instance.ts";

Deno.test("a round is one trace over servers and aggregator; a client makes none", async () => {
  await using collector = new Collector();
  const { spans } = collector;
  {
    await using it = new Instance("traces", 3);
    Object.assign(it.site.env as Record<string, string>, collector.env);
    await it.start(3);
    await collector.until(() => {
      const whole = [...Map.groupBy(spans, ({ traceId }) => traceId).values()];
      const has = (all: Span[], name: string) => all.filter((it) => it.name === name).length;
      return whole.filter((it) => has(it, "round") === 3 && has(it, "aggregate") > 0).length >= 3;
    });
  }
  const id = hex(instanceId(universeId(), INSTANCE)).slice(0, 16);
  const ours = spans.filter(({ name }) => !/^(GET|POST|round void)/.test(name));
  deepEqual(
    [...new Set(ours.map(({ name }) => name))].sort(),
    ["aggregate", "fold", "finalize", "open", "prepare", "round", "unblind"].sort(),
  );
  for (const span of ours) {
    const round = Number(value(span, "zipnet.round"));
    equal(span.traceId, id + round.toString(16).padStart(16, "0"));
    match(value(span, "zipnet.role"), /^(server|aggregator)$/);
    ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano));
  }
  equal(spans.filter((span) => value(span, "zipnet.role") === "client").length, 0);
  const whole = ours.filter(({ name }) => name === "round");
  ok(whole.some((span) => BigInt(span.endTimeUnixNano) > BigInt(span.startTimeUnixNano)));
});
