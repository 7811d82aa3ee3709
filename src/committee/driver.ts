/**
 * What the leader does beyond being a server: it opens rounds at their period, and gives up those
 * that cannot finish, with the reason. It holds no power: everything it asks for is judged by the
 * release rules of every server.
 */
import type { Head } from "../protocol/chain.ts";
import type { HeaderHash } from "../protocol/bytes.ts";
import { equal, hex } from "../protocol/bytes.ts";
import type { HeaderFields } from "../protocol/header.ts";
import type { Manifest } from "../protocol/manifest.ts";
import type { CommitteeState } from "./state.ts";
import type { Live } from "./state_terms.ts";

/** What the leader wants next, if anything. */
export type Intent =
  | { readonly open: HeaderFields }
  | { readonly abandon: HeaderHash; readonly reason: string }
  /** Changes of the roster that wait shall take effect. */
  | { readonly settle: true }
  | { readonly waiting: string };

/** How long a server may be away until a round that waits for it is given up. */
const AWAY_MS = 500;

/** How long until a round that the order did not take is proposed again. */
const OPEN_AGAIN_MS = 1_000;

/** How often changes of the roster take effect while too few clients are here. */
const SETTLE_MS = 100;

/** Void rounds in a row after which the period is no longer doubled. */
const MAX_BACK_OFF = 4;

/** Decides, from the state and the time alone, what the leader proposes. */
export class Driver {
  #started = 0;
  #next = 0;
  #voids = 0;
  #current: HeaderHash | undefined;
  /** Since when each server that is away has been. */
  readonly #away = new Map<number, number>();
  /** When changes of the roster were last asked to take effect, and for which round. */
  #settled: { readonly round: number; readonly at: number; readonly settles: number } | undefined;
  #asked: { readonly round: number; readonly at: number } | undefined;

  constructor(readonly manifest: Manifest) {}

  /** A round ended; a void one makes the next wait longer, up to 8 periods. */
  ended(finalized: boolean): void {
    this.#voids = finalized ? 0 : Math.min(this.#voids + 1, MAX_BACK_OFF);
    const { roundPeriod } = this.manifest.parameters;
    this.#next = this.#started + roundPeriod * 2 ** Math.max(0, this.#voids - 1);
    this.#current = undefined;
  }

  /**
   * What to propose at `now`, or undefined for nothing yet; `wall` is the time of a header;
   * `held`: why no further round is wanted.
   */
  next(
    now: number,
    wall: number,
    state: CommitteeState,
    head: Head,
    present: ReadonlySet<number>,
    held?: string,
  ): Intent | undefined {
    const { live } = state;
    for (const i of this.manifest.servers.keys()) {
      if (present.has(i)) this.#away.delete(i);
      else if (!this.#away.has(i)) this.#away.set(i, now);
    }
    if (live !== undefined) {
      if (this.#current === undefined || !equal(this.#current, live.header)) {
        this.#current = live.header;
        this.#started = now;
      }
      const reason = this.#giveUp(now, live, state);
      return reason === undefined ? undefined : { abandon: live.header, reason };
    }
    if (held !== undefined) return { waiting: held };
    const all = this.manifest.servers.map((_, i) => i);
    const away = all.filter((i) => !present.has(i) || state.bundles[i] === undefined);
    if (away.length > 0) return { waiting: `server ${away.join(", ")} is away` };
    if (!equal(state.head.record, head.hash)) {
      return { waiting: "the last record is not certified yet" };
    }
    const { minParticipants } = this.manifest.parameters;
    const clients = state.registry.size;
    const round = Math.max(state.round, head.round) + 1;
    if (clients < minParticipants) {
      const waiting = `${clients} clients of at least ${minParticipants}`;
      if (state.waiting.size === 0 || this.#settledWithin(now, SETTLE_MS)) return { waiting };
      return this.#settle(round, now, state);
    }
    const asked = this.#asked?.round === round && now - this.#asked.at < OPEN_AGAIN_MS;
    if (asked) return undefined;
    if (now < this.#next) {
      // Never shortly before a header is made: two at a time would change the roster behind it.
      const soon = this.#next - now < 2 * OPEN_AGAIN_MS;
      const idle = soon || state.waiting.size === 0 || this.#settledWithin(now, OPEN_AGAIN_MS);
      return idle ? undefined : this.#settle(round, now, state);
    }
    const unsettled = state.waiting.size > 0 || !state.fixed;
    const pending = this.#settled?.settles === state.settles;
    if (unsettled && this.#settled?.round !== round) return this.#settle(round, now, state);
    if (pending && this.#settled?.round === round) {
      return this.#settledWithin(now, OPEN_AGAIN_MS) ? undefined : this.#settle(round, now, state);
    }
    this.#asked = { round, at: now };
    const carry = state.carry && head.header !== undefined;
    return {
      open: {
        round,
        time: wall,
        previous: head.hash,
        carry,
        messageBytes: carry ? head.layout.bytes : 0,
        rosterSize: state.registry.roster.size,
        rosterRoot: state.registry.roster.root,
        bundles: state.bundles.map((bundle) => bundle!),
      },
    };
  }

  #settle(round: number, now: number, { settles }: CommitteeState): Intent {
    this.#settled = { round, at: now, settles };
    return { settle: true };
  }

  #settledWithin(now: number, ms: number): boolean {
    return this.#settled !== undefined && now - this.#settled.at < ms;
  }

  #giveUp(now: number, live: Live, state: CommitteeState): string | undefined {
    if (!live.partials.includes(undefined)) {
      return state.voids.has(hex(live.header)) ? "a share is lost with its key" : undefined;
    }
    const [declined] = live.declined;
    if (declined) return `server ${declined[0]} declined: ${declined[1].reason}`;
    const { what, missing } = waited(live);
    const away = missing.filter((i) => now - (this.#away.get(i) ?? now) >= AWAY_MS);
    if (away.length > 0) return `server ${away.join(", ")} is away`;
    if (now - this.#started < this.manifest.parameters.roundDeadline) return undefined;
    return missing.length > 0 ? `no ${what} of server ${missing.join(", ")}` : `no ${what}`;
  }
}

/** What the live round waits for, and of which servers. */
function waited({ opens, digest, prepares, partials }: Live): {
  readonly what: string;
  readonly missing: readonly number[];
} {
  const missing = (list: readonly unknown[]) =>
    list.flatMap((signed, i) => signed === undefined ? [i] : []);
  if (opens.includes(undefined)) return { what: "OPEN", missing: missing(opens) };
  if (digest === undefined) return { what: "aggregate", missing: [] };
  if (prepares.includes(undefined)) return { what: "PREPARE", missing: missing(prepares) };
  return { what: "PARTIAL", missing: missing(partials) };
}
