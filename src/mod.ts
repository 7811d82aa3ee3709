/**
 * zipnet: an anonymous broadcast channel. Many publish to one shared log; nobody can tell who wrote
 * what while one committee server is honest.
 *
 * Importing this module has no effect and needs no permission; the network is loaded when it is
 * first used. The examples run on a simulated instance, over virtual time; on a real one, leave out
 * `simulate`, `settle` and `binding`, and name a `bootstrap` peer.
 *
 * @example Publish and read
 * ```ts
 * import { simulate, Zipnet } from "zipnet";
 *
 * const world = await simulate({ seed: 1, clients: 3 });
 * const zipnet = Zipnet.bind("mosaik.universe", "simulated", world.binding("me"));
 * const submitter = await world.settle(zipnet.submitter());
 * const reader = await world.settle(zipnet.reader());
 *
 * const { outcome } = submitter.send(new TextEncoder().encode("hello"));
 * const landed = await world.settle(outcome);
 * const { value } = await world.settle(reader[Symbol.asyncIterator]().next());
 * if (landed.kind !== "landed" || new TextDecoder().decode(value.payload) !== "hello") throw landed;
 * await world.settle(zipnet.close());
 * ```
 *
 * @module
 */
import { systemClock, systemRandom } from "./ops/system.ts";
import type { Message } from "./protocol/chain.ts";
import { hex } from "./protocol/bytes.ts";
import { signer } from "./protocol/keys.ts";
import { encodeCertified } from "./protocol/record.ts";
import { DEFAULT_UNIVERSE, instanceId, nodeSeed, universeId } from "./protocol/names.ts";
import { Client } from "./roles/client.ts";
import { type BindOptions, join, type Joined } from "./roles/binding.ts";
import { Protocol, Refused, Shutdown, WrongUniverse } from "./roles/errors.ts";
import type { SendOptions, Submission } from "./roles/outbox.ts";
import { Backlog } from "./roles/queue.ts";
import { ReaderRole, type Seen } from "./roles/reader.ts";
import { Mirror } from "./roles/mirror.ts";
import type { Environment } from "./universe/environment.ts";
import type { Role } from "./universe/network.ts";

export {
  Attestation,
  ConnectTimeout,
  Protocol,
  Refused,
  Shutdown,
  WrongUniverse,
  ZipnetError,
} from "./roles/errors.ts";
export type { ZipnetErrorName } from "./roles/errors.ts";
export type { BindOptions, Measurements } from "./roles/binding.ts";
export type { Outcome, Progress, SendOptions, Submission } from "./roles/outbox.ts";
export type { Message } from "./protocol/chain.ts";
export type { Counts, Traffic } from "./universe/limits.ts";
export type {
  CatalogEvent,
  CatalogView,
  OwnEntry,
  PeerInfo,
  WatchedCatalog,
} from "./universe/discovery/view.ts";
export type { Clock, Environment, Fields, Level, Observe, Random } from "./universe/environment.ts";
export type {
  Accept,
  Census,
  Network,
  Peer,
  Role,
  Stream,
  StreamEvents,
  StreamKind,
} from "./universe/network.ts";

/** A certified record that was verified, with what landed in it. */
export interface PublishedRecord {
  /** Rises from record to record; a number that is skipped is a void round. */
  readonly round: number;
  /** Unix ms at the leader that opened the round. */
  readonly time: number;
  /** Hash of the record, 64 hex digits. */
  readonly hash: string;
  /** Hash of the record before it. */
  readonly previous: string;
  /** Clients that took part. */
  readonly participants: number;
  /** What landed, in slot order. */
  readonly messages: readonly Message[];
  /** The certified record, as `src/protocol/README.md` lays it out: all that others need to verify it. */
  readonly bytes: Uint8Array;
}

/** What to simulate. */
export interface SimulationOptions {
  /** The same seed gives the same run. */
  readonly seed: number;
  /** Clients that send cover, at least `minParticipants` (3) for rounds to open. */
  readonly clients: number;
  /** Committee servers, 3 unless given. */
  readonly servers?: number;
  /** Share of frames that are lost and sent again. Default 0. */
  readonly loss?: number;
  /** Shortest and longest delay of a frame in ms. Default 1 to 5. */
  readonly delay?: readonly [least: number, most: number];
}

/** A whole instance in this process, over virtual time, which passes only while `settle` or `run` waits. */
export interface Simulation {
  /** Rounds finalized so far. */
  readonly rounds: number;
  /** A node of one's own in the instance, for `Zipnet.bind`. */
  binding(name: string): Pick<BindOptions, "environment" | "network">;
  /** Runs virtual time, at most `ms` of it, until a promise settles; gives what it gave. */
  settle<T>(promise: Promise<T>, ms?: number): Promise<T>;
  /** Runs virtual time, at most `ms` of it, until a condition holds; tells whether it does. */
  run(until: () => boolean, ms: number): Promise<boolean>;
}

