/** The aggregator's process. */
import { Aggregator } from "./roles/aggregator.ts";
import { runRole } from "./roles/process.ts";

await runRole(
  "aggregator",
  Deno.args,
  async ({ environment, network, signer, telemetry, up, meet, watch, onStop }) => {
    const aggregator = new Aggregator({ network, environment, signer });
    onStop(() => aggregator.stop());
    telemetry.ready(() => "the committee was not met");
    await up();
    const committee = await meet();
    aggregator.start(committee, watch(committee, (lineage) => aggregator.hand(lineage)).alive);
    telemetry.ready(() => undefined);
    telemetry.read("round", () => aggregator.newest);
  },
);
