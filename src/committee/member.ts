/**
 * One server of the committee as a core without I/O: commands, blobs and ticks go in; statements,
 * blobs and certified records come out. `#react` looks at the state and does whatever this server
 * owes it now; it is called after every change and may be called again without harm.
 */
import { type Aggregate, decodeAggregate, participants } from "../protocol/aggregate.ts";
import { concat, equal, type HeaderHash, hex, type RecordHash } from "../protocol/bytes.ts";
import { genesis, type Head, headOf } from "../protocol/chain.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { checkBundles, createHeader, decodeHeader, type Header } from "../protocol/header.ts";
import type { Signer } from "../protocol/keys.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { checkExtends, type OpenedHeader } from "../protocol/opened.ts";
import { padCipher } from "../protocol/pad.ts";
import type { CertifiedRecord, Record } from "../protocol/record.ts";
import type { Registration } from "../protocol/registration.ts";
import type { Roster } from "../protocol/roster.ts";
import {
  createShare,
  decodeShare,
  encodeShare,
  maxShareBytes,
  type Share,
  shareCommitment,
} from "../protocol/share.ts";
import {
  encodeSigned,
  type Signed,
  signStatement,
  type Statement,
  verifyStatement,
} from "../protocol/statements.ts";
import type { Environment } from "../universe/environment.ts";
import { Attendance } from "./attendance.ts";
import { Blobs } from "./blobs.ts";
import { type Command, encodeCommand } from "./commands.ts";
import { Driver } from "./driver.ts";
import type { Engine, EngineHost } from "./engine.ts";
import { decodeEvidence, encodeEvidence, openRecord, type Pending } from "./evidence.ts";
import { Keys } from "./member_keys.ts";
import { type Decision, type Evidence, ReleaseRules, type Store } from "./release.ts";
import { CommitteeState, type Finals, type Live } from "./state.ts";

/** What one server's frame to another is. */
const ENGINE = 0, WANT = 1, BLOB = 2, HEAD = 3;

/** How long until a proposal that was not applied, or a blob that did not come, is asked for again. */
const RETRY_MS = 1_000;

/** Milliseconds that each phase of a round took at this server. */
export type Phases = Readonly<
  globalThis.Record<"open" | "fold" | "prepare" | "unblind" | "finalize", number>
>;

/** What a member tells the role around it. */
export interface MemberEvents {
  /** All servers OPENed a header; the roster is the one that it names. */
  opened(opened: OpenedHeader, roster: Roster): void;
  /** All servers signed FINAL. `phases` is absent for a record that was only caught up with. */
  finalized(certified: CertifiedRecord, phases?: Phases): void;
  /** A round was given up. */
  voided(round: number, reason: string): void;
  /** A server convicted itself; `proof` is both statements. */
  equivocation(why: string, server: Uint8Array, proof: Uint8Array): void;
}

/** What a member is made of. */
export interface MemberOptions {
  readonly manifest: Manifest;
  /** Place in the manifest. */
  readonly self: number;
  readonly signer: Signer;
  readonly store: Store;
  readonly environment: Environment;
  readonly engine: (host: EngineHost, self: number) => Engine;
  /** Why a client may not take part, or undefined. */
  readonly admits: (client: Uint8Array) => string | undefined;
  readonly events: MemberEvents;
}

/** This server's own work on the live round. */
interface Work {
  readonly hash: HeaderHash;
  readonly since: number;
  header?: Header;
  roster?: Roster;
  aggregate?: Aggregate;
  share?: Share;
  opened?: boolean;
  readonly shares: (Share | undefined)[];
  readonly times: number[];
}