/**
 * Publishes messages. Being open, it sends cover in every round, whether it has something to say or
 * not. It follows the committee's changes; `send` throws `Refused` once only a new pin would.
 */
export interface Submitter {
  /**
   * Sends `message`, 1 byte to the instance's `maxMessageBytes`; the bytes are copied. Throws
   * `Protocol` for an empty or oversized one, `Shutdown` after `close`.
   */
  send(message: Uint8Array, options?: SendOptions): Submission;
  /** Leaves the roster. What has not landed expires. */
  close(): Promise<void>;
}

/**
 * Messages in the order of the log, each once, from verified records; as `Submitter` over changes.
 * Of several iterations the slowest holds back the others; one that takes nothing for a minute while
 * another waits for it ends with `Shutdown`.
 */
export interface Reader extends AsyncIterable<Message> {
  /** The verified records themselves, in order. */
  records(): AsyncIterable<PublishedRecord>;
  /** Ends every iteration. */
  close(): Promise<void>;
}

/** Where a reader begins. */
export interface ReaderOptions {
  /**
   * First round wanted. Default 0: every record since the first. A program that goes on where it
   * stopped asks for the round after its last record; a round is read once, wherever it begins.
   */
  readonly from?: number;
  /**
   * Multiaddrs to listen at: other readers find this one, and read on from it. It serves the newest
   * records that it verified. Default none: nobody learns of it. A binding that publishes serves
   * nothing, so that no address of a client is ever told.
   */
  readonly listen?: readonly string[];
}

/**
 * Records that may wait for a slow iteration. While half as many wait, the reader asks for no more:
 * what a slow iteration does not take stays with whoever holds the log.
 *
 * @example
 * ```ts
 * import { MAX_WAITING_RECORDS } from "zipnet";
 * if (MAX_WAITING_RECORDS < 1_000) throw new Error("less than five minutes of the dev preset");
 * ```
 */
export const MAX_WAITING_RECORDS = 1_024;

const NOTHING = () => {};

/**
 * One instance, as a program uses it: `submitter` publishes, `reader` reads.
 *
 * @example
 * ```ts
 * import { simulate, Zipnet } from "zipnet";
 * const world = await simulate({ seed: 3, clients: 3 });
 * const zipnet = Zipnet.bind("mosaik.universe", "simulated", world.binding("me"));
 * const reader = await world.settle(zipnet.reader());
 * const records = reader.records()[Symbol.asyncIterator]();
 * const { value } = await world.settle(records.next());
 * if (value.round < 1 || value.participants < 3) throw new Error("not a round");
 * await world.settle(zipnet.close());
 * ```
 */
export class Zipnet {
  /** Everything that was opened and has to be closed. */
  readonly #open = new Set<{ close(): Promise<void> }>();
  readonly #environment: Environment;
  readonly #universe: Uint8Array;
  readonly #instance: Uint8Array;
  #closed = false;
  /** What this binding does for good: it publishes, or it serves. */
  #does: "publishes" | "serves" | undefined;

  private constructor(
    readonly universe: string,
    readonly instance: string,
    readonly options: BindOptions,
  ) {
    this.#environment = options.environment ??
      { clock: systemClock, random: systemRandom, observe: NOTHING };
    this.#universe = universeId(universe);
    this.#instance = instanceId(this.#universe, instance);
  }

  /**
   * Names an instance of a universe; nothing is dialed yet. Throws `WrongUniverse` or `Protocol`
   * for a name that cannot be one.
   *
   * @example
   * ```ts
   * import { Zipnet } from "zipnet";
   * const zipnet = Zipnet.bind("mosaik.universe", "acme.mainnet", {
   *   bootstrap: ["/ip4/192.0.2.7/tcp/4400/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"],
   * });
   * await zipnet.close();
   * ```
   */
  static bind(universe: string | undefined, instance: string, options: BindOptions = {}): Zipnet {
    const name = universe ?? DEFAULT_UNIVERSE;
    try {
      universeId(name);
    } catch (error) {
      throw new WrongUniverse((error as Error).message);
    }
    try {
      return new Zipnet(name, instance, options);
    } catch (error) {
      throw new Protocol((error as Error).message);
    }
  }

