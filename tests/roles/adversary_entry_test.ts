/** Names, pins, lists and payloads that do not fit: each is told as what it is. */
import assert from "node:assert/strict";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { meetCommittee } from "../../src/roles/committee.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { ConnectTimeout, Refused } from "../../src/roles/errors.ts";
import { Client } from "../../src/roles/client.ts";
import { Server } from "../../src/roles/server.ts";
import { Sequencer } from "../committee/sequencer.ts";
import { SimulatedInstance } from "../../src/roles/simulated.ts";
import { durable } from "../../src/roles/simulated_disk.ts";
import { signer } from "../../src/protocol/keys.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { CLIENT_REGISTRY } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { running } from "./mallory.ts";
import { epochOf, gateOf, peerOf, Wires } from "./wire.ts";

/** A reader that looks for a committee somewhere; what it is told. */
async function meets(
  world: SimulatedInstance,
  where: { instance?: string; universe?: string; pin?: Uint8Array },
): Promise<unknown> {
  const { instance: name = "simulated", universe = "mosaik.universe", pin } = where;
  const environment = world.universe.environment(`looking for ${name} in ${universe}`);
  const id = instanceId(universeId(universe), name);
  const network = world.universe.network({
    environment,
    secret: environment.random(32),
    universe: universeId(universe),
    instance: id,
    role: "reader",
    listen: [],
    bootstrap: world.servers.map((server) => `/memory/${server!.network.self.id}`),
  });
  await network.start();
  const instance = { id, name };
  const meeting = meetCommittee({ network, environment, instance, universe, pin, timeout: 5_000 });
  return await world.settle(meeting.then(() => "met", (error) => error));
}

Deno.test("a wrong instance, universe or pin is told apart from a committee that is met", async () => {
  const world = await running(new SimulatedInstance({ seed: 110, clients: 3 }));
  assert.equal(await meets(world, {}), "met");
  assert.equal(await meets(world, { pin: world.manifest.fingerprint }), "met");
  for (const where of [{ instance: "simulatd" }, { universe: "mosaic.universe" }]) {
    const error = await meets(world, where);
    assert.ok(error instanceof ConnectTimeout, String(error));
    assert.match(error.message, /looked for simulat.* 0 of this instance; /);
  }
  const pin = world.manifest.fingerprint.slice();
  pin[0] ^= 1;
  const error = await meets(world, { pin });
  assert.ok(error instanceof Refused, String(error));
  assert.match(error.message, new RegExp(`${hex(world.manifest.fingerprint)}.*pinned ${hex(pin)}`));
});

Deno.test("a client that is not on the list is told so, and the operator is told who", () => {
  const play = new Play(111),
    { manifest, servers: [first] } = play,
    wires = new Wires("server", first.seed);
  const listed = hex(play.clients[0].signer.key);
  const server = new Server({
    network: wires,
    environment: wires.environment,
    ...epochOf(wires, manifest),
    gate: gateOf(wires, manifest.instance),
    signer: first.signer,
    store: durable(),
    admits: (client) => hex(client) === listed ? undefined : "not on the list",
    engine: (host, self) => new Sequencer(self, host),
  });
  server.serve();
  const answer = (secret: Uint8Array) => {
    const near = new Wires("client", secret), self = signer(secret), told: Error[] = [];
    near.known.push(peerOf("server", first.seed));
    new Client({
      network: near,
      environment: near.environment,
      epochs: new Epochs([manifest]),
      signer: self,
      minParticipants: 3,
      refused: (error) => void told.push(error),
    });
    return near.pass(1).then(() => {
      const [out] = near.to(CLIENT_REGISTRY), wire = wires.dial(near.self, CLIENT_REGISTRY);
      wire.frame(out.sent[0]);
      out.frame(wire.sent[0]);
      return told;
    });
  };
  return answer(play.clients[0].seed).then(async (none) => {
    assert.deepEqual(none, []);
    const [error] = await answer(play.clients[1].seed);
    assert.ok(error instanceof Refused);
    assert.match(error.message, /does not admit this client: not on the list/);
    const line = wires.log.find(({ event }) => event === "client refused");
    assert.deepEqual(line?.fields, {
      client: hex(play.clients[1].signer.key),
      reason: "not on the list",
    });
  });
});

Deno.test("a payload that is empty or too long is refused at once, one that just fits is not", async () => {
  const world = await running(new SimulatedInstance({ seed: 112, clients: 3 }));
  const { outbox } = world.clients[0].role, { maxMessageBytes } = world.manifest.parameters;
  for (const length of [0, maxMessageBytes + 1]) {
    assert.throws(
      () => outbox.send(new Uint8Array(length)),
      (error) => error instanceof ProtocolError && error.code === "range",
    );
  }
  assert.equal(outbox.size, 0);
  const outcome = await world.settle(outbox.send(new Uint8Array(maxMessageBytes)).outcome);
  assert.equal(outcome.kind, "landed");
});
