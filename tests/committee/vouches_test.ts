/** Vouches: nobody stands in the roster without the word of every server, for as long as it holds. */
import assert from "node:assert/strict";
import {
  batches,
  type Command,
  decodeCommand,
  encodeCommand,
} from "../../src/committee/commands.ts";
import { MAX_COMMAND_BYTES } from "../../src/committee/engine.ts";
import { Proposals } from "../../src/committee/proposals.ts";
import { CommitteeState } from "../../src/committee/state.ts";
import { createVouch, decodeVouch, encodeVouch } from "../../src/committee/vouches.ts";
import { LAPSE_GRACE_MS, Vouching } from "../../src/committee/vouching.ts";
import { ZERO32 } from "../../src/protocol/bytes.ts";
import { agreement, signer } from "../../src/protocol/keys.ts";
import { createManifest } from "../../src/protocol/manifest.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import { SMALL } from "../protocol/play.ts";
import { Random } from "../protocol/random.ts";

const random = new Random(31), instance = random.bytes(32), NOW = 1_800_000_000_000;
const servers = Array.from({ length: 3 }, () => signer(random.bytes(32)))
  .sort((a, b) => a.key[0] - b.key[0]);
const manifest = createManifest({
  instance,
  epoch: 0,
  previous: ZERO32,
  start: ZERO32,
  servers: servers.map(({ key }) => key),
  parameters: SMALL,
});
const client = signer(random.bytes(32));
const registration = createRegistration("register", client, {
  instance,
  agreement: agreement(random.bytes(32)).key,
  session: NOW,
});

const apply = (state: CommitteeState, command: Command) => state.apply(encodeCommand(command));
const vouchOf = (server: number, time = NOW, until = NOW + 1_000, who = client.key) =>
  createVouch(servers[server], instance, { client: who, time, until });
const say = (state: CommitteeState, server: number, time?: number, until?: number) =>
  apply(state, { kind: "vouch", server, vouch: vouchOf(server, time, until) });
const register = (state: CommitteeState) => apply(state, { kind: "register", registration });

function fresh() {
  const evicted: number[] = [];
  const events = { evicted: (_: Uint8Array, server: number) => void evicted.push(server) };
  return { state: new CommitteeState(manifest, 0, events, true), evicted };
}

/** A state in which the client stands, by the word of all. */
function seated() {
  const { state, evicted } = fresh();
  for (const server of [0, 1, 2]) say(state, server);
  assert.equal(register(state), true);
  return { state, evicted };
}

Deno.test("a client is seated once every server vouches for it, and not before", () => {
  const { state } = fresh();
  for (const server of [0, 1, 2]) {
    assert.equal(register(state), false, `${server} vouches`);
    assert.equal(say(state, server), true);
  }
  assert.equal(state.vouches.until(client.key), NOW + 1_000);
  assert.equal(register(state), true);
  assert.equal(
    new CommitteeState(manifest).apply(
      encodeCommand({ kind: "register", registration }),
    ),
    true,
    "where nobody has to vouch",
  );
});

Deno.test("a server that takes its word back frees the place, after the round in progress", () => {
  const { state, evicted } = seated();
  say(state, 1, NOW + 5, 0);
  assert.deepEqual([state.registry.size, evicted], [0, [1]]);
  assert.equal(say(state, 1), false, "an older word");
  const again = createRegistration("register", client, {
    instance,
    agreement: agreement(new Random(2).bytes(32)).key,
    session: NOW + 1,
  });
  assert.equal(apply(state, { kind: "register", registration: again }), false);
  say(state, 1, NOW + 6, NOW + 2_000);
  assert.equal(apply(state, { kind: "register", registration: again }), true);
  apply(state, { kind: "propose", round: 1, header: random.bytes(32) });
  say(state, 2, NOW + 7, 0);
  assert.equal(state.registry.size, 1, "the header names it");
  apply(state, { kind: "abandon", header: state.live!.header, reason: "test" });
  assert.equal(state.registry.size, 0);
});

