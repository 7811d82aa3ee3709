/**
 * Many readers in one process, each with an identity, a node and a connection of its own, as
 * `bench-scale` starts them: `COUNT BOOTSTRAP`. A line out whenever all of them have verified one
 * more round: `{"readers": count, "read": round that all have, "records": fewest of one}`.
 */
import { Zipnet } from "../../src/mod.ts";
import { INSTANCE } from "../../testnet/command.ts";

/** Readers that join at the same time. */
const AT_ONCE = 3;

const [count, bootstrap] = [Number(Deno.args[0]), Deno.args[1].split(",")];
/** Round of the newest record of each reader, and how many it has. */
const newest = new Array<number>(count).fill(0), records = new Array<number>(count).fill(0);
const say = (value: unknown) => console.log(JSON.stringify(value));
let told = 0;

async function follow(index: number): Promise<void> {
  const zipnet = Zipnet.bind(undefined, INSTANCE, { bootstrap, connectTimeout: 120_000 });
  const reader = await zipnet.reader();
  void (async () => {
    for await (const { round } of reader.records()) {
      newest[index] = round;
      records[index]++;
      const read = Math.min(...newest);
      if (read > told) say({ readers: count, read: told = read, records: Math.min(...records) });
    }
    throw new Error(`reader ${index} ended`);
  })();
}

say({ up: true, role: "reader", peer: "many", addresses: [] });
let next = 0;
const join = async () => {
  while (next < count) await follow(next++);
};
await Promise.all(Array.from({ length: AT_ONCE }, join));
