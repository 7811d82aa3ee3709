/**
 * Where a machine's quotes come from: the TDX module of the guest that this process runs in, or the
 * simulated platform. Behind this seam everything is one path.
 */
import { type QuoteChanges, simulatedQuote } from "./simulated_quote.ts";
import type { QuotingPlatform } from "./simulated_platform.ts";

/** Makes quotes. A real one takes about a second: never on a hot path, and renewed in time. */
export interface QuoteSource {
  /**
   * A quote of exactly its declared length over 64 bytes of report data. Rejects with a
   * `QuoteSourceError` that says what to do.
   */
  quote(reportData: Uint8Array): Promise<Uint8Array>;
}

/** This machine cannot make a quote; the message says why, and what to do. */
export class QuoteSourceError extends Error {
  override readonly name = "QuoteSourceError";
}

/** Quotes of a simulated platform. */
export function simulatedSource(
  platform: QuotingPlatform,
  changes: QuoteChanges = {},
): QuoteSource {
  return {
    quote: (reportData) => Promise.resolve(simulatedQuote(platform, reportData, changes)),
  };
}
