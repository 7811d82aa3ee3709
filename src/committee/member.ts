/**
 * One server of the committee as a core without I/O: commands, blobs and ticks go in; statements,
 * blobs and certified records come out. `#react` looks at the state and does whatever this server
 * owes it now; it is called after every change and may be called again without harm.
 */
import { participants } from "../protocol/aggregate.ts";
import { concat, equal } from "../protocol/bytes.ts";
import type { Head } from "../protocol/chain.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { createHeader, type HeaderFields } from "../protocol/header.ts";
import type { OpenedHeader } from "../protocol/opened.ts";
import type { CertifiedRecord, Record } from "../protocol/record.ts";
import type { Registration } from "../protocol/registration.ts";
import type { Roster } from "../protocol/roster.ts";
import { maxShareBytes } from "../protocol/share.ts";
import { encodeSigned } from "../protocol/statements.ts";
import { Attendance } from "./attendance.ts";
import { encodeCommand } from "./commands.ts";
import { Driver } from "./driver.ts";
import type { Engine, EngineHost } from "./engine.ts";
import { EpochEnd } from "./epoch_end.ts";
import { encodeEvidence } from "./evidence.ts";
import { Exchange } from "./exchange.ts";
import { Heads } from "./heads.ts";
import { type Bench, LiveRound, oweReleases, oweVoids, sayVoid } from "./live_round.ts";
import { Keys } from "./member_keys.ts";
import type { MemberOptions } from "./member_terms.ts";
import { Offering } from "./offering.ts";
import { MAX_AGGREGATORS, MAX_PARTS_BYTES } from "./parts.ts";
import { Proposals } from "./proposals.ts";
import { releaseRules } from "./member_rules.ts";
import { Seating } from "./seating.ts";
import { CommitteeState } from "./state.ts";
import type { Finals, Live, StateEvents } from "./state_terms.ts";
import { Vouching } from "./vouching.ts";

/** See the module comment. */
export class Member {
  /** How this server comes to the end of its epoch. */
  readonly seat: EpochEnd;
  /** How the aggregates of its aggregators come into the order. */
  readonly aggregators: Offering;
  #recalling = false;
  readonly #engine: Engine;
  readonly #bench: Bench;
  readonly #driver: Driver;
  readonly #attendance: Attendance;
  readonly #seating: Seating;
  readonly #vouching: Vouching | undefined;
  readonly #stateEvents: StateEvents;
  #state: CommitteeState;
  #live: LiveRound | undefined;
  #leader: number | undefined;
  #reacting = false;
  #again = false;
  #waiting = "";

