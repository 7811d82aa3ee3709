/**
 * Gossip over libp2p: gossipsub among nodes that listen. A node that listens at nothing has none: it
 * would take a place in a neighbour's mesh and hand nothing on; it learns by comparing catalogs.
 *
 * - Messages carry neither author nor signature (`StrictNoSign`): what is gossiped is signed by
 *   itself and checked by who hears it. A message is known by the hash of its bytes, so that nobody
 *   makes an old one travel again under a new number, and who began it is not told.
 * - A rejected message scores its sender down: one takes it out of the mesh, three silence it until
 *   the faults have faded. There is no score for sharing an address (many nodes may stand behind
 *   one) and none to be earned, which could be saved up for mischief.
 * - No peers are exchanged and nothing is flooded: a message goes to the mesh, at most `D_HIGH`.
 */
import type { GossipSub, gossipsub, TopicValidatorResult } from "@libp2p/gossipsub";
import type { PeerId } from "@libp2p/interface";
import { hex } from "../protocol/bytes.ts";
import type { Clock } from "./environment.ts";
import type { Gossip, GossipEvents, Verdict } from "./transport.ts";

/** Longest message, in bytes. */
export const MAX_GOSSIP = 8_192;
/** Longest frame of gossipsub, which may hold many messages that were asked for. */
const MAX_RPC = 1_048_576;
/** Neighbours that pass messages on to each other: wanted, at least, at most. */
const D = 6, D_LOW = 4, D_HIGH = 12;
/** Topics that a peer may name to us, in the bytes by which gossipsub counts them. */
const MAX_TOPIC_BYTES = 16 * 1_200;
/** Items of one frame. */
const MAX_ITEMS = 256;
/** Peers whose rejected messages are remembered. */
const MAX_FAULTY = 1_024;
/** After it half of a peer's faults are forgotten, in milliseconds. */
const FADE_MS = 60_000;

/** All topics of one node. */
export class GossipTopics {
  readonly #topics = new Map<string, GossipEvents>();
  readonly #faults: Faults;
  /** gossipsub's names for the verdicts. */
  #verdicts!: Record<Verdict, TopicValidatorResult>;
  #made: GossipSub | undefined;
  /** The service, once it runs. */
  #router: GossipSub | undefined;

  constructor(clock: Clock) {
    this.#faults = new Faults(clock);
  }

  /** What makes the service of libp2p; called once. Nodes without gossip never load its package. */
  async service(): Promise<ReturnType<typeof gossipsub>> {
    const { gossipsub, StrictNoSign, TopicValidatorResult: verdicts } = await import(
      "@libp2p/gossipsub"
    );
    this.#verdicts = {
      accept: verdicts.Accept,
      ignore: verdicts.Ignore,
      reject: verdicts.Reject,
    };
    const make = gossipsub({
      globalSignaturePolicy: StrictNoSign,
      fallbackToFloodsub: false,
      floodPublish: false,
      doPX: false,
      tagMeshPeers: false,
      allowPublishToZeroTopicPeers: true,
      ignoreDuplicatePublishError: true,
      D,
      Dlo: D_LOW,
      Dhi: D_HIGH,
      maxInboundStreams: 2,
      maxOutboundStreams: 2,
      maxInboundDataLength: MAX_RPC,
      maxTopicBytesPerPeer: MAX_TOPIC_BYTES,
      decodeRpcLimits: {
        maxSubscriptions: MAX_ITEMS,
        maxMessages: MAX_ITEMS,
        maxIhaveMessageIDs: MAX_ITEMS,
        maxIwantMessageIDs: MAX_ITEMS,
        maxIdontwantMessageIDs: MAX_ITEMS,
        maxControlMessages: MAX_ITEMS,
        maxPeerInfos: 1,
      },
      dataTransform: {
        // Refuses before anything is hashed or kept.
        inboundTransform: (topic, data) => {
          if (!this.#topics.has(topic)) throw new Error("not a topic of this node");
          if (data.length > MAX_GOSSIP) throw new Error(`over ${MAX_GOSSIP} bytes`);
          return data;
        },
        outboundTransform: (_, data) => data,
      },
      scoreParams: {
        appSpecificScore: (peer) => -this.#faults.of(peer),
        appSpecificWeight: 40,
        IPColocationFactorWeight: 0,
        retainScore: 10 * FADE_MS,
      },
    });
    return (components) => {
      const router = make(components);
      router.addEventListener("subscription-change", ({ detail }) => {
        const id = idOf(detail.peerId);
        if (id === undefined) return;
        for (const { topic, subscribe } of detail.subscriptions) {
          if (subscribe) this.#topics.get(topic)?.neighbour(id);
        }
      });
      return this.#made = router;
    };
  }

  /** Joins a topic, or takes up one that was joined before the node ran. */
  join(topic: string, events: GossipEvents): Gossip {
    if (this.#topics.has(topic)) throw new TypeError(`${topic} was joined already`);
    this.#topics.set(topic, events);
    const router = () => this.#topics.get(topic) === events ? this.#router : undefined;
    this.#enter(topic);
    return {
      get neighbours() {
        return router()?.getSubscribers(topic).length ?? 0;
      },
      publish: (message) => {
        if (message.length > MAX_GOSSIP) return;
        router()?.publish(topic, message).catch(() => {}); // nobody is there, or the node stopped
      },
      leave: () => {
        const left = router();
        if (this.#topics.get(topic) === events) this.#topics.delete(topic);
        left?.topicValidators.delete(topic);
        left?.unsubscribe(topic);
      },
    };
  }

  /** The node runs. */
  start(): void {
    this.#router = this.#made;
    for (const topic of this.#topics.keys()) this.#enter(topic);
  }

  /** Whether a peer is a neighbour on any topic. */
  knows(peer: PeerId): boolean {
    for (const topic of this.#topics.keys()) {
      if (this.#router?.getSubscribers(topic).some((it) => it.equals(peer))) return true;
    }
    return false;
  }

  #enter(topic: string): void {
    const router = this.#router;
    if (router === undefined || router.getTopics().includes(topic)) return;
    router.topicValidators.set(topic, (peer, { data }) => {
      const events = this.#topics.get(topic), id = idOf(peer);
      if (events === undefined || id === undefined) return this.#verdicts.ignore;
      // gossipsub hands over Buffers, whose `slice` is a view.
      const verdict = events.message(new Uint8Array(data), id);
      if (verdict === "reject") this.#faults.add(peer.toString());
      return this.#verdicts[verdict];
    });
    router.subscribe(topic);
  }
}

/** Rejected messages by peer, fading. */
export class Faults {
  readonly #faults = new Map<string, { count: number; at: number }>();

  constructor(readonly clock: Clock) {}

  /** Counts one more; the peer that was least lately at fault makes room. */
  add(peer: string): void {
    const count = this.of(peer) + 1;
    this.#faults.delete(peer);
    if (this.#faults.size >= MAX_FAULTY) this.#faults.delete(this.#faults.keys().next().value!);
    this.#faults.set(peer, { count, at: this.clock.now() });
  }

  /** What is left of a peer's faults; 0 once less than half a fault is. */
  of(peer: string): number {
    const fault = this.#faults.get(peer);
    if (fault === undefined) return 0;
    const left = fault.count * 2 ** ((fault.at - this.clock.now()) / FADE_MS);
    return left < 0.5 ? 0 : left;
  }
}

function idOf(peer: PeerId): string | undefined {
  return peer.type === "Ed25519" ? hex(peer.publicKey.raw) : undefined;
}
