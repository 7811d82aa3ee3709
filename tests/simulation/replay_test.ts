/** What is said in one instance counts in no other of its universe, whoever says it there. */
import assert from "node:assert/strict";
import { decodeCommand } from "../../src/committee/commands.ts";
import { CommitteeState } from "../../src/committee/state.ts";
import { equal, hex, Reader } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { signer } from "../../src/protocol/keys.ts";
import { universeId } from "../../src/protocol/names.ts";
import { type Committee, meetCommittee } from "../../src/roles/committee.ts";
import type { SimulatedInstance } from "../../src/roles/simulated.ts";
import { CLIENTS, READERS, rounds, together } from "./neighbours.ts";
import type { Trial } from "./trial.ts";
import { bare, type Heard, Replayer, type Said } from "./replayer.ts";

/** Whose secrets are the same in all instances: the worst that operators and clients may do. */
const SHARED = /^client|^committee$/;
/** Commands that nobody signs: they are the order's own, which is trusted with nothing. */
const UNSIGNED = ["places", "propose", "aggregate", "abandon", "uncarried", "settle"];

/** The kinds in the first instance, without beats, which are numbers alone. */
const KINDS = [
  ...["aggregate", "broadcasts", "client-registry", "committee-0", "genesis", "live-round"],
  ...["server-registry", "submit"],
];

