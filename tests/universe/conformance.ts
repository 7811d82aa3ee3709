/**
 * What every column of the universe must do. A column brings a `World`; the cases are the same.
 * Nothing here sleeps: cases wait for conditions, which are asked again after each thing heard.
 */
import assert from "node:assert/strict";
import type { Environment, Fields } from "../../src/universe/environment.ts";
import {
  type Network,
  NetworkError,
  type Peer,
  type Role,
  type Stream,
  type StreamEvents,
  type StreamKind,
} from "../../src/universe/network.ts";
import { identity, type NetworkOptions, protocolOf } from "../../src/universe/node.ts";
import type { Transport } from "../../src/universe/transport.ts";

/** One universe of a column, for one case. */
export interface World {
  /** An address at which any node can listen. */
  readonly listen: string;
  environment(name: string, observe: Environment["observe"]): Environment;
  network(options: NetworkOptions): Network;
  transport(options: NetworkOptions): Transport;
  /** Waits for the condition; fails, naming it, after a bound. */
  until(what: string, condition: () => boolean): Promise<void>;
  /** Waits for the promise while the world goes on. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Something was heard: conditions may hold now. */
  poke(): void;
}

export const UNIVERSE = new Uint8Array(32).fill(0x11);
export const INSTANCE = new Uint8Array(32).fill(0x22);

/** A kind with small bounds. */
export const CHAT: StreamKind = {
  name: "chat",
  maxFrame: 100_000,
  maxBuffered: 400_000,
  maxPerPeer: 8,
};

/** What a test hears of one stream. */
export class Ear implements StreamEvents {
  readonly frames: Uint8Array[] = [];
  readonly ends: string[] = [];
  late = 0;
  constructor(readonly world: World, readonly stream: Stream) {}
  frame(bytes: Uint8Array): void {
    if (this.ends.length > 0) this.late++;
    this.frames.push(bytes);
    this.world.poke();
  }
  closed(reason: string): void {
    this.ends.push(reason);
    this.world.poke();
  }
}

/** A node under test, and what it said and heard. */
export class Subject {
  readonly log: { event: string; fields: Fields }[] = [];
  /** Streams that others opened, in order. */
  readonly inbound: Ear[] = [];
  readonly found: Peer[] = [];
  readonly network: Network;
  constructor(readonly world: World, options: Partial<NetworkOptions> & { name: string }) {
    const environment = world.environment(options.name, (_, event, fields = {}) => {
      this.log.push({ event, fields });
      world.poke();
    });
    this.network = world.network({ ...defaults(world, options.name), environment, ...options });
    this.network.catalog.onChange(() => world.poke());
    this.network.onPeer((peer) => {
      this.found.push(peer);
      world.poke();
    });
  }
  /** Answers streams of a kind with an `Ear`. */
  listenTo(kind: StreamKind = CHAT): this {
    this.network.serve(kind, (stream) => {
      const ear = new Ear(this.world, stream);
      this.inbound.push(ear);
      this.world.poke();
      return ear;
    });
    return this;
  }
  async start(): Promise<this> {
    await this.world.settle(this.network.start());
    return this;
  }
  get address(): string {
    return this.network.self.addresses[0];
  }
  knows(other: Subject): boolean {
    return this.network.peers().some((peer) => peer.id === other.network.self.id);
  }
  said(event: string, peer?: string): boolean {
    return this.log.some((it) => it.event === event && (!peer || it.fields.peer === peer));
  }
  /** Opens a stream to another subject. */
  async open(other: Subject, kind = CHAT): Promise<{ stream: Stream; ear: Ear }> {
    let ear: Ear;
    const stream = await this.world.settle(
      this.network.open(other.network.self, kind, (it) => ear = new Ear(this.world, it)),
    );
    return { stream, ear: ear! };
  }
}

/** The options of a server of the test instance, with the secret of its name. */
export function defaults(world: World, name: string): NetworkOptions {
  return {
    environment: world.environment(name, () => {}),
    secret: secretOf(name),
    universe: UNIVERSE,
    instance: INSTANCE,
    role: "server",
    listen: [world.listen],
    bootstrap: [],
  };
}

export function secretOf(name: string): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => name.charCodeAt(i % name.length) ^ i);
}

/** Two servers that met, the second answering `CHAT`. */
async function pair(world: World): Promise<[Subject, Subject]> {
  const b = await new Subject(world, { name: "b" }).listenTo().start();
  const a = await new Subject(world, { name: "a", bootstrap: [b.address] }).listenTo().start();
  await world.until("a and b meet", () => a.knows(b) && b.knows(a));
  return [a, b];
}

async function stop(...subjects: Subject[]): Promise<void> {
  for (const subject of subjects) await subject.world.settle(subject.network.stop());
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert(error instanceof NetworkError, String(error));
    return error.code;
  }
  return "no refusal";
}

