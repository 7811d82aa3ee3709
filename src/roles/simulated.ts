/**
 * A whole instance in the simulated universe: the roles, unchanged, on the in-memory network, over
 * virtual time, from one seed. For tests, ours and those of programs that embed the channel.
 */
import { equal, hex, ZERO32 } from "../protocol/bytes.ts";
import { type Signer, signer } from "../protocol/keys.ts";
import { createManifest, type Manifest } from "../protocol/manifest.ts";
import { instanceId, universeId } from "../protocol/names.ts";
import { type Parameters as Agreed, PRESETS } from "../protocol/parameters.ts";
import { raftEngine } from "../committee/raft_engine.ts";
import { Gate } from "./admission.ts";
import { Aggregator } from "./aggregator.ts";
import { Client } from "./client.ts";
import { type Committee, meetCommittee } from "./committee.ts";
import { CommitteeServer } from "./committee_server.ts";
import type { Protocol, Refused } from "./errors.ts";
import { ReaderRole, type Seen } from "./reader.ts";
import { Mirror } from "./mirror.ts";
import { type Archive, memoryArchive } from "./records.ts";
import type { Server } from "./server.ts";
import { type Disk, DurableDisk } from "./simulated_disk.ts";
import { type AttestedOptions, SimulatedAttestation } from "./simulated_attestation.ts";
import { watchCommittee } from "./watch.ts";
import type { Environment, Fields, Level } from "../universe/environment.ts";
import { MemoryUniverse } from "../universe/memory.ts";
import type { Network, Role } from "../universe/network.ts";

/** How long a role looks for its committee, and bears its silence. */
const TIMEOUT_MS = 60_000;

/** What a world is made of. */
export interface SimulationOptions {
  readonly seed: number;
  /** Its name; `simulated` unless given. */
  readonly instance?: string;
  /** The universe that it shares with others; one of its own, from the seed, unless given. */
  readonly universe?: MemoryUniverse;
  /** Addresses at which all its nodes begin; its own servers' unless given. */
  readonly bootstrap?: readonly string[];
  /** Secrets by whose they are (`client 0`, `committee`), 32 bytes; from the universe unless given. */
  readonly secretOf?: (who: string) => Uint8Array;
  readonly servers?: number;
  /** Servers beyond the first committee, which may be started to join it later. */
  readonly spares?: number;
  readonly clients: number;
  /** Aggregators; 1 unless given. */
  readonly aggregators?: number;
  /** By aggregator, the one that it hands over to instead of the servers; none unless given. */
  readonly upstream?: readonly (number | undefined)[];
  readonly readers?: number;
  /** How many of the readers, the first ones, listen and serve on; none unless given. */
  readonly mirrors?: number;
  readonly loss?: number;
  /** Frame delays in ms. */
  readonly delay?: readonly [number, number];
  readonly parameters?: Partial<Agreed>;
  /** The archive of a server, at each of its starts; the newest records in memory unless given. */
  readonly archive?: (server: number) => Archive;
  /** Whether servers, and perhaps clients, are attested; not unless given. */
  readonly attested?: AttestedOptions;
  readonly observe?: (who: string, level: Level, event: string, fields?: Fields) => void;
}

/** A node and whatever runs on it. */
export interface Running<T> {
  readonly name: string;
  readonly network: Network;
  readonly role: T;
}

/** A server, which has its role once its committee stands. */
export class RunningServer implements Running<Server> {
  #role: Server | undefined;
  constructor(readonly name: string, readonly network: Network, readonly signer: Signer) {}

