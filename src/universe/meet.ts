/**
 * How nodes of one instance find each other: one `meet` stream between every two nodes that have
 * anything to say to each other. It carries the servers and aggregators that each side knows,
 * whenever that changes and every `REPORT_MS`, and an empty frame every `BEAT_MS` as a heartbeat.
 * Who is silent for `SILENT_MS` is cut: TCP alone does not notice a frozen process.
 *
 * Clients and readers are never told of. What is told is a hint: a key is proven when dialed.
 */
import { checkPublicKey } from "../protocol/keys.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { type Directory, isPublic, MAX_KNOWN, type Report } from "./directory.ts";
import type { Environment } from "./environment.ts";
import { FrameError, isAddress, MAX_ADDRESSES, ROLES } from "./hello.ts";
import { NetworkError, type Peer, type Role, type Stream } from "./network.ts";
import type { StreamEvents, StreamKind } from "./network.ts";
import { reasonOf } from "./stream.ts";
import type { Target } from "./transport.ts";

/** The built-in kind. Its longest frame holds `MAX_KNOWN` entries of the usual size. */
export const MEET: StreamKind = {
  name: "meet",
  maxFrame: 262_144,
  maxBuffered: 1_048_576,
  maxPerPeer: 4,
};

/** Between two heartbeats, in milliseconds. */
export const BEAT_MS = 2_000;
/** Between two reports on one stream where nothing changes. */
export const REPORT_MS = 10_000;
/** Silence after which a peer is cut. */
export const SILENT_MS = 8_000;
/** After a change, before it is told: changes come in groups. */
const SOON_MS = 20;
/** The first and the longest pause between two attempts to dial. */
const RETRY_MS = [500, 2_000];

/** What meeting needs of its node. */
export interface MeetHost {
  readonly environment: Environment;
  /** This node, as it is now. */
  self(): Peer;
  readonly directory: Directory;
  connect(target: Target, kind: StreamKind, events: (s: Stream) => StreamEvents): Promise<Stream>;
  drop(id: string): void;
}

interface Meeting {
  readonly stream: Stream;
  heard: number;
  sent: number;
  reported: number;
  version: number;
}

interface Attempt {
  /** Who answered last; undefined until someone did. */
  id: string | undefined;
  busy: boolean;
  failures: number;
  due: number;
}

/** The frame of what is told: `[[key, role, addresses, age in milliseconds], …]`. */
export function encodeReports(reports: readonly Report[]): Uint8Array {
  for (let count = Math.min(reports.length, MAX_KNOWN);; count--) {
    const rows = reports.slice(0, count)
      .map((r) => [r.key, ROLES.indexOf(r.role), [...r.addresses], Math.ceil(r.age)]);
    const frame = encodeCbor(rows);
    if (frame.length <= MEET.maxFrame) return frame;
  }
}

/** Reads it strictly; throws a `FrameError`, or a `ProtocolError` for a key that is none. */
export function decodeReports(frame: Uint8Array): Report[] {
  const rows = decodeCbor(frame, MEET.maxFrame);
  if (!Array.isArray(rows) || rows.length > MAX_KNOWN) {
    throw new FrameError("shape", `peers: expected a list of at most ${MAX_KNOWN}`);
  }
  return rows.map((row) => {
    if (!Array.isArray(row) || row.length !== 4) throw new FrameError("shape", "peers: a row");
    const [key, role, addresses, age] = row;
    if (!(key instanceof Uint8Array)) throw new FrameError("shape", "peers: a key");
    if (role !== 0 && role !== 1) throw new FrameError("range", "peers: a role that is not told");
    const listed = Array.isArray(addresses) && addresses.length <= MAX_ADDRESSES &&
      addresses.every((address) => typeof address === "string" && isAddress(address));
    if (!listed) throw new FrameError("shape", "peers: addresses");
    if (!Number.isSafeInteger(age) || age < 0) throw new FrameError("range", "peers: an age");
    return { key: checkPublicKey(new Uint8Array(key)), role: ROLES[role] as Role, addresses, age };
  });
}

/** The meetings of one node. */
export class Meetings {
  readonly #meetings = new Map<Stream, Meeting>();
  readonly #bootstrap = new Map<string, Attempt>();
  readonly #known = new Map<string, Attempt>();
  #cancel: () => void = () => {};
  #due = Infinity;
  #last = 0;
  #stopped = false;
  #frame: Uint8Array = new Uint8Array(0);
  #framed = { version: -1, at: 0 };

  constructor(readonly host: MeetHost, bootstrap: readonly string[]) {
    for (const address of bootstrap) this.#bootstrap.set(address, attempt());
  }

