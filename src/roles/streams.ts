/**
 * The streams of zipnet, with their bounds. The protocol's sub-id purposes name them.
 */
import { MAX_TICKET_BYTES } from "../attest/ticket.ts";
import { maxAggregateBytes } from "../protocol/aggregate.ts";
import { maxEnvelopeBytes } from "../protocol/envelope.ts";
import { openedBytes } from "../protocol/opened.ts";
import { MAX_LINEAGE_BYTES } from "../protocol/lineage.ts";
import { MAX_REASON } from "../committee/reason.ts";
import { maxMembershipFrame } from "../committee/membership.ts";
import { MAX_SERVERS, type Parameters } from "../protocol/parameters.ts";
import { maxRecordBytes } from "../protocol/record.ts";
import { REGISTRATION_BYTES } from "../protocol/registration.ts";
import type { StreamKind } from "../universe/network.ts";

/** Frames that may wait for a slow peer before it is cut. */
const MAX_WAITING_FRAMES = 16;

/** Longest frame between servers: an engine's snapshot or a head's evidence. */
export const MAX_COMMITTEE_FRAME = 64 * 2 ** 20;

/** A server or aggregator hands anyone the lineage of committees, and again whenever it grows. */
export const SERVER_REGISTRY: StreamKind = kind("server-registry", MAX_LINEAGE_BYTES, 4);

/** Longest collateral, as JSON, that is handed on; Intel's is 16 KB for a family of platforms. */
export const MAX_STAPLE_BYTES = 65_536;

/** Longest token that a client may show. */
export const MAX_TOKEN_BYTES = 4_096;
/** Longest evidence of a client (`evidence.ts`): a ticket, a token, collateral. */
export const MAX_EVIDENCE_BYTES: number = 12 + MAX_TICKET_BYTES + MAX_TOKEN_BYTES +
  MAX_STAPLE_BYTES;

/** Whoever has the servers' tickets hands them to anyone, with their collateral. */
export const SERVER_TICKETS: StreamKind = kind("server-tickets", 33 + MAX_TICKET_BYTES, 4);

/** A server tells anyone which rounds were void, and why. */
export const VOIDS: StreamKind = kind("voids", 8 + MAX_REASON, 2);

/** Servers that have proven the secret form their committee and its epochs. */
export function genesisStream(parameters: Parameters): StreamKind {
  return kind("genesis", maxMembershipFrame(parameters), 2);
}

/** The members of one epoch among themselves, once they have proven the secret. */
export function committeeStream(epoch: number): StreamKind {
  return kind(`committee-${epoch}`, MAX_COMMITTEE_FRAME, 2);
}

/** A client registers or leaves at a server, and hears what became of it. */
export const CLIENT_REGISTRY: StreamKind = kind(
  "client-registry",
  1 + REGISTRATION_BYTES + MAX_EVIDENCE_BYTES,
  2,
);

/** The streams whose bounds follow from the instance's parameters. */
export interface InstanceStreams {
  /** An aggregator at a server: opened headers and rosters come, aggregates go. */
  readonly aggregate: StreamKind;
  /** A client at the aggregator: envelopes go, receipts come. */
  readonly submit: StreamKind;
  /** Opened headers, with the subscriber's own place in the roster. */
  readonly liveRound: StreamKind;
  /** Certified records. */
  readonly broadcasts: StreamKind;
}

/** The streams of an instance, wide enough for a committee of any size: a later one may be larger. */
export function instanceStreams(p: Parameters): InstanceStreams {
  const n = MAX_SERVERS;
  const roster = 5 + 64 * p.maxClients;
  return {
    aggregate: kind("aggregate", Math.max(maxAggregateBytes(p), roster, openedBytes(n) + 1), 2),
    submit: kind("submit", maxEnvelopeBytes(p), 2),
    liveRound: kind("live-round", openedBytes(n) + 4 + 5 + 32 * 17, 2),
    broadcasts: kind("broadcasts", maxRecordBytes(p, n), 2),
  };
}

function kind(name: string, maxFrame: number, maxPerPeer: number): StreamKind {
  return {
    name,
    maxFrame,
    maxBuffered: Math.max(2 ** 20, MAX_WAITING_FRAMES * (maxFrame + 4)),
    maxPerPeer,
  };
}
