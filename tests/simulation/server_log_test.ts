/** What a server says of its rounds, against what a reader verified; and what it refuses to start with. */
import assert from "node:assert/strict";
import { MAX_COMMITTEE_FRAME } from "../../src/roles/streams.ts";
import { SimulatedInstance } from "../../src/roles/simulated.ts";

Deno.test("a server logs as many messages as landed, whatever their length", async () => {
  const said = new Map<number, unknown>();
  const world = new SimulatedInstance({
    seed: 11,
    clients: 4,
    observe: (who, _level, event, fields) => {
      if (who === "server 1" && event === "round finalized") {
        said.set(Number(fields!.round), fields!.messages);
      }
    },
  });
  await world.start();
  const ready = () => world.clients.filter((client) => client?.role.ready).length === 4;
  assert.ok(await world.run(ready, 60_000));
  const sent = [1, 200, 4_096].map((length, i) =>
    world.clients[i].role.outbox.send(new Uint8Array(length).fill(65 + i)).outcome
  );
  await world.settle(Promise.all(sent));
  const last = world.readers[0].role.log.length + 2;
  assert.ok(await world.run(() => world.rounds >= last, 60_000));
  let landed = 0;
  for (const { record, messages } of world.readers[0].role.log.slice(0, last - 1)) {
    assert.equal(said.get(record.header.round), messages.length, `round ${record.header.round}`);
    landed += messages.length;
  }
  assert.equal(landed, 3);
});

Deno.test("a committee whose evidence would not fit a frame is refused at the start", async () => {
  const world = new SimulatedInstance({
    seed: 12,
    clients: 3,
    parameters: { maxVectorBytes: 16_777_216 },
  });
  await assert.rejects(
    world.start(),
    new RegExp(`below ${MAX_COMMITTEE_FRAME}: lower maxVectorBytes`),
  );
});
