/**
 * An engine over the etcd that operators run: commands are keys, their order is etcd's revision, and
 * the leader is who holds a key. Nothing goes between the servers themselves. See README.md.
 */
import { ProtocolError } from "../../protocol/errors.ts";
import type { Manifest } from "../../protocol/manifest.ts";
import type { Environment } from "../../universe/environment.ts";
import { type Engine, type EngineHost, MAX_COMMAND_BYTES } from "../engine.ts";
import { type Fetch, Gateway } from "./gateway.ts";
import { EtcdError } from "./json.ts";
import { Keys } from "./keys.ts";
import { type Position, Session } from "./session.ts";

/** Commands after which the leader makes a snapshot and shortens the log. */
const SNAPSHOT_COMMANDS = 1_000;
/** Most commands that wait to be written; what comes then is dropped, and offered again. */
const MAX_QUEUED = 1_024;
/** Wait before etcd is tried again: it doubles, from the first to the second, in ms. */
const BACK_OFF_MS = 100, MAX_BACK_OFF_MS = 5_000;

/** What the engine is made of. */
export interface EtcdEngineOptions {
  /** Origin of a member's client port, such as `http://10.0.0.1:2379`. */
  readonly url: string;
  readonly fetch: Fetch;
  readonly manifest: Pick<Manifest, "instance" | "fingerprint" | "servers">;
  readonly environment: Environment;
  /** Commands after which the leader makes a snapshot; 1,000 unless given. */
  readonly snapshotCommands?: number;
}

/** Makes a server's engine. */
export function etcdEngine(options: EtcdEngineOptions): (host: EngineHost, self: number) => Engine {
  return (host, self) => new EtcdEngine(options, host, self);
}

/** See the module comment. */
export class EtcdEngine implements Engine {
  readonly #queue: Uint8Array[] = [];
  readonly #linked = new Set<number>();
  readonly #position: Position = { order: "", revision: 0, since: 0 };
  readonly #gateway: Gateway;
  #session: Session | undefined;
  #stopped = false;
  #unreachable = false;
  #backOff = BACK_OFF_MS;
  #cancel = () => {};

  constructor(
    readonly options: EtcdEngineOptions,
    readonly host: EngineHost,
    readonly self: number,
  ) {
    const { url, fetch, environment } = options;
    this.#gateway = new Gateway(url, fetch, environment.clock);
  }

  get leader(): number | undefined {
    return this.#session?.leader;
  }

  get applied(): number {
    return this.#position.revision;
  }

  /** Those whom etcd hears of and to whom a way is open. */
  get present(): ReadonlySet<number> {
    const here = [...this.#session?.present ?? []].filter((place) => this.#linked.has(place));
    return new Set([this.self, ...here]);
  }

  start(): void {
    if (!this.#stopped) this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#session?.end();
    this.#session = undefined;
    this.#queue.length = 0;
  }

  propose(command: Uint8Array): void {
    if (command.length > MAX_COMMAND_BYTES) {
      throw new ProtocolError(
        "range",
        `a command of ${command.length} bytes, expected at most ${MAX_COMMAND_BYTES}`,
      );
    }
    if (this.leader === undefined || this.#queue.length >= MAX_QUEUED) return;
    this.#queue.push(command);
    this.#session?.flush();
  }

  /** Nobody who uses etcd sends one. */
  receive(from: number): void {
    throw new ProtocolError(
      "type",
      `an engine message of server ${from}, while here etcd orders: give all servers one engine`,
    );
  }

  connected(peer: number): void {
    this.#linked.add(peer);
  }

  disconnected(peer: number): void {
    this.#linked.delete(peer);
  }

  /** One session after the other; what the host throws is not caught here. */
  async #run(): Promise<void> {
    const { environment, manifest, snapshotCommands = SNAPSHOT_COMMANDS } = this.options;
    while (!this.#stopped) {
      const session = new Session({
        gateway: this.#gateway,
        keys: new Keys(manifest),
        self: this.self,
        servers: manifest.servers.length,
        host: this.host,
        environment,
        position: this.#position,
        queue: this.#queue,
        snapshotCommands,
        well: () => this.#well(),
      });
      this.#session = session;
      try {
        await session.run();
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
        if (!this.#stopped) this.#failed(error);
      }
      if (this.#stopped) return;
      this.#session = undefined;
      this.#queue.length = 0;
      await new Promise<void>((resolve) => {
        this.#cancel = environment.clock.after(this.#backOff, resolve);
      });
      this.#backOff = Math.min(2 * this.#backOff, MAX_BACK_OFF_MS);
    }
  }

  #well(): void {
    const { url, environment: { observe } } = this.options;
    if (this.#unreachable) observe("info", "engine reachable", { etcd: url });
    this.#unreachable = false;
    this.#backOff = BACK_OFF_MS;
  }

  #failed({ message }: EtcdError): void {
    const { url, environment: { observe } } = this.options;
    if (this.#unreachable) return;
    this.#unreachable = true;
    observe("warn", "engine unreachable", { etcd: url, reason: message });
  }
}
