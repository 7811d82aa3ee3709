/**
 * `deno task bench-scale [--clients 1000] [--readers 0] [--rounds 100] [--aggregators 1] [--sweep]`:
 * many clients, and readers, on one instance; `--sweep` begins with 100 and 300 clients. Ends with 1
 * where a round was void, a message was lost, or a reader has not all records; with `--sweep` also
 * where a client costs the aggregator over a quarter more among many than among 100.
 */
import { flags } from "./flags.ts";
import { scale, type ScaleOptions } from "./scale.ts";

const { sweep, "per-process": perProcess, ...given } = flags(
  "bench-scale",
  "many clients, and readers, on one instance",
  {
    clients: { value: 1_000, least: 5, most: 5_000 },
    readers: { value: 0, least: 0, most: 500 },
    rounds: { value: 100, least: 1, most: 100_000 },
    period: { value: 3_000, least: 1, most: 60_000 },
    talkers: { value: 20, least: 1, most: 64 },
    "per-process": { value: 125, least: 1, most: 500 },
    aggregators: { value: 1, least: 1, most: 16 },
  },
  ["sweep"],
);
const options: ScaleOptions = { ...given, perProcess };
/** How much more a client may cost the aggregator among many than among the fewest. */
const FLAT = 1.25;
const sizes = sweep ? [100, 300, options.clients] : [options.clients];
const wrong: string[] = [];
let cost: number | undefined;
for (const clients of sizes) {
  const done = await scale({ ...options, clients });
  console.log(JSON.stringify(done));
  const { aggregators } = done.cpuPerRoundAndClient;
  cost ??= aggregators;
  if (done.voids > 0) wrong.push(`${clients} clients: ${done.voids} rounds void`);
  if (done.lost > 0 || done.landed === 0) {
    wrong.push(`${clients} clients: ${done.landed} messages landed, ${done.lost} lost`);
  }
  if (done.missed > 0) wrong.push(`${clients} clients: readers lack ${done.missed} records`);
  if (aggregators > FLAT * cost) {
    wrong.push(
      `a client costs ${aggregators} ms of CPU among ${clients}, ${cost} among ${sizes[0]}`,
    );
  }
}
for (const line of wrong) console.error(`bench-scale: ${line}`);
Deno.exit(wrong.length > 0 ? 1 : 0);
