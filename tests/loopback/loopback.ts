/** Real loopback as a world for the suites of this folder. */
import type { Environment } from "../../src/universe/environment.ts";
import { libp2pNetwork, libp2pTransport } from "../../src/universe/libp2p.ts";
import type { NetworkOptions } from "../../src/universe/node.ts";
import type {
  Gossip,
  GossipEvents,
  Link,
  Transport,
  Verdict,
} from "../../src/universe/transport.ts";
import { INSTANCE, secretOf, UNIVERSE, type World } from "../universe/conformance.ts";

/** How long a case may wait for one condition. */
const BOUND_MS = 20_000;
/** How often it looks where nothing tells it to. */
const LOOK_MS = 20;

/** Real time whose timers run `speed` times as fast. */
export function clockOf(speed = 1): Environment["clock"] {
  return {
    now: () => Date.now(),
    wall: () => Date.now(),
    after(ms, task) {
      const timer = setTimeout(task, ms / speed);
      return () => clearTimeout(timer);
    },
  };
}

const clock = clockOf();

/** An environment over real time. */
export function environmentOf(
  speed = 1,
  observe: Environment["observe"] = () => {},
): Environment {
  return {
    clock: clockOf(speed),
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    observe,
  };
}

/** Waits for a condition; fails, naming it. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + BOUND_MS;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`within ${BOUND_MS} ms: ${what}`);
    await new Promise((resolve) => clock.after(LOOK_MS, () => resolve(undefined)));
  }
}

/** A universe over loopback. */
export function loopback(): World {
  const waiting = new Set<() => void>();
  return {
    listen: "/ip4/127.0.0.1/tcp/0",
    environment: (_, observe) => environmentOf(1, observe),
    network: libp2pNetwork,
    transport: libp2pTransport,
    settle: (promise) => promise,
    poke() {
      // The condition may depend on what the caller does right after.
      for (const look of [...waiting]) queueMicrotask(look);
    },
    until(what, condition) {
      if (condition()) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const look = () => {
          if (!condition()) return;
          waiting.delete(look);
          cancel();
          resolve();
        };
        const cancel = clock.after(BOUND_MS, () => {
          waiting.delete(look);
          reject(new Error(`within ${BOUND_MS} ms: ${what}`));
        });
        waiting.add(look);
      });
    },
  };
}

const TALK = "/zipnet/test/talk";

/** A bare transport, what it hears on one topic, and its links. */
export class Peer implements AsyncDisposable {
  readonly heard: string[] = [];
  readonly met: string[] = [];
  readonly links: Link[] = [];
  verdict: Verdict = "accept";
  /** Whether all that was heard was a plain array of its own. */
  plain = true;
  topic!: Gossip;
  addresses: string[] = [];
  readonly transport: Transport;

  constructor(name: string, options: Partial<NetworkOptions> = {}, speed = 1) {
    this.transport = libp2pTransport({
      environment: environmentOf(speed),
      secret: secretOf(name),
      universe: UNIVERSE,
      instance: INSTANCE,
      role: "server",
      listen: ["/ip4/127.0.0.1/tcp/0"],
      ...options,
    });
    this.#listen = options.listen ?? ["/ip4/127.0.0.1/tcp/0"];
    this.transport.handle(TALK, 8, (link) => this.#hold(link));
  }
  readonly #listen: readonly string[];

  async start(): Promise<this> {
    this.addresses = await this.transport.listen(this.#listen);
    return this;
  }

  join(topic: string): this {
    const events: GossipEvents = {
      message: (bytes) => {
        this.heard.push(new TextDecoder().decode(bytes));
        this.plain &&= bytes.constructor === Uint8Array && bytes.buffer.byteLength === bytes.length;
        return this.verdict;
      },
      neighbour: (id) => void this.met.push(id),
    };
    this.topic = this.transport.gossip!(topic, events);
    return this;
  }

  say(text: string): void {
    this.topic.publish(new TextEncoder().encode(text));
  }

  /** Opens a link to another. */
  async link(to: Peer): Promise<Link> {
    const abort = new AbortController();
    const link = await this.transport.open({ addresses: to.addresses }, TALK, abort.signal);
    this.#hold(link);
    return link;
  }

  #hold(link: Link): void {
    link.limit = 1_000;
    link.events = { frame: () => {}, oversize: () => {}, closed: () => {} };
    this.links.push(link);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport.stop();
  }
}
