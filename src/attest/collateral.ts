/**
 * Collateral: what Intel signs about a family of platforms, in bytes that anyone may hand on. It is
 * verified once for a trust anchor and then serves many quotes, until the first of its parts
 * expires; the dates are judged again with each quote.
 */
import { equal } from "../protocol/bytes.ts";
import type { TrustAnchor } from "./anchor.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { checkProfile, checkWindow, verifyIssued, type Window, windowOf } from "./chain.ts";
import { openDocument } from "./document.ts";
import { parseChain } from "./pem.ts";
import { type QeIdentity, readQeIdentity } from "./qe_identity.ts";
import { type CertificateName, demand } from "./reasons.ts";
import { parseRevocationList, type RevocationList, verifyRevocationList } from "./revocations.ts";
import { readTcbInfo, type TcbInfo } from "./tcb_info.ts";

/** Everything that a verdict needs beside the quote. Chains are PEM, lists DER, documents JSON. */
export interface Collateral {
  readonly rootCrl: Uint8Array;
  /** The PCK CA and the root. */
  readonly pckCrlChain: Uint8Array;
  readonly pckCrl: Uint8Array;
  /** The signer and the root. */
  readonly tcbInfoChain: Uint8Array;
  /** The inner object, to the byte as it was signed, and r ‖ s. */
  readonly tcbInfo: Uint8Array;
  readonly tcbInfoSignature: Uint8Array;
  readonly qeIdentityChain: Uint8Array;
  readonly qeIdentity: Uint8Array;
  readonly qeIdentitySignature: Uint8Array;
}

/** Parts of collateral of which all signatures hold under one anchor. */
export interface VerifiedParts {
  readonly rootCrl: RevocationList;
  readonly pckCa: Certificate;
  readonly pckCrl: RevocationList;
  readonly tcbSigner: Certificate;
  readonly tcbInfo: TcbInfo;
  readonly qeSigner: Certificate;
  readonly qeIdentity: QeIdentity;
}

/** The parts together, with when they hold. */
export interface VerifiedCollateral extends VerifiedParts {
  readonly anchor: TrustAnchor;
  /** The lower of the two evaluation numbers. */
  readonly evaluationNumber: number;
  /** When each part holds. */
  readonly windows: readonly Window[];
  /** When all parts hold, Unix ms, both ends included. */
  readonly from: number;
  readonly until: number;
}

/** Verifies collateral and judges its dates at `now` (Unix ms). */
export async function verifyCollateral(
  given: Collateral,
  anchor: TrustAnchor,
  now: number,
): Promise<VerifiedCollateral> {
  const collateral = copyCollateral(given), { certificate: root } = anchor;
  const rootCrl = parseRevocationList(collateral.rootCrl, "root-crl");
  await verifyRevocationList(rootCrl, root, "root-crl");
  demand(!rootCrl.revoked.has(root.serial), "anchor-revoked");

  const pckCa = await below(collateral.pckCrlChain, anchor, rootCrl, "pck-ca");
  const pckCrl = parseRevocationList(collateral.pckCrl, "pck-crl");
  await verifyRevocationList(pckCrl, pckCa, "pck-crl");

  const tcbSigner = await below(collateral.tcbInfoChain, anchor, rootCrl, "tcb-signer");
  const { tcbInfoSignature, qeIdentitySignature } = collateral;
  const tcbInfo = readTcbInfo(
    await openDocument(collateral.tcbInfo, tcbInfoSignature, tcbSigner, "tcb-info"),
  );
  const qeSigner = await below(collateral.qeIdentityChain, anchor, rootCrl, "qe-signer");
  const qeIdentity = readQeIdentity(
    await openDocument(collateral.qeIdentity, qeIdentitySignature, qeSigner, "qe-identity"),
  );

  const parts = { rootCrl, pckCa, pckCrl, tcbSigner, tcbInfo, qeSigner, qeIdentity };
  const verified = combine(parts, anchor);
  checkDates(verified, now);
  return verified;
}

/** Refuses parts with a certificate that the root's list names: `…-revoked`. */
export function checkSigners(parts: Omit<VerifiedParts, "rootCrl">, rootCrl: RevocationList): void {
  const { pckCa, tcbSigner, qeSigner } = parts;
  demand(!rootCrl.revoked.has(pckCa.serial), "pck-ca-revoked");
  demand(!rootCrl.revoked.has(tcbSigner.serial), "tcb-signer-revoked");
  demand(!rootCrl.revoked.has(qeSigner.serial), "qe-signer-revoked");
}

/**
 * Parts that were verified under one anchor, perhaps not together. Refuses a signer that their
 * root's list names; the dates are the caller's to judge.
 */
export function combine(parts: VerifiedParts, anchor: TrustAnchor): VerifiedCollateral {
  const { rootCrl, pckCa, pckCrl, tcbSigner, tcbInfo, qeSigner, qeIdentity } = parts;
  checkSigners(parts, rootCrl);
  const windows = [
    windowOf("anchor", anchor.certificate),
    windowOf("root-crl", rootCrl),
    windowOf("pck-ca", pckCa),
    windowOf("pck-crl", pckCrl),
    windowOf("tcb-signer", tcbSigner),
    windowOf("tcb-info", tcbInfo),
    windowOf("qe-signer", qeSigner),
    windowOf("qe-identity", qeIdentity),
  ];
  return {
    ...parts,
    ...{ anchor, windows },
    evaluationNumber: Math.min(tcbInfo.evaluationNumber, qeIdentity.evaluationNumber),
    from: Math.max(...windows.map((window) => window.from)),
    until: Math.min(...windows.map((window) => window.until)),
  };
}

/** Refuses what does not hold at `now`: `…-early` and `…-expired`. */
export function checkDates({ windows }: Pick<VerifiedCollateral, "windows">, now: number): void {
  for (const window of windows) checkWindow(window, now);
}

/** A copy, since verifying takes turns of the event loop and the bytes are the caller's. */
export function copyCollateral(collateral: Collateral): Collateral {
  const entries = Object.entries(collateral).map(([name, bytes]) => [name, bytes.slice()]);
  return Object.fromEntries(entries);
}

/** The one certificate between a document or list and the anchor. */
async function below(
  chain: Uint8Array,
  anchor: TrustAnchor,
  rootCrl: RevocationList,
  name: CertificateName,
): Promise<Certificate> {
  const certificates = parseChain(chain, name);
  demand(certificates.length === 2, `${name}-chain`, `${certificates.length}, expected 2`);
  demand(equal(certificates[1], anchor.certificate.der), `${name}-root`);
  return await verifyBelowRoot(certificates[0], anchor, rootCrl, name);
}

/** A certificate that the anchor issued, made for its place, and not revoked. */
export async function verifyBelowRoot(
  der: Uint8Array,
  anchor: TrustAnchor,
  rootCrl: RevocationList,
  name: CertificateName,
): Promise<Certificate> {
  const certificate = await parseCertificate(der, name);
  checkProfile(certificate, name);
  await verifyIssued(certificate, anchor.certificate, name);
  demand(!rootCrl.revoked.has(certificate.serial), `${name}-revoked`);
  return certificate;
}