  /** Whether its committee stands. */
  get joined(): boolean {
    return this.#role !== undefined;
  }
  /** The server at work; throws before its committee stands. */
  get role(): Server {
    if (!this.#role) throw new Error(`${this.name} has not joined its committee yet`);
    return this.#role;
  }
  /** Its committee stands. */
  joins(role: Server): void {
    this.#role = role;
  }
}

/** A reader's log beside its role. */
export interface Reading {
  readonly role: ReaderRole;
  /** What it serves on, where it listens. */
  readonly mirror?: Mirror;
  readonly log: Seen[];
  stopped?: Protocol | Refused;
}

/** One instance, running. */
export class SimulatedInstance {
  readonly universe: MemoryUniverse;
  manifest: Manifest;
  readonly attestation: SimulatedAttestation | undefined;
  readonly name: string;
  readonly id: Uint8Array;
  readonly servers: (RunningServer | undefined)[] = [];
  /** What each server keeps: its committee, and for each epoch a register and a journal. */
  readonly disks: Disk[] = [];
  /** What the operator of each server wishes of the committee. */
  readonly wishes: (Uint8Array | undefined)[] = [];
  readonly clients: Running<Client>[] = [];
  readonly readers: Running<Reading>[] = [];
  readonly aggregators: Running<Aggregator>[] = [];
  /** Why nodes ended that may not follow their committee, by name. */
  readonly refused = new Map<string, string>();
  readonly #signers: Signer[];

  constructor(readonly options: SimulationOptions) {
    this.universe = options.universe ?? new MemoryUniverse({
      seed: options.seed,
      loss: options.loss ?? 0,
      delay: options.delay ?? [1, 5],
    });
    this.name = options.instance ?? "simulated";
    this.id = instanceId(universeId(), this.name);
    const { attested } = options;
    this.attestation = attested && new SimulatedAttestation(this.universe, attested);
    this.#signers = Array.from(
      { length: options.servers ?? 3 },
      (_, i) => signer(this.#secret(`server ${i}`)),
    );
    this.manifest = this.#manifest({ ...PRESETS.dev, ...options.parameters });
    // Servers are numbered by their place in the first manifest.
    this.#signers.sort((a, b) => hex(a.key) < hex(b.key) ? -1 : 1);
    for (let i = 0; i < (options.spares ?? 0); i++) {
      this.#signers.push(signer(this.#secret(`server ${this.#signers.length}`)));
    }
  }

  /** Starts everything. Resolves when all networks are up; committee and clients meet in virtual time. */
  async start(): Promise<void> {
    for (let i = 0; i < this.manifest.servers.length; i++) await this.startServer(i);
    for (let i = 0; i < (this.options.aggregators ?? 1); i++) await this.startAggregator(i);
    for (let i = 0; i < (this.options.readers ?? 1); i++) await this.startReader(i);
    for (let i = 0; i < this.options.clients; i++) await this.startClient(i);
  }