async function oneBootstrapPeer(world: World): Promise<void> {
  const hub = await new Subject(world, { name: "hub" }).start();
  const roles: Role[] = ["server", "server", "aggregator", "client", "reader"];
  const others: Subject[] = [];
  for (const [i, role] of roles.entries()) {
    const listen = i < 3 ? [world.listen] : [];
    const options = { name: `n${i}`, role, listen, bootstrap: [hub.address] };
    others.push(await new Subject(world, options).start());
  }
  const told = [hub, ...others.slice(0, 3)];
  await world.until(
    "all know the hub, both servers and the aggregator",
    () => [hub, ...others].every((one) => told.every((it) => it === one || one.knows(it))),
  );
  const [, , , client, reader] = others;
  assert.deepEqual(client.network.peers("aggregator").map((it) => it.id), [
    others[2].network.self.id,
  ]);
  assert(!client.knows(reader) && !others[0].knows(client), "clients are told to nobody");
  assert.deepEqual(client.network.self.addresses, []);
  const ids = others[0].network.peers().map((peer) => peer.id);
  assert.deepEqual(ids, [...ids].sort());
  assert(others.every((it) => new Set(it.found.map((peer) => peer.id)).size === it.found.length));
  await stop(hub, ...others);
}

async function framesInOrder(world: World): Promise<void> {
  const [a, b] = await pair(world);
  const { stream, ear } = await a.open(b);
  const sizes = [0, 1, CHAT.maxFrame, 70_000, 0, 5, 65_536, 65_537];
  sizes.forEach((size, i) => assert(stream.send(new Uint8Array(size).fill(i + 1))));
  const [heard] = b.inbound;
  assert.equal(heard.stream.peer.id, a.network.self.id);
  for (let i = 0; i < 300; i++) heard.stream.send(Uint8Array.of(i, i >> 8));
  await world.until(
    "all frames arrive",
    () => heard.frames.length === sizes.length && ear.frames.length === 300,
  );
  assert.deepEqual(heard.frames.map((it) => it.length), sizes);
  heard.frames.forEach((it, i) => assert(it.every((byte) => byte === i + 1)));
  ear.frames.forEach((it, i) => assert.deepEqual([...it], [i & 255, i >> 8]));
  await stop(a, b);
}

async function frameOverLimit(world: World): Promise<void> {
  const [a, b] = await pair(world);
  const { stream, ear } = await a.open(b, { ...CHAT, maxFrame: CHAT.maxFrame + 1 });
  stream.send(new Uint8Array(3));
  stream.send(new Uint8Array(CHAT.maxFrame + 1));
  stream.send(new Uint8Array(4));
  await world.until(
    "both sides end",
    () => ear.ends.length === 1 && b.inbound[0].ends.length === 1,
  );
  assert.deepEqual(b.inbound[0].frames.map((it) => it.length), [3]);
  assert(b.said("frame over limit", a.network.self.id), "the peer is named");
  const own = await a.open(b);
  assert.equal(own.stream.send(new Uint8Array(CHAT.maxFrame + 1)), false);
  await world.until("own frame over the limit ends the stream", () => own.ear.ends.length === 1);
  await stop(a, b);
}

async function limitOfOwner(world: World): Promise<void> {
  const [a, b] = await pair(world);
  const { stream } = await a.open(b);
  const [heard] = b.inbound;
  heard.stream.limit(10);
  stream.send(new Uint8Array(10));
  await world.until("what fits arrives", () => heard.frames.length === 1);
  heard.stream.limit(2 * CHAT.maxFrame);
  stream.send(new Uint8Array(CHAT.maxFrame));
  await world.until("the limit was raised", () => heard.frames.length === 2);
  heard.stream.limit(10);
  stream.send(new Uint8Array(11));
  await world.until("one byte more ends it", () => heard.ends.length === 1);
  assert.match(heard.ends[0], /frame of 11 bytes, at most 10/);
  assert.equal(heard.frames.length, 2);
  await stop(a, b);
}

