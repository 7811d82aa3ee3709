/** A client whose every peer is the test. */
import { concat, Reader, u32 } from "../../src/protocol/bytes.ts";

import { decodeEnvelope, type Envelope } from "../../src/protocol/envelope.ts";
import type { HeaderFields } from "../../src/protocol/header.ts";
import type { Header } from "../../src/protocol/header.ts";
import { signer } from "../../src/protocol/keys.ts";
import { encodeOpened, type OpenedHeader } from "../../src/protocol/opened.ts";
import { decodeRegistration } from "../../src/protocol/registration.ts";
import { encodeProof } from "../../src/protocol/roster.ts";
import { Client } from "../../src/roles/client.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { CLIENT_REGISTRY, type InstanceStreams, instanceStreams } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { peerOf, type Wire, Wires } from "./wire.ts";

/** See the module comment. */
export class Sender {
  /** The committee as it is now. */
  play: Play;
  readonly wires: Wires;
  readonly streams: InstanceStreams;
  readonly client: Client;
  readonly epochs: Epochs;
  readonly refused: string[] = [];
  /** Told of each sign of the committee. */
  alive = () => {};
  /** Records that it took. */
  rounds = 0;

  constructor(seed: number, minParticipants = 3) {
    this.play = new Play(seed, { servers: 3, clients: 3 });
    const { manifest, random } = this.play, secret = random.bytes(32);
    this.streams = instanceStreams(manifest.parameters);
    this.wires = new Wires("client", secret);
    for (let i = 0; i < 2; i++) this.wires.known.push(peerOf("aggregator", random.bytes(32)));
    this.wires.known.push(...this.play.servers.map((s) => peerOf("server", s.seed)));
    this.client = new Client({
      network: this.wires,
      environment: this.wires.environment,
      epochs: this.epochs = new Epochs([manifest]),
      signer: signer(secret),
      minParticipants,
      alive: () => this.alive(),
      round: () => void this.rounds++,
      refused: (error) => void this.refused.push(error.message),
    });
  }

  /** Streams open, and the client stands in the roster at 3. */
  async begin(): Promise<this> {
    await this.wires.pass(1);
    const { manifest, roster } = this.play, [registry] = this.wires.to(CLIENT_REGISTRY);
    const reader = new Reader(registry.sent[0].subarray(1), "registration");
    const bytes = reader.bytes(reader.left);
    const { client, agreement } = decodeRegistration("register", bytes, manifest.instance);
    roster.set(3, { client, agreement });
    registry.frame(Uint8Array.of(0));
    return this;
  }

  /** Servers leave and join; the client is told by `adopt`. */
  change(stay: readonly number[], join: number): void {
    const next = this.play.next(stay, join), known = new Set(this.wires.known.map(({ id }) => id));
    const peers = next.servers.map((s) => peerOf("server", s.seed));
    this.wires.known.push(...peers.filter(({ id }) => !known.has(id)));
    this.play = next;
  }
  /** The client learns of the committee as it is now. */
  adopt(): void {
    this.epochs.adopt([this.play.manifest]);
  }

  get live(): Wire {
    return this.wires.to(this.streams.liveRound)[0];
  }
  get broadcasts(): Wire {
    return this.wires.to(this.streams.broadcasts)[0];
  }
  /** The round from which on it asked for records last: its head's and one. */
  get asked(): number {
    return new Reader(this.broadcasts.sent[0], "subscription").u64();
  }
  /** Envelopes that left. */
  get envelopes(): number {
    return this.submitted.length;
  }
  get submitted(): Uint8Array[] {
    return this.wires.opened.filter(({ kind }) => kind === "submit").flatMap(({ sent }) => sent);
  }
  /** Why it was silent last. */
  get silence(): string {
    const told = this.wires.log.filter(({ event }) => event === "silent");
    return String(told.at(-1)?.fields?.reason);
  }

  /** The frame of an opened header, with the client's own place. */
  frame(header: Header, opened: OpenedHeader = this.play.open(header), index = 3): Uint8Array {
    const proof = encodeProof({ index, path: this.play.roster.path(index) });
    const bytes = encodeOpened(opened);
    return concat(u32(bytes.length), bytes, proof);
  }
  /** Sends it a header and answers what it submitted under it. */
  show(other: Partial<HeaderFields> = {}): Uint8Array | undefined {
    const before = this.envelopes;
    this.live.frame(this.frame(this.play.header(other)));
    return this.submitted[before];
  }
  /** The next record, which moves the head. */
  record(): Uint8Array {
    return this.play.round().bytes;
  }
  /** Reads an envelope as the aggregator would. */
  read(bytes: Uint8Array, header: Header): Envelope {
    return decodeEnvelope(bytes, header, this.play.parameters);
  }
}
