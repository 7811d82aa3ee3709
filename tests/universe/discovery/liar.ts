/** A node that keeps to the layouts and to nothing else. Simulated universe only. */
import { CATALOG } from "../../../src/universe/discovery/session.ts";
import { topicOf } from "../../../src/universe/discovery/announce.ts";
import { encodeItems, encodeSummary, type Item } from "../../../src/universe/discovery/digest.ts";
import { encodeHello } from "../../../src/universe/hello.ts";
import { identity, universeProtocolOf } from "../../../src/universe/node.ts";
import type { Gossip, Link, Transport } from "../../../src/universe/transport.ts";
import {
  defaults,
  INSTANCE,
  secretOf,
  type Subject,
  UNIVERSE,
  type World,
} from "../conformance.ts";

/** See the module. */
export class Liar {
  readonly id: string;
  readonly heard: Uint8Array[] = [];
  closed = 0;
  #link: Link | undefined;

  private constructor(
    readonly world: World,
    readonly transport: Transport,
    readonly gossip: Gossip,
    name: string,
  ) {
    this.id = identity(secretOf(name)).id;
  }

  static async start(world: World, name = "liar"): Promise<Liar> {
    const transport = world.transport(defaults(world, name));
    await world.settle(transport.listen([]));
    const gossip = transport.gossip!(topicOf(UNIVERSE), {
      message: () => "ignore",
      neighbour() {},
    });
    return new Liar(world, transport, gossip, name);
  }

  /** Opens a session with a node and says hello. */
  async meet(node: Subject): Promise<void> {
    const target = { key: node.network.self.key, addresses: [node.address] };
    const protocol = universeProtocolOf(UNIVERSE, CATALOG);
    const opening = this.transport.open(target, protocol, new AbortController().signal);
    const link = await this.world.settle(opening);
    link.limit = CATALOG.maxFrame;
    link.events = {
      frame: (bytes) => void this.heard.push(bytes),
      oversize() {},
      closed: () => void this.closed++,
    };
    const said = { universe: UNIVERSE, instance: INSTANCE, role: "server" as const };
    link.send(encodeHello({ ...said, addresses: [] }));
    this.#link = link;
    const before = [this.heard.length, this.closed];
    await this.world.until(
      "a hello, or none",
      () => this.heard.length > before[0] || this.closed > before[1],
    );
  }

  /** Hands over items on the session. */
  tell(items: readonly Item[]): void {
    for (const frame of encodeItems(items)) this.#link!.send(frame);
  }

  send(frame: Uint8Array): void {
    this.#link!.send(frame);
  }

  /** Asks to compare. */
  summary(): void {
    this.send(encodeSummary(false, Array(16).fill(new Uint8Array(32))));
  }
}
