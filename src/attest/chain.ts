/**
 * What a certificate must be for its place below the anchor, who signed it, and when it holds.
 *
 * The place is asked for by the end of the common name, by CA flag, key usage and path length. A
 * platform's certificate is no CA: with its key, once taken out of one machine, nobody can make new
 * machines that no revocation list names.
 */
import { equal } from "../protocol/bytes.ts";
import { type Certificate, USAGE } from "./certificate.ts";
import { verifies } from "./ecdsa.ts";
import {
  AttestationError,
  type CertificateName,
  demand,
  type DocumentName,
  type ListName,
} from "./reasons.ts";

/** Ends of common names, by place. */
const NAMES: Readonly<Record<CertificateName | "anchor", readonly string[]>> = {
  "anchor": ["SGX Root CA"],
  "pck-ca": ["SGX PCK Platform CA", "SGX PCK Processor CA"],
  "pck": ["SGX PCK Certificate"],
  "tcb-signer": ["SGX TCB Signing"],
  "qe-signer": ["SGX TCB Signing"],
};
/** CA certificates that stand below a CA of each kind. */
const BELOW: Readonly<Partial<Record<CertificateName | "anchor", number>>> = {
  "anchor": 1,
  "pck-ca": 0,
};

/** Refuses, as `<name>-profile`, a certificate that is not made for this place. */
export function checkProfile(certificate: Certificate, name: CertificateName | "anchor"): void {
  const { commonName, isCa, usage, pathLength } = certificate, code = `${name}-profile` as const;
  const named = NAMES[name].some((end) => commonName.endsWith(end));
  demand(named, code, `"${commonName}" is not "… ${NAMES[name][0]}"`);
  const below = BELOW[name];
  demand(isCa === (below !== undefined), code, isCa ? "a CA" : "not a CA");
  if (below !== undefined) {
    const signs = USAGE.certificateSign | USAGE.listSign;
    demand((usage & signs) === signs, code, "its key may not sign certificates and lists");
    demand((pathLength ?? below) >= below, code, `a path length of ${pathLength}`);
  } else {
    demand((usage & USAGE.digitalSignature) !== 0, code, "its key may not sign data");
    demand((usage & USAGE.certificateSign) === 0, code, "its key may sign certificates");
  }
}

/** Refuses a certificate that `issuer` did not issue. */
export async function verifyIssued(
  certificate: Certificate,
  issuer: Certificate,
  name: CertificateName,
): Promise<void> {
  const ours = equal(certificate.issuer, issuer.subject);
  demand(ours, `${name}-issuer`, `expected ${issuer.commonName}`);
  const { signature, signed } = certificate;
  demand(await verifies(issuer.key, signature, signed), `${name}-signature`);
}

/** When something holds: Unix ms, both ends included. */
export interface Window {
  readonly thing: CertificateName | ListName | DocumentName | "anchor";
  readonly from: number;
  readonly until: number;
}

/** The window of what has one. */
export function windowOf(thing: Window["thing"], { from, until }: Omit<Window, "thing">): Window {
  return { thing, from, until };
}

/** Refuses, as `<thing>-early` or `<thing>-expired`, what does not hold at `now`. */
export function checkWindow({ thing, from, until }: Window, now: number): void {
  if (now >= from && now <= until) return;
  const late = now > until;
  throw new AttestationError(
    `${thing}-${late ? "expired" : "early"}`,
    `${late ? "until" : "from"} ${isoTime(late ? until : from)}, and it is ${isoTime(now)}`,
  );
}

/** A time (Unix ms) as text, also one that is no date. */
export function isoTime(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`;
}
