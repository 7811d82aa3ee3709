/** Registrations are offered together, until the order has them and no longer. */
import assert from "node:assert/strict";
import { decodeCommand, encodeCommand } from "../../src/committee/commands.ts";
import { Proposals } from "../../src/committee/proposals.ts";
import { Seating } from "../../src/committee/seating.ts";
import { CommitteeState } from "../../src/committee/state.ts";
import { ZERO32 } from "../../src/protocol/bytes.ts";
import { agreement, signer } from "../../src/protocol/keys.ts";
import { createManifest } from "../../src/protocol/manifest.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import { SMALL } from "../protocol/play.ts";
import { Random } from "../protocol/random.ts";

const random = new Random(32), instance = random.bytes(32);
const servers = [0, 1, 2].map(() => signer(random.bytes(32)).key).sort((a, b) => a[0] - b[0]);
const manifest = createManifest({
  instance,
  epoch: 0,
  previous: ZERO32,
  start: ZERO32,
  servers,
  parameters: SMALL,
});

function world() {
  const now = { ms: 1_800_000_000_000 }, offered: Uint8Array[] = [];
  const clock = { now: () => now.ms, wall: () => now.ms, after: () => () => {} };
  const proposals = new Proposals(clock, (command) => void offered.push(command));
  const state = new CommitteeState(manifest), seating = new Seating(SMALL.maxClients);
  const come = () =>
    seating.add(
      createRegistration("register", signer(random.bytes(32)), {
        instance,
        agreement: agreement(random.bytes(32)).key,
        session: now.ms,
      }),
      now.ms,
    );
  const owe = () => {
    offered.length = 0;
    seating.owe(state, proposals, now.ms);
    return offered.map((bytes) => decodeCommand(bytes, manifest).kind);
  };
  return { now, offered, state, come, owe };
}

Deno.test("the first is offered at once, those that come soon after together", () => {
  const { now, come, owe } = world();
  come();
  assert.deepEqual(owe(), ["register"]);
  for (let i = 0; i < 4; i++) come();
  assert.deepEqual(owe(), []);
  now.ms += 100;
  assert.deepEqual(owe(), ["batch"]);
  now.ms += 100;
  assert.deepEqual(owe(), []);
});

Deno.test("what the order has is not offered again while it waits for the end of a round", () => {
  const { now, offered, state, come, owe } = world();
  state.apply(encodeCommand({ kind: "settle" }));
  come();
  assert.deepEqual(owe(), ["register"]);
  now.ms += 1_000;
  assert.deepEqual(owe(), ["register"], "the order does not have it");
  assert.equal(state.apply(offered[0]), true);
  assert.equal(state.registry.size, 0, "it waits");
  for (let i = 0; i < 5; i++) {
    now.ms += 1_000;
    assert.deepEqual(owe(), []);
  }
  state.apply(encodeCommand({ kind: "settle" }));
  assert.equal(state.registry.size, 1);
});
