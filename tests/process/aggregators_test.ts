/** Three aggregators as processes, one of them below another, and a stranger that no server lists. */
import { equal, ok } from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import { aggregator } from "../../testnet/command.ts";
import { Instance, type Node } from "./instance.ts";
import { Talk } from "./talk.ts";

const CLIENTS = 8;

/** Keys of the aggregators that a client's log names, in order; the last is where it is. */
const taken = ({ log }: Node) =>
  [...log.matchAll(/"event":"aggregator taken","aggregator":"([0-9a-f]{64})"/g)]
    .map(([, key]) => key);

Deno.test("three aggregators, one below another: one set a round, and a death is got over", async (t) => {
  const secrets = [1, 2, 3].map(() => crypto.getRandomValues(new Uint8Array(32)));
  const keys = secrets.map((secret) => hex(signer(secret).key));
  const [above, beside, below] = secrets;
  const accepted = ["--aggregators", `${keys[0]},${keys[1]}`];
  await using it = new Instance("aggregators", 3, () => accepted);
  Object.assign(it.site.env, { ZIPNET_LOG: "debug" });
  await it.start(CLIENTS, [
    { secret: above, args: ["--aggregators", keys[2]] },
    { secret: beside, args: [] },
    { secret: below, args: ["--upstream", keys[0]] },
  ]);
  const talk = new Talk(it), [reader] = it.readers;
  /** Rounds with everybody, one after another, from now on. */
  const whole = async (count: number) => {
    const from = reader.records.length;
    await it.until(`${count} rounds in a row with all clients`, () => {
      const sizes = reader.records.slice(from).map(({ participants }) => participants);
      return sizes.length >= count && sizes.slice(-count).every((size) => size === CLIENTS);
    });
  };
  const split = () => keys.map((key) => it.clients.filter((c) => taken(c).at(-1) === key).length);

  await t.step("all clients stand in every record, whichever they send to", async () => {
    talk.speak();
    await whole(5);
    console.log(`clients by aggregator: ${split().join(", ")}`);
    equal(split().reduce((a, b) => a + b), CLIENTS);
    await talk.judge();
  });

  await t.step(
    "no server lets a stranger hand over",
    async () => {
      const secret = crypto.getRandomValues(new Uint8Array(32)), key = hex(signer(secret).key);
      const stranger = await it.up(aggregator(it.site, hex(secret), it.bootstrap, 3));
      const refused = `"aggregator refused","peer":"${key}"`;
      await it.until("all refuse it", () => it.servers.every(({ log }) => log.includes(refused)));
      ok(!stranger.log.includes("aggregate sent"));
      await it.kill(stranger);
    },
  );

  await t.step("the one that most clients send to dies: they go to another", async () => {
    const most = split().indexOf(Math.max(...split()));
    talk.speak();
    await it.kill(it.aggregators[most]);
    const before = reader.records.length;
    talk.speak();
    if (most === 0) {
      // Those of the one below it are cut off from the committee with it, until it returns.
      it.aggregators[0] = await it.again(it.aggregators[0]);
    }
    await whole(3);
    const short = reader.records.slice(before).filter((r) => r.participants < CLIENTS).length;
    console.log(`aggregator ${most} died: ${short} rounds without all clients, ${split()}`);
    await talk.judge();
  });
});