Deno.test("a vouch counts for its server, client, instance and times only", () => {
  const { state } = fresh(), good = vouchOf(0);
  const refused = (server: number, vouch = good) =>
    assert.throws(() => apply(state, { kind: "vouch", server, vouch }), /not signed/);
  refused(1);
  refused(0, { ...good, client: random.bytes(32) });
  refused(0, { ...good, time: NOW + 1 });
  refused(0, { ...good, until: NOW + 9_999 });
  const elsewhere = createVouch(servers[0], random.bytes(32), good);
  refused(0, elsewhere);
  const bytes = encodeVouch(good);
  assert.deepEqual(encodeVouch(decodeVouch(bytes)), bytes);
  for (const length of [0, 111, 113]) {
    assert.throws(() => decodeVouch(new Uint8Array(length)));
  }
});

Deno.test("a snapshot holds the vouches, those taken back too", () => {
  const { state } = seated();
  const other = random.bytes(32);
  apply(state, { kind: "vouch", server: 0, vouch: vouchOf(0, NOW, 0, other) });
  const again = CommitteeState.restore(state.snapshot(), manifest, 0, {}, true);
  assert.deepEqual(again.snapshot(), state.snapshot());
  assert.equal(again.vouches.until(client.key), NOW + 1_000);
  assert.equal(again.registry.size, 1);
  assert.equal(
    apply(again, { kind: "vouch", server: 0, vouch: vouchOf(0, NOW, NOW + 9, other) }),
    false,
  );
});

Deno.test("what waits in a snapshot waits in the state that it makes, and nothing else", () => {
  const { state } = fresh();
  for (const server of [0, 1, 2]) {
    // Words taken back from the clients of a whole day: together more than may wait.
    for (let i = 0; i < 2 * SMALL.maxClients - 1; i++) {
      const vouch = vouchOf(server, NOW, 0, random.bytes(32));
      apply(state, { kind: "vouch", server, vouch });
      apply(state, { kind: "settle" });
    }
    say(state, server);
  }
  // In one state a first round was opened before, in the other the roster is fixed without.
  for (const opened of [false, true]) {
    if (opened) apply(state, { kind: "propose", round: 1, header: random.bytes(32) });
    register(state);
    assert.equal(state.waiting.size, 1);
    const again = CommitteeState.restore(state.snapshot(), manifest, 0, {}, true);
    assert.deepEqual(again.snapshot(), state.snapshot());
    assert.equal(again.fixed, true);
    assert.deepEqual([...again.waiting.keys()], [...state.waiting.keys()]);
    for (const server of [0, 1, 2]) {
      assert.deepEqual([...again.vouches.by(server)], [...state.vouches.by(server)]);
    }
  }
  const again = CommitteeState.restore(state.snapshot(), manifest, 0, {}, true);
  const { header } = state.live!;
  for (const one of [state, again]) apply(one, { kind: "abandon", header, reason: "test" });
  assert.deepEqual([state.registry.size, again.registry.size], [1, 1]);
});

Deno.test("a server that vouches for too many pushes out its own words alone, for the seated none", () => {
  const { state } = seated();
  const others = Array.from({ length: 2 * SMALL.maxClients }, () => random.bytes(32));
  const vouch = (who: Uint8Array, time = NOW, until = NOW + 1) =>
    apply(state, { kind: "vouch", server: 0, vouch: vouchOf(0, time, until, who) });
  const known = (who: Uint8Array) => state.vouches.of(0, who) !== undefined;
  vouch(others[1]);
  for (const who of others) vouch(who);
  assert.equal([...state.vouches.by(0)].length, 2 * SMALL.maxClients);
  assert.equal(known(client.key), true, "who is seated stays, however old the word");
  assert.deepEqual(others.slice(0, 3).map(known), [true, false, true], "the oldest of the others");
  vouch(others[9], NOW + 1, 0);
  vouch(random.bytes(32));
  assert.deepEqual([0, 9].map((i) => known(others[i])), [true, false], "first what is taken back");
  assert.equal([...state.vouches.by(0)].length, 2 * SMALL.maxClients);
  assert.notEqual(state.vouches.of(1, client.key), undefined);
});

