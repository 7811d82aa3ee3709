/** A server at the sequencer's place, whose peers are all the test. */
import { equal, u64 } from "../../src/protocol/bytes.ts";
import { decodeHeader, type Header } from "../../src/protocol/header.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import { type Command, encodeCommand } from "../../src/committee/commands.ts";
import type { Statement } from "../../src/protocol/statements.ts";
import { signStatement } from "../../src/protocol/statements.ts";
import { Admissions } from "../../src/roles/admissions.ts";
import { OTHERS_MS } from "../../src/roles/recall.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import type { DeskLimits } from "../../src/roles/limits.ts";
import { Server } from "../../src/roles/server.ts";
import { Sequencer } from "../committee/sequencer.ts";
import { durable } from "../../src/roles/simulated_disk.ts";
import {
  CLIENT_REGISTRY,
  committeeStream,
  type InstanceStreams,
  instanceStreams,
} from "../../src/roles/streams.ts";
import { Play, type Server as Party } from "../protocol/play.ts";
import { epochOf, gateOf, joins, kinded, peerOf, type Wire, Wires } from "./wire.ts";

const PROPOSE = 1, BLOB = 2;

/** No limit at all: one stream speaks for all clients, as often as a test likes. */
const RATE = { perSecond: 1e9, burst: 1e9 };
const ANYTHING: DeskLimits = {
  ownKey: false,
  registrationsPerPeer: RATE,
  registrations: RATE,
  admissionsPerPeer: RATE,
  admissions: RATE,
};

/** See the module comment. */
export class Podium {
  readonly play: Play;
  readonly wires: Wires;
  readonly streams: InstanceStreams;
  readonly server: Server;
  /** Streams of servers 1 and 2. */
  readonly peers: Wire[] = [];
  readonly registry: Wire;

  /** With `token`, clients have to show that one. */
  constructor(seed: number, token?: string, deskLimits: Partial<DeskLimits> = ANYTHING) {
    this.play = new Play(seed, { servers: 3, clients: 4 });
    const { manifest, servers: [first], clients } = this.play;
    this.streams = instanceStreams(manifest.parameters);
    this.wires = new Wires("server", first.seed);
    const { environment } = this.wires, { instance } = manifest, records = memoryArchive();
    const judge = {
      verify: (shown: string) =>
        shown === token
          ? Promise.resolve({ until: this.wires.now + 600_000 })
          : Promise.reject(Object.assign(new Error("another token"), { code: "token" })),
    };
    const admissions = token === undefined
      ? undefined
      : new Admissions({ environment, instance, records, terms: { token: judge } });
    this.server = new Server({
      network: this.wires,
      environment,
      admissions,
      ...epochOf(this.wires, manifest),
      gate: gateOf(this.wires, manifest.instance),
      signer: first.signer,
      store: durable(),
      admits: () => undefined,
      deskLimits,
      engine: (host, self) => new Sequencer(self, host),
    });
    this.server.serve();
    this.registry = this.wires.dial(peerOf("client", clients[0].seed), CLIENT_REGISTRY);
  }

  /** The committee stands, and three of four clients are admitted. */
  async begin(): Promise<this> {
    const { play, wires } = this;
    wires.known.push(peerOf("aggregator", play.clients[3].seed));
    this.server.start();
    await wires.pass(1);
    // The aggregator has no record yet, and nobody else comes who has: the log begins.
    wires.to(this.streams.broadcasts)[0].frame(u64(0));
    await wires.pass(OTHERS_MS);
    for (const s of play.servers.slice(1)) {
      const { instance } = play.manifest;
      const wire = joins(wires, peerOf("server", s.seed), committeeStream(0), instance);
      this.peers.push(wire);
      await wires.pass(1);
      wire.frame(Uint8Array.of(0, 0));
    }
    const bundle = this.server.member.state.bundles[0]!, [first, ...others] = play.servers;
    const shared = () => {
      throw new Error("the server's secret");
    };
    const agreement = { key: bundle.agreement, shared, destroy() {} };
    Object.assign(play, { servers: [{ ...first, bundle, agreement } as Party, ...others] });
    others.forEach((s, i) => this.propose({ kind: "bundle", server: i + 1, bundle: s.bundle }));
    return this;
  }

  /** Bytes of a server's proposal on its stream. */
  proposal(command: Command): Uint8Array {
    return kinded(0, Uint8Array.of(PROPOSE), encodeCommand(command));
  }
  /** Server 1 proposes a command. */
  propose(command: Command): void {
    this.peers[0].frame(this.proposal(command));
  }
  /** A client's registration or leave, as it goes to client-registry. */
  registration(kind: "register" | "leave", client: number, session = this.wires.now): Uint8Array {
    const { manifest, clients } = this.play, { signer, agreement: { key } } = clients[client];
    const fields = { instance: manifest.instance, agreement: key, session };
    return kinded(kind === "register" ? 0 : 1, createRegistration(kind, signer, fields).bytes);
  }
  /** A server's statement as a command. */
  statement(server: number, statement: Statement): Command {
    const signed = signStatement(this.play.servers[server].signer, statement);
    return { kind: "statement", signed };
  }
  /** Time passes until the server proposes a header, which is answered. */
  async header(): Promise<Header> {
    await this.wires.pass(1_000);
    const { live } = this.server.member.state;
    const frame = this.peers[0].sent.findLast((bytes) =>
      bytes[0] === BLOB && equal(bytes.subarray(1, 33), live!.header)
    );
    return decodeHeader(frame!.subarray(33), this.play.manifest);
  }
  /** All that frames may change. */
  readonly state = (): Uint8Array => this.server.member.state.snapshot();
  /** Drops what was sent and logged. */
  readonly tidy = (): void => {
    for (const wire of [...this.peers, this.registry]) wire.sent.length = 0;
    this.wires.log.length = 0;
  };
}