  /** Starts server `index`, on its disk if it ran before; it joins its committee in virtual time. */
  async startServer(index: number): Promise<RunningServer> {
    const attested = await this.attestation?.parameters();
    this.manifest = this.#manifest({ ...this.manifest.parameters, ...attested });
    const name = `server ${index}`, signer = this.#signers[index];
    const { network, environment } = this.#node(name, "server", this.#seedOf(signer));
    const running = new RunningServer(name, network, signer);
    const secrets = [this.#secret("committee")];
    const raft = await raftEngine(environment), disk = this.disks[index] ??= new DurableDisk();
    const instance = this.id, archive = this.options.archive?.(index) ?? memoryArchive();
    const common = { network, environment, instance, records: archive, signer };
    const evidence = this.attestation?.server(name, common);
    const server = new CommitteeServer({
      network,
      environment,
      gate: new Gate({
        network,
        environment,
        instance,
        secrets,
        attested: evidence?.tickets.attested,
      }),
      admissions: evidence?.admissions,
      signer,
      instance,
      size: this.manifest.servers.length,
      parameters: this.manifest.parameters,
      store: disk.store("manifest"),
      archive,
      wish: () => this.wishes[index],
      post: (manifest) => {
        if (manifest.epoch === 0 && !equal(manifest.fingerprint, this.manifest.fingerprint)) {
          throw new Error(`${name} formed ${hex(manifest.fingerprint)}`);
        }
        const journal = disk.journal(`order-${manifest.epoch}`);
        return {
          store: disk.store(`state-${manifest.epoch}`),
          engine: raft(manifest.servers.length, journal),
        };
      },
      admits: () => undefined,
      joined: (role) => running.joins(role),
      failed: (error) =>
        environment.observe("error", "server failed", { reason: (error as Error).message }),
    });
    await network.start();
    evidence?.tickets.start();
    server.start();
    return this.servers[index] = running;
  }

  /** Key of server `index`. */
  keyOf(index: number): Uint8Array {
    return this.#signers[index].key;
  }

  /** The first aggregator, once it was started. */
  get aggregator(): Running<Aggregator> | undefined {
    return this.aggregators[0];
  }

  /** Starts aggregator `index`. */
  async startAggregator(index = 0): Promise<void> {
    const { upstream = [] } = this.options, above = upstream[index];
    const name = index === 0 ? "aggregator" : `aggregator ${index}`, secret = this.#secret(name);
    const { network, environment } = this.#node(name, "aggregator", secret);
    const role = new Aggregator({
      network,
      environment,
      signer: signer(secret),
      upstream: above === undefined ? undefined : hex(this.aggregatorKey(above)),
      below: upstream.flatMap((to, i) => to === index ? [this.aggregatorKey(i)] : []),
    });
    await network.start();
    void this.#meet(name, network, environment, true).then(({ committee }) => {
      const refused = () => role.stop(), changed = role.hand.bind(role);
      const { alive } = this.#watch(network, environment, committee, refused, changed);
      role.start(committee, alive);
    }, () => {});
    this.aggregators[index] = { name, network, role };
  }

