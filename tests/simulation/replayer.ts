/**
 * Frames of one instance said on purpose in another of the same universe: a wiretap that keeps some
 * of every kind, and nodes of the other instance that say them, as those who dial and as those who
 * are dialed.
 */
import { equal, hex } from "../../src/protocol/bytes.ts";
import { Gate } from "../../src/roles/admission.ts";
import type { SimulatedInstance } from "../../src/roles/simulated.ts";
import type { TappedEnd } from "../../src/universe/memory_transport.ts";
import type {
  Network,
  Role,
  Stream,
  StreamEvents,
  StreamKind,
} from "../../src/universe/network.ts";
import { protocolOf } from "../../src/universe/node.ts";

/** Frames that are kept of a kind and direction, by first byte: the first ones, and the newest. */
const KEPT = 24;
/** Between two frames that are said to whoever dialed, in virtual milliseconds. */
const NEXT_MS = 50;
/** How long an answer is waited for, in virtual milliseconds. */
const PATIENCE_MS = 200;

/** Frames of a stream's kind: of those who dial, and of those who answer; hellos apart. */
export interface Heard {
  readonly hellos: Uint8Array[];
  readonly dialer: Uint8Array[];
  readonly answerer: Uint8Array[];
}

/** Everything that the nodes of a universe say, by instance and kind; and who with whom. */
export class Wiretap {
  readonly #heard = new Map<string, Map<string, Heard>>();
  /** Ids of those at either end of a link, by instance. */
  readonly #ends = new Map<string, Set<string>>();
  readonly #begun = new WeakSet<TappedEnd>();

  /** Hears a frame; for `MemoryOptions`. */
  readonly tap = (end: TappedEnd, frame: Uint8Array): void => {
    const [, , , instance, name] = end.protocol.split("/");
    const ends = this.#ends.get(instance) ?? new Set();
    this.#ends.set(instance, ends.add(end.from).add(end.id));
    const kinds = this.#heard.get(instance) ?? new Map<string, Heard>();
    this.#heard.set(instance, kinds);
    const heard = kinds.get(name) ?? { hellos: [], dialer: [], answerer: [] };
    kinds.set(name, heard);
    const first = !this.#begun.has(end);
    this.#begun.add(end);
    keep(first ? heard.hellos : end.dialer ? heard.dialer : heard.answerer, frame);
  };

  /** The kinds of streams of an instance, with what was said on them. */
  kinds(world: SimulatedInstance): ReadonlyMap<string, Heard> {
    return this.#heard.get(prefix(world)) ?? new Map();
  }

  /** Who had a link of the instance. */
  ends(world: SimulatedInstance): ReadonlySet<string> {
    return this.#ends.get(prefix(world)) ?? new Set();
  }
}

function keep(frames: Uint8Array[], frame: Uint8Array): void {
  const alike = frames.filter(([first]) => first === frame[0]);
  if (alike.some((known) => equal(known, frame))) return;
  if (alike.length >= KEPT) frames.splice(frames.indexOf(alike[KEPT / 2]), 1);
  frames.push(frame.slice());
}

function prefix({ id }: SimulatedInstance): string {
  return hex(id.subarray(0, 8));
}

/** What became of a stream on which something was said. */
export interface Said {
  readonly kind: string;
  readonly to: Role;
  /** What was answered. */
  readonly answers: Uint8Array[];
  /** Why the stream ended, if it did. */
  ended?: string;
}

/** A node of an instance that says what it was given. */
export class Replayer {
  readonly said: Said[] = [];
  /** Frames that were said to those who dialed, by kind and peer. */
  readonly #told = new Map<string, number>();
  private constructor(readonly world: SimulatedInstance, readonly network: Network) {}

  /** Starts one; a server or aggregator is found by others. */
  static async start(world: SimulatedInstance, role: Role, secret?: Uint8Array): Promise<Replayer> {
    const { environment, network } = world.binding("replayer");
    const made = new Replayer(world, network(role, secret ?? environment.random(32)));
    await made.network.start();
    return made;
  }

  /** Says each of the texts on a stream of its own, to every server and aggregator that is known. */
  async dials(name: string, texts: readonly (readonly Uint8Array[])[]): Promise<void> {
    const peers = [...this.network.peers("server"), ...this.network.peers("aggregator")];
    for (const text of texts) {
      for (const peer of peers) {
        const said = this.#says(name, peer.role);
        const opening = this.network.open(peer, kindOf(name), () => eventsOf(said));
        const stream = await this.world.settle(
          opening.catch((error) => void (said.ended = error.message)),
        );
        for (const frame of text) stream?.send(frame);
        await this.world.universe.advance(PATIENCE_MS);
        stream?.close();
      }
    }
  }

  /** Says the frames to whoever dials. */
  answers(name: string, frames: readonly Uint8Array[]): void {
    this.network.serve(kindOf(name), (stream) => this.#tells(name, stream, frames));
  }

  /** Proves the committee's secret to whoever dials, as a member that went over, and says the frames. */
  betrays(name: string, secret: Uint8Array, frames: readonly Uint8Array[]): void {
    const { world: { id: instance }, network } = this;
    const { environment } = this.world.binding("traitor");
    const gate = new Gate({ network, environment, instance, secrets: [secret] });
    const accept = (stream: Stream) => this.#tells(name, stream, frames);
    gate.serve(kindOf(name), () => undefined, accept);
  }

  /** How many frames were said to a peer that dialed. */
  told(name: string, peer: string): number {
    return this.#told.get(`${name} ${peer}`) ?? 0;
  }

  /** One frame after the other, in turn over all streams of the kind with a peer, while the stream is open. */
  #tells(name: string, stream: Stream, frames: readonly Uint8Array[]): StreamEvents {
    const said = this.#says(name, stream.peer.role), { clock } = this.world.universe;
    const tell = () => {
      if (said.ended !== undefined) return;
      const turn = this.told(name, stream.peer.id);
      this.#told.set(`${name} ${stream.peer.id}`, turn + 1);
      stream.send(frames[turn % frames.length]);
      clock.after(NEXT_MS, tell);
    };
    clock.after(0, tell);
    return eventsOf(said);
  }

  #says(kind: string, to: Role): Said {
    const said = { kind, to, answers: [] };
    this.said.push(said);
    return said;
  }
}

function eventsOf(said: Said): StreamEvents {
  return {
    frame: (bytes) => void said.answers.push(bytes),
    closed: (reason) => void (said.ended ??= reason),
  };
}

/** What a node answers to a hello and frames on a bare link of a kind; and whether the link ended. */
export async function bare(
  world: SimulatedInstance,
  name: string,
  frames: readonly Uint8Array[],
): Promise<{ readonly answers: number; readonly ended: boolean }> {
  const environment = world.universe.environment("bare");
  const transport = world.universe.transport({ environment, secret: environment.random(32) });
  const { addresses, key } = world.servers[0]!.network.self;
  const protocol = protocolOf(world.id, kindOf(name));
  const link = await transport.open({ addresses, key }, protocol);
  let answers = 0, ended = false;
  link.limit = 2 ** 24;
  link.events = {
    frame: () => void answers++,
    oversize: () => void answers++,
    closed: () => void (ended = true),
  };
  for (const frame of frames) link.send(frame);
  await world.universe.advance(1_000);
  await transport.stop();
  return { answers, ended };
}

function kindOf(name: string): StreamKind {
  return { name, maxFrame: 2 ** 24, maxBuffered: 2 ** 27, maxPerPeer: 64 };
}
