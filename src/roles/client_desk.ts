/**
 * Where clients come to a server: to register, to leave, and to show what admission asks for. What a
 * client shows here is judged here, and then handed to every other server of the committee, since
 * each judges it by itself. A client is told that it was refused, never why.
 *
 * Words between servers: u8 kind ‖ client (32) ‖ body. 0 judge ‖ evidence · 1 refused ‖ u8 1 where it
 * may be right to show it again.
 */
import type { Member } from "../committee/member.ts";
import { equal, hex, Reader, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Manifest } from "../protocol/manifest.ts";
import {
  decodeRegistration,
  type Registration,
  REGISTRATION_BYTES,
  type RegistrationKind,
} from "../protocol/registration.ts";
import type { Environment } from "../universe/environment.ts";
import { Bucket, Buckets } from "../universe/bucket.ts";
import { MAX_TRACKED } from "../universe/limits.ts";
import type { Stream, StreamEvents } from "../universe/network.ts";
import type { Admissions, Judged } from "./admissions.ts";
import { DESK_LIMITS, type DeskLimits, noDeskRefusals } from "./limits.ts";
import {
  ASK,
  decodeEvidence,
  encodeEvidence,
  encodeWanted,
  type Evidence,
  LEAVE,
  REFUSED,
  REGISTER,
  TAKEN,
} from "./evidence.ts";

const JUDGE = 0, DENIED = 1;

/** How often another server that has not vouched is told again what a client showed: doubling. */
const TELL_AGAIN_MS = 1_000, TELLS = 5;
/** Clients of whom others are still told. */
const MAX_TOLD = 4_096;

/** The source of those who come here themselves. */
const HERE = -1;

/** What a desk works with. */
export interface ClientDeskOptions {
  readonly environment: Environment;
  readonly manifest: Manifest;
  readonly member: Member;
  /** Place in the manifest. */
  readonly self: number;
  /** What clients have to show, where they have to show anything. */
  readonly admissions?: Admissions;
  /** Other limits than `DESK_LIMITS`; tests alone have reasons to set any. */
  readonly deskLimits?: Partial<DeskLimits>;
}

interface Told {
  readonly client: Uint8Array;
  readonly word: Uint8Array;
  readonly until: number;
  /** Other servers that have not answered. */
  readonly owing: Set<number>;
  tells: number;
  next: number;
}

/** See the module comment. */
export class ClientDesk {
  /** Who was taken here and may yet be refused by another server, by key in hex. */
  readonly #taken = new Map<string, Stream>();
  /** Open streams on which something is being judged. */
  readonly #judging = new Set<Stream>();
  /** What others are told until they vouch: a word may be lost while streams come and go. */
  readonly #told = new Map<string, Told>();

  readonly #limits: DeskLimits;
  readonly #perPeer: Buckets;
  readonly #all: Bucket;
  readonly #evidencePerPeer: Buckets;
  readonly #evidence: Bucket;
  readonly #refused = noDeskRefusals();

  constructor(readonly options: ClientDeskOptions) {
    const limits = this.#limits = { ...DESK_LIMITS, ...options.deskLimits };
    const now = options.environment.clock.now();
    this.#perPeer = new Buckets(limits.registrationsPerPeer, MAX_TRACKED);
    this.#all = new Bucket(limits.registrations, now);
    this.#evidencePerPeer = new Buckets(limits.admissionsPerPeer, MAX_TRACKED);
    this.#evidence = new Bucket(limits.admissions, now);
  }

