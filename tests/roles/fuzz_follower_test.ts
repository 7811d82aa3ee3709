/** Damaged frames of the leader at a server that follows it: states, commits, heads. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { encodeCommand } from "../../src/committee/commands.ts";
import { encodeEvidence } from "../../src/committee/evidence.ts";
import { CommitteeState } from "../../src/committee/state.ts";
import { signStatement } from "../../src/protocol/statements.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import { Server } from "../../src/roles/server.ts";
import { Sequencer } from "../committee/sequencer.ts";
import { durable } from "../../src/roles/simulated_disk.ts";
import { committeeStream } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { badRecord, changed, fuzz } from "./fuzz.ts";
import { answers, epochOf, gateOf, kinded, peerOf, type Wire, Wires } from "./wire.ts";

/** Server 2, met by the leader; `state` is the leader's. */
async function follower(seed: number) {
  const play = new Play(seed, { servers: 3, clients: 4 }), { manifest, servers } = play;
  const wires = new Wires("server", servers[2].seed), store = durable();
  wires.known.push(peerOf("server", servers[0].seed));
  const server = new Server({
    network: wires,
    environment: wires.environment,
    ...epochOf(wires, manifest),
    gate: gateOf(wires, manifest.instance),
    signer: servers[2].signer,
    store,
    admits: () => undefined,
    engine: (host, self) => new Sequencer(self, host),
  });
  server.serve();
  server.start();
  await wires.pass(1);
  const wire = answers(wires, wires.to(committeeStream(0))[0], manifest.instance);
  const state = new CommitteeState(manifest);
  servers.forEach(({ bundle }, i) =>
    i < 2 && state.apply(encodeCommand({ kind: "bundle", server: i, bundle }))
  );
  play.clients.forEach(({ signer, agreement: { key } }) => {
    const fields = { instance: manifest.instance, agreement: key, session: wires.now };
    const registration = createRegistration("register", signer, fields);
    state.apply(encodeCommand({ kind: "register", registration }));
  });
  const head = () => `${hex(server.member.head.hash)} ${hex(store.load() ?? new Uint8Array(0))}`;
  const tidy = () => void (wire.sent.length = wires.log.length = 0);
  return { play, wires, server, wire: wire as Wire, state, head, tidy };
}

Deno.test("fuzz: states at a follower: none makes it sign or move, and a bad one changes nothing", async () => {
  const { server, wire, state, head, tidy } = await follower(230);
  const good = kinded(0, Uint8Array.of(2), state.snapshot());
  wire.frame(good);
  const { member } = server;
  await fuzz({
    kind: "server: committee, snapshot",
    good,
    feed(bytes) {
      const before = member.state;
      try {
        wire.events.frame(bytes);
      } catch (error) {
        assert.equal(member.state, before, "a state that is refused is not taken");
        throw error;
      }
    },
    state: head,
    tidy,
    accepted: () => assert.equal(member.state.registry.size, 4),
  }, 41);
});

Deno.test("fuzz: commits at a follower", async () => {
  const { play, server, wire, state, wires, tidy } = await follower(231);
  wire.frame(kinded(0, Uint8Array.of(2), state.snapshot()));
  const header = play.header(), [{ signer }] = play.servers;
  const commit = (command: Parameters<typeof encodeCommand>[0]) =>
    kinded(0, Uint8Array.of(3), encodeCommand(command));
  wire.frame(commit({ kind: "propose", round: header.round, header: header.hash }));
  const target = { state: () => server.member.state.snapshot() };
  const open = { kind: "open", header: header.hash } as const;
  const say = (of = signer) =>
    commit({
      kind: "statement",
      signed: { ...signStatement(of, open), server: signer.key },
    });
  const good = say(), last = good.subarray(-97);
  await fuzz({
    ...target,
    kind: "server: committee, commit",
    silent: undefined,
    good,
    feed: (bytes) => wire.events.frame(bytes),
    forge: (random) =>
      random.below(2) ? say(play.clients[0].signer) : kinded(0, Uint8Array.of(4), last),
    tidy,
    accepted: changed(target),
  }, 42);
  assert.equal(wires.to(committeeStream(0)).length, 1);
});

Deno.test("fuzz: heads at a follower", async () => {
  const { play, server, wire, head, tidy } = await follower(232), { certified } = play.round();
  const { record } = certified;
  await fuzz({
    kind: "server: committee, head",
    good: kinded(3, encodeEvidence({ certified })),
    feed: (bytes) => wire.events.frame(bytes),
    forge: (random) => kinded(3, Uint8Array.of(1), badRecord(random, play, record, false)),
    state: head,
    tidy,
    accepted: () => assert.equal(hex(server.member.head.hash), hex(record.hash)),
  }, 43);
});
