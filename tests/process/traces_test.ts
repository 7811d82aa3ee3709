/** Traces: one for each round, over all servers and the aggregator, and none that a client makes. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { INSTANCE } from "../../testnet/command.ts";
import { Instance } from "./instance.ts";

interface Span {
  readonly traceId: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  /** Pid of the process that sent it. */
  readonly pid: string;
}

const value = ({ attributes }: Span, key: string) => {
  const found = attributes.find((it) => it.key === key)?.value;
  return String(found?.intValue ?? found?.doubleValue ?? found?.stringValue);
};

Deno.test("a round is one trace over servers and aggregator; a client makes none", async () => {
  const spans: Span[] = [], heard = Promise.withResolvers<void>();
  const collector = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const body = await request.json();
      for (const { resource, scopeSpans } of body.resourceSpans ?? []) {
        const pid = resource.attributes.find(({ key }: { key: string }) => key === "process.pid");
        for (const { spans: some } of scopeSpans) {
          for (const span of some) spans.push({ ...span, pid: JSON.stringify(pid?.value) });
        }
      }
      const whole = Map.groupBy(spans, ({ traceId }) => traceId);
      const full = [...whole.values()].filter((it) =>
        it.filter(({ name }) => name === "round").length === 3 &&
        it.some(({ name }) => name === "aggregate")
      );
      if (full.length >= 3) heard.resolve();
      return new Response("{}", { headers: { "content-type": "application/json" } });
    },
  );
  try {
    await using it = new Instance("traces", 3);
    Object.assign(it.site.env as Record<string, string>, {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "200",
      OTEL_DENO_CONSOLE: "ignore",
    });
    await it.start(3);
    await heard.promise;
  } finally {
    await collector.shutdown();
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
