/**
 * The event loop of a client: it registers, checks every header before it sends under it, sends
 * cover or a message in every round, and learns what became of its messages.
 */
import { participates } from "../protocol/aggregate.ts";
import { type Bundle } from "../protocol/bundle.ts";
import { equal, hex } from "../protocol/bytes.ts";
import type { Head, Verified } from "../protocol/chain.ts";
import {
  checkReceipt,
  createEnvelope,
  type Envelope,
  joinVectors,
  splitVectors,
} from "../protocol/envelope.ts";
import { checkBundles, type Header } from "../protocol/header.ts";
import { type Agreement, agreement, pairKey, type Signer } from "../protocol/keys.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { checkExtends, type OpenedHeader } from "../protocol/opened.ts";
import { applyPads, padCipher } from "../protocol/pad.ts";
import { type RosterProof, verifyProof } from "../protocol/roster.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer } from "../universe/network.ts";
import { Choice } from "./choice.ts";
import type { Epochs } from "./epochs.ts";
import { Enrolment } from "./enrolment.ts";
import type { Refused } from "./errors.ts";
import { NEWEST } from "./feed.ts";
import { Follower } from "./follower.ts";
import { Link } from "./link.ts";
import { Outbox } from "./outbox.ts";
import type { OwnEvidenceOptions } from "./own_evidence.ts";
import { instanceStreams } from "./streams.ts";

/** A session's keys are replaced after this long. */
const SESSION_MS = 86_400_000;

/** Headers that a registration may stay out of before it is sent again. */
const PATIENCE_HEADERS = 4;

/** What a client is made of. */
export interface ClientOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly epochs: Epochs;
  readonly signer: Signer;
  /** The client's own minimum of participants. */
  readonly minParticipants: number;
  /** What it shows where the committee asks for evidence. */
  readonly own?: OwnEvidenceOptions;
  /** Why the committee is not to be trusted now, or undefined. */
  readonly objection?: () => string | undefined;
  /** Why a server is to be shown nothing, or undefined. */
  readonly distrusts?: (key: Uint8Array) => string | undefined;
  /** It takes part: an envelope of its own was accepted for the first time. */
  readonly ready?: () => void;
  /** A record was verified: another round went by. */
  readonly round?: () => void;
  /** The committee shows that it is there. */
  readonly alive?: () => void;
  /** The committee does not admit it. */
  readonly refused?: (error: Refused) => void;
}

interface Session {
  /** Unix ms, as it was registered. */
  readonly time: number;
  /** When it began, by this process's own time. */
  readonly born: number;
  readonly agreement: Agreement;
  /** Pair keys with the servers, and the bundles they were made with. */
  readonly pairs: Map<number, { readonly bundle: Bundle; readonly key: Uint8Array }>;
}

/** The last envelope sent. */
interface Sent {
  readonly round: number;
  readonly envelope: Envelope;
  receipt?: { readonly bytes: Uint8Array; readonly aggregator: Peer };
}

/** A running client. */
export class Client {
  readonly outbox: Outbox;
  readonly #follower: Follower;
  readonly #submit: Link;
  readonly #choice: Choice;
  readonly #enrolment: Enrolment;
  readonly #bundles = new Map<number, Uint8Array>();
  readonly #unsubscribe: () => void;
  #session: Session;
  /** The session that will be, until a header shows it. */
  #next: Session | undefined;
  #head: Head;
  #lastParticipants: number | undefined;
  #pending: { readonly opened: OpenedHeader; readonly proof: RosterProof | undefined } | undefined;
  #sent: Sent | undefined;
  #lastRound = 0;
  /** Round of the newest header that came. */
  #shown = 0;
  #absent = 0;
  #ready = false;
  /** A header of the newest committee showed us in the roster. */
  #stood = false;
  #quiet = "";

