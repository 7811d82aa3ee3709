/**
 * The records as a replicated collection, without the rounds that make them: servers that hold what
 * a committee certified, and readers with copies, in the simulated universe. Each copy checks, at
 * each record, that it is a prefix of what was written.
 */
import assert from "node:assert/strict";
import { equal, hex } from "../../src/protocol/bytes.ts";
import { type CertifiedRecord, encodeCertified } from "../../src/protocol/record.ts";
import { Archivist } from "../../src/roles/archivist.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { Feed } from "../../src/roles/feed.ts";
import { ReaderRole, type Seen } from "../../src/roles/reader.ts";
import { type Archive, memoryArchive } from "../../src/roles/records.ts";
import { MemoryUniverse } from "../../src/universe/memory.ts";
import type { Network, Role } from "../../src/universe/network.ts";
import { Play, SMALL } from "../protocol/play.ts";
import { extendLog } from "../roles/log.ts";

/** A server that holds all records from its start on, and fetches those before. */
export interface Holder {
  readonly network: Network;
  readonly archive: Archive;
  readonly archivist: Archivist;
  readonly feed: Feed;
}

/** A reader with what it has. */
export interface Copy {
  readonly network: Network;
  readonly role: ReaderRole;
  readonly seen: Seen[];
  readonly stopped: string[];
}

/** One committee's log. */
export class Collection {
  readonly universe: MemoryUniverse;
  readonly play: Play;
  readonly holders: Holder[] = [];
  /** Everything that was written, by round. */
  readonly written: { readonly round: number; readonly bytes: Uint8Array }[] = [];
  #readers = 0;

  constructor(readonly seed: number, parameters = SMALL) {
    this.universe = new MemoryUniverse({ seed, delay: [1, 5] });
    this.play = new Play(seed, { servers: 3, clients: 3 }, parameters);
  }

  /** Starts a server, the next one of the committee. */
  async holder(): Promise<Holder> {
    const at = this.holders.length,
      { environment, network } = this.#node(
        `server ${at}`,
        "server",
        this.play.servers[at].seed,
      );
    const epochs = new Epochs([this.play.manifest]), archive = memoryArchive(Infinity, Infinity);
    const feed = new Feed(epochs.root, archive);
    const grown = () => feed.grown();
    const archivist = new Archivist({ network, environment, epochs, archive, grown });
    feed.serve(network, epochs.parameters);
    await network.start();
    archivist.start();
    const holder = { network, archive, archivist, feed };
    this.holders.push(holder);
    return holder;
  }

  /** Starts as many servers. */
  async hold(count = 1): Promise<this> {
    for (let i = 0; i < count; i++) await this.holder();
    return this;
  }

  /** The committee certifies as many further records; rounds in `voids` have none. */
  write(count: number, voids: readonly number[] = []): void {
    for (const { certified } of extendLog(this.play, count, voids)) this.certified(certified);
  }

  /** The committee certified a record: every server has it. */
  certified(certified: CertifiedRecord): void {
    this.written.push({
      round: certified.record.header.round,
      bytes: encodeCertified(certified),
    });
    for (const { archivist, feed } of this.holders) {
      archivist.record(certified);
      feed.record(certified);
    }
  }

  /** Starts a reader of its own, which knows the address of one server. */
  async reader(at = 0): Promise<Copy> {
    const name = `reader ${this.#readers++}`, secret = this.universe.randomness(name).bytes(32);
    const { environment, network } = this.#node(name, "reader", secret, at);
    await network.start();
    return this.copy(network, environment);
  }

  /** Starts as many readers at one time. */
  readers(count: number): Promise<Copy[]> {
    return Promise.all(Array.from({ length: count }, () => this.reader()));
  }

  /** A reader on a node that runs. */
  copy(network: Network, environment = this.universe.environment(network.self.id)): Copy {
    const seen: Seen[] = [], stopped: string[] = [];
    const role = new ReaderRole({
      network,
      environment,
      epochs: new Epochs([this.play.manifest]),
      from: 0,
      record: (one) => {
        const { round, bytes } = this.written[seen.length];
        const what = `seed ${this.seed}, record ${seen.length}`;
        assert.equal(one.record.header.round, round, what);
        assert.ok(equal(encodeCertified(one), bytes), what);
        assert.ok(one.linked, what);
        seen.push(one);
      },
      gap: (from, to) => assert.fail(`seed ${this.seed}: a gap from ${from} to ${to}`),
      stopped: (error) => void stopped.push(error.message),
    });
    return { network, role, seen, stopped };
  }

  /** Runs until each copy has everything that was written. */
  async equals(...copies: readonly Copy[]): Promise<void> {
    const whole = () => copies.every(({ seen }) => seen.length === this.written.length);
    const has = () => copies.map(({ seen }) => seen.length).join();
    const done = await this.universe.run(whole, 600_000);
    assert.ok(done, `seed ${this.seed}: ${has()} of ${this.written.length} records`);
    assert.deepEqual(copies.flatMap(({ stopped }) => stopped), []);
  }

  #node(name: string, role: Role, secret: Uint8Array, at = 0) {
    const environment = this.universe.environment(name), { manifest, servers } = this.play;
    const network = this.universe.network({
      environment,
      secret,
      universe: new Uint8Array(32),
      instance: manifest.instance,
      role,
      listen: role === "server" ? ["/memory/0"] : [],
      bootstrap: [`/memory/${hex(servers[at].signer.key)}`],
    });
    return { environment, network };
  }
}
