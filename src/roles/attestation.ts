/**
 * What a process judges tickets by, and has tickets made with. It has none of it where the instance
 * is not attested.
 */
import type { TrustAnchor } from "../attest/anchor.ts";
import type { Collateral, VerifiedCollateral } from "../attest/collateral.ts";
import type { Policy } from "../attest/policy.ts";
import type { QuoteSource } from "../attest/quote_source.ts";

/** All collateral that a process believes: `CollateralBook`. */
export interface Collaterals {
  /** Takes what verifies and is not older than what was seen; rejects with `AttestationError`. */
  offer(collateral: Collateral, now: number): Promise<unknown>;
  /** For the platform that made a quote; throws an `AttestationError` where there is none. */
  forQuote(quote: Uint8Array, now: number): VerifiedCollateral;
  /** Told of each change; the returned function ends it. */
  onChange(listener: () => void): () => void;
  /** Asks for that of a quote's platform, where there is somebody to ask. */
  want?(quote: Uint8Array): void;
  /** When the first part of what is in use ends, Unix ms, where that is known. */
  until?(now: number): number | undefined;
  /** All of it, to hand on. */
  staples(): readonly Collateral[];
}

/** Runs work that takes real time: at once, or, in a simulation, so that virtual time waits. */
export type Work = <T>(task: () => Promise<T>) => Promise<T>;

/** See the module comment. */
export interface Attestation {
  readonly anchor: TrustAnchor;
  /** Of servers. */
  readonly policy: Policy;
  readonly collateral: Collaterals;
  /** Where own quotes come from, for those who need any. */
  readonly source?: QuoteSource;
  readonly work?: Work;
}
