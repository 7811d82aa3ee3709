/**
 * What a process judges tickets by, and has them made with, from its options: the book of collateral
 * and what keeps it fresh, and where quotes come from, which is opened when the first is needed.
 */
import type { QuoteSource } from "../attest/quote_source.ts";
import { familyOf } from "../attest/family.ts";
import { AttestationError } from "../attest/reasons.ts";
import type { Attestation as Options } from "../ops/attestation.ts";
import { CollateralKeeper } from "../ops/collateral_keeper.ts";
import { collateralSources } from "../ops/collateral_source.ts";
import { openPlatform, PLATFORM_COLLATERAL } from "../ops/platform_folder.ts";
import type { RoleOptions } from "../ops/role_options.ts";
import type { Store } from "../ops/store.ts";
import { readFile } from "../ops/system.ts";
import { tdxSource } from "../ops/tsm_item.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Role } from "../universe/network.ts";
import type { Attestation as Terms } from "./attestation.ts";
import type { Committee } from "./committee.ts";
import { type CommitteeTickets, judgeTickets } from "./committee_tickets.ts";

/** What it works with. */
export interface AttestingOptions {
  readonly options: RoleOptions[Role];
  readonly environment: Environment;
  readonly attestation: Options;
  /** Keeps what was seen of collateral over restarts. */
  readonly marks: Store;
}

/** The terms of a process, and their end. */
export interface Attesting {
  readonly terms: Terms;
  stop(): void;
}

/** The terms that the options come to; undefined where nothing is attested. */
export function attestingOf(p: AttestingOptions): Attesting | undefined {
  const { options: { attestation: { evidence, collateral, platform } }, environment, marks } = p;
  const { anchor, servers: policy } = p.attestation;
  if (!anchor || !policy) return undefined;
  const own = evidence === "simulated" ? [`${platform}/${PLATFORM_COLLATERAL}`] : [];
  const { clock, observe } = environment;
  const sources = collateralSources([...collateral, ...own], { fetch, readFile, clock, observe });
  const keeper = new CollateralKeeper({ anchor, sources, store: marks, environment });
  const { book } = keeper;
  void keeper.start();
  const simulated = evidence === undefined ? anchor.simulated : evidence === "simulated";
  const source = evidence === "none" || platform === undefined
    ? undefined
    : whenNeeded(() => simulated ? openPlatform(platform).source : tdxSource(platform, clock));
  const terms: Terms = {
    ...{ anchor, policy, source },
    collateral: {
      offer: (given, now) => book.offer(given, now),
      forQuote: (quote, now) => book.forQuote(quote, now),
      onChange: (listener) => book.onChange(listener),
      staples: () => book.staples(),
      until: (now) => book.until(now),
      want(quote) {
        try {
          void keeper.want(familyOf(quote));
        } catch (error) {
          if (!(error instanceof AttestationError)) throw error;
        }
      },
    },
  };
  return { terms, stop: () => keeper.stop() };
}

/** A source that is opened for its first quote, and then stays. */
function whenNeeded(open: () => QuoteSource): QuoteSource {
  let source: QuoteSource | undefined;
  return {
    // An error of opening is one of making a quote.
    quote: async (reportData) => await (source ??= open()).quote(reportData),
  };
}

/** What it takes to judge a committee that was met. */
export interface JudgingOptions extends Omit<AttestingOptions, "marks"> {
  readonly network: Network;
  /** Milliseconds until all servers must have shown a ticket. */
  readonly timeout: number;
}

/**
 * Sees to it that every server of a committee is attested, where the options name measurements or a
 * root. Rejects with `Attestation` where one is not, or the instance is of another world.
 */
export async function judgeCommittee(
  p: JudgingOptions,
  attesting: () => Terms | undefined,
  { epochs }: Committee,
): Promise<CommitteeTickets | undefined> {
  const { options: { role, listen, attestation: { anchor } }, attestation: { required } } = p;
  const attestation = required || anchor !== undefined ? attesting() : undefined;
  if (!attestation) return undefined;
  const serves = role === "aggregator" || (role === "reader" && listen.length > 0);
  return await judgeTickets({ ...p, attestation, epochs, serves });
}
