/**
 * One stretch of time in which etcd answers: it brings the host up to the order, follows it, holds
 * this server's keys, and ends with the first thing that goes wrong. The next one begins where it
 * stood.
 */
import { hex } from "../../protocol/bytes.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { Environment } from "../../universe/environment.ts";
import { type EngineHost, MAX_COMMAND_BYTES } from "../engine.ts";
import type { Gateway } from "./gateway.ts";
import {
  boolean,
  EtcdError,
  type Json,
  type KeyValue,
  keyValue,
  leaseId,
  list,
  malformed,
  object,
  whole,
} from "./json.ts";
import { createdAt, decodeState, type Keys, placeOf, prefixed, put } from "./keys.ts";
import { loadLog, MAX_EVENTS, newestOf, type Survey, survey } from "./reading.ts";
import { type Call, MAX_SNAPSHOT_BYTES, readSnapshot, writeSnapshot } from "./snapshots.ts";

/** How long etcd keeps a server's keys once it does not hear of it, in seconds. */
const LEASE_SECONDS = 2;
/** Longest lease that an etcd with slow elections may give instead, in seconds. */
const MAX_LEASE_SECONDS = 60;
/** Commands in one transaction; etcd allows 128 parts. */
const MAX_BATCH = 64;

/** Where a host stands in an order; it outlives sessions. */
export interface Position {
  /** The order's name; empty while the host follows none. */
  order: string;
  /** Everything up to this revision is applied. */
  revision: number;
  /** Commands applied since the snapshot, about. */
  since: number;
}

/** What a session is made of. */
export interface SessionOptions {
  readonly gateway: Gateway;
  readonly keys: Keys;
  readonly self: number;
  readonly servers: number;
  readonly host: EngineHost;
  readonly environment: Environment;
  readonly position: Position;
  /** Commands that wait to be written; the session takes them out. */
  readonly queue: Uint8Array[];
  /** Commands after which the leader makes a snapshot. */
  readonly snapshotCommands: number;
  /** Called whenever etcd answered while all went well. */
  readonly well: () => void;
}

/** See the module comment. */
export class Session {
  readonly #abort = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  /** Servers that etcd hears of. */
  readonly present = new Set<number>();
  #lease = "";
  /** How long the lease lasts, in ms. */
  #ttl = 0;
  #leader: KeyValue | undefined;
  #state!: KeyValue;
  #count = 0;
  #synced = false;
  #writing = false;
  #storing = false;
  #warned = false;

  constructor(readonly options: SessionOptions) {
    this.#failed.promise.catch(() => {});
  }

  /** The server whose key `leader` is, once the host is up to the order. */
  get leader(): number | undefined {
    if (!this.#synced || !this.#leader) return undefined;
    const place = this.#place(this.#leader.value);
    // A key of this server's under another lease is what an earlier session left.
    return place === this.options.self && this.#leader.lease !== this.#lease ? undefined : place;
  }

  /** Runs until something goes wrong: an `EtcdError`. What the host throws comes through. */
  async run(): Promise<never> {
    try {
      const found = await survey(this.#call, this.options.keys, () => this.#name());
      await this.#load(found);
      const deadline = await this.#grant();
      this.#leader = found.leader;
      for (const { key } of found.servers) this.#attends(key, true);
      this.#synced = true;
      this.#spawn(() => this.#appear());
      return await Promise.race([
        this.#watch(found.revision + 1),
        this.#keepAlive(deadline),
        this.#failed.promise,
      ]);
    } finally {
      this.end();
    }
  }

  /** Ends it: nothing of it runs or calls any more. */
  end(): void {
    this.#synced = false;
    this.#abort.abort();
  }

  /** Writes what waits in the queue, unless that goes on already. */
  flush(): void {
    if (this.#writing || !this.#synced) return;
    this.#writing = true;
    this.#spawn(async () => {
      try {
        await this.#write();
      } finally {
        this.#writing = false;
      }
    });
  }

  readonly #call: Call = (path, body) => this.options.gateway.call(path, body, this.#abort.signal);

  /** Does something beside the rest; where it fails the session ends. */
  #spawn(task: () => Promise<unknown>): void {
    task().catch((error) => this.#failed.reject(error));
  }

  /** The host is not called once this has ended, whatever was under way. */
  #goesOn(): void {
    if (this.#abort.signal.aborted) throw new EtcdError("the session is over");
  }

  #name(): string {
    return hex(this.options.environment.random(16));
  }