  /** Takes part as a client, once the committee was met. Rejects with `ConnectTimeout` or `Refused`. */
  async submitter(): Promise<Submitter> {
    this.#chooses("publishes");
    const secret = this.options.secret === undefined
      ? this.#environment.random(32)
      : nodeSeed(this.options.secret);
    const { network, epochs, own, tickets, follow, stop } = await this.#join("client", secret);
    let gone: Refused | Shutdown | undefined;
    const refused = (error: Refused) => {
      gone = error;
      watch.stop();
      client.stop("refused");
    };
    const watch = follow(refused);
    const client = new Client({
      network,
      environment: this.#environment,
      epochs,
      signer: signer(secret),
      minParticipants: this.options.minParticipants ?? 3,
      own,
      objection: tickets && (() => tickets.objection()),
      distrusts: tickets && ((key) => tickets.attested.refusal(key)),
      alive: watch.alive,
      refused,
    });
    return await this.#keep({
      send(message, options) {
        if (gone) throw gone;
        try {
          return client.outbox.send(message, options);
        } catch (error) {
          throw new Protocol((error as Error).message);
        }
      },
      close: async () => {
        if (!gone) client.stop("shutdown");
        watch.stop();
        gone ??= new Shutdown("the submitter is closed");
        await stop();
      },
    });
  }

  /**
   * Reads every record from a round on, the first one unless given. Rejects with `ConnectTimeout`,
   * `Refused`, or `Protocol` for a round that is none, or to serve where this binding publishes.
   *
   * @example
   * ```ts
   * import { simulate, Zipnet } from "zipnet";
   * const world = await simulate({ seed: 4, clients: 3 });
   * await world.run(() => world.rounds >= 4, 60_000);
   * const zipnet = Zipnet.bind("mosaik.universe", "simulated", world.binding("me"));
   * const reader = await world.settle(zipnet.reader({ from: 3 }));
   * const records = reader.records()[Symbol.asyncIterator]();
   * const { value } = await world.settle(records.next());
   * if (value.round !== 3) throw new Error("another round");
   * await world.settle(zipnet.close());
   * ```
   */
  async reader({ from = 0, listen = [] }: ReaderOptions = {}): Promise<Reader> {
    if (!Number.isSafeInteger(from) || from < 0 || from === Number.MAX_SAFE_INTEGER) {
      throw new Protocol(`from: expected a round from 0 to 2^53 - 2, got ${from}`);
    }
    if (listen.length > 0) this.#chooses("serves");
    const environment = this.#environment, random = environment.random(32);
    const { network, committee, epochs, follow, stop } = await this.#join("reader", random, listen);
    const mirror = listen.length > 0 ? new Mirror({ network, environment, committee }) : undefined;
    const backlog = new Backlog<PublishedRecord>(MAX_WAITING_RECORDS, environment.clock);
    const end = (error?: Protocol | Refused) => {
      watch.stop();
      role.stop();
      backlog.end(error);
    };
    const watch = follow(end, (lineage) => mirror?.hand(lineage));
    const role = new ReaderRole({
      network,
      environment,
      epochs,
      from,
      mirror,
      record: (seen) => backlog.push(publish(seen)),
      alive: watch.alive,
      stopped: end,
    });
    const records = () => backlog.iterate();
    return await this.#keep({
      records,
      async *[Symbol.asyncIterator]() {
        for await (const { messages } of records()) yield* messages;
      },
      close: async () => {
        end();
        await stop();
      },
    });
  }

  /** Closes every submitter and reader; who still joins rejects with `Shutdown`. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#open].map((each) => each.close()));
    this.#open.clear();
  }

  #chooses(does: "publishes" | "serves"): void {
    if (this.#does !== undefined && this.#does !== does) {
      throw new Protocol(
        "listen: a binding that publishes serves nothing, since that tells where its client is: " +
          "read without `listen`, or serve on another host",
      );
    }
    this.#does = does;
  }

  async #join(role: Role, secret: Uint8Array, listen?: readonly string[]): Promise<Joined> {
    if (this.#closed) throw new Shutdown("this binding is closed");
    return await join(role, secret, {
      universe: { id: this.#universe, name: this.universe },
      instance: { id: this.#instance, name: this.instance },
      environment: this.#environment,
      options: this.options,
    }, listen);
  }

  /** Closes it with the binding, also where that was closed while this one joined. */
  async #keep<T extends { close(): Promise<void> }>(closable: T): Promise<T> {
    const close = async () => {
      await closable.close();
      this.#open.delete(kept);
    };
    const kept: T = { ...closable, close };
    if (this.#closed) {
      await close();
      throw new Shutdown("this binding is closed");
    }
    this.#open.add(kept);
    return kept;
  }
}

/**
 * Starts a whole instance in this process, on a simulated network over virtual time: three servers,
 * an aggregator, and as many clients as asked for. The same seed gives the same run.
 *
 * @example
 * ```ts
 * import { simulate } from "zipnet";
 * const world = await simulate({ seed: 7, clients: 4 });
 * if (!await world.run(() => world.rounds >= 3, 60_000)) throw new Error("no rounds");
 * ```
 */
export async function simulate(options: SimulationOptions): Promise<Simulation> {
  const { SimulatedInstance } = await import("./roles/simulated.ts");
  const instance = new SimulatedInstance(options);
  await instance.start();
  return instance;
}

function publish({ record, certificate, participants, messages }: Seen): PublishedRecord {
  const { round, time, previous } = record.header;
  return {
    round,
    time,
    hash: hex(record.hash),
    previous: hex(previous),
    participants: participants.length,
    messages,
    bytes: encodeCertified({ record, certificate }),
  };
}