Deno.test("a word is offered until the order has it, and taken back when it ends", () => {
  const { state } = fresh(),
    clock = { time: NOW, now: () => clock.time, wall: () => clock.time, after: () => () => {} };
  let offered: Uint8Array[] = [];
  const proposals = new Proposals(clock, (command) => void offered.push(command));
  const vouching = new Vouching({ signer: servers[1], instance, self: 1, maxClients: 16 });
  const owe = () => {
    offered = [];
    vouching.owe(state, proposals, clock.time, clock.time);
    return offered.length;
  };
  assert.equal(vouching.admits(client.key, state, NOW), false);
  vouching.say(client.key, NOW + 5_000, state, NOW);
  assert.equal(owe(), 1);
  assert.equal(owe(), 0, "not at once again");
  clock.time += 1_000;
  assert.equal(owe(), 1, "it may be lost");
  state.apply(offered[0]);
  clock.time += 1_000;
  assert.equal(owe(), 0);
  assert.equal(vouching.admits(client.key, state, clock.time), true);
  clock.time = NOW + 5_001;
  assert.equal(owe(), 1, "it ended");
  assert.equal(vouching.admits(client.key, state, clock.time), true, "the order may not know yet");
  assert.equal(vouching.admits(client.key, state, NOW + 5_001 + LAPSE_GRACE_MS), false);
  state.apply(offered[0]);
  assert.equal(vouching.admits(client.key, state, clock.time), false);
  assert.equal(state.vouches.until(client.key), undefined);
});

Deno.test("in a new order a server says again what still stands", () => {
  const { state: old } = seated(), { state } = fresh();
  const clock = { now: () => NOW + 10, wall: () => NOW + 10, after: () => () => {} };
  const offered: Uint8Array[] = [];
  const proposals = new Proposals(clock, (command) => void offered.push(command));
  say(old, 1, NOW + 1, NOW + 500);
  for (const [self, now, count] of [[1, NOW + 10, 1], [1, NOW + 600, 0]]) {
    offered.length = 0;
    proposals.clear();
    const vouching = new Vouching({ signer: servers[self], instance, self, maxClients: 16 });
    vouching.repeat(old.vouches.by(self), now);
    vouching.owe(state, proposals, now, now);
    assert.equal(offered.length, count);
  }
});

Deno.test("words about many clients go as few commands, which mean the same as each by itself", () => {
  const many = Array.from({ length: 40 }, (_, i) =>
    encodeCommand({
      kind: "vouch",
      server: i % 3,
      vouch: vouchOf(i % 3, NOW, NOW + 1_000, i < 3 ? client.key : random.bytes(32)),
    }));
  const few = batches([...many, encodeCommand({ kind: "register", registration })]);
  assert.ok(few.length <= 6, `${few.length} commands`);
  assert.ok(few.every(({ length }) => length <= MAX_COMMAND_BYTES));
  const one = fresh().state, other = fresh().state;
  for (const command of few) assert.equal(one.apply(command), true);
  for (const command of many) other.apply(command);
  register(other);
  assert.equal(one.registry.size, 1);
  assert.deepEqual(one.snapshot(), other.snapshot());
  assert.equal(one.apply(few[0]), false, "nothing new");
  assert.deepEqual(batches(many.slice(0, 1)), many.slice(0, 1));
  assert.deepEqual(batches([]), []);
});

Deno.test("a batch holds nothing but words about clients, whole", () => {
  const vouch = encodeCommand({ kind: "vouch", server: 0, vouch: vouchOf(0) });
  const batch = (...commands: Uint8Array[]) => encodeCommand({ kind: "batch", commands });
  for (
    const bad of [
      batch(vouch, encodeCommand({ kind: "settle" })),
      batch(batch(vouch)),
      batch(vouch, new Uint8Array(0)),
      batch(vouch).slice(0, -1),
      batch(Uint8Array.of(255)),
    ]
  ) {
    assert.throws(() => decodeCommand(bad, manifest), { name: "ProtocolError" });
    const { state } = fresh();
    assert.throws(() => state.apply(bad));
    assert.equal(state.vouches.of(0, client.key), undefined, "nothing of it took effect");
  }
});

Deno.test("what waits for the end of a round waits also when it came in a batch", () => {
  const { state } = seated();
  apply(state, { kind: "settle" });
  const taken = vouchOf(1, NOW + 1, 0);
  const command = encodeCommand({ kind: "vouch", server: 1, vouch: taken });
  assert.equal(apply(state, { kind: "batch", commands: [command] }), true);
  assert.equal(state.registry.size, 1);
  assert.equal(apply(state, { kind: "settle" }), true);
  assert.equal(state.registry.size, 0);
});
