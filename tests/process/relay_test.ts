/** A server that cannot be reached itself, and listens through another one: rounds go on with it. */
import { deepEqual, ok } from "node:assert/strict";
import type { Command } from "../../testnet/command.ts";
import { Instance } from "./instance.ts";

const ROUNDS = 3;

/** An instance whose second server listens through the first. */
class Hidden extends Instance {
  override serverCommand(index: number, bootstrap?: readonly string[]): Command {
    const made = super.serverCommand(index, bootstrap);
    if (index !== 1) return made;
    const own = made.args.indexOf("--listen") + 1;
    return { ...made, args: made.args.with(own, `${this.bootstrap[0]}/p2p-circuit`) };
  }
}

Deno.test("a server behind a relay takes part in rounds", async () => {
  await using instance: Hidden = new Hidden(
    "relay",
    3,
    (index) => index === 0 ? ["--relay", instance.keys[1]] : [],
  );
  await instance.start(3);
  const [relay, hidden] = instance.servers;
  ok(hidden.addresses!.length === 1 && /\/p2p-circuit\//.test(hidden.addresses![0]), "its address");
  ok(relay.addresses!.every((address) => hidden.addresses![0].startsWith(address)));
  const [client] = instance.clients, [reader] = instance.readers;
  for (let id = 0; id < ROUNDS; id++) {
    client.child.say({ id: `${id}`, message: `through the relay ${id}` });
    await instance.until(`message ${id} landed`, () => client.outcomes.has(`${id}`));
  }
  const landed = () => reader.records.flatMap(({ messages }) => messages);
  await instance.until("the reader has them", () => landed().length >= ROUNDS);
  deepEqual(
    [...client.outcomes.values()].map(({ outcome }) => outcome),
    Array(ROUNDS).fill("landed"),
  );
});
