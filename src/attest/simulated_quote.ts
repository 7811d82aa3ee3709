/**
 * Quotes of a simulated machine, byte for byte as a real one lays them out. Whatever a verifier
 * looks at can be changed before it is signed; what is changed behind the signature is for tests.
 */
import { Writer } from "../protocol/bytes.ts";
import { formatChain } from "./pem.ts";
import { QUOTE, VENDOR } from "./quote.ts";
import { type TdReport, writeTdReport } from "./reports.ts";
import { sign } from "./simulated_key.ts";
import { simulatedMeasurements } from "./simulated_measurements.ts";
import type { QuotingPlatform } from "./simulated_platform.ts";

/** What a quote says; all of it has defaults but the report data. */
export interface QuoteChanges {
  readonly version?: 4 | 5;
  /** What was started, as a label for its measurements. */
  readonly image?: string;
  /** Fields of the TD report. */
  readonly report?: Partial<TdReport>;
  /** Whether the TD report is a 1.5, which only version 5 can say. */
  readonly td15?: boolean;
}

/** The label of what a machine started unless told otherwise. */
export const SIMULATED_IMAGE = "zipnet";

/** The TD report of a simulated guest: module 1.6, no attribute but SEPT_VE_DISABLE. */
export function simulatedReport(reportData: Uint8Array, changes: QuoteChanges = {}): TdReport {
  const svn = Uint8Array.fromHex("06010300000000000000000000000000");
  const zero = new Uint8Array(48);
  return {
    teeTcbSvn: svn,
    mrSeam: new Uint8Array(48).fill(0xde),
    mrSignerSeam: zero,
    seamAttributes: new Uint8Array(8),
    tdAttributes: Uint8Array.fromHex("0000001000000000"),
    xfam: Uint8Array.fromHex("e702060000000000"),
    ...{ mrConfigId: zero, mrOwner: zero, mrOwnerConfig: zero },
    ...simulatedMeasurements(changes.image ?? SIMULATED_IMAGE),
    reportData,
    ...changes.td15 ? { teeTcbSvn2: svn, mrServiceTd: zero } : {},
    ...changes.report,
  };
}

/** A quote over 64 bytes of report data. */
export function simulatedQuote(
  platform: QuotingPlatform,
  reportData: Uint8Array,
  changes: QuoteChanges = {},
): Uint8Array {
  const { td15 = false, version = td15 ? 5 : 4 } = changes;
  const body = writeTdReport(simulatedReport(reportData, changes));
  const head = new Writer().u16(version).u16(QUOTE.keyType).u32(QUOTE.teeType).u32(0)
    .bytes(VENDOR).bytes(new Uint8Array(20));
  if (version === 5) head.u16(td15 ? QUOTE.td15 : QUOTE.td10).u32(body.length);
  const signed = head.bytes(body).end();
  const chain = new TextEncoder().encode(`${formatChain(platform.chain)}\0`);
  const certification = new Writer().bytes(platform.qeReport).bytes(platform.qeSignature)
    .u16(platform.qeAuthData.length).bytes(platform.qeAuthData)
    .u16(QUOTE.pckChain).vector(chain).end();
  const rest = new Writer().bytes(sign(platform.attestationKey, signed))
    .bytes(platform.attestationKey.xy)
    .u16(QUOTE.qeReportCertification).vector(certification).end();
  return new Writer().bytes(signed).vector(rest).end();
}
