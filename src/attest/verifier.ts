/**
 * Whether a quote is of a genuine TDX guest on a platform in good state, running what the policy
 * allows. What costs nothing is asked first; then each signature down from the trust anchor; then
 * the state of the platform. README.md has the order and the reasons.
 *
 * A quote carries no time: how fresh it is, and that its sender is the one it speaks of, must
 * follow from the report data. Its bytes name nothing either: ECDSA signatures and PEM text have
 * more than one form.
 */
import { equal } from "../protocol/bytes.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { checkProfile, checkWindow, verifyIssued, windowOf } from "./chain.ts";
import { type VerifiedCollateral, verifyBelowRoot } from "./collateral.ts";
import { verifies, verifyingKey } from "./ecdsa.ts";
import { parseChain } from "./pem.ts";
import { parsePlatform, type Platform } from "./platform.ts";
import { checkReport, checkStatus, type Policy } from "./policy.ts";
import { checkBinding, qeLevel } from "./qe_identity.ts";
import { parseQuote, type Quote } from "./quote.ts";
import { demand } from "./reasons.ts";
import type { TdReport } from "./reports.ts";
import type { TcbStatus } from "./status.ts";
import { judgeTcb } from "./tcb.ts";

/** What a quote is judged by. */
export interface Terms {
  readonly collateral: VerifiedCollateral;
  readonly policy: Policy;
  /** Unix ms. */
  readonly now: number;
  /** What the quote must carry, 64 bytes; left out: anything. */
  readonly reportData?: Uint8Array;
}

/** A quote that was accepted. */
export interface VerifiedQuote {
  readonly status: TcbStatus;
  /** Intel's advisories that concern the platform. */
  readonly advisories: readonly string[];
  /** Date of the oldest level that made the status, Unix ms. */
  readonly tcbDate: number;
  readonly evaluationNumber: number;
  /** Family of platforms. It does not name the machine; the quote's certificate does. */
  readonly fmspc: string;
  /** Measurements and report data. */
  readonly report: TdReport;
  /** Until when all of this holds, Unix ms, included: what is granted must not outlive it. */
  readonly validUntil: number;
  /** Whether only a development root vouches for it. */
  readonly simulated: boolean;
}

/** Verifies a quote. Throws an `AttestationError` with the first reason against it. */
export async function verifyQuote(bytes: Uint8Array, terms: Terms): Promise<VerifiedQuote> {
  const { collateral, policy, now, reportData } = terms, { anchor } = collateral;
  const quote = parseQuote(bytes);
  demand(!reportData || equal(quote.report.reportData, reportData), "report-data");
  checkReport(quote.report, policy, anchor.simulated);
  const { evaluationNumber } = collateral, least = policy.minimumEvaluation;
  demand(evaluationNumber >= least, "tcb-evaluation", `${evaluationNumber}, expected ${least}`);
  for (const window of collateral.windows) checkWindow(window, now);

  const { pck, ca, platform } = await verifyPlatform(quote.chain, collateral, now);
  const vouched = await verifies(pck.key, quote.qeSignature, quote.qeReportBytes);
  demand(vouched, "qe-report-signature");
  checkBinding(quote);
  const qe = qeLevel(quote.qeReport, collateral.qeIdentity);
  const attestationKey = await verifyingKey(quote.attestationKey);
  demand(await verifies(attestationKey, quote.signature, quote.signed), "quote-signature");

  const { status, advisories, date } = judgeTcb(quote.report, platform, collateral.tcbInfo, qe);
  checkStatus(status, advisories, policy);
  return {
    ...{ status, advisories, evaluationNumber, tcbDate: date, report: quote.report },
    fmspc: platform.fmspc,
    validUntil: Math.min(collateral.until, ca.until, pck.until),
    simulated: anchor.simulated,
  };
}

/** The platform's certificate, up to the anchor, and what it says of the machine. */
async function verifyPlatform(
  chain: Quote["chain"],
  collateral: VerifiedCollateral,
  now: number,
): Promise<{ pck: Certificate; ca: Certificate; platform: Platform }> {
  const certificates = parseChain(chain, "pck");
  demand(certificates.length === 3, "pck-chain", `${certificates.length}, expected 3`);
  demand(equal(certificates[2], collateral.anchor.certificate.der), "pck-root");
  const ca = await verifyCa(certificates[1], collateral, now);
  const pck = await parseCertificate(certificates[0], "pck");
  checkProfile(pck, "pck");
  await verifyIssued(pck, ca, "pck");
  demand(!collateral.pckCrl.revoked.has(pck.serial), "pck-revoked");
  checkWindow(windowOf("pck", pck), now);
  const platform = parsePlatform(pck.sgx), { fmspc, pceId } = collateral.tcbInfo;
  const ours = platform.fmspc === fmspc && platform.pceId === pceId;
  const of = `${platform.fmspc} and PCE ${platform.pceId}, expected ${fmspc} and ${pceId}`;
  demand(ours, "pck-platform", of);
  return { pck, ca, platform };
}

/** The CA of platforms: that of the revocation list, or another certificate of its name and key. */
async function verifyCa(
  der: Uint8Array,
  { anchor, rootCrl, pckCa }: VerifiedCollateral,
  now: number,
): Promise<Certificate> {
  if (equal(der, pckCa.der)) return pckCa;
  const ca = await verifyBelowRoot(der, anchor, rootCrl, "pck-ca");
  checkWindow(windowOf("pck-ca", ca), now);
  const covered = equal(ca.subject, pckCa.subject) && equal(ca.xy, pckCa.xy);
  demand(covered, "pck-crl-issuer", `it is not of ${ca.commonName}`);
  return ca;
}