async function otherInstance(world: World): Promise<void> {
  const b = await new Subject(world, { name: "b" }).listenTo().start();
  const other = INSTANCE.slice();
  other[31] ^= 1; // the same protocol name, so that only the hello tells them apart
  const strangers = [
    { name: "u", universe: new Uint8Array(32).fill(0x33) },
    { name: "i", instance: other },
    { name: "j", instance: new Uint8Array(32).fill(0x44) },
  ];
  for (const stranger of strangers) {
    const a = new Subject(world, { ...stranger, bootstrap: [b.address] }).listenTo();
    await a.start();
    if (stranger.name === "u") {
      await world.until("the bootstrap peer refuses", () => a.said("peer not reached"));
    } else {
      const { id } = b.network.self;
      await world.until("it is of this universe", () => !!a.network.catalog.get(id));
      assert.deepEqual(a.network.census().bootstrap, { tried: 1, answered: 1, failures: [] });
      assert.deepEqual([a.network.census().universe, a.network.census().instance], [1, 0]);
    }
    assert.equal(await refusal(a.open(b)), "refused");
    assert.deepEqual([a.network.peers(), a.found, a.inbound], [[], [], []]);
    if (stranger.name !== "j") assert(b.said("stream refused", a.network.self.id));
    await stop(a);
  }
  assert.deepEqual([b.network.peers(), b.found, b.inbound], [[], [], []]);
  await stop(b);
}

async function refusedKind(world: World): Promise<void> {
  const b = new Subject(world, { name: "b" });
  b.network.serve(CHAT, () => undefined);
  b.network.serve({ ...CHAT, name: "broken" }, () => {
    throw new Error("no such thing");
  });
  await b.start();
  const a = await new Subject(world, { name: "a" }).start();
  for (const name of ["chat", "broken", "unheard-of"]) {
    assert.equal(await refusal(a.open(b, { ...CHAT, name })), "refused", name);
  }
  assert.equal(await refusal(a.open(a)), "address");
  const ghost = { ...identity(secretOf("ghost")), role: "server" as Role, addresses: [] };
  const attempt = a.network.open(ghost, CHAT, (it) => new Ear(world, it));
  assert.equal(await refusal(world.settle(attempt)), "unreachable");
  await stop(a, b);
}

async function slowReader(world: World): Promise<void> {
  const [a, b] = await pair(world);
  const { stream, ear } = await a.open(b);
  const frame = new Uint8Array(CHAT.maxFrame);
  let sent = 0;
  while (sent < 1_000 && stream.send(frame)) sent++;
  assert(sent >= 3 && sent < 200, `cut after ${sent} frames`);
  await world.until(
    "both sides end",
    () => ear.ends.length === 1 && b.inbound[0].ends.length === 1,
  );
  assert(a.said("slow reader cut", b.network.self.id));
  await stop(a, b);
}

async function perPeer(world: World): Promise<void> {
  const [a, b] = await pair(world);
  const opened = [];
  for (let i = 0; i < CHAT.maxPerPeer; i++) opened.push(await a.open(b));
  assert.equal(await refusal(a.open(b)), "refused");
  assert(b.said("stream refused", a.network.self.id));
  opened[0].stream.close();
  await world.until("b hears the end", () => b.inbound[0].ends.length === 1);
  await a.open(b);
  await stop(a, b);
}

async function closing(world: World): Promise<void> {
  const [a, b] = await pair(world);
  const { stream, ear } = await a.open(b);
  for (let i = 0; i < 50; i++) b.inbound[0].stream.send(new Uint8Array(10));
  stream.send(new Uint8Array(7));
  stream.close("done");
  stream.close("again");
  assert.equal(stream.send(new Uint8Array(1)), false);
  await world.until(
    "both sides end",
    () => ear.ends.length === 1 && b.inbound[0].ends.length === 1,
  );
  await a.open(b); // a round trip later
  assert.deepEqual(ear.ends, ["done"]);
  assert.deepEqual(b.inbound[0].frames.map((it) => it.length), [7], "what was sent before arrives");
  assert.equal(b.inbound[0].ends.length, 1);
  assert.equal(ear.late + b.inbound[0].late, 0);
  assert.equal(b.inbound[0].stream.send(new Uint8Array(1)), false);
  await stop(a, b);
}

async function throwing(world: World): Promise<void> {
  const [a, b] = await pair(world);
  const quiet = await a.open(b);
  const ear = (await a.open(b)).ear;
  const bad = b.inbound[1];
  bad.frame = () => {
    throw new Error("a listener's mistake");
  };
  ear.stream.send(new Uint8Array(1));
  ear.stream.send(new Uint8Array(1));
  await world.until("both sides end", () => ear.ends.length === 1 && bad.ends.length === 1);
  assert.deepEqual(bad.ends, ["a listener's mistake"]);
  assert(b.said("stream failed", a.network.self.id));
  quiet.stream.send(new Uint8Array(2));
  await world.until("the other stream lives", () => b.inbound[0].frames.length === 1);
  await stop(a, b);
}