  constructor(readonly options: ClientOptions) {
    const { network, environment, epochs, alive } = options;
    const { clock } = environment;
    const streams = instanceStreams(epochs.parameters);
    this.outbox = new Outbox({
      parameters: epochs.parameters,
      random: environment.random,
      now: clock.now,
      onWarning: () => this.#neglected(),
    });
    this.#session = this.#newSession();
    const choice = this.#choice = new Choice({
      network,
      environment,
      client: options.signer.key,
      parameters: epochs.parameters,
      present: () => this.#submit?.stream?.peer,
      move: (reason) => this.#submit.drop(reason),
    });
    this.#follower = new Follower({
      network,
      environment,
      epochs,
      from: NEWEST,
      candidates: () => choice.holders,
      live: true,
      events: {
        opened: (opened, proof) => this.#opened(opened, proof),
        record: (verified) => this.#record(verified),
        gap: () => this.outbox.reset(),
        alive,
        bad: () => true,
      },
    });
    this.#head = this.#follower.chain.head;
    this.#unsubscribe = epochs.onChange(() => this.#changed());
    this.#submit = new Link({
      network,
      clock,
      kind: streams.submit,
      candidates: () => choice.candidates,
      events: (stream) => {
        environment.observe("debug", "aggregator taken", { aggregator: stream.peer.id });
        clock.after(0, () => {
          this.#follower.attend(stream.peer);
          this.#answerHeader();
        });
        return { frame: (bytes) => this.#receipt(bytes, stream.peer), closed: () => {} };
      },
    });
    choice.start();
    this.#enrolment = new Enrolment({
      network,
      environment,
      signer: options.signer,
      manifest: () => this.#manifest,
      session: () => {
        const { agreement: { key }, time } = this.#next ?? this.#session;
        return { agreement: key, time };
      },
      owed: () => !this.#ready || this.#next !== undefined || !this.#stood,
      own: options.own,
      distrusts: options.distrusts,
      refused: (error) => options.refused?.(error),
    });
  }

  /** The committee that rounds are played with. */
  get #manifest(): Manifest {
    return this.options.epochs.newest;
  }

  /** Whether an envelope of this client was ever accepted. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Leaves the roster and stops; the network is the caller's to stop. */
  stop(reason: string): void {
    this.outbox.close(reason);
    this.#unsubscribe();
    this.#enrolment.leave();
    this.#follower.close();
    this.#submit.close();
    this.#choice.close();
    destroy(this.#session);
    if (this.#next) destroy(this.#next);
  }

  /**
   * Another committee. The session stays: servers hand the roster over. Rounds that were void in the
   * old epoch have no record, so the new one may count them again, under other headers.
   */
  #changed(): void {
    this.#bundles.clear();
    for (const session of [this.#session, this.#next]) if (session) forgetPairs(session);
    this.#pending = undefined;
    this.#shown = this.#lastRound = 0;
    this.#absent = 0;
    this.#stood = false;
    this.#enrolment.changed();
    const { head, manifest } = this.#follower.chain;
    this.#head = head;
    // Where the last record of the old epoch is still to come, it says what became of the messages.
    if (manifest === this.#manifest) this.outbox.reset();
  }

  #newSession(): Session {
    const { clock, random } = this.options.environment;
    const time = clock.wall(), born = clock.now();
    return { time, born, agreement: agreement(random(32)), pairs: new Map() };
  }

  #opened(opened: OpenedHeader, proof: RosterProof | undefined): void {
    if (opened.header.round > this.#shown) {
      this.#shown = opened.header.round;
      this.#choice.alive();
    }
    this.#pending = { opened, proof };
    this.#answerHeader();
  }

  #record(verified: Verified): void {
    const { record } = verified;
    const before = this.#head, after = this.#follower.chain.head;
    const mine = this.#sent?.round === record.header.round &&
      equal(this.#sent.envelope.header, record.header.hash);
    const took = mine && participates(record.bitmap, this.#sent!.envelope.index);
    if (mine && !took) this.#leftOut(this.#sent!);
    if (verified.linked) this.outbox.record(record, before, after, took);
    else this.outbox.reset();
    this.outbox.expire();
    this.#head = after;
    this.#lastParticipants = verified.participants.length;
    this.options.round?.();
    this.#answerHeader();
  }

  /** Sends under the header that waits, once the record that it extends is here. */
  #answerHeader(): void {
    if (!this.#pending) return;
    const { opened: { header }, proof } = this.#pending;
    if (header.round <= Math.max(this.#head.round, this.#lastRound)) {
      return void (this.#pending = undefined);
    }
    if (!equal(header.previous, this.#head.hash)) return;
    const silence = this.#objection(header, proof);
    // It may be between two aggregators: the next one may still take it.
    if (silence === undefined && !this.#submit.stream) return;
    this.#pending = undefined;
    this.#lastRound = header.round;
    if (silence !== undefined) {
      if (silence !== this.#quiet) {
        this.options.environment.observe("info", "silent", {
          round: header.round,
          reason: silence,
        });
      }
      this.#quiet = silence;
      return this.outbox.skip(header);
    }
    this.#quiet = "";
    this.#send(header, proof!);
  }

  /** Why nothing is sent under a header, or undefined. */
  #objection(header: Header, proof: RosterProof | undefined): string | undefined {
    const { signer, minParticipants, environment: { clock } } = this.options;
    try {
      checkExtends(header, this.#head);
      checkBundles(this.#manifest, header, this.#bundles);
    } catch (error) {
      return (error as Error).message;
    }
    const stands = (session: Session | undefined) =>
      session !== undefined && proof !== undefined &&
      verifyProof(header, { client: signer.key, agreement: session.agreement.key }, proof);
    if (stands(this.#next)) {
      destroy(this.#session);
      this.#session = this.#next!;
      this.#next = undefined;
      this.outbox.reset();
    } else if (!stands(this.#session)) {
      if (++this.#absent >= PATIENCE_HEADERS && !this.#enrolment.busy) this.#again();
      return "not in the roster of this header";
    } else if (!this.#next && clock.now() - this.#session.born > SESSION_MS) this.#again();
    this.#absent = 0;
    this.#stood = true;
    const untrusted = this.options.objection?.();
    if (untrusted) return untrusted;
    if (header.rosterSize < minParticipants) {
      return `a roster of ${header.rosterSize}, own minimum ${minParticipants}`;
    }
    if (this.#choice.candidates.length === 0) return "no aggregator";
    return undefined;
  }

  /** Registers with a new session, beside the present one until a header shows it. */
  #again(): void {
    if (this.#next) destroy(this.#next);
    this.#next = this.#newSession();
    this.#absent = 0;
    this.#enrolment.register();
  }

  #send(header: Header, proof: RosterProof): void {
    const { signer, minParticipants } = this.options, { parameters, servers } = this.#manifest;
    const enough = this.#lastParticipants === undefined ||
      this.#lastParticipants >= minParticipants;
    const plain = this.outbox.compose(header, this.#head, { speak: enough });
    const keys = servers.map((_, i) => this.#pair(header, i));
    const body = joinVectors(plain);
    const padded = applyPads(padCipher(parameters.suite), keys, header.hash, body);
    for (const bytes of [plain.schedule, plain.messages, body]) bytes.fill(0);
    const envelope = createEnvelope(
      signer,
      header.hash,
      proof.index,
      splitVectors(padded, parameters),
    );
    this.#sent = { round: header.round, envelope };
    const stream = this.#submit.stream!;
    this.#choice.settle();
    stream.send(envelope.bytes);
    this.#follower.attend(stream.peer);
  }

  #pair(header: Header, server: number): Uint8Array {
    const { signer } = this.options,
      manifest = this.#manifest,
      bundle = header.bundles[server],
      { agreement, pairs } = this.#session;
    const known = pairs.get(server);
    if (known && equal(known.bundle.bytes, bundle.bytes)) return known.key;
    known?.key.fill(0);
    const key = pairKey(agreement.shared(bundle.agreement), {
      instance: manifest.instance,
      client: { key: signer.key, agreement: agreement.key },
      server: { key: manifest.servers[server], agreement: bundle.agreement },
    });
    pairs.set(server, { bundle: { ...bundle, bytes: bundle.bytes.slice() }, key });
    return key;
  }

  /** A receipt is kept as evidence; it is checked once, and again when it matters. */
  #receipt(bytes: Uint8Array, aggregator: Peer): void {
    if (!this.#sent || !equal(bytes.subarray(0, 32), this.#sent.envelope.header)) return;
    this.#sent.receipt = { bytes, aggregator };
    if (this.#ready) return;
    checkReceipt(bytes, aggregator.key, this.#sent.envelope);
    this.#ready = true;
    const { index } = this.#sent.envelope, client = hex(this.options.signer.key);
    this.options.environment.observe("info", "taking part", {
      client,
      index,
      aggregator: aggregator.id,
    });
    this.options.ready?.();
  }

  /** Three records in a row without this client that was sent for: another aggregator may do better. */
  #neglected(): void {
    const { stream } = this.#submit;
    this.options.environment.observe("warn", "left out three times in a row", {
      aggregator: stream?.peer.id,
      others: this.#choice.candidates.length - 1,
    });
    if (this.#choice.candidates.length > 1) this.#submit.drop("left out three times in a row");
  }

  /** An envelope of ours is not in the record: did the aggregator take it and leave it out? */
  #leftOut({ round, envelope, receipt }: Sent): void {
    if (!receipt) return;
    try {
      checkReceipt(receipt.bytes, receipt.aggregator.key, envelope);
      this.options.environment.observe("warn", "left out in spite of a receipt", {
        round,
        aggregator: receipt.aggregator.id,
      });
    } catch { /* no evidence of anything */ }
  }
}

function destroy(session: Session): void {
  session.agreement.destroy();
  forgetPairs(session);
}

function forgetPairs(session: Session): void {
  for (const { key } of session.pairs.values()) key.fill(0);
  session.pairs.clear();
}
