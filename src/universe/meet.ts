/**
 * Who is alive: one `meet` stream between every two nodes of an instance that have anything to say
 * to each other, and on it a beat from each side every `BEAT_MS`. Who is silent for `SILENT_MS` is
 * cut: TCP alone does not notice a frozen process. Servers and aggregators meet all of their kind
 * that the directory knows; whoever is no member may have named the addresses of others, so those
 * are dialed a few at a time, and ever more rarely.
 *
 * | offset | bytes | field of a beat |
 * |---|---|---|
 * | 0 | 4 | u32 number of this beat, from 1 |
 * | 4 | 4 | u32 number of the last beat heard, 0 for none |
 * | 8 | 4 | u32 ms since that was heard |
 *
 * So each beat also measures the way there and back.
 */
import { Reader, Writer } from "../protocol/bytes.ts";
import { Bucket } from "./bucket.ts";
import { type Directory, isPublic } from "./directory.ts";
import type { Environment } from "./environment.ts";
import type { Rate } from "./limits.ts";
import {
  OwnAddress,
  type Peer,
  type Stream,
  type StreamEvents,
  type StreamKind,
} from "./network.ts";
import { reasonOf } from "./stream.ts";
import type { Target } from "./transport.ts";

/** Bytes of a beat. */
export const BEAT_BYTES = 12;

/** The built-in kind. */
export const MEET: StreamKind = {
  name: "meet",
  maxFrame: BEAT_BYTES,
  maxBuffered: 1_024,
  maxPerPeer: 4,
};

/** Between two beats among servers and aggregators, in milliseconds, and silence that ends a link. */
export const BEAT_MS = 2_000, SILENT_MS = 8_000;
/**
 * How many times that is for clients and readers, on both sides: there may be thousands at one peer,
 * and who follows a feed notices earlier than by beats that nothing comes.
 */
export const LEAF_BEATS = 2;
/** After a change, before something is done about it: changes come in groups. */
const SOON_MS = 20;
/** The first and the longest pause between two attempts to dial: a member, and anybody else. */
const RETRY_MS = [500, 2_000], STRANGER_RETRY_MS = 60_000;
/** Attempts to meet strangers: under way at one time, and begun. */
export const MAX_MEETING = 8, MEETING: Rate = { perSecond: 8, burst: 128 };

/** What meeting needs of its node. */
export interface MeetHost {
  readonly environment: Environment;
  /** This node, as it is now. */
  self(): Peer;
  readonly directory: Directory;
  connect(target: Target, kind: StreamKind, events: (s: Stream) => StreamEvents): Promise<Stream>;
  drop(id: string): void;
  /** Whether a peer is a member. */
  favours(id: string): boolean;
  /** A beat came back: the round-trip time of a peer, in milliseconds. */
  sample(id: string, ms: number): void;
}

/** One beat. */
export interface Beat {
  readonly number: number;
  /** The last one heard from the other side, and how long ago, in milliseconds. */
  readonly heard: number;
  readonly ago: number;
}

interface Meeting {
  readonly stream: Stream;
  /** When something was heard last, and the number of the last beat. */
  heard: number;
  beat: number;
  /** When the last beat was sent, and its number. */
  sent: number;
  number: number;
}

interface Attempt {
  busy: boolean;
  due: number;
}

/** The frame of a beat. */
export function encodeBeat({ number, heard, ago }: Beat): Uint8Array {
  return new Writer().u32(number).u32(heard).u32(Math.min(ago, 2 ** 32 - 1)).end();
}

/** Reads it strictly; throws a `ProtocolError`. */
export function decodeBeat(frame: Uint8Array): Beat {
  const reader = new Reader(frame, "beat");
  const beat = { number: reader.u32(), heard: reader.u32(), ago: reader.u32() };
  reader.end();
  if (beat.number === 0) reader.fail("range", "number 0");
  return beat;
}

/** The meetings of one node. */
export class Meetings {
  readonly #meetings = new Map<Stream, Meeting>();
  readonly #known = new Map<string, Attempt>();
  #cancel: () => void = () => {};
  #due = Infinity;
  #last = 0;
  #stopped = false;
  /** Attempts to meet strangers that are under way, and what may be begun. */
  #meeting = 0;
  readonly #begun: Bucket;

  constructor(readonly host: MeetHost) {
    this.#begun = new Bucket(MEETING, this.#now());
  }