async function restart(world: World): Promise<void> {
  const [a, b] = await pair(world);
  const { ear } = await a.open(b);
  const client = { name: "c", role: "client" as Role, listen: [], bootstrap: [a.address] };
  const c = await new Subject(world, client).start();
  await world.until("the client is told of b", () => c.knows(b));
  const old = b.address;
  await stop(b);
  await world.until("a hears the end", () => ear.ends.length === 1);
  assert(a.knows(b), "who was met stays known");
  const again = new Subject(world, { name: "b", bootstrap: [a.address] }).listenTo();
  await again.start();
  await world.until("a and b meet again", () => again.knows(a) && a.said("peer lost"));
  await world.until("its own word replaces the address", () => {
    const known = a.network.peers("server").find((it) => it.id === again.network.self.id);
    return known?.addresses[0] === again.address;
  });
  assert(old.length > 0);
  const second = await a.open(again);
  second.stream.send(new Uint8Array(1));
  await world.until("the restarted peer hears a", () => again.inbound[0]?.frames.length === 1);
  await stop(a, again, c);
}

async function bootstrapRestart(world: World): Promise<void> {
  const hub = await new Subject(world, { name: "hub" }).start();
  const a = new Subject(world, { name: "a", bootstrap: [hub.address], role: "client", listen: [] });
  await a.start();
  await world.until("a meets the hub", () => a.knows(hub));
  const { address } = hub;
  await stop(hub);
  await world.until("a loses the hub", () => a.said("peer lost"));
  const again = new Subject(world, { name: "hub", listen: [address.replace(/\/p2p\/.*/, "")] });
  await again.start();
  await world.until("a meets it again", () => again.knows(a));
  await stop(again, a);
}

async function stopping(world: World): Promise<void> {
  const [a, b] = await pair(world);
  const { ear } = await a.open(b);
  await Promise.all([stop(a), stop(a)]);
  await stop(a);
  assert.deepEqual(ear.ends, ["the node stopped"]);
  assert.equal(ear.stream.send(new Uint8Array(1)), false);
  assert.equal(await refusal(a.open(b)), "stopped");
  await world.until("b hears the end", () => b.inbound[0].ends.length === 1);
  const unstarted = new Subject(world, { name: "z" });
  await stop(unstarted, b);
}

async function garbage(world: World): Promise<void> {
  const b = await new Subject(world, { name: "b" }).listenTo().start();
  const stranger = defaults(world, "stranger");
  const transport = world.transport(stranger);
  await world.settle(transport.listen([]));
  const firsts = [new Uint8Array(0), new Uint8Array(65), new Uint8Array(500).fill(9)];
  firsts.push(new Uint8Array(50_000));
  for (const [i, first] of firsts.entries()) {
    const signal = new AbortController().signal;
    const target = { key: b.network.self.key, addresses: [b.address] };
    const opening = transport.open(target, protocolOf(INSTANCE, CHAT), signal);
    const link = await world.settle(opening);
    let closed = 0;
    link.events = {
      frame: () => closed = -9,
      oversize() {},
      closed: () => (closed++, world.poke()),
    };
    link.send(first);
    await world.until("garbage ends the stream", () => closed === 1);
    const named = b.log.filter((it) => it.fields.peer === identity(stranger.secret).id);
    assert.equal(named.length, i + 1);
  }
  assert.deepEqual([b.network.peers(), b.inbound], [[], []]);
  await transport.stop();
  await stop(b);
}

async function badStart(world: World): Promise<void> {
  const b = await new Subject(world, { name: "b" }).start();
  const listen = [b.address.replace(/\/p2p\/.*/, "")];
  const taken = new Subject(world, { name: "a", listen });
  assert.equal(await refusal(taken.start()), "listen");
  const malformed = new Subject(world, { name: "a", bootstrap: ["127.0.0.1:80"] });
  assert.equal(await refusal(malformed.start()), "address");
  await stop(taken, malformed, b);
}

/** Registers the suite for a column; `world` makes one universe per case. */
export function conformance(column: string, world: () => World): void {
  const cases: [string, (world: World) => Promise<void>][] = [
    ["one bootstrap peer is enough to find all", oneBootstrapPeer],
    ["frames of every size arrive whole and in order", framesInOrder],
    ["a frame over the limit is refused and its peer named", frameOverLimit],
    ["the owner of a stream may bound its frames more tightly", limitOfOwner],
    ["another universe or instance finds nobody", otherInstance],
    ["a kind that is refused or not served rejects", refusedKind],
    ["a slow reader is cut at maxBuffered", slowReader],
    ["one peer may open maxPerPeer streams", perPeer],
    ["an end is heard once on both sides and nothing after it", closing],
    ["a listener that throws ends its stream alone", throwing],
    ["a peer that restarts elsewhere is found again", restart],
    ["a bootstrap peer that restarts is met again", bootstrapRestart],
    ["stop can be called again and ends everything", stopping],
    ["garbage in place of a hello names the peer and ends the stream", garbage],
    ["an address in use or malformed is an error of its own", badStart],
  ];
  for (const [name, run] of cases) Deno.test(`${column}: ${name}`, () => run(world()));
}
