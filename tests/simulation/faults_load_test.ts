/** Many talkers, messages of any length, new keys, late readers: nothing is lost. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { Trial } from "./trial.ts";

const base = { clients: 5, servers: 3 };

for (const [seed, maxTalkers] of [[21, 64], [22, 16]]) {
  Deno.test(`64 talk at once where ${maxTalkers} find room: all land`, () =>
    Trial.run({ clients: 64, servers: 3, seed, parameters: { maxTalkers } }, async (trial) => {
      trial.everybodySpeaks();
      trial.everybodySpeaks();
      await trial.judge();
    }));
}

Deno.test("messages of 1 byte and of the most there may be, of any bytes", () =>
  Trial.run({ ...base, seed: 23 }, async (trial) => {
    const { maxMessageBytes } = trial.world.manifest.parameters;
    const random = trial.world.universe.randomness("payloads");
    for (const length of [1, 1, 43, 44, 45, 64, maxMessageBytes - 1, maxMessageBytes]) {
      trial.say(length % 5, random.bytes(length));
      trial.say((length + 1) % 5, new Uint8Array(length));
      trial.say((length + 2) % 5, new Uint8Array(length).fill(255));
    }
    const { outbox } = trial.world.clients[0].role;
    assert.throws(() => outbox.send(new Uint8Array(0)));
    assert.throws(() => outbox.send(new Uint8Array(maxMessageBytes + 1)));
    await trial.judge();
  }));

Deno.test("servers change their keys in the middle of rounds", () =>
  Trial.run({ ...base, seed: 24 }, async (trial) => {
    const { universe, servers, readers } = trial.world;
    const chance = universe.randomness("rotation");
    for (let i = 0; i < 12; i++) {
      trial.everybodySpeaks();
      await universe.advance(500 * chance.real());
      servers[i % 3]!.role.member.rotateKeys();
      if (i % 4 === 3) servers[(i + 1) % 3]!.role.member.rotateKeys();
      await trial.goesOn();
    }
    await trial.judge();
    const { record } = readers[0].role.log.at(-1)!;
    for (const { keyEpoch } of record.header.bundles) assert.ok(keyEpoch >= 4);
  }));

Deno.test("a reader that starts after 100 rounds gets all that is held", () =>
  Trial.run({ ...base, seed: 25 }, async (trial) => {
    const { readers } = trial.world;
    trial.everybodySpeaks();
    await trial.until("100 rounds", () => trial.world.rounds >= 100);
    await trial.world.startReader(2);
    await trial.until("it is here", () => readers[2]?.role.log.length >= 100, 5_000);
    trial.everybodySpeaks();
    await trial.goesOn();
    await trial.judge();
    const [early, , late] = readers.map(({ role }) =>
      role.log.map(({ record, messages }) => [hex(record.hash), messages])
    );
    assert.deepEqual(late, early);
  }));
