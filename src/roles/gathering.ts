/**
 * How a server comes to its committee: it meets every server of its instance behind the gate, and
 * forms the manifest with them (`src/committee/genesis.ts`), or is handed the one that stands. It
 * goes on answering once the committee stands: members that lost the manifest, and whoever wants to
 * know who the committee is.
 */
import { maxEvidenceBytes } from "../committee/evidence.ts";
import { type Formed, Genesis, type GenesisOptions, MAX_CANDIDATES } from "../committee/genesis.ts";
import { hex } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { serverIndex } from "../protocol/manifest.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream, StreamEvents } from "../universe/network.ts";
import type { Gate } from "./admission.ts";
import { Refused } from "./errors.ts";
import { Link } from "./link.ts";
import { GENESIS, MAX_COMMITTEE_FRAME, SERVER_REGISTRY } from "./streams.ts";

/** How often it looks at the time. */
const TICK_MS = 500;
/** How often a server that waits says so. */
const REMIND_MS = 60_000;

/** What a gathering is made of. */
export interface GatheringOptions
  extends Pick<GenesisOptions, "instance" | "signer" | "size" | "parameters" | "store"> {
  readonly network: Network;
  readonly environment: Environment;
  readonly gate: Gate;
  /** How often it says what it waits for; a minute unless given. */
  readonly remindMs?: number;
  /** The committee stands; called once. */
  readonly formed: (formed: Formed) => void;
  /** This server cannot go on: `Refused`, or what the store or `formed` threw. */
  readonly failed: (error: unknown) => void;
}

/** See the module comment. */
export class Gathering {
  readonly #genesis: Genesis;
  readonly #links = new Map<string, Link>();
  /** Open streams by peer: two where both have dialed. */
  readonly #streams = new Map<string, Set<Stream>>();
  /** Those who asked for the committee before it stood. */
  readonly #curious = new Set<Stream>();
  #unsubscribe = () => {};
  #cancel = () => {};
  #lastSign: number;
  #over = false;

  constructor(readonly options: GatheringOptions) {
    const evidence = maxEvidenceBytes(options.parameters, options.size);
    if (evidence >= MAX_COMMITTEE_FRAME) {
      throw new ProtocolError(
        "range",
        `servers would send each other up to ${evidence} bytes at once, expected below ` +
          `${MAX_COMMITTEE_FRAME}: lower maxVectorBytes or the number of servers`,
      );
    }
    this.#lastSign = options.environment.clock.now();
    this.#genesis = new Genesis({
      ...options,
      broadcast: (frame) => {
        for (const streams of this.#streams.values()) {
          for (const stream of streams) stream.send(frame);
        }
      },
      formed: (formed) => this.#formed(formed),
      refused: (reason) => this.#refused(reason),
    });
  }

  /** Begins, once the network is up. `formed` may be called before this returns. */
  start(): void {
    const { network, gate } = this.options;
    this.#guard(() => this.#genesis.begin());
    gate.serve(
      GENESIS,
      ({ role }) => role === "server" ? undefined : `${role}s are not of the committee`,
      (stream) => this.#events(stream),
    );
    network.serve(SERVER_REGISTRY, (stream) => {
      this.#curious.add(stream);
      this.#handOut();
      return {
        frame: () => stream.close("nothing is expected here"),
        closed: () => this.#curious.delete(stream),
      };
    });
    if (this.#over) return;
    this.#unsubscribe = network.onPeer((peer) => this.#meet(peer));
    this.#tick();
  }

  /** Stops; the network is the caller's to stop. */
  stop(): void {
    this.#over = true;
    this.#cancel();
    this.#unsubscribe();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  #tick(): void {
    const { clock, observe } = this.options.environment;
    this.#cancel = clock.after(TICK_MS, () => this.#tick());
    this.#guard(() => this.#genesis.tick());
    if (this.#over || clock.now() - this.#lastSign < (this.options.remindMs ?? REMIND_MS)) return;
    this.#lastSign = clock.now();
    observe("info", "waiting", { for: this.#genesis.waitsFor });
  }

  /** Keeps a stream to a server. Both sides dial: one of them may have what the other lost. */
  #meet({ id, role }: Peer): void {
    if (role !== "server" || this.#links.has(id) || this.#links.size >= MAX_CANDIDATES) return;
    const { network, gate, environment: { clock } } = this.options;
    this.#links.set(
      id,
      new Link({
        network,
        clock,
        kind: GENESIS,
        candidates: () => network.peers("server").filter((it) => it.id === id && gate.ready(it)),
        events: gate.dialing(GENESIS, (stream) => this.#events(stream)),
      }),
    );
  }

  /** A server has proven the secret. */
  #events(stream: Stream): StreamEvents {
    const { id, key } = stream.peer;
    const streams = this.#streams.get(id) ?? new Set();
    this.#streams.set(id, streams.add(stream));
    this.#tellOutsider(stream.peer);
    for (const frame of this.#genesis.greeting()) stream.send(frame);
    this.#guard(() => this.#genesis.connected(key));
    return {
      frame: (bytes) => this.#guard(() => this.#genesis.receive(key, bytes)),
      closed: () => {
        streams.delete(stream);
        if (streams.size > 0) return;
        this.#streams.delete(id);
        this.#guard(() => this.#genesis.disconnected(key));
      },
    };
  }

  #tellOutsider({ id, key }: Peer): void {
    const { committee } = this.#genesis;
    if (!committee || serverIndex(committee.manifest, key) >= 0) return;
    this.options.environment.observe("warn", "server refused", {
      peer: id,
      reason: "it knows the secret and is not in the committee",
    });
  }

  #formed(formed: Formed): void {
    const { manifest } = formed;
    this.stop();
    this.options.environment.observe("info", "committee formed", {
      fingerprint: hex(manifest.fingerprint),
      servers: manifest.servers.length,
    });
    this.#handOut();
    try {
      this.options.formed(formed);
    } catch (error) {
      this.options.failed(error);
    }
  }

  /** Hands the signed manifest to whoever asked for it. */
  #handOut(): void {
    const { committee } = this.#genesis;
    if (!committee) return;
    for (const stream of this.#curious) stream.send(committee.lineage);
    this.#curious.clear();
  }

  #refused(reason: string): void {
    this.#fail(new Refused(`this server cannot join its committee: ${reason}`));
  }

  /** What a peer sent wrongly ends its stream; anything else, such as a full disk, ends this server. */
  #guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.stop();
    this.options.failed(error);
  }
}