  start(): void {
    this.#last = this.#now();
    this.#soon(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Something became known: whoever is to be met is dialed. */
  wake(): void {
    this.#soon(SOON_MS);
  }

  /** What listens to a meet stream, whoever opened it. */
  events(stream: Stream): StreamEvents {
    const now = this.#now();
    const meeting: Meeting = { stream, heard: now, beat: 0, sent: -Infinity, number: 0 };
    const { id, role } = stream.peer;
    if (!this.#with(id)) this.host.environment.observe("info", "peer met", { peer: id, role });
    this.#meetings.set(stream, meeting);
    this.#soon(SOON_MS);
    return {
      frame: (bytes) => this.#hear(meeting, decodeBeat(bytes)),
      closed: (reason) => {
        this.#meetings.delete(stream);
        if (this.#stopped || this.#with(id)) return;
        this.host.environment.observe("info", "peer lost", { peer: id, role, reason });
        this.#soon(SOON_MS);
      },
    };
  }

  /**
   * Meets a peer to whom a stream was opened, so that this stream too has a heartbeat. Patiently:
   * not before an attempt that failed is due again.
   */
  ensure(peer: Peer, patiently = false): void {
    if (this.#with(peer.id)) return;
    const known = this.#attemptAt(peer.id);
    if (known.busy || (patiently && this.#now() < known.due)) return;
    this.#dial(known, peer);
  }

  #now(): number {
    return this.host.environment.clock.now();
  }

  #with(id: string): boolean {
    for (const { stream } of this.#meetings.values()) if (stream.peer.id === id) return true;
    return false;
  }

  #attemptAt(id: string): Attempt {
    let known = this.#known.get(id);
    if (known === undefined) this.#known.set(id, known = { busy: false, due: 0 });
    return known;
  }

  #soon(ms: number): void {
    const due = this.#now() + ms;
    if (this.#stopped || due >= this.#due) return;
    this.#cancel();
    this.#due = due;
    this.#cancel = this.host.environment.clock.after(ms, () => {
      this.#due = Infinity;
      this.#tick();
    });
  }

  #tick(): void {
    if (this.#stopped) return;
    const now = this.#now();
    // After a pause of this process, silence says nothing about the others.
    if (now - this.#last > SILENT_MS / 2) {
      for (const meeting of this.#meetings.values()) meeting.heard = now;
    }
    this.#last = now;
    this.host.directory.expire();
    this.#dialKnown(now);
    for (const meeting of [...this.#meetings.values()]) this.#beat(meeting, now);
    this.#soon(RETRY_MS[0]);
  }

  /** Servers and aggregators meet each other; clients and readers meet whom they need. */
  #dialKnown(now: number): void {
    for (const [id, { busy, due }] of this.#known) {
      if (!busy && now >= due && !this.host.directory.get(id)) this.#known.delete(id);
    }
    const { directory, favours, self } = this.host;
    if (!isPublic(self().role)) return;
    const due = directory.peers().filter(({ id, role, addresses }) => {
      if (!isPublic(role) || addresses.length === 0) return false;
      const known = this.#known.get(id);
      return !known?.busy && now >= (known?.due ?? 0) && !this.#with(id);
    });
    for (const peer of due) if (favours(peer.id)) this.#dial(this.#attemptAt(peer.id), peer);
    for (const peer of this.#inTurn(due.filter(({ id }) => !favours(id)))) {
      if (this.#meeting >= MAX_MEETING || !this.#begun.take(1, now)) return;
      this.#meeting++;
      this.#dial(this.#attemptAt(peer.id), peer).then(() => {
        this.#meeting--;
        this.#soon(SOON_MS);
      });
    }
  }

  /** Whom fewest attempts missed comes first; by chance among equals, so that no id is better. */
  #inTurn(peers: readonly Peer[]): Peer[] {
    const { directory, environment } = this.host;
    const chance = peers.length > 1 ? environment.random(2 * peers.length) : [0, 0];
    return peers
      .map((peer, n) => ({ peer, place: chance[2 * n] * 256 + chance[2 * n + 1] }))
      .sort((a, b) =>
        directory.missed(a.peer.id) - directory.missed(b.peer.id) || a.place - b.place
      )
      .map(({ peer }) => peer);
  }

  async #dial(attempt: Attempt, { id, key, addresses }: Peer): Promise<void> {
    const { connect, directory, environment, favours } = this.host;
    attempt.busy = true;
    try {
      await connect({ key, addresses }, MEET, (stream) => this.events(stream));
    } catch (error) {
      if (!this.#stopped && !(error instanceof OwnAddress)) {
        const level = directory.missed(id) === 0 ? "info" : "debug";
        const fields = { address: addresses.join(" "), reason: reasonOf(error) };
        environment.observe(level, "peer not reached", fields);
      }
      directory.miss(id);
    }
    const most = favours(id) ? RETRY_MS[1] : STRANGER_RETRY_MS;
    const pause = Math.min(RETRY_MS[0] * 2 ** Math.max(0, directory.missed(id) - 1), most);
    attempt.busy = false;
    attempt.due = this.#now() + pause + environment.random(1)[0];
  }

  #hear(meeting: Meeting, { number, heard, ago }: Beat): void {
    const now = this.#now();
    const first = meeting.beat === 0;
    meeting.heard = now;
    meeting.beat = number;
    if (heard !== 0 && heard === meeting.number) {
      this.host.sample(meeting.stream.peer.id, now - meeting.sent - ago);
    }
    // The first is answered at once, so that both sides soon know how far they are.
    if (first && meeting.number > 0) meeting.sent = -Infinity;
    if (first) this.#soon(SOON_MS);
  }

  #beat(meeting: Meeting, now: number): void {
    const { stream } = meeting, { role } = this.host.self();
    const times = isPublic(role) && isPublic(stream.peer.role) ? 1 : LEAF_BEATS;
    if (now - meeting.heard > times * SILENT_MS) {
      this.host.environment.observe("warn", "peer silent", {
        peer: stream.peer.id,
        role: stream.peer.role,
        silent: now - meeting.heard,
      });
      this.host.drop(stream.peer.id);
      stream.close("silent");
    } else if (now - meeting.sent >= times * BEAT_MS - RETRY_MS[0] / 2) {
      meeting.sent = now;
      const ago = meeting.beat === 0 ? 0 : now - meeting.heard;
      stream.send(encodeBeat({ number: ++meeting.number, heard: meeting.beat, ago }));
    }
  }
}
