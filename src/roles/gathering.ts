/**
 * How a server comes to its committee and moves on with it: it keeps streams behind the gate to
 * every server of its instance, over which they form the manifest and make its next epochs
 * (`src/committee/membership.ts`). To anyone it hands out the lineage, now and whenever it grows.
 */
import { maxEvidenceBytes } from "../committee/evidence.ts";
import type { Formed } from "../committee/formed.ts";
import type { Seat } from "../committee/change.ts";
import { MAX_CANDIDATES, Membership, type MembershipOptions } from "../committee/membership.ts";
import { hex } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { serverIndex } from "../protocol/manifest.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream, StreamEvents, StreamKind } from "../universe/network.ts";
import type { Gate } from "./admission.ts";
import { Refused } from "./errors.ts";
import { Link } from "./link.ts";
import { genesisStream, MAX_COMMITTEE_FRAME, SERVER_REGISTRY } from "./streams.ts";

/** How often it looks at the time, and whether the operator wishes anything. */
const TICK_MS = 100;
/** How often a server that waits says so. */
const REMIND_MS = 60_000;

/** What a gathering is made of. */
export interface GatheringOptions extends
  Pick<
    MembershipOptions,
    "instance" | "signer" | "size" | "parameters" | "store" | "wish"
  > {
  readonly network: Network;
  readonly environment: Environment;
  readonly gate: Gate;
  /** How often it says what it waits for; a minute unless given. */
  readonly remindMs?: number;
  /** An epoch stands of which this server is a member: it runs in it from now on. */
  readonly stands: (formed: Formed) => Seat;
  /** An epoch stands without this server. */
  readonly without?: (formed: Formed) => void;
  /** This server cannot go on: `Refused`, or what the store or `stands` threw. */
  readonly failed: (error: unknown) => void;
}

/** See the module comment. */
export class Gathering {
  readonly #membership: Membership;
  readonly #kind: StreamKind;
  readonly #links = new Map<string, Link>();
  /** Open streams by peer: two where both have dialed. */
  readonly #streams = new Map<string, Set<Stream>>();
  /** Those who want to know the committee. */
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
    this.#kind = genesisStream(options.parameters);
    this.#lastSign = options.environment.clock.now();
    this.#membership = new Membership({
      ...options,
      broadcast: (frame) => {
        for (const streams of this.#streams.values()) {
          for (const stream of streams) stream.send(frame);
        }
      },
      stands: (formed) => {
        this.#tell(formed, "committee formed");
        return options.stands(formed);
      },
      without: (formed) => {
        this.#tell(formed, "not in the committee");
        options.without?.(formed);
      },
      refused: (reason) => this.#refused(reason),
    });
  }

  /** Begins, once the network is up. `stands` may be called before this returns. */
  start(): void {
    const { network, gate } = this.options;
    this.#guard(() => this.#membership.begin());
    gate.serve(
      this.#kind,
      ({ role }) => role === "server" ? undefined : `${role}s are not of the committee`,
      (stream) => this.#events(stream),
    );
    network.serve(SERVER_REGISTRY, (stream) => {
      this.#curious.add(stream);
      stream.limit(0);
      const { committee } = this.#membership;
      if (committee) stream.send(committee.lineage);
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
    this.#guard(() => this.#membership.tick());
    if (this.#over) return;
    this.#cancel = clock.after(TICK_MS, () => this.#tick());
    if (clock.now() - this.#lastSign < (this.options.remindMs ?? REMIND_MS)) return;
    this.#lastSign = clock.now();
    const { waitsFor } = this.#membership;
    if (waitsFor !== undefined) observe("info", "waiting", { for: waitsFor });
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
        kind: this.#kind,
        candidates: () => network.peers("server").filter((it) => it.id === id && gate.ready(it)),
        events: gate.dialing(this.#kind, (stream) => this.#events(stream)),
      }),
    );
  }

  /** A server has proven the secret. */
  #events(stream: Stream): StreamEvents {
    const { id, key } = stream.peer;
    const streams = this.#streams.get(id) ?? new Set();
    this.#streams.set(id, streams.add(stream));
    this.#tellOutsider(stream.peer);
    for (const frame of this.#membership.greeting()) stream.send(frame);
    this.#guard(() => this.#membership.connected(key));
    return {
      frame: (bytes) => this.#guard(() => this.#membership.receive(key, bytes)),
      closed: () => {
        streams.delete(stream);
        if (streams.size > 0) return;
        this.#streams.delete(id);
        this.#guard(() => this.#membership.disconnected(key));
      },
    };
  }

  #tellOutsider({ id, key }: Peer): void {
    const { committee } = this.#membership;
    if (!committee || serverIndex(committee.manifest, key) >= 0) return;
    this.options.environment.observe("warn", "server refused", {
      peer: id,
      reason: "it knows the secret and is not in the committee",
    });
  }

  #tell({ manifest, lineage }: Formed, event: string): void {
    this.options.environment.observe("info", event, {
      fingerprint: hex(manifest.fingerprint),
      epoch: manifest.epoch,
      servers: manifest.servers.length,
    });
    for (const stream of this.#curious) stream.send(lineage);
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
