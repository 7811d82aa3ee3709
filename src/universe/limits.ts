/**
 * Every limit of a node towards peers that it has no reason to trust, in one place. Each that
 * refuses has a counter of its name in `Counts.refused`, and each a row in `README.md`: why it is
 * what it is, and what happens beyond it. The bounds of one kind of stream are its own.
 *
 * Members (`Network.favour`) are held to none of them, and have room of their own.
 */

/** The limits. Times in milliseconds, sizes in bytes, rates per second. */
export interface Limits {
  /** Connections that strangers opened here, proven and open, in all. */
  readonly connections: number;
  /** The same from one remote host. */
  readonly connectionsPerHost: number;
  /** The same from one identity. */
  readonly connectionsPerPeer: number;
  /** Connections beyond `connections` that are left for members. */
  readonly memberConnections: number;
  /** New connections of one remote host per second, and how many may come at once. */
  readonly connectsPerHost: Rate;
  /** Connections on which nobody has proven an identity yet, in all. */
  readonly handshakes: number;
  /** The same from one remote host. */
  readonly handshakesPerHost: number;
  /** How long such a connection may take. */
  readonly handshakeMs: number;
  /** Control frames that are sent on one connection per second: answers to the peer's, mostly. */
  readonly controls: Rate;
  /** Streams that one connection may open, whether or not they name a protocol. */
  readonly muxed: number;
  /** The same per second: also those of protocols that libp2p answers, or refuses, by itself. */
  readonly opensPerConnection: Rate;
  /** Streams without a hello, from all peers together. */
  readonly unproven: number;
  /** How long a stream may take until its hello. */
  readonly helloMs: number;
  /** Streams that one peer may have open towards us, of all kinds. */
  readonly streamsPerPeer: number;
  /** Streams of strangers to one of libp2p's own services, in all: each may hold a frame of it. */
  readonly serviceStreams: number;
  /** Streams that one peer may open per second. */
  readonly opensPerPeer: Rate;
  /** Frames that one peer may send per second. */
  readonly framesPerPeer: Rate;
  /** Bytes of frames that one peer may send per second. */
  readonly bytesPerPeer: Rate;
  /** Bytes that may wait to be sent to one peer, on all its streams. */
  readonly waitingPerPeer: number;
  /** Bytes that may wait to be sent to strangers, in all. */
  readonly waiting: number;
  /** Bytes of frames that have begun and not ended, of one peer. */
  readonly unfinishedPerPeer: number;
  /** The same of all strangers. */
  readonly unfinished: number;
  /** How long a peer that was cut for flooding stays out. */
  readonly barMs: number;
}

/** A rate: what is allowed per second in the long run, and at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Names of limits under which something may be refused. */
export type LimitName = Exclude<keyof Limits, "memberConnections" | "barMs" | "muxed">;

const MiB = 2 ** 20;

/** What holds unless a test says otherwise. */
export const LIMITS: Limits = {
  connections: 4_096,
  connectionsPerHost: 2_048,
  connectionsPerPeer: 8,
  memberConnections: 512,
  connectsPerHost: { perSecond: 64, burst: 2_048 },
  handshakes: 256,
  handshakesPerHost: 192,
  handshakeMs: 8_000,
  controls: { perSecond: 1_000, burst: 10_000 },
  muxed: 128,
  opensPerConnection: { perSecond: 32, burst: 512 },
  unproven: 4_096,
  helloMs: 5_000,
  streamsPerPeer: 64,
  serviceStreams: 512,
  opensPerPeer: { perSecond: 16, burst: 128 },
  framesPerPeer: { perSecond: 512, burst: 4_096 },
  bytesPerPeer: { perSecond: 16 * MiB, burst: 128 * MiB },
  waitingPerPeer: 64 * MiB,
  waiting: 1_024 * MiB,
  unfinishedPerPeer: 64 * MiB,
  unfinished: 1_024 * MiB,
  barMs: 10_000,
};

/** Members that a node knows at one time; the one named longest ago gives way. */
export const MAX_MEMBERS = 256;
/** Peers and hosts of whom rates are remembered. */
export const MAX_TRACKED = 8_192;
/** Streams that this node opens on one connection, of all kinds and of one. */
export const MAX_MUXED_OUT = 4_096, MAX_OUTBOUND = 1_024;

/** Bytes of frames with their length, without hellos and what the transport adds. */
export interface Traffic {
  /** To others. */
  readonly sent: number;
  /** From others. */
  readonly received: number;
}

/** What a node holds now, and what it refused since its start. */
export interface Counts {
  /** Open connections, inbound and outbound; 0 where the column has none. */
  readonly connections: number;
  /** Inbound connections on which nobody has proven an identity yet. */
  readonly handshakes: number;
  /** Open streams whose hello has come, both directions. */
  readonly streams: number;
  /** Inbound streams without a hello. */
  readonly unproven: number;
  /** Bytes that wait to be sent to strangers, as far as was looked. */
  readonly waiting: number;
  /** Bytes of strangers' frames that have begun and not ended. */
  readonly unfinished: number;
  /** Bytes of the frames that passed since the start, by the name of their stream's kind. */
  readonly traffic: Readonly<Record<string, Traffic>>;
  /** How often each limit was hit, by its name. */
  readonly refused: Readonly<Record<string, number>>;
}

/** Zero for every limit. */
export function noRefusals(): Record<LimitName, number> {
  const { memberConnections: _m, barMs: _b, muxed: _x, ...named } = LIMITS;
  return Object.fromEntries(Object.keys(named).map((name) => [name, 0])) as Record<
    LimitName,
    number
  >;
}
