/**
 * What the scenarios of typed streams are played in: nodes of a column, each with its streams, and
 * a catalog. `Member` is the one place where the catalog is chosen: with the discovery service it
 * is `network.catalog` and `network.entry`.
 */
import assert from "node:assert/strict";
import type { Environment } from "../../../src/universe/environment.ts";
import type { Network } from "../../../src/universe/network.ts";
import type { NetworkOptions } from "../../../src/universe/node.ts";
import type { Consumer } from "../../../src/universe/streams/consumer.ts";
import type { Codec } from "../../../src/universe/streams/options.ts";
import type { Producer } from "../../../src/universe/streams/producer.ts";
import type { ProducerStatus } from "../../../src/universe/streams/source.ts";
import { Streams } from "../../../src/universe/streams/streams.ts";
import { INSTANCE, secretOf, UNIVERSE } from "../conformance.ts";
import { Board, type BoardNode } from "./board.ts";

/** One universe of a column, for one scenario. */
export interface StreamsWorld {
  readonly listen: string;
  environment(name: string, observe: Environment["observe"]): Environment;
  network(options: NetworkOptions): Network;
  /** Waits for the condition; fails, naming it, after a bound. */
  until(what: string, condition: () => boolean): Promise<void>;
  /** Waits for the promise while the world goes on. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Real work, such as the platform's cryptography, for which virtual time stands still. */
  work<T>(task: () => Promise<T>): Promise<T>;
}

/** Something to play. */
export type Scenario = (world: StreamsWorld) => Promise<void>;

/** Text. */
export const TEXT: Codec<string> = {
  encode: (text) => new TextEncoder().encode(text),
  decode: (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
};

/** A node. */
export class Member {
  readonly log: { event: string; fields: Record<string, unknown> }[] = [];
  readonly environment: Environment;
  readonly network: Network;
  readonly view: BoardNode;
  readonly streams: Streams;

  constructor(readonly world: StreamsWorld, board: Board, readonly name: string) {
    this.environment = world.environment(name, (_, event, fields = {}) => {
      this.log.push({ event, fields });
    });
    const { environment } = this;
    this.network = world.network({
      environment,
      secret: secretOf(name),
      universe: UNIVERSE,
      instance: INSTANCE,
      role: "server",
      listen: [world.listen],
      bootstrap: [],
    });
    this.view = board.add(this.network, environment);
    const { network, view } = this;
    this.streams = new Streams({ network, catalog: view, entry: view, environment });
  }

  get id(): string {
    return this.network.self.id;
  }

  /** What was said of an event, in order. */
  said(event: string): Record<string, unknown>[] {
    return this.log.filter((it) => it.event === event).map(({ fields }) => fields);
  }
}

/** Some nodes, of which each knows all others, unless the test says otherwise. */
export class Crowd {
  readonly board = new Board();
  readonly members: Member[] = [];
  constructor(readonly world: StreamsWorld) {}

  static async of(world: StreamsWorld, ...names: string[]): Promise<Crowd & Iterable<Member>> {
    const crowd = new Crowd(world);
    for (const name of names) await crowd.add(name);
    crowd.board.meetAll();
    return crowd;
  }

  /** One more, which nobody knows. */
  async add(name: string): Promise<Member> {
    const member = new Member(this.world, this.board, name);
    this.members.push(member);
    await this.world.settle(member.network.start());
    return member;
  }

  [Symbol.iterator](): Iterator<Member> {
    return this.members[Symbol.iterator]();
  }

  async stop(): Promise<void> {
    for (const { streams } of this.members) streams.close();
    await Promise.all(this.members.map(({ network }) => this.world.settle(network.stop())));
  }
}

/** What a consumer knows of one producer. */
export function toward<T>(consumer: Consumer<T>, producer: Member): ProducerStatus | undefined {
  return consumer.producers.find(({ peer }) => peer.id === producer.id);
}

/** Whether a consumer is connected with a producer's node. */
export function connected<T>(consumer: Consumer<T>, producer: Member): boolean {
  return toward(consumer, producer)?.state === "connected";
}

/** Whether a consumer has ended with a producer for a reason, and plans no attempt. */
export function over<T>(consumer: Consumer<T>, producer: Member, reason?: string): boolean {
  const status = toward(consumer, producer);
  return status?.state === "terminated" && (reason === undefined || status.reason === reason);
}

/** The ids of a producer's consumers, sorted. */
export function audience<T>(producer: Producer<T>): string[] {
  return producer.consumers.map(({ peer }) => peer.id).sort();
}

/** Ids of members, sorted. */
export function ids(...members: Member[]): string[] {
  return members.map(({ id }) => id).sort();
}

/** Waits until exactly these are a producer's consumers. */
export async function heardBy<T>(
  world: StreamsWorld,
  producer: Producer<T>,
  ...members: Member[]
): Promise<void> {
  const wanted = ids(...members).join();
  const names = members.map(({ name }) => name).join(" ");
  await world.until(`the consumers are: ${names}`, () => audience(producer).join() === wanted);
}

/** The next `count` data of a consumer. */
export async function take<T>(
  world: StreamsWorld,
  consumer: Consumer<T>,
  count: number,
): Promise<T[]> {
  const data: T[] = [];
  while (data.length < count) {
    const received = await world.settle(consumer.next());
    assert(received, "the consumer was closed");
    data.push(received.datum);
  }
  return data;
}

/** That a datum goes from a producer to a consumer, and nothing else was before it. */
export async function flows(
  world: StreamsWorld,
  producer: Producer<string>,
  ...consumers: Consumer<string>[]
): Promise<void> {
  const text = `datum ${producer.consumers.reduce((sum, it) => sum + it.datums, 0)}`;
  assert.equal(producer.trySend(text), "sent");
  for (const consumer of consumers) assert.deepEqual(await take(world, consumer, 1), [text]);
}