for (const seed of [1010, 1011]) {
  Deno.test(`what is said in one instance counts in no other, on any stream (seed ${seed})`, (t) =>
    together(seed, SHARED, async ({ tap, trials, universe, secret }) => {
      const [one, two] = trials, { world } = two;
      await rounds(trials, 3);
      // Servers that meet again tell their heads, and ask for what they lack.
      one.crashServer(1);
      await one.startServer(1);
      await rounds(trials, 3);
      const voids = one.voids.size;
      const heard = new Map(tap.kinds(one.world));
      heard.delete("meet");
      assert.deepEqual([...heard.keys()].sort(), KINDS);
      const said = (kind: string) => heard.get(kind)!;

      await t.step("hellos", () => hellos(world, heard, tap.kinds(world)));

      await t.step(
        "envelopes and registrations, by their own signer, who is in the roster",
        async () => {
          world.crash(world.clients[0]);
          const client = await Replayer.start(world, "client", secret(world.name, "client 0"));
          await universe.advance(2_000);
          for (const kind of ["submit", "client-registry"]) {
            await client.dials(kind, said(kind).dialer.slice(-4).map((frame) => [frame]));
          }
          const receipts = of(client, "submit", "aggregator").flatMap(({ answers }) => answers);
          assert.deepEqual(receipts, []);
          refused(of(client, "client-registry", "server"));
          for (const { participants } of world.readers[0].role.log.slice(-4)) {
            assert.equal(participants.length, CLIENTS - 1);
          }
          await client.network.stop();
        },
      );

      await t.step("commands, as if they stood in the order", async () => {
        const commands = await ordered(one);
        const kinds = [...commands.values()].map(({ kind }) => kind);
        for (const kind of ["bundle", "seat", "open", "prepare", "partial", "final"]) {
          assert.ok(kinds.includes(kind), `${kind} among ${[...new Set(kinds)]}`);
        }
        const { manifest, servers: [server] } = world,
          before = server!.role.member.state.snapshot();
        const state = CommitteeState.restore(before, manifest, 0, {});
        for (const { kind, bytes } of commands.values()) {
          let taken = false;
          try {
            taken = state.apply(bytes, true);
          } catch (error) {
            assert.ok(error instanceof ProtocolError, `${kind}: ${error}`);
          }
          assert.equal(taken, false, kind);
          assert.ok(equal(state.snapshot(), before), kind);
        }
      });

      await t.step("aggregates", async () => {
        const aggregates = said("aggregate").dialer.filter(({ length }) => length > 32);
        const aggregator = await Replayer.start(world, "aggregator");
        await universe.advance(1_000);
        await aggregator.dials("aggregate", [aggregates]);
        for (const { role: { member } } of world.servers.map((server) => server!)) {
          for (const frame of aggregates) {
            assert.throws(
              () => member.aggregate(frame, aggregator.network.self.key),
              (error) => error instanceof ProtocolError && error.code === "mismatch",
            );
          }
        }
        await aggregator.network.stop();
      });

      await t.step("lineages, headers, records and receipts, by an aggregator", async () => {
        const fake = await Replayer.start(world, "aggregator", lowest(world));
        for (const kind of ["server-registry", "live-round", "broadcasts", "submit"]) {
          fake.answers(kind, said(kind).answerer);
        }
        const { epochs } = await meets(world, fake);
        assert.deepEqual(epochs.newest.fingerprint, world.manifest.fingerprint);
        // Newcomers take it for one of theirs, and leave it for another.
        for (let i = READERS; i < READERS + 4; i++) await world.startReader(i);
        await world.startClient(0);
        await two.until(
          "all feeds were asked for",
          () => ["live-round", "broadcasts"].every((kind) => of(fake, kind).length > 0),
        );
        await universe.advance(10_000);
        for (const kind of ["server-registry", "live-round", "broadcasts"]) {
          refused(of(fake, kind), 1);
        }
        await fake.network.stop();
        await rounds(trials, 4);
        const { round } = two;
        await two.until("newcomers have it all", () => {
          const logs = world.readers.map(({ role }) => role.log);
          return logs.length === READERS + 4 &&
            logs.every((log) => log.at(-1)!.record.header.round >= round);
        });
        for (const { role } of world.readers) assert.equal(role.stopped, undefined);
      });

      const silent = world.servers[0]!;
      const heads = () =>
        world.servers.slice(1).map((server) => hex(server!.role.member.head.hash));
      const rosters = () => world.servers.slice(1).map((it) => it!.role.member.state.registry.size);

      await t.step("headers and handshakes, under a server's key", async () => {
        await rounds([two], 1);
        world.crash(silent);
        await universe.advance(1_000);
        const before = [heads(), rosters()];
        const impostor = await Replayer.start(world, "server", seedOf(silent.network.self.id));
        for (const kind of ["genesis", "committee-0"]) {
          impostor.answers(kind, said(kind).answerer.filter(({ length }) => length <= 96));
        }
        impostor.answers("aggregate", said("aggregate").answerer.filter(([kind]) => kind === 0));
        const kinds = ["genesis", "committee-0", "aggregate"];
        const over = (kind: string) => of(impostor, kind).filter(({ ended }) => ended);
        await two.until("each was said", () => kinds.every((kind) => over(kind).length > 1));
        for (const kind of kinds) refused(over(kind));
        assert.deepEqual([heads(), rosters()], before);
        await impostor.network.stop();
      });

      await t.step(
        "orders, shares, evidence and statements, by a member with the secret",
        async () => {
          const { dialer, answerer } = said("committee-0");
          const inner = [...dialer, ...answerer].filter(({ length }) => length > 96);
          assert.deepEqual([...new Set(inner.map(([kind]) => kind))].sort(), [0, 2, 3]);
          const before = [heads(), rosters()];
          const traitor = await Replayer.start(world, "server", seedOf(silent.network.self.id));
          traitor.betrays("committee-0", secret(world.name, "committee"), inner);
          const others = world.servers.slice(1).map((server) => server!.network.self.id);
          const all = () => others.every((id) => traitor.told("committee-0", id) > inner.length);
          await two.until("each was said to both", all);
          assert.deepEqual([heads(), rosters()], before);
          await traitor.network.stop();
        },
      );

      await t.step("the server comes back, and nothing was lost anywhere", async () => {
        await two.startServer(0);
        // Who failed to prove the secret, under its key, has to pause.
        await two.goesOn(90_000);
        await rounds(trials, 4);
        for (const trial of trials) await trial.judge();
        assert.deepEqual([one.voids.size, trials[2].voids.size], [voids, 0]);
      });

      /** The secret of a server of the second instance. */
      function seedOf(id: string): Uint8Array {
        const seeds = [0, 1, 2].map((i) => secret(world.name, `server ${i}`));
        return seeds.find((seed) => hex(signer(seed).key) === id)!;
      }
    }));
}