  start(): void {
    this.#last = this.#now();
    this.#soon(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** What listens to a meet stream, whoever opened it. */
  events(stream: Stream): StreamEvents {
    const now = this.#now();
    const meeting: Meeting = {
      stream,
      heard: now,
      sent: -Infinity,
      reported: -Infinity,
      version: -1,
    };
    const { id, role } = stream.peer;
    if (!this.#with(id)) this.host.environment.observe("info", "peer met", { peer: id, role });
    this.#meetings.set(stream, meeting);
    this.#soon(SOON_MS);
    return {
      frame: (bytes) => {
        meeting.heard = this.#now();
        if (bytes.length === 0) return;
        for (const report of decodeReports(bytes)) this.host.directory.hear(report);
        this.#soon(SOON_MS);
      },
      closed: (reason) => {
        this.#meetings.delete(stream);
        if (this.#stopped || this.#with(id)) return;
        this.host.environment.observe("info", "peer lost", { peer: id, role, reason });
        this.#soon(SOON_MS);
      },
    };
  }

  /** Meets a peer to whom a stream was opened, so that this stream too has a heartbeat. */
  ensure(peer: Peer): void {
    if (this.#with(peer.id)) return;
    const known = this.#attemptAt(peer.id);
    if (!known.busy) this.#dial(known, { key: peer.key, addresses: peer.addresses });
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
    if (known === undefined) this.#known.set(id, known = attempt());
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
    this.#dialBootstrap(now);
    this.#dialKnown(now);
    for (const meeting of [...this.#meetings.values()]) this.#beat(meeting, now);
    this.#soon(RETRY_MS[0]);
  }

  #dialBootstrap(now: number): void {
    for (const [address, entry] of this.#bootstrap) {
      if (entry.id === this.host.self().id || this.host.self().addresses.includes(address)) {
        this.#bootstrap.delete(address);
      } else if (!entry.busy && now >= entry.due && !(entry.id && this.#with(entry.id))) {
        this.#dial(entry, { addresses: [address] });
      }
    }
  }

  /** Servers and aggregators meet each other; clients and readers meet whom they need. */
  #dialKnown(now: number): void {
    for (const id of this.#known.keys()) {
      if (!this.host.directory.get(id)) this.#known.delete(id);
    }
    if (!isPublic(this.host.self().role)) return;
    for (const peer of this.host.directory.peers()) {
      if (!isPublic(peer.role) || peer.addresses.length === 0) continue;
      const entry = this.#attemptAt(peer.id);
      if (entry.busy || now < entry.due || this.#with(peer.id)) continue;
      this.#dial(entry, { key: peer.key, addresses: peer.addresses });
    }
  }

  #dial(entry: Attempt, target: Target): void {
    entry.busy = true;
    const again = (failures: number) => {
      entry.busy = false;
      entry.failures = failures;
      const pause = Math.min(RETRY_MS[0] * 2 ** Math.max(0, failures - 1), RETRY_MS[1]);
      entry.due = this.#now() + pause + this.host.environment.random(1)[0];
    };
    this.host.connect(target, MEET, (stream) => this.events(stream)).then((stream) => {
      entry.id = stream.peer.id;
      again(0);
    }, (error) => {
      if (error instanceof OwnAddress) entry.id = this.host.self().id;
      if (!this.#stopped) {
        this.host.environment.observe(entry.failures === 0 ? "info" : "debug", "peer not reached", {
          address: target.addresses.join(" "),
          reason: reasonOf(error),
        });
      }
      again(entry.failures + 1);
    });
  }

  #beat(meeting: Meeting, now: number): void {
    const { stream } = meeting;
    if (now - meeting.heard > SILENT_MS) {
      this.host.environment.observe("warn", "peer silent", {
        peer: stream.peer.id,
        role: stream.peer.role,
        silent: now - meeting.heard,
      });
      this.host.drop(stream.peer.id);
      stream.close("silent");
      return;
    }
    const version = this.host.directory.version;
    if (meeting.version !== version || now - meeting.reported >= REPORT_MS) {
      meeting.version = version;
      meeting.reported = meeting.sent = now;
      stream.send(this.#reports(now, version));
    } else if (now - meeting.sent >= BEAT_MS - RETRY_MS[0] / 2) {
      meeting.sent = now;
      stream.send(new Uint8Array(0));
    }
  }

  /** The report, encoded once for all streams of a tick. */
  #reports(now: number, version: number): Uint8Array {
    if (this.#framed.version !== version || this.#framed.at !== now) {
      this.#framed = { version, at: now };
      this.#frame = encodeReports(this.host.directory.reports());
    }
    return this.#frame;
  }
}

/** Whoever answered has our own key. */
export class OwnAddress extends NetworkError {
  constructor() {
    super("address", "the address is this node's own");
  }
}

function attempt(): Attempt {
  return { id: undefined, busy: false, failures: 0, due: 0 };
}