  /** Key of aggregator `index`. */
  aggregatorKey(index: number): Uint8Array {
    return signer(this.#secret(index === 0 ? "aggregator" : `aggregator ${index}`)).key;
  }

  /** Starts client `index`; it takes part once it has met the committee. */
  async startClient(index: number, minParticipants = 3): Promise<void> {
    const name = `client ${index}`, secret = this.#secret(name);
    const { network, environment } = this.#node(name, "client", secret);
    await network.start();
    void this.#meet(name, network, environment).then(({ committee, attestation, tickets }) => {
      const refused = () => role.stop("refused");
      const { alive } = this.#watch(network, environment, committee, refused);
      const role = new Client({
        network,
        environment,
        epochs: committee.epochs,
        alive,
        signer: signer(secret),
        minParticipants,
        own: { attestation, life: this.options.attested?.life },
        objection: tickets && (() => tickets.objection()),
        distrusts: tickets && ((key) => tickets.attested.refusal(key)),
        refused: (error) => void this.refused.set(name, error.message),
      });
      this.clients[index] = { name, network, role };
    }, () => {});
  }

  /** Starts reader `index`, which may begin at other addresses, and at another round than the first. */
  async startReader(index: number, bootstrap?: readonly string[], from = 0): Promise<void> {
    const name = `reader ${index}`, serves = index < (this.options.mirrors ?? 0);
    const secret = this.#secret(name), environment = this.#environment(name);
    const listen = serves ? ["/memory/0"] : [];
    const network = this.#network("reader", secret, environment, listen, bootstrap);
    await network.start();
    void this.#meet(name, network, environment, serves).then(({ committee }) => {
      const mirror = serves ? new Mirror({ network, environment, committee }) : undefined;
      const reading: Omit<Reading, "role"> & { role?: ReaderRole } = { log: [], mirror };
      const { alive } = this.#watch(network, environment, committee, (error) => {
        reading.stopped = error;
        reading.role?.stop();
      }, (lineage) => mirror?.hand(lineage));
      reading.role = new ReaderRole({
        network,
        environment,
        epochs: committee.epochs,
        alive,
        from,
        mirror,
        record: (seen) => void reading.log.push(seen),
        stopped: (error) => void (reading.stopped = error),
      });
      this.readers[index] = { name, network, role: reading as Reading };
    }, () => {});
  }

  /** A process dies without a word. */
  crash(running: { readonly network: Network }): void {
    this.universe.crash(running.network);
  }

  /** A node of one's own in this instance, as `Zipnet.bind` takes it. */
  binding(name: string): {
    readonly environment: Environment;
    readonly network: (role: Role, secret: Uint8Array, listen?: readonly string[]) => Network;
  } {
    const environment = this.#environment(name);
    return {
      environment,
      network: (role, secret, listen) => this.#network(role, secret, environment, listen),
    };
  }

  /** Runs virtual time, at most `ms` of it, until a promise settles. */
  settle<T>(promise: Promise<T>, ms = 600_000): Promise<T> {
    return this.universe.settle(promise, ms);
  }

  /** Runs until `until` holds, for at most `ms` of virtual time. */
  run(until: () => boolean, ms: number): Promise<boolean> {
    return this.universe.run(until, ms);
  }

  /** Finalized rounds that the first reader has seen. */
  get rounds(): number {
    return this.readers[0]?.role.log.length ?? 0;
  }

  async #meet(name: string, network: Network, environment: Environment, serves = false) {
    const committee = await meetCommittee({
      network,
      environment,
      instance: this,
      universe: "mosaik.universe",
      timeout: TIMEOUT_MS,
    });
    if (!this.attestation) return { committee };
    const { epochs } = committee, timeout = TIMEOUT_MS;
    const common = { network, environment, epochs, timeout, serves };
    const { attestation, tickets } = this.attestation.onlooker(name, common);
    try {
      await tickets.met();
    } catch (error) {
      this.refused.set(name, (error as Error).message);
      throw error;
    }
    return { committee, attestation, tickets };
  }

  #manifest(parameters: Agreed): Manifest {
    const start = { instance: this.id, epoch: 0, previous: ZERO32, start: ZERO32 };
    const servers = this.#signers.slice(0, this.options.servers ?? 3).map(({ key }) => key);
    return createManifest({ ...start, servers, parameters });
  }

  #watch(
    network: Network,
    environment: Environment,
    committee: Committee,
    refused: (error: Refused) => void,
    changed?: (lineage: Uint8Array) => void,
  ) {
    const timeout = TIMEOUT_MS;
    return watchCommittee({
      network,
      environment,
      instance: this,
      committee,
      timeout,
      changed,
      refused,
    });
  }

  #node(name: string, role: Role, secret: Uint8Array) {
    const environment = this.#environment(name);
    return { network: this.#network(role, secret, environment), environment };
  }

  #environment(name: string): Environment {
    const { observe } = this.options;
    return this.universe.environment(
      name,
      (level, event, fields) => observe?.(name, level, event, fields),
    );
  }

  #network(
    role: Role,
    secret: Uint8Array,
    environment: Environment,
    listen: readonly string[] = role === "server" || role === "aggregator" ? ["/memory/0"] : [],
    bootstrap = this.options.bootstrap ?? this.#signers.map(({ key }) => `/memory/${hex(key)}`),
  ): Network {
    return this.universe.network({
      environment,
      secret,
      universe: universeId(),
      instance: this.id,
      role,
      listen,
      bootstrap,
    });
  }

  #secret(name: string): Uint8Array {
    return this.options.secretOf?.(name) ?? this.universe.randomness(`secret of ${name}`).bytes(32);
  }

  #seedOf(of: Signer): Uint8Array {
    for (let i = 0; i < this.#signers.length; i++) {
      const secret = this.#secret(`server ${i}`);
      if (hex(signer(secret).key) === hex(of.key)) return secret;
    }
    throw new Error("no such server");
  }
}