/** See the module comment. */
export class Member implements EngineHost {
  readonly #rules: ReleaseRules;
  readonly #engine: Engine;
  readonly #keys: Keys;
  readonly #blobs: Blobs;
  readonly #driver: Driver;
  readonly #attendance: Attendance;
  readonly #links = new Map<number, (frame: Uint8Array) => void>();
  readonly #offered = new Map<string, number>();
  readonly #admitted = new Set<string>();
  #state: CommitteeState;
  #head: Head;
  #headRecord: CertifiedRecord | undefined;
  /** What the head rests on, while its certificate is not complete. */
  #pending: Pending | undefined;
  #work: Work | undefined;
  #reacting = false;
  #again = false;
  #waiting = "";

  constructor(readonly options: MemberOptions) {
    const { manifest, environment, signer } = options;
    this.#keys = new Keys(signer, manifest, environment.random);
    const scheme = {
      sign: <S extends Statement>(statement: S): Signed<S> => signStatement(signer, statement),
      verify: verifyStatement,
    };
    this.#rules = new ReleaseRules({
      servers: manifest.servers,
      self: options.self,
      scheme,
      store: options.store,
      nonce: this.#keys.nonce,
      genesis: { round: 0, hash: manifest.root },
      minParticipants: manifest.parameters.minParticipants,
    });
    this.#head = genesis(manifest);
    const evidence = this.#rules.attachment && decodeEvidence(this.#rules.attachment, manifest);
    if (evidence) {
      if ("certified" in evidence) this.#headRecord = evidence.certified;
      else this.#pending = evidence.pending;
      this.#head = headOf(
        "certified" in evidence ? evidence.certified.record : evidence.pending.record,
        manifest,
      );
    }
    this.#blobs = new Blobs(
      8 * manifest.servers.length + 64,
      64 * 2 ** 20 + 8 * maxShareBytes(manifest.parameters),
    );
    this.#driver = new Driver(manifest);
    this.#attendance = new Attendance(manifest.parameters.leaseRounds);
    this.#state = new CommitteeState(manifest, this.#stateEvents());
    this.#engine = options.engine(this, options.self);
  }

  /** The last record that this server signed. */
  get head(): Head {
    return this.#head;
  }
  /** That record with its certificate, once it is complete. */
  get headRecord(): CertifiedRecord | undefined {
    return this.#headRecord;
  }
  /** The replicated state; to be read only. */
  get state(): CommitteeState {
    return this.#state;
  }
  /** Whether this server drives the rounds now. */
  get leading(): boolean {
    return this.#engine.leader === this.options.self;
  }
  /** The live header once all have OPENed it, with its roster. */
  get live(): { readonly opened: OpenedHeader; readonly roster: Roster } | undefined {
    const live = this.#state.live, header = this.#work?.header, roster = this.#work?.roster;
    if (
      !live || !header || !roster || !equal(live.header, header.hash) ||
      live.opens.includes(undefined)
    ) return;
    return { opened: { header, opens: live.opens.map((signed) => signed!.signature) }, roster };
  }

  /** A way to another server opened. */
  connected(peer: number, send: (frame: Uint8Array) => void): void {
    this.#links.set(peer, send);
    if (this.#rules.attachment) send(concat(Uint8Array.of(HEAD), this.#rules.attachment));
    this.#engine.connected(peer);
    this.#react();
  }

  /** The way to another server is gone. */
  disconnected(peer: number): void {
    this.#links.delete(peer);
    this.#engine.disconnected(peer);
  }

  /** A frame of another server; throws a `ProtocolError` for a malformed one. */
  receive(from: number, frame: Uint8Array): void {
    const kind = frame[0], body = frame.subarray(1);
    switch (kind) {
      case ENGINE:
        this.#engine.receive(from, body);
        break;
      case WANT:
        this.#answer(from, body);
        break;
      case BLOB:
        if (body.length < 32) throw new ProtocolError("length", "a blob without its id");
        this.#blobs.put(body.subarray(0, 32), body.subarray(32));
        break;
      case HEAD:
        this.#catchUp(body);
        break;
      default:
        throw new ProtocolError("type", `a frame of kind ${kind} between servers`);
    }
    this.#react();
  }

  /** Takes a client's registration or leave, checked; answers why not, or undefined. */
  register(kind: "register" | "leave", registration: Registration): string | undefined {
    const now = this.options.environment.clock.now();
    if (kind === "register") {
      const refused = this.options.admits(registration.client);
      if (refused) return refused;
      if (Math.abs(now - registration.session) > 86_400_000) {
        return "session time more than a day off";
      }
      const seated = this.#state.registry.session(registration.client);
      if (seated !== undefined && seated === registration.session) return undefined;
      if (seated !== undefined && seated > registration.session) {
        return "a newer session of this client exists";
      }
      if (
        seated === undefined &&
        this.#state.registry.size >= this.options.manifest.parameters.maxClients
      ) {
        return "the roster is full";
      }
    }
    this.#engine.propose(encodeCommand({ kind, registration }));
    return undefined;
  }

  /** Takes an aggregate for the live round from an aggregator; throws for one that is wrong. */
  aggregate(bytes: Uint8Array): void {
    const live = this.live;
    if (live === undefined) {
      throw new ProtocolError("mismatch", "an aggregate while no round is open");
    }
    const aggregate = decodeAggregate(bytes, live.opened.header, this.options.manifest.parameters);
    this.#blobs.put(aggregate.digest, bytes);
    if (!this.#state.live!.digest) {
      this.#offer("aggregate", {
        kind: "aggregate",
        header: aggregate.header,
        digest: aggregate.digest,
      });
    }
    this.#react();
  }

  /** Time passed: the leader drives, and everyone asks again for what did not come. */
  tick(): void {
    this.#react();
    if (!this.leading) return;
    const { clock, observe } = this.options.environment;
    const intent = this.#driver.next(clock.now(), this.#state, this.#head, this.#engine.present);
    if (intent === undefined) return;
    if ("waiting" in intent) {
      if (intent.waiting !== this.#waiting) observe("info", "waiting", { for: intent.waiting });
      this.#waiting = intent.waiting;
    } else if ("abandon" in intent) {
      this.#offer("abandon", { kind: "abandon", header: intent.abandon, reason: intent.reason });
    } else {
      this.#waiting = "";
      const header = createHeader(this.options.manifest, intent.open);
      this.#blobs.put(header.hash, header.bytes);
      this.#push(header.hash, header.bytes);
      observe("debug", "opening round", { round: header.round, roster: this.#state.registry.size });
      this.#engine.propose(
        encodeCommand({ kind: "propose", round: header.round, header: header.hash }),
      );
    }
  }

  /** Makes the key pair of the next key epoch; the old one goes at the first OPEN with the new. */
  rotateKeys(): void {
    this.#keys.rotate();
    this.#react();
  }

  /** Forgets every key. The member must not be used afterwards. */
  destroy(): void {
    this.#keys.destroy();
  }

  // The engine's side.

  send(to: number, message: Uint8Array): void {
    this.#links.get(to)?.(concat(Uint8Array.of(ENGINE), message));
  }

  apply(command: Uint8Array): void {
    try {
      this.#state.apply(command);
    } catch (error) {
      this.options.environment.observe("warn", "command refused", {
        reason: (error as Error).message,
      });
    }
    this.#react();
  }

  snapshot(): Uint8Array {
    return this.#state.snapshot();
  }

  restore(snapshot: Uint8Array): void {
    this.#state = CommitteeState.restore(snapshot, this.options.manifest, this.#stateEvents());
    this.#offered.clear();
    this.#work = undefined;
    this.#react();
  }

  // What this server owes the state.

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
    const state = this.#state, { self } = this.options;
    const bundle = state.bundles[self];
    if (!bundle || !equal(bundle.bytes, this.#keys.newest.bytes)) {
      this.#offer("bundle", { kind: "bundle", server: self, bundle: this.#keys.newest });
    }
    if (this.#head.round > state.head.round) this.#offerHead();
    if (state.head.round > this.#head.round) this.#want(state.head.record);
    this.#oweVoids();
    if (this.leading && !state.live) {
      for (const { index, client } of this.#attendance.absent(state.registry.roster)) {
        this.#offer(`expire ${index}`, { kind: "expire", index, client });
      }
    }
    const live = state.live;
    if (live === undefined) return;
    const work = this.#workOn(live);
    const header = work && this.#header(work);
    if (!work || !header) return;
    if (!live.opens[self]) this.#oweOpen(live, work, header);
    if (live.opens.includes(undefined)) return;
    if (!work.opened) {
      work.opened = true;
      work.times[0] = this.#now();
      this.options.events.opened(this.live!.opened, work.roster!);
    }
    if (live.digest === undefined) return;
    if (!live.prepares[self]) this.#owePrepare(live, work, header);
    if (live.prepares.includes(undefined)) return;
    work.times[2] ??= this.#now();
    if (!live.partials[self]) this.#owePartial(live, work, header);
    if (live.partials.includes(undefined)) return;
    work.times[3] ??= this.#now();
    this.#oweFinal(live, work, header);
  }

  #oweOpen(live: Live, work: Work, header: Header): void {
    if (live.declined.has(this.options.self)) return;
    const decision = this.#rules.open(
      this.#view(header),
      this.#now(),
      this.#objection(header, work),
    );
    if ("signed" in decision) this.#keys.use(header.bundles[this.options.self]);
    this.#say(live, decision);
  }

  #owePrepare(live: Live, work: Work, header: Header): void {
    const { self, manifest, environment } = this.options;
    if (live.declined.has(self)) return;
    const bytes = this.#blobs.get(live.digest!);
    if (bytes === undefined) return this.#want(live.digest!);
    if (!work.aggregate) {
      try {
        work.aggregate = decodeAggregate(bytes, header, manifest.parameters);
        if (!equal(work.aggregate.digest, live.digest!)) {
          throw new ProtocolError("mismatch", "another aggregate");
        }
      } catch {
        work.aggregate = undefined;
        this.#blobs.drop(live.digest!);
        return this.#want(live.digest!);
      }
      work.times[1] = this.#now();
    }
    const { taking, strangers } = this.#participants(work);
    if (!work.share && this.#keys.opens(header.bundles[self])) {
      const keys = strangers > 0 ? [] : taking.map((entry) => this.#keys.pair(entry!));
      const cipher = padCipher(manifest.parameters.suite);
      work.share = createShare(cipher, keys, header, environment.random(32), manifest.parameters);
    }
    if (!work.share) return this.#decline(live, "the key of this header is gone");
    const p = shareCommitment(work.share, live.digest!, manifest.servers[self]);
    this.#say(live, this.#rules.prepare(this.#view(header), live.digest!, p, this.#facts(work)));
  }

  #owePartial(live: Live, work: Work, header: Header): void {
    if (live.declined.has(this.options.self) || !work.aggregate || !work.share) return;
    const decision = this.#rules.partial(this.#view(header), live.prepares, this.#facts(work));
    if ("signed" in decision) {
      const bytes = encodeShare(work.share), id = this.#commitmentOf(live, this.options.self);
      this.#blobs.put(id, bytes);
      this.#push(id, bytes);
    }
    this.#say(live, decision);
  }

  #oweFinal(live: Live, work: Work, header: Header): void {
    const { manifest, self } = this.options;
    if (this.#head.round >= header.round) return;
    const aggregate = work.aggregate ?? this.#aggregateOf(live, header);
    if (!aggregate) return this.#want(live.digest!);
    work.aggregate = aggregate;
    manifest.servers.forEach((server, i) => {
      work.shares[i] ??= this.#shareOf(live, header, server, i);
      if (!work.shares[i]) this.#want(this.#commitmentOf(live, i));
    });
    if (work.shares.includes(undefined)) {
      // My share of an earlier boot is nowhere to be had, and its key is gone: say so, in the end.
      const mine = !work.shares[self] && !this.#keys.opens(header.bundles[self]);
      if (mine && this.#now() - work.since > manifest.parameters.roundDeadline) {
        this.#oweVoid(header);
      }
      return;
    }
    const shares = work.shares as Share[],
      prepares = live.prepares as Signed[],
      partials = live.partials as Signed[];
    const record = openRecord(manifest, header, aggregate, prepares, partials, shares);
    if (!record) return;
    this.#finalize({ record, aggregate, prepares, partials, shares });
  }

  #finalize(pending: Pending): void {
    const { record, partials } = pending;
    const { round, previous, hash } = record.header;
    const decision = this.#rules.final(
      { hash: record.hash, round, previous, header: hash },
      partials,
      { sharesMatch: true },
      this.#pending === pending ? this.#rules.attachment! : encodeEvidence({ pending }),
    );
    if ("refused" in decision) {
      this.options.environment.observe("warn", "FINAL refused", { round, rule: decision.refused });
      return;
    }
    this.#head = headOf(record, this.options.manifest);
    this.#headRecord = undefined;
    this.#pending = pending;
    this.#offerStatement(decision.signed, round);
  }

  /** VOIDs of headers on this head that somebody released and that are live no more. */
  #oweVoids(): void {
    for (const { header, partials } of this.#state.released.values()) {
      if (this.#state.live && equal(this.#state.live.header, header)) continue;
      if (partials[this.options.self] || this.#hasVoid(header)) continue;
      const bytes = this.#blobs.get(header);
      if (bytes === undefined) this.#want(header);
      else this.#oweVoid(decodeHeader(bytes, this.options.manifest));
    }
  }

  #oweVoid(header: Header): void {
    if (this.#hasVoid(header.hash)) return;
    const decision = this.#rules.void(this.#view(header));
    if ("signed" in decision) this.#offerStatement(decision.signed);
  }

  #hasVoid(header: HeaderHash): boolean {
    const mine = this.options.signer.key;
    return (this.#state.voids.get(hex(header)) ?? []).some((signed) => equal(signed.server, mine));
  }

  /** The head that I signed is not the state's yet: help it there. */
  #offerHead(): void {
    if (this.#headRecord) {
      const { record, certificate } = this.#headRecord;
      certificate.forEach((signature, i) => {
        const server = this.options.manifest.servers[i];
        this.#offerStatement({
          statement: { kind: "final", record: record.hash },
          server,
          signature,
        }, record.header.round);
      });
    } else if (this.#pending && !this.#mineIn(this.#state.finals, this.#pending.record)) {
      this.#finalize(this.#pending);
    }
  }

  #mineIn(finals: Finals | undefined, record: Record): boolean {
    return finals !== undefined && equal(finals.record, record.hash) &&
      finals.signatures[this.options.self] !== undefined;
  }

  /** Another server's head: adopt it if it is certified and higher, finish it if it is pending. */
  #catchUp(bytes: Uint8Array): void {
    const { manifest } = this.options;
    const evidence = decodeEvidence(bytes, manifest);
    if ("certified" in evidence) {
      const { record, certificate } = evidence.certified;
      const finals = manifest.servers.map((server, i): Signed => ({
        statement: { kind: "final", record: record.hash },
        server,
        signature: certificate[i],
      }));
      const before = this.#rules.head;
      if (equal(before.hash, record.hash)) {
        if (!this.#headRecord) this.#certify(record, certificate);
      } else if (
        this.#rules.adopt({ hash: record.hash, round: record.header.round }, finals, bytes)
      ) {
        this.#head = headOf(record, manifest);
        this.#headRecord = evidence.certified;
        this.#pending = undefined;
        this.options.events.finalized(evidence.certified);
      }
    } else {
      const { record } = evidence.pending;
      if (equal(record.header.previous, this.#rules.head.hash)) this.#finalize(evidence.pending);
    }
  }

  #certify(record: Record, certificate: readonly Uint8Array[], phases?: Phases): void {
    const certified = { record, certificate };
    this.#rules.attach(encodeEvidence({ certified }));
    this.#headRecord = certified;
    this.#pending = undefined;
    this.options.events.finalized(certified, phases);
  }

  // What the state tells.

  #stateEvents() {
    return {
      voided: (live: Live, reason: string) => {
        this.#driver.ended(false);
        this.#offered.clear();
        const header = this.#work?.header;
        this.#work = undefined;
        if (
          header && equal(header.hash, live.header) && this.#rules.opened &&
          !this.#rules.released(header.hash)
        ) {
          this.#oweVoid(header);
        }
        this.options.events.voided(live.round, reason);
      },
      finalized: (finals: Finals) => this.#finalized(finals),
      equivocation: (why: string, a: Signed, b: Signed) => {
        this.options.events.equivocation(why, a.server, concat(encodeSigned(a), encodeSigned(b)));
      },
    };
  }

  #finalized(finals: Finals): void {
    this.#driver.ended(true);
    this.#offered.clear();
    const work = this.#work;
    this.#work = undefined;
    const record = this.#pending?.record;
    if (!record || !equal(finals.record, record.hash)) return;
    if (work?.roster) {
      this.#attendance.record(participants(record.bitmap), work.roster);
      this.#keys.keep(this.#state.registry.roster);
    }
    const at = work ? [...work.times.slice(0, 4), this.#now()] : [];
    const phases = work && at.length === 5 && at.every((time) => time !== undefined)
      ? {
        open: at[0] - work.since,
        fold: at[1] - at[0],
        prepare: at[2] - at[1],
        unblind: at[3] - at[2],
        finalize: at[4] - at[3],
      }
      : undefined;
    this.#certify(record, finals.signatures.map((signed) => signed!.signature), phases);
  }

  // Small pieces.

  #now(): number {
    return this.options.environment.clock.now();
  }

  #view(header: Header) {
    return { ...header, nonce: header.bundles[this.options.self].nonce };
  }

  #workOn(live: Live): Work | undefined {
    if (!this.#work || !equal(this.#work.hash, live.header)) {
      this.#work = {
        hash: live.header,
        since: this.#now(),
        shares: this.options.manifest.servers.map(() => undefined),
        times: [],
      };
    }
    return this.#work;
  }

  #header(work: Work): Header | undefined {
    if (work.header) return work.header;
    const bytes = this.#blobs.get(work.hash);
    if (bytes === undefined) {
      this.#want(work.hash);
      return undefined;
    }
    try {
      const header = decodeHeader(bytes, this.options.manifest);
      if (!equal(header.hash, work.hash)) throw new ProtocolError("mismatch", "another header");
      work.roster = this.#state.registry.roster.clone();
      return work.header = header;
    } catch {
      this.#blobs.drop(work.hash);
      return undefined;
    }
  }

  /** What is false in a header beyond the rules that need memory, or undefined. */
  #objection(header: Header, work: Work): string | undefined {
    const { roster } = this.#state.registry;
    try {
      if (header.round !== this.#state.live!.round) return "another round than proposed";
      checkExtends(header, this.#head);
      checkBundles(this.options.manifest, header, this.#keys.checked);
      if (!equal(header.bundles[this.options.self].bytes, this.#keys.newest.bytes)) {
        return "an older bundle of mine";
      }
      if (header.rosterSize !== roster.size || !equal(header.rosterRoot, work.roster!.root)) {
        return "another roster";
      }
      for (const [, { client }] of roster.clients()) {
        if (this.#admitted.has(hex(client))) continue;
        const refused = this.options.admits(client);
        if (refused) return `client ${hex(client).slice(0, 16)} is not admitted here: ${refused}`;
        this.#admitted.add(hex(client));
      }
    } catch (error) {
      return (error as Error).message;
    }
    return undefined;
  }

  #participants(work: Work) {
    const taking = participants(work.aggregate!.bitmap).map((index) => work.roster!.at(index));
    return { taking, strangers: taking.filter((entry) => entry === undefined).length };
  }

  #facts(work: Work) {
    const { taking, strangers } = this.#participants(work);
    const evidence: Evidence[] = [...this.#state.voids.values()].flat().map((signed) =>
      ({ void: signed }) as Evidence
    );
    return {
      participants: taking.length,
      strangers,
      holdsBytes: work.aggregate !== undefined,
      evidence,
    };
  }

  #aggregateOf(live: Live, header: Header): Aggregate | undefined {
    const bytes = this.#blobs.get(live.digest!);
    try {
      const aggregate = bytes && decodeAggregate(bytes, header, this.options.manifest.parameters);
      if (!aggregate || equal(aggregate.digest, live.digest!)) return aggregate;
    } catch { /* not what it was said to be: asked for again */ }
    this.#blobs.drop(live.digest!);
    return undefined;
  }

  #commitmentOf(live: Live, server: number): Uint8Array {
    const { statement } = live.prepares[server]!;
    if (statement.kind !== "prepare") throw new ProtocolError("type", "not a PREPARE");
    return statement.share;
  }

  #shareOf(live: Live, header: Header, server: Uint8Array, index: number): Share | undefined {
    const id = this.#commitmentOf(live, index), bytes = this.#blobs.get(id);
    if (bytes === undefined) return undefined;
    try {
      const share = decodeShare(bytes, header, this.options.manifest.parameters);
      if (equal(shareCommitment(share, live.digest!, server), id)) return share;
    } catch { /* as above */ }
    this.#blobs.drop(id);
    return undefined;
  }

  #say(live: Live, decision: Decision<Statement>): void {
    if ("signed" in decision) this.#offerStatement(decision.signed);
    else this.#decline(live, decision.refused);
  }

  #decline(live: Live, reason: string): void {
    const server = this.options.self;
    this.#offer("decline", { kind: "decline", server, header: live.header, reason });
  }

  #offerStatement(signed: Signed, round = 0): void {
    this.#offer(`statement ${hex(signed.signature)}`, { kind: "statement", round, signed });
  }

  /** Proposes a command once, and again when it was not applied for a while. */
  #offer(name: string, command: Command): void {
    const now = this.#now(), last = this.#offered.get(name);
    if (last !== undefined && now - last < RETRY_MS) return;
    this.#offered.set(name, now);
    this.#engine.propose(encodeCommand(command));
  }

  #want(id: HeaderHash | RecordHash | Uint8Array): void {
    const name = `want ${hex(id)}`, now = this.#now(), last = this.#offered.get(name);
    if (last !== undefined && now - last < RETRY_MS / 5) return;
    this.#offered.set(name, now);
    for (const send of this.#links.values()) send(concat(Uint8Array.of(WANT), id));
  }

  #push(id: Uint8Array, bytes: Uint8Array): void {
    const frame = concat(Uint8Array.of(BLOB), id, bytes);
    for (const send of this.#links.values()) send(frame);
  }

  #answer(to: number, id: Uint8Array): void {
    if (id.length !== 32) throw new ProtocolError("length", `a blob id of ${id.length} bytes`);
    const attachment = this.#rules.attachment;
    const bytes = this.#blobs.get(id);
    if (bytes) this.#links.get(to)?.(concat(Uint8Array.of(BLOB), id, bytes));
    else if (attachment && equal(id, this.#rules.head.hash)) {
      this.#links.get(to)?.(concat(Uint8Array.of(HEAD), attachment));
    }
  }
}