  /** How often each limit was hit. */
  get counts(): { readonly refused: Readonly<Record<keyof DeskLimits, number>> } {
    return { refused: { ...this.#refused } };
  }

  /** A client's stream. */
  accept(stream: Stream): StreamEvents {
    return {
      frame: (bytes) => this.#frame(stream, bytes),
      closed: () => {
        // Evidence that another took the place of is never judged.
        this.#judging.delete(stream);
        for (const [name, it] of this.#taken) if (it === stream) this.#taken.delete(name);
      },
    };
  }

  /** Tells again, in time, whoever has not vouched yet for what was shown here. */
  tick(): void {
    const { member, environment: { clock } } = this.options, now = clock.now();
    for (const [name, told] of this.#told) {
      if (now < told.next) continue;
      for (const server of told.owing) {
        const vouch = member.state.vouches.of(server, told.client);
        if (vouch && vouch.until >= told.until) told.owing.delete(server);
        else member.tell(server, told.word);
      }
      told.next = now + TELL_AGAIN_MS * 2 ** told.tells;
      if (told.owing.size === 0 || ++told.tells >= TELLS) this.#told.delete(name);
    }
  }

  /** A word of another server; throws a `ProtocolError` for a malformed one. */
  word(from: number, bytes: Uint8Array): void {
    const { admissions, manifest, member, environment: { observe } } = this.options;
    const reader = new Reader(bytes, "word"), kind = reader.u8(), client = reader.bytes(32).slice();
    if (kind === DENIED) {
      const again = reader.u8() === 1, stream = this.#taken.get(hex(client));
      reader.end();
      this.#told.get(hex(client))?.owing.delete(from);
      observe("info", "client refused", { client: hex(client), by: hex(manifest.servers[from]) });
      if (!stream) return;
      if (!again || !admissions) return refuse(stream, "refused");
      return void stream.send(encodeWanted(admissions.wants, admissions.freshness));
    }
    if (kind !== JUDGE || !admissions) throw new ProtocolError("type", `a word of kind ${kind}`);
    const evidence = decodeEvidence(reader.bytes(reader.left).slice());
    admissions.judge(from, client, evidence, (judged) => {
      if ("until" in judged) return member.vouch(client, judged.until);
      observe("warn", "client refused", { client: hex(client), reason: judged.refused });
      const word = new Writer().u8(DENIED).bytes(client).u8(judged.again ? 1 : 0);
      member.tell(from, word.end());
    });
  }

  #frame(stream: Stream, bytes: Uint8Array): void {
    const { manifest, admissions } = this.options;
    const { id, key } = stream.peer, now = this.options.environment.clock.now();
    if (!this.#perPeer.take(id, 1, now)) this.#over("registrationsPerPeer");
    if (!this.#all.take(1, now)) return this.#busy(stream, "registrations");
    const reader = new Reader(bytes, "registration"), kind = reader.u8();
    if (kind === ASK && admissions) {
      reader.end();
      return void stream.send(encodeWanted(admissions.wants, admissions.freshness));
    }
    const names: RegistrationKind[] = ["register", "leave"];
    if (kind !== REGISTER && kind !== LEAVE) {
      throw new ProtocolError("type", "neither a registration nor a leave");
    }
    const registration = decodeRegistration(
      names[kind],
      reader.bytes(REGISTRATION_BYTES).slice(),
      manifest.instance,
    );
    if (this.#limits.ownKey && !equal(registration.client, key)) this.#over("ownKey");
    if (kind === REGISTER && admissions) {
      return this.#show(stream, registration, reader.bytes(reader.left).slice(), admissions);
    }
    reader.end();
    this.#take(stream, names[kind], registration);
  }

  /** One peer asks too much of this server: the end of its stream. */
  #over(limit: keyof DeskLimits): never {
    this.#refused[limit]++;
    throw new ProtocolError("range", `over the limit ${limit} of one peer`);
  }

  /** All peers together ask too much: it comes again, here or at another server. */
  #busy(stream: Stream, limit: keyof DeskLimits): void {
    this.#refused[limit]++;
    this.options.environment.observe("warn", "server busy", { peer: stream.peer.id, limit });
    stream.close("too many registrations at once");
  }

  /** A registration where clients have to show something. */
  #show(
    stream: Stream,
    registration: Registration,
    shown: Uint8Array,
    admissions: Admissions,
  ): void {
    const { member, environment: { clock } } = this.options, { client } = registration;
    if (shown.length === 0) {
      const until = member.state.vouches.until(client);
      if (until !== undefined && until > clock.wall()) {
        return this.#take(stream, "register", registration);
      }
      return void stream.send(encodeWanted(admissions.wants, admissions.freshness));
    }
    if (this.#judging.has(stream)) throw new ProtocolError("range", "a second one is being judged");
    const now = clock.now();
    if (!this.#evidencePerPeer.take(stream.peer.id, 1, now)) this.#over("admissionsPerPeer");
    if (!this.#evidence.take(1, now)) return this.#busy(stream, "admissions");
    const evidence = decodeEvidence(shown);
    this.#judging.add(stream);
    admissions.judge(HERE, client, evidence, (judged) => {
      const open = this.#judging.delete(stream);
      this.#judged(stream, registration, evidence, judged, admissions);
      if (open && "until" in judged) this.#taken.set(hex(client), stream);
    });
  }

  #judged(
    stream: Stream,
    registration: Registration,
    evidence: Evidence,
    judged: Judged,
    admissions: Admissions,
  ): void {
    const { member, manifest, self, environment: { observe } } = this.options;
    const { client } = registration;
    if ("refused" in judged) {
      if (judged.again) {
        const wants = { ...admissions.wants, collateral: judged.lacksCollateral === true };
        return void stream.send(encodeWanted(wants, admissions.freshness));
      }
      observe("warn", "client refused", { client: hex(client), reason: judged.refused });
      return refuse(stream, "refused");
    }
    member.vouch(client, judged.until);
    // The others have the collateral from this server, with its ticket.
    const { ticket, token } = evidence;
    const word = new Writer().u8(JUDGE).bytes(client).bytes(encodeEvidence({ ticket, token }));
    const owing = new Set([...manifest.servers.keys()].filter((server) => server !== self));
    if (this.#told.size >= MAX_TOLD) this.#told.delete(this.#told.keys().next().value!);
    const { until } = judged, told = { client, word: word.end(), until, owing, tells: 0, next: 0 };
    this.#told.set(hex(client), told);
    this.tick();
    this.#take(stream, "register", registration);
  }

  #take(stream: Stream, kind: RegistrationKind, registration: Registration): void {
    const { member, environment: { observe } } = this.options, client = hex(registration.client);
    const reason = member.register(kind, registration);
    if (reason) {
      observe("info", "client refused", { client, reason });
      return refuse(stream, reason);
    }
    observe("info", kind === "register" ? "client admitted" : "client left", { client });
    stream.send(Uint8Array.of(TAKEN));
  }
}

function refuse(stream: Stream, reason: string): void {
  stream.send(new Writer().u8(REFUSED).bytes(new TextEncoder().encode(reason)).end());
}
