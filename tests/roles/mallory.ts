/**
 * A client that was admitted and keeps no rule: it speaks raw frames on the network, with its own
 * pads and signatures in order, and whatever vectors a test likes under them.
 */
import { concat, Writer } from "../../src/protocol/bytes.ts";
import type { Head } from "../../src/protocol/chain.ts";
import {
  createEnvelope,
  joinVectors,
  splitVectors,
  type Vectors,
} from "../../src/protocol/envelope.ts";
import type { Header } from "../../src/protocol/header.ts";
import { agreement, pairKey, signer } from "../../src/protocol/keys.ts";
import { applyPads, padCipher } from "../../src/protocol/pad.ts";
import { scheduleBytes } from "../../src/protocol/parameters.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import type { RosterProof } from "../../src/protocol/roster.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { NEWEST } from "../../src/roles/feed.ts";
import { Follower } from "../../src/roles/follower.ts";
import { Link } from "../../src/roles/link.ts";
import type { SimulatedInstance } from "../../src/roles/simulated.ts";
import { CLIENT_REGISTRY, instanceStreams } from "../../src/roles/streams.ts";

/** What it puts under its pads; the vectors come empty. */
export type Malice = (vectors: Vectors, header: Header, head: Head) => void;

/** A world of `clients` honest clients and one reader, all taking part. */
export async function running(world: SimulatedInstance): Promise<SimulatedInstance> {
  await world.start();
  const clients = world.options.clients;
  const all = () => world.clients.filter((c) => c?.role.ready).length === clients;
  if (!await world.run(() => all() && world.readers.length > 0, 120_000)) {
    throw new Error("no start");
  }
  return world;
}

/** Starts it, and waits until it takes part. */
export async function mallory(world: SimulatedInstance, malice: Malice): Promise<void> {
  const { environment, network: make } = world.binding("mallory");
  const secret = environment.random(32), self = signer(secret), pair = agreement(secret.slice());
  const network = make("client", secret), { manifest } = world, { parameters } = manifest;
  const streams = instanceStreams(manifest.parameters), { clock } = environment;
  await network.start();
  let waiting: { header: Header; proof: RosterProof } | undefined, rounds = 0;
  const registration = createRegistration("register", self, {
    instance: manifest.instance,
    agreement: pair.key,
    session: clock.now(),
  });
  new Link({
    network,
    clock,
    kind: CLIENT_REGISTRY,
    candidates: () => network.peers("server"),
    events: (stream) => {
      const register = () => void stream.send(concat(Uint8Array.of(0), registration.bytes));
      clock.after(0, register);
      return { frame() {}, closed() {} };
    },
  });
  const submit = new Link({
    network,
    clock,
    kind: streams.submit,
    candidates: () => network.peers("aggregator"),
    events: () => ({ frame: () => void rounds++, closed() {} }),
  });
  const send = () => {
    const { head } = follower.chain;
    if (!waiting || !equalHead(waiting.header, head)) return;
    const { header, proof } = waiting;
    waiting = undefined;
    const vectors = {
      schedule: new Uint8Array(scheduleBytes(parameters)),
      messages: new Uint8Array(header.messageBytes),
    };
    malice(vectors, header, head);
    const keys = manifest.servers.map((key, i) =>
      pairKey(pair.shared(header.bundles[i].agreement), {
        instance: manifest.instance,
        client: { key: self.key, agreement: pair.key },
        server: { key, agreement: header.bundles[i].agreement },
      })
    );
    const body = applyPads(padCipher(parameters.suite), keys, header.hash, joinVectors(vectors));
    const envelope = createEnvelope(self, header.hash, proof.index, splitVectors(body, parameters));
    submit.stream?.send(new Writer().bytes(envelope.bytes).end());
  };
  const follower: Follower = new Follower({
    network,
    environment,
    epochs: new Epochs([manifest]),
    from: NEWEST,
    live: true,
    candidates: () => network.peers("aggregator"),
    events: {
      opened: ({ header }, proof) => {
        waiting = proof && { header, proof };
        send();
      },
      record: send,
      bad: () => true,
    },
  });
  if (!await world.run(() => rounds > 0, 60_000)) throw new Error("mallory does not take part");
}

function equalHead(header: Header, head: Head): boolean {
  return head.hash.every((byte, i) => byte === header.previous[i]);
}
