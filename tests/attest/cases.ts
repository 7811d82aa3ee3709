/**
 * The attack matrix. Each case is a simulated quote, its collateral and a time in which exactly one
 * thing is wrong, and the answer that it deserves: a reason code, or the status of what is accepted.
 * `elsewhere` marks where `@phala/dcap-qvl` 0.3.9 answers differently: what it accepts and we refuse;
 * and, twice, what it refuses: a guest under debug that a simulation may admit, and a TDX module that
 * is judged by its own identity alone, as Intel's library does it.
 */
import type { Collateral } from "../../src/attest/collateral.ts";
import type { Policy } from "../../src/attest/policy.ts";
import type { ReasonCode } from "../../src/attest/reasons.ts";
import type { TcbStatus } from "../../src/attest/status.ts";
import type { SimulatedAuthority } from "../../src/attest/simulated_authority.ts";
import {
  type CollateralChanges,
  simulatedCollateral,
} from "../../src/attest/simulated_collateral.ts";
import type { PlatformChanges } from "../../src/attest/simulated_platform.ts";
import { type QuoteChanges, simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { authority, changedPlatform, NOW, platform, REPORT_DATA } from "./stage.ts";

export interface Case {
  readonly name: string;
  readonly expected: ReasonCode | TcbStatus;
  readonly quote?: () => Uint8Array;
  readonly collateral?: () => Collateral;
  /** Who is believed, if not the authority of the stage. */
  readonly anchor?: () => SimulatedAuthority;
  readonly now?: number;
  readonly policy?: Partial<Policy>;
  readonly elsewhere?: "accepted" | "refused";
}

/** The quote of the stage, unspoilt. */
export const QUOTE = simulatedQuote(platform, REPORT_DATA);
/** Its collateral. */
export const COLLATERAL = simulatedCollateral(authority, NOW);

/** The quote with one bit flipped. */
export const flipped = (at: number, from: Uint8Array = QUOTE) => () => {
  const bytes = from.slice();
  bytes[at] ^= 0x01;
  return bytes;
};
/** A quote that was signed with a change in it. */
export const quoteOf = (changes: QuoteChanges) => () =>
  simulatedQuote(platform, REPORT_DATA, changes);
/** The quote of a changed machine. */
export const quoteFrom = (changes: PlatformChanges) => () =>
  simulatedQuote(changedPlatform(changes), REPORT_DATA);
/** Collateral that was signed with a change in it. */
export const collateralOf = (changes: CollateralChanges) => () =>
  simulatedCollateral(authority, NOW, changes);
/** Collateral with some of its bytes replaced. */
export const replaced = (changes: Partial<Collateral>, from: Collateral = COLLATERAL) => () => ({
  ...from,
  ...changes,
});
/** Text as bytes. */
export const ascii = (text: string) => new TextEncoder().encode(text);