  constructor(readonly options: MemberOptions) {
    const { manifest, start, environment, signer, self, admits, clients = [] } = options;
    const { clock, observe } = environment;
    const keys = new Keys(signer, manifest, environment.random);
    const rules = releaseRules(options, keys.nonce);
    const proposals = new Proposals(clock, (command) => this.#engine.propose(command));
    const heads = new Heads({
      manifest,
      start: start.round,
      self,
      rules,
      proposals,
      observe,
      signed: (record) => this.#attended(record),
      adopted: (certified) => options.events.finalized(certified),
    });
    this.seat = new EpochEnd({
      ...options,
      rules,
      heads,
      clock,
      live: () => this.#state.live !== undefined,
    });
    const exchange = new Exchange(
      clock,
      {
        engine: (from, message) => this.#engine.receive(from, message),
        head: (evidence) => heads.learn(evidence),
        word: (from, bytes) => options.events.word?.(from, bytes),
        evidenceOf: (record) => equal(record, rules.head.hash) ? heads.evidence : [],
      },
      8 * manifest.servers.length + 64 + MAX_AGGREGATORS,
      64 * 2 ** 20 + 8 * maxShareBytes(manifest.parameters) + MAX_PARTS_BYTES,
    );
    this.#attendance = new Attendance(manifest.parameters);
    const { instance, parameters: { maxClients } } = manifest;
    if (options.vouching) this.#vouching = new Vouching({ signer, instance, self, maxClients });
    this.#vouching?.repeat(options.vouches ?? [], clock.wall());
    this.#bench = {
      manifest,
      self,
      signer,
      environment,
      rules,
      keys,
      exchange,
      proposals,
      heads,
      admits,
      attendance: this.#attendance,
      admitted: new Set(),
      vouching: this.#vouching,
    };
    this.aggregators = new Offering(this.#bench);
    this.#driver = new Driver(manifest);
    this.#seating = new Seating(manifest.parameters.maxClients);
    for (const registration of clients) this.#seating.add(registration, clock.now());
    this.#stateEvents = {
      voided: (live, reason) => this.#voided(live, reason),
      finalized: (finals) => this.#finalized(finals),
      expired: (client) => this.#attendance.expired(client, clock.now()),
      evicted: (client, server) => options.events.evicted?.(client, server),
      equivocation: (why, a, b) =>
        options.events.equivocation(why, a.server, concat(encodeSigned(a), encodeSigned(b))),
    };
    this.#state = new CommitteeState(
      manifest,
      start.round,
      this.#stateEvents,
      options.vouching,
    );
    this.#engine = options.engine(this.#host(), self);
  }

  /** The last record that this server signed. */
  get head(): Head {
    return this.#bench.heads.head;
  }
  /** That record with its certificate, once it is complete. */
  get headRecord(): CertifiedRecord | undefined {
    return this.#bench.heads.certified;
  }
  /** The replicated state; to be read only. */
  get state(): CommitteeState {
    return this.#state;
  }
  /** What keeps rounds from going on, as far as this server knows. */
  get waitsFor(): string {
    if (this.#engine.leader === undefined) {
      return "a leader: a majority of the servers must be here";
    }
    return this.#waiting || (this.leading ? "the round in progress" : "the leader's next round");
  }
  /** Who leads, and up to which place of the order commands were applied here. */
  get order(): Pick<Engine, "leader" | "applied"> {
    return this.#engine;
  }
  /** Whether this server drives the rounds now. */
  get leading(): boolean {
    return this.#engine.leader === this.options.self;
  }
  /** The live header once all have OPENed it, with its roster. */
  get live(): { readonly opened: OpenedHeader; readonly roster: Roster } | undefined {
    const live = this.#state.live, work = this.#live;
    if (!live || !work?.roster || !equal(work.hash, live.header)) return undefined;
    const opened = work.opened(live);
    return opened && { opened, roster: work.roster };
  }

  /** Begins to take part in the order. */
  start(): void {
    this.#engine.start();
    this.#react();
  }

  /** A way to another server opened; `send` answers false once it is gone. */
  connected(peer: number, send: (frame: Uint8Array) => boolean): void {
    this.#bench.exchange.connected(peer, send, this.#bench.heads.evidence);
    this.#engine.connected(peer);
    this.#react();
  }

  /** The way to another server is gone. */
  disconnected(peer: number): void {
    this.#bench.exchange.disconnected(peer);
    this.#engine.disconnected(peer);
  }

  /** A frame of another server; throws a `ProtocolError` for a malformed one. */
  receive(from: number, frame: Uint8Array): void {
    this.#bench.exchange.receive(from, frame);
    this.#react();
  }

  /** Takes a client's registration or leave, checked; answers why not, or undefined. */
  register(kind: "register" | "leave", registration: Registration): string | undefined {
    if (kind === "register") {
      const refused = this.options.admits(registration.client);
      const { clock } = this.#bench.environment;
      const why = refused ??
        this.#seating.seat(registration, this.#state, clock.now(), clock.wall());
      if (why) return why;
    } else this.#engine.propose(encodeCommand({ kind, registration }));
    this.#react();
    return undefined;
  }

  /** Vouches for a client until then (Unix ms); no later than now takes the word back. */
  vouch(client: Uint8Array, until: number): void {
    this.#vouching?.say(client, until, this.#state, this.#bench.environment.clock.wall());
    this.#react();
  }

  /** Says something to the role around another member; false where no link is open. */
  tell(to: number, bytes: Uint8Array): boolean {
    return this.#bench.exchange.tell(to, bytes);
  }

  /** Takes a frame of an aggregator for the live round; throws for one that is wrong. */
  aggregate(bytes: Uint8Array, from: Uint8Array): void {
    this.aggregators.hand(bytes, from, this.#state.live);
    this.#react();
  }

  /** Time passed: the leader drives, and everyone asks again for what did not come. */
  tick(): void {
    if (this.#engine.leader !== this.#leader) {
      // What was offered to another leader, or to none, may be lost.
      this.#leader = this.#engine.leader;
      this.#bench.proposals.clear();
    }
    this.#react();
    if (!this.leading) return;
    const { environment: { clock, observe }, proposals, heads } = this.#bench;
    const { present } = this.#engine;
    const held = this.seat.held
      ? "the next epoch of the committee"
      : this.#recalling && this.fresh
      ? "the newest record, which an aggregator may have"
      : undefined;
    const now = clock.now(), wall = clock.wall();
    const intent = this.#driver.next(now, wall, this.#state, heads.head, present, held);
    if (intent === undefined) return;
    if ("waiting" in intent) {
      if (intent.waiting !== this.#waiting) observe("info", "waiting", { for: intent.waiting });
      this.#waiting = intent.waiting;
    } else if ("abandon" in intent) {
      proposals.offer("abandon", {
        kind: "abandon",
        header: intent.abandon,
        reason: intent.reason,
      });
    } else if ("settle" in intent) this.#engine.propose(encodeCommand({ kind: "settle" }));
    else this.#openRound(intent.open);
  }

  /** Whether this server knows no record of its epoch. */
  get fresh(): boolean {
    return equal(this.head.hash, this.options.start.hash);
  }

  /** Whether it opens no round while it knows no record, since it may have forgotten some. */
  recall(on: boolean): void {
    this.#recalling = on;
  }

  /** Takes a certified record of its epoch as its head, if that is newer. */
  learn(certified: CertifiedRecord): void {
    this.#bench.heads.learn(encodeEvidence({ certified }));
    this.#react();
  }

  /** Makes the key pair of the next key epoch; the old one goes at the first OPEN with the new. */
  rotateKeys(): void {
    this.#bench.keys.rotate();
    this.#react();
  }

  /** Stops and forgets every key. The member must not be used afterwards. */
  destroy(): void {
    this.#engine.stop();
    this.#bench.keys.destroy();
  }

  #host(): EngineHost {
    return {
      send: (to, message) => this.#bench.exchange.engine(to, message),
      apply: (commands) => {
        for (const command of commands) {
          try {
            this.#state.apply(command);
          } catch (error) {
            if (!(error instanceof ProtocolError)) throw error;
            this.#bench.environment.observe("warn", "command refused", { reason: error.message });
          }
        }
        this.#react();
      },
      snapshot: () => this.#state.snapshot(),
      restore: (snapshot) => {
        const { manifest, start: { round }, vouching, self } = this.options;
        const { registry, vouches } = this.#state;
        this.#state = snapshot
          ? CommitteeState.restore(snapshot, manifest, round, this.#stateEvents, vouching)
          : new CommitteeState(manifest, round, this.#stateEvents, vouching);
        this.#bench.proposals.clear();
        // What was begun goes on: a share that is known by its commitment cannot be made again.
        if (!this.#live?.stands(this.#state)) this.#live = undefined;
        // Who followed an order that is over seats its roster again, should the new one lack it.
        const { clock } = this.#bench.environment, now = clock.now();
        for (const registration of registry.registrations()) this.#seating.add(registration, now);
        this.#vouching?.repeat(vouches.by(self), clock.wall());
        this.#react();
      },
    };
  }

  #openRound(fields: HeaderFields): void {
    const header = createHeader(this.options.manifest, fields);
    this.#waiting = "";
    this.#bench.exchange.push(header.hash, header.bytes);
    this.#bench.environment.observe("info", "opening round", {
      round: header.round,
      roster: this.#state.registry.size,
    });
    this.#engine.propose(
      encodeCommand({ kind: "propose", round: header.round, header: header.hash }),
    );
  }

  /** One reaction at a time: what it proposes may come back while it runs. */
  #react(): void {
    this.#again = true;
    if (this.#reacting) return;
    this.#reacting = true;
    try {
      while (this.#again) {
        this.#again = false;
        if (this.#engine.leader !== undefined) this.#owe();
      }
    } finally {
      this.#reacting = false;
    }
  }

  #owe(): void {
    const { self, keys, heads, exchange, proposals } = this.#bench, state = this.#state;
    const bundle = state.bundles[self];
    if (!bundle || !equal(bundle.bytes, keys.newest.bytes)) {
      proposals.offer("bundle", { kind: "bundle", server: self, bundle: keys.newest });
    }
    if (heads.head.round > state.head.round) heads.offer(state);
    // Who caught up by a snapshot saw nobody sign FINAL for the head that it finished itself.
    const behind = state.head.round > heads.head.round || heads.waiting(state.head.record);
    if (behind) exchange.want(state.head.record);
    oweVoids(this.#bench, state);
    oweReleases(this.#bench, state);
    const { clock } = this.#bench.environment, now = clock.now();
    this.#vouching?.owe(state, proposals, now, clock.wall());
    this.#seating.owe(state, proposals, now);
    const { live } = state;
    if (live === undefined) {
      if (this.leading) this.#expire();
      return;
    }
    if (!this.#live || !equal(this.#live.hash, live.header)) {
      this.#live = new LiveRound(this.#bench, live.header);
    }
    this.#live.owe(live, state, (opened, roster) => {
      this.aggregators.opened(opened, roster);
      this.options.events.opened(opened, roster);
    });
    this.aggregators.owe(live, this.leading);
  }

  #expire(): void {
    const { registry } = this.#state;
    for (const { index, client } of this.#attendance.absent(registry.roster)) {
      this.#bench.proposals.offer(`expire ${index}`, { kind: "expire", index, client });
    }
  }

  /**
   * A record is the head here. Counted now, not once it is certified: no record comes to be without
   * this server's FINAL, so all servers count the same ones, also one that hears of the certificate
   * later than by the order.
   */
  #attended({ header, bitmap }: Record): void {
    const work = this.#live;
    if (!work?.roster || !equal(work.hash, header.hash)) return;
    this.#attendance.record(participants(bitmap), work.roster);
  }

  #voided(live: Live, reason: string): void {
    this.#driver.ended(false);
    this.#bench.proposals.clear();
    const header = this.#live?.header;
    this.#live = undefined;
    if (header && equal(header.hash, live.header)) sayVoid(this.#bench, this.#state, header);
    this.options.events.voided(live.round, reason);
  }

  #finalized(finals: Finals): void {
    this.#driver.ended(true);
    const { proposals, heads, keys, exchange } = this.#bench;
    proposals.clear();
    const work = this.#live;
    this.#live = undefined;
    const record = heads.waiting(finals.record);
    if (!record) return;
    const mine = work && equal(work.hash, record.header.hash) ? work : undefined;
    if (mine?.roster) keys.keep(this.#state.registry.roster);
    const certified = heads.certify(record, finals.signatures.map((signed) => signed!.signature));
    // Who is behind gets the certified record, on request or as it connects.
    if (mine) exchange.drop(mine.blobs);
    this.aggregators.ended();
    this.options.events.finalized(certified, mine?.phases);
  }
}