/** A hello of another instance ends a stream unanswered; one's own is answered. */
async function hellos(
  world: SimulatedInstance,
  foreign: ReadonlyMap<string, Heard>,
  own: ReadonlyMap<string, Heard>,
): Promise<void> {
  const answered: string[] = [];
  const mine = new Map([...own].map(([kind, { hellos }]) => [kind, hellos[0]]));
  for (const kind of KINDS) {
    for (const hello of foreign.get(kind)!.hellos.slice(0, 3)) {
      const { answers, ended } = await bare(world, kind, [hello]);
      assert.deepEqual([answers, ended], [0, true], kind);
    }
    const { answers } = await bare(world, kind, [mine.get(kind)!]);
    if (answers > 0) answered.push(kind);
  }
  assert.ok(answered.includes("server-registry") && answered.includes("broadcasts"), `${answered}`);
}

/** What is signed among the commands of an instance, over some rounds, by its bytes. */
async function ordered(
  { world }: Trial,
): Promise<Map<string, { kind: string; bytes: Uint8Array }>> {
  const found = new Map<string, { kind: string; bytes: Uint8Array }>(), { manifest } = world;
  const { member } = world.servers[0]!.role, until = world.rounds + 3;
  const look = () => {
    const reader = new Reader(member.state.snapshot(), "snapshot");
    for (let left = reader.u32(); left > 0; left--) {
      const bytes = reader.bounded(1, 2 ** 20, "command"), command = decodeCommand(bytes, manifest);
      const kind = command.kind === "statement" ? command.signed.statement.kind : command.kind;
      if (!UNSIGNED.includes(kind)) found.set(hex(bytes), { kind, bytes });
    }
    return world.rounds >= until;
  };
  assert.ok(await world.run(look, 60_000));
  return found;
}

/** Streams of a kind with peers of a role. */
function of({ said }: Replayer, kind: string, to?: string): Said[] {
  return said.filter((it) => it.kind === kind && (to === undefined || it.to === to));
}

/** The peers ended all streams, of which there were some. */
function refused(said: readonly Said[], least = 1): void {
  assert.ok(said.length >= least, `${said.length} streams`);
  for (const { kind, ended } of said) assert.equal(ended, "closed by the peer", kind);
}

/** A secret whose id comes before those of all aggregators, which are asked in this order. */
function lowest({ universe, aggregators }: SimulatedInstance): Uint8Array {
  const least = aggregators.map(({ network }) => network.self.id).sort()[0];
  const chance = universe.randomness("lowest");
  for (;;) {
    const secret = chance.bytes(32);
    if (hex(signer(secret).key) < least) return secret;
  }
}

/** The committee that a reader meets who reaches this node alone at first. */
async function meets(world: SimulatedInstance, at: Replayer): Promise<Committee> {
  const environment = world.universe.environment("newcomer"), universe = universeId();
  const network = world.universe.network({
    ...{ environment, universe, instance: world.id, role: "reader", listen: [] },
    ...{ secret: environment.random(32), bootstrap: at.network.self.addresses },
  });
  for (const node of [...world.servers, ...world.aggregators]) {
    world.universe.cut(network, node!.network);
  }
  await network.start();
  const common = { network, environment, instance: world, timeout: 60_000 };
  const meeting = meetCommittee({ ...common, universe: "mosaik.universe" });
  assert.ok(await world.run(() => of(at, "server-registry").length > 0, 30_000));
  await world.universe.advance(1_000);
  world.universe.heal();
  const committee = await world.settle(meeting);
  await network.stop();
  return committee;
}
