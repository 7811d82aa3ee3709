/** Cases in which the quote is spoilt: its bytes, its key, what it says of the guest. */
import { concat } from "../../src/protocol/bytes.ts";
import type { TdReport } from "../../src/attest/reports.ts";
import type { ReasonCode } from "../../src/attest/reasons.ts";
import { simulatedKey } from "../../src/attest/simulated_key.ts";
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { type Case, flipped, QUOTE, quoteFrom, quoteOf } from "./cases.ts";
import { platform, REPORT_DATA, seeded } from "./stage.ts";

const report = (changes: Partial<TdReport>) => quoteOf({ report: changes });
const hexed = (digits: string) => Uint8Array.fromHex(digits);
const svn = (digits: string) => ({ teeTcbSvn: hexed(digits.padEnd(32, "0")) });
const attributes = (digits: string) => report({ tdAttributes: hexed(digits) });
const with15 = (mrServiceTd: Uint8Array) => quoteOf({ td15: true, report: { mrServiceTd } });

function patched(at: number, digits: string): () => Uint8Array {
  const bytes = QUOTE.slice();
  bytes.set(hexed(digits), at);
  return () => bytes;
}

/** Bytes that the attestation key, the platform's key or a hash protects. */
const FLIPS: readonly [string, number, ReasonCode][] = [
  ["MRTD", 184, "quote-signature"],
  ["RTMR2", 48 + 424, "quote-signature"],
  ["the report data", 568, "quote-signature"],
  ["the header's user data", 30, "quote-signature"],
  ["the header's reserved bytes", 8, "quote-signature"],
  ["the header's vendor", 12, "quote-vendor"],
  ["the quote's signature", 636, "quote-signature"],
  ["the attestation key", 700, "qe-report-binding"],
  ["the QE report", 770 + 64, "qe-report-signature"],
  ["the QE report's reserved bytes", 770 + 20, "qe-report-signature"],
  ["the QE authentication data", 1220, "qe-report-binding"],
  ["the QE signature", 1154, "qe-report-signature"],
];

export const QUOTE_CASES: readonly Case[] = [
  { name: "a valid quote of version 4", expected: "UpToDate" },
  {
    name: "a valid quote of version 5 with a TD report 1.0",
    expected: "UpToDate",
    quote: quoteOf({ version: 5 }),
  },
  {
    name: "a valid quote of version 5 with a TD report 1.5",
    expected: "UpToDate",
    quote: quoteOf({ td15: true }),
  },
  {
    name: "a TDX module of major version 0",
    expected: "UpToDate",
    quote: report(svn("050003")),
  },
  ...FLIPS.map(([what, at, expected]): Case => ({
    name: `a flipped bit in ${what}`,
    expected,
    quote: flipped(at),
  })),
  {
    name: "a grafted attestation key, which signed the quote anew",
    expected: "qe-report-binding",
    quote: () =>
      simulatedQuote({ ...platform, attestationKey: simulatedKey(seeded(9)) }, REPORT_DATA),
  },
  {
    name: "a QE report that binds more than the key",
    expected: "qe-report-binding",
    quote: quoteFrom({
      qeReport: {
        reportData: concat(platform.qeReport.slice(320, 352), Uint8Array.of(1), new Uint8Array(31)),
      },
    }),
    elsewhere: "accepted",
  },
  {
    name: "bytes after the quote",
    expected: "quote-trailing",
    quote: () => concat(QUOTE, Uint8Array.of(1)),
    elsewhere: "accepted",
  },
  {
    name: "zero bytes after the quote",
    expected: "quote-trailing",
    quote: () => concat(QUOTE, new Uint8Array(70)),
    elsewhere: "accepted",
  },
  { name: "a truncated quote", expected: "quote-truncated", quote: () => QUOTE.subarray(0, -1) },
  {
    name: "a quote cut in its body",
    expected: "quote-truncated",
    quote: () => QUOTE.subarray(0, 400),
  },
  { name: "an empty quote", expected: "quote-truncated", quote: () => new Uint8Array(0) },
  { name: "version 3", expected: "quote-version", quote: patched(0, "0300") },
  { name: "an SGX quote", expected: "quote-tee", quote: patched(4, "00000000") },

  { name: "TD debug", expected: "td-debug", quote: attributes("0100001000000000") },
  { name: "TD profiling", expected: "td-debug", quote: attributes("1000001000000000") },
  { name: "SEPT_VE_DISABLE clear", expected: "td-sept-ve", quote: attributes("0000000000000000") },
  { name: "a migratable guest", expected: "td-attributes", quote: attributes("0000003000000000") },
  {
    name: "an unknown attribute",
    expected: "td-attributes",
    quote: attributes("0000001000000001"),
  },
  {
    name: "protection keys and performance counters",
    expected: "UpToDate",
    quote: attributes("0000005000000080"),
  },
  { name: "a service TD", expected: "td-service", quote: with15(new Uint8Array(48).fill(1)) },
  {
    name: "MRSIGNERSEAM not zero",
    expected: "module-signer",
    quote: report({ mrSignerSeam: new Uint8Array(48).fill(1) }),
    elsewhere: "accepted",
  },
  {
    name: "SEAM attributes not zero",
    expected: "module-attributes",
    quote: report({ seamAttributes: hexed("0100000000000000") }),
    elsewhere: "accepted",
  },
  {
    name: "an unknown version of the TDX module",
    expected: "module-unknown",
    quote: report(svn("060903")),
    elsewhere: "accepted",
  },
  {
    name: "a TDX module below its own newest level",
    expected: "OutOfDate",
    quote: report(svn("050103")),
  },
  {
    name: "a TDX module of major version 0 below the platform's level",
    expected: "tcb-level",
    quote: report(svn("040003")),
  },
];