  #place(value: Uint8Array): number | undefined {
    return placeOf(new TextDecoder().decode(value.subarray(0, 8)), this.options.servers);
  }

  /** Brings the host up to the survey's revision. */
  async #load({ state, revision }: Survey): Promise<void> {
    const { keys, host, position } = this.options;
    const now = decodeState(state.value);
    this.#state = state;
    const follows = position.order === now.order && now.revision <= position.revision &&
      position.revision <= revision;
    if (!follows) {
      const snapshot = now.chunks > 0
        ? await readSnapshot(this.#call, keys, now, revision)
        : undefined;
      this.#goesOn();
      position.order = "";
      try {
        host.restore(snapshot);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        throw new EtcdError(`the snapshot in etcd is none: ${error.message}`);
      }
      Object.assign(position, { order: now.order, revision: now.revision, since: 0 });
    }
    const pages = loadLog(this.#call, keys, position.revision + 1, revision);
    for await (const { commands, until } of pages) {
      this.#goesOn();
      position.revision = until;
      this.#apply(commands);
    }
  }

  async #grant(): Promise<number> {
    const now = this.options.environment.clock.now();
    const answer = await this.#call("lease/grant", { TTL: String(LEASE_SECONDS) });
    const seconds = whole(answer.TTL, "a lease's time");
    this.#lease = leaseId(answer.ID);
    if (this.#lease === "0" || seconds < 1 || seconds > MAX_LEASE_SECONDS) {
      malformed(`a lease of ${seconds} s, expected ${LEASE_SECONDS} to ${MAX_LEASE_SECONDS}`);
    }
    this.#ttl = seconds * 1_000;
    return now + this.#ttl;
  }

  /** Says that this server is here, and stands for leader where there is none. */
  async #appear(): Promise<void> {
    const { keys, self } = this.options;
    await this.#commit([put(keys.server(self), "", this.#lease)]);
    if (this.#leader === undefined) await this.#campaign();
  }

  async #campaign(): Promise<void> {
    const { keys, self } = this.options;
    await this.#commit([put(keys.leader, String(self), this.#lease)], createdAt(keys.leader, 0));
  }

  /** Writes in this order only, should another have begun. */
  async #commit(parts: readonly Json[], ...compare: Json[]): Promise<void> {
    const order = createdAt(this.options.keys.state, this.#state.created);
    await this.#call("kv/txn", { compare: [order, ...compare], success: parts });
  }

  async #write(): Promise<void> {
    const { queue, keys, self } = this.options;
    // What is proposed in one go is written in one go.
    await Promise.resolve();
    while (queue.length > 0) {
      const batch = queue.splice(0, MAX_BATCH);
      const parts = batch.map((command) =>
        put(keys.command(self, this.#lease, this.#count++), command)
      );
      await this.#commit(parts);
    }
  }

  async #watch(from: number): Promise<never> {
    const { gateway, keys } = this.options;
    const create_request = { ...prefixed(keys.order), start_revision: String(from) };
    for await (const message of gateway.stream("watch", { create_request }, this.#abort.signal)) {
      this.#goesOn();
      const result = object(message.result, "a watch");
      if (boolean(result.canceled, "a watch's end")) {
        const compacted = whole(result.compact_revision, "a revision") > 0;
        throw new EtcdError(`etcd ended the watch${compacted ? ": it was compacted" : ""}`);
      }
      this.#heard(list(result.events, "events", MAX_EVENTS).map((it) => object(it, "an event")));
    }
    throw new EtcdError("etcd ended the watch");
  }

  #heard(events: readonly Json[]): void {
    const { keys, position, self } = this.options;
    const commands: KeyValue[] = [];
    let last = position.revision + 1, vacant = false;
    for (const event of events) {
      if (event.type !== undefined && event.type !== "PUT" && event.type !== "DELETE") {
        malformed("an event of another type");
      }
      const put = event.type !== "DELETE", kv = keyValue(event.kv);
      if (kv.modified < last) malformed("events out of order");
      last = kv.modified;
      if (kv.key === keys.state) {
        if (!put) throw new EtcdError("the order was deleted in etcd");
        this.#state = kv;
        // A leader counts from where it made the snapshot.
        if (this.leader !== self) position.since = 0;
      } else if (kv.key === keys.leader) {
        this.#leader = put ? kv : undefined;
        vacant = !put;
      } else if (kv.key.startsWith(keys.servers)) this.#attends(kv.key, put);
      else if (put && kv.key.startsWith(keys.log)) commands.push(kv);
    }
    if (events.length > 0) position.revision = last;
    if (vacant) this.#spawn(() => this.#campaign());
    this.#apply(commands);
    this.#store();
  }

  #attends(key: string, here: boolean): void {
    const place = placeOf(key.slice(this.options.keys.servers.length), this.options.servers);
    if (place === undefined) return;
    if (here) this.present.add(place);
    else this.present.delete(place);
  }

  #apply(written: readonly KeyValue[]): void {
    const { host, position, environment } = this.options;
    const fits = ({ value }: KeyValue) => value.length > 0 && value.length <= MAX_COMMAND_BYTES;
    const commands = written.filter(fits).map(({ value }) => value);
    position.since += commands.length;
    if (commands.length < written.length && !this.#warned) {
      this.#warned = true;
      environment.observe("warn", "engine command refused", {
        reason: `etcd holds a command of none or over ${MAX_COMMAND_BYTES} bytes, which no ` +
          "server wrote: who else may write there?",
      });
    }
    if (commands.length > 0) host.apply(commands);
  }

  /** As leader, makes a snapshot where one is due. */
  #store(): void {
    const { position, self, host, keys, snapshotCommands, environment } = this.options;
    if (this.#storing || this.leader !== self || position.since < snapshotCommands) return;
    this.#storing = true;
    position.since = 0;
    const snapshot = host.snapshot();
    if (snapshot.length > MAX_SNAPSHOT_BYTES) {
      return environment.observe("warn", "no snapshot", {
        reason: `a state of ${snapshot.length} bytes, expected up to ${MAX_SNAPSHOT_BYTES}`,
      });
    }
    const { order, revision } = position;
    const reign = { leader: this.#leader!.created, state: this.#state.modified };
    const state = { order, revision, snapshot: `${self}-${this.#lease}-${revision}` };
    this.#spawn(async () => {
      await writeSnapshot(this.#call, keys, reign, state, snapshot);
      this.#storing = false;
      this.#store();
    });
  }

  /** Keeps the lease, and looks whether the watch still tells what is written. */
  async #keepAlive(deadline: number): Promise<never> {
    const { gateway, keys, environment: { clock }, position, well } = this.options;
    const { signal } = this.#abort;
    let written = 0;
    for (;;) {
      await this.#pause(this.#ttl / 3);
      const now = clock.now();
      const left = Math.max(1, deadline - now);
      const answer = await gateway.call("lease/keepalive", { ID: this.#lease }, signal, left);
      if (whole(object(answer.result, "a lease").TTL, "a lease's time") === 0) {
        throw new EtcdError("the lease of this server's keys is over");
      }
      deadline = now + this.#ttl;
      if (written > position.revision) throw new EtcdError("the watch of etcd stands still");
      written = await newestOf(this.#call, keys);
      well();
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#abort;
    return new Promise((resolve) => {
      const cancel = this.options.environment.clock.after(ms, () => {
        signal.removeEventListener("abort", cancel);
        resolve();
      });
      signal.addEventListener("abort", cancel);
    });
  }
}
