/** An aggregator's process. */
import { hex } from "./protocol/bytes.ts";
import { Aggregator } from "./roles/aggregator.ts";
import { runRole } from "./roles/process.ts";

await runRole(
  "aggregator",
  Deno.args,
  async ({ options, environment, network, signer, telemetry, up, meet, watch, onStop }) => {
    const aggregator = new Aggregator({
      network,
      environment,
      signer,
      upstream: options.upstream && hex(options.upstream),
      below: options.aggregators,
    });
    onStop(() => aggregator.stop());
    telemetry.ready(() => "the committee was not met");
    await up();
    const committee = await meet();
    aggregator.start(committee, watch(committee, (lineage) => aggregator.hand(lineage)).alive);
    telemetry.ready(() => undefined);
    telemetry.read("round", () => aggregator.newest);
    telemetry.held(() => aggregator.counts);
  },
);
