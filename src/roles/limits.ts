/**
 * The limits of the roles towards those whom they serve, beyond what a node bounds by itself
 * (`src/universe/limits.ts`) and the bounds of each stream (`streams.ts`). Where each is told in the
 * log, and why it is what it is: `README.md`.
 */
import type { Rate } from "../universe/limits.ts";

/** What a server takes on `client-registry`. */
export interface DeskLimits {
  /** Whether a peer may register no key but its own: one connection, one client. */
  readonly ownKey: boolean;
  /** Frames of one peer on `client-registry` per second. */
  readonly registrationsPerPeer: Rate;
  /** The same of all peers. */
  readonly registrations: Rate;
  /** Evidence of one peer to judge, per second. */
  readonly admissionsPerPeer: Rate;
  /** The same of all peers. */
  readonly admissions: Rate;
}

/** What holds unless a test says otherwise. */
export const DESK_LIMITS: DeskLimits = {
  ownKey: true,
  registrationsPerPeer: { perSecond: 1, burst: 32 },
  registrations: { perSecond: 512, burst: 8_192 },
  admissionsPerPeer: { perSecond: 1, burst: 16 },
  admissions: { perSecond: 128, burst: 4_096 },
};

/** How often each limit of a desk was hit. */
export type DeskRefusals = Record<keyof DeskLimits, number>;

/** Zero for each. */
export function noDeskRefusals(): DeskRefusals {
  const none = {} as DeskRefusals;
  for (const name of Object.keys(DESK_LIMITS) as (keyof DeskLimits)[]) none[name] = 0;
  return none;
}

/** What a holder serves of each feed. */
export interface FeedLimits {
  /** Subscribers of one feed, in all: clients and readers. */
  readonly subscribers: number;
}

/** What holds unless a test says otherwise. */
export const FEED_LIMITS: FeedLimits = { subscribers: 8_192 };

/** Who subscribes to the feeds of a holder. */
export interface FeedCounts {
  /** To opened headers. */
  readonly live: number;
  /** To records. */
  readonly windows: number;
  readonly refusedSubscribers: number;
}

/** What a server counts. */
export interface RoleCounts extends FeedCounts {
  readonly refused: Readonly<DeskRefusals>;
}
