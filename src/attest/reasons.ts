/**
 * Why a quote, its collateral or a policy is refused: one stable code for each cause. Most codes
 * are `<thing>-<fault>`; what stands alone is listed by itself. `describe` says what a code means.
 */

/** Certificates other than the anchor. */
export const CERTIFICATES = {
  "pck": "the platform's certificate (PCK), in the quote",
  "pck-ca": "the CA of platform certificates (PCK CA)",
  "tcb-signer": "the certificate that signs TCB info",
  "qe-signer": "the certificate that signs the QE identity",
} as const;

/** What can be wrong with one of them. */
export const CERTIFICATE_FAULTS = {
  malformed: "is not strict PEM, DER or X.509",
  chain: "does not come with exactly the certificates of its chain",
  root: "comes with a chain that ends elsewhere than in the trust anchor",
  profile: "is no certificate for this use: algorithm, key, name, CA flag, key usage or extensions",
  issuer: "names another issuer than the certificate above it",
  signature: "is not signed by the key above it",
  early: "is not valid yet",
  expired: "has expired",
  revoked: "is revoked",
} as const;

/** Revocation lists. */
export const LISTS = {
  "root-crl": "the root's revocation list",
  "pck-crl": "the revocation list of the PCK CA",
} as const;

/** What can be wrong with one of them. */
export const LIST_FAULTS = {
  malformed: "is not a strict DER list of version 2",
  issuer: "is another CA's",
  signature: "is not signed by its CA",
  early: "is not valid yet",
  expired: "has expired",
} as const;

/** Signed JSON documents. */
export const DOCUMENTS = {
  "tcb-info": "TCB info",
  "qe-identity": "the QE identity",
} as const;

/** What can be wrong with one of them. */
export const DOCUMENT_FAULTS = {
  signature: "is not signed by its signer, over these exact bytes",
  malformed: "lacks a field or has one out of range",
  kind: "is another document, or of another version",
  early: "is not valid yet",
  expired: "has expired",
} as const;

/** What stands alone. */
export const OTHERS = {
  "anchor-malformed": "the trust anchor is not a strict DER certificate",
  "anchor-profile": "the trust anchor is no root for quotes",
  "anchor-signature": "the trust anchor is not signed by itself",
  "anchor-early": "the trust anchor is not valid yet",
  "anchor-expired": "the trust anchor has expired",
  "anchor-revoked": "the trust anchor is in its own revocation list",
  "collateral-malformed": "the collateral is not a JSON object of the expected fields",
  "collateral-missing": "there is no collateral for the platform's family",
  "evidence-missing": "what admission asks for was not shown",
  "collateral-older": "a part of the collateral is older than one that was believed before",
  "collateral-full": "no further family of platforms can be remembered",
  "marks-malformed": "the marks of the newest collateral are damaged, or of another trust anchor",
  "clock-behind": "the clock is behind the date of something that Intel has signed already",
  "pcs-malformed": "an answer of the provisioning service is not laid out as one",
  "quote-size": "more bytes than a quote may have",
  "quote-truncated": "the quote ends before its declared length",
  "quote-trailing": "bytes after the declared end of the quote, or of a part of it",
  "quote-version": "the quote is not of version 4 or 5",
  "quote-key-type": "the attestation key is not ECDSA P-256",
  "quote-tee": "the quote is not of a TDX guest",
  "quote-vendor": "the quoting enclave is not of Intel's kind",
  "quote-body": "the quote's body is not a TD report 1.0 or 1.5",
  "quote-certification": "the quote does not carry a QE report and a PCK chain",
  "quote-signature": "header and body are not signed by the attestation key",
  "report-data": "the report data is not what it must be",
  "td-debug": "the guest can be debugged or profiled",
  "td-attributes": "the guest has an attribute that is unknown or not accepted, as MIGRATABLE",
  "td-sept-ve": "the guest runs without SEPT_VE_DISABLE",
  "td-service": "the guest has a service TD",
  "mrtd": "the firmware (MRTD) is not one of the policy's",
  "rtmr0": "the machine's shape (RTMR0) is not one of the policy's",
  "rtmr1": "the kernel (RTMR1) is not one of the policy's",
  "rtmr2": "command line and initrd (RTMR2) are not of the policy's",
  "mrseam": "the TDX module (MRSEAM) is not one of the policy's",
  "pck-extension": "the SGX extension of the platform's certificate is missing or malformed",
  "pck-platform": "the platform is of another family (FMSPC) or PCE than the TCB info",
  "qe-report-signature": "the QE report is not signed by the platform's key",
  "qe-report-binding": "the QE report does not bind this attestation key and nothing else",
  "qe-debug": "the quoting enclave can be debugged",
  "qe-mrsigner": "the quoting enclave is signed by another (MRSIGNER)",
  "qe-product": "the quoting enclave is another product (ISVPRODID)",
  "qe-misc": "the quoting enclave has another MISCSELECT",
  "qe-attributes": "the quoting enclave has other ATTRIBUTES",
  "qe-level": "the quoting enclave is below every level of its identity",
  "module-unknown": "TCB info knows no TDX module of this version",
  "module-signer": "the TDX module is signed by another (MRSIGNERSEAM)",
  "module-attributes": "the TDX module has other attributes, as debug",
  "module-level": "the TDX module is below every level of its identity",
  "tcb-level": "the platform is below every level of the TCB info",
  "tcb-revoked": "the platform, its TDX module or its quoting enclave is revoked",
  "tcb-status": "the status is not one that the policy accepts",
  "tcb-evaluation": "the collateral's evaluation number is below the policy's minimum",
  "firmware-malformed": "the firmware has no TDX metadata that can be measured",
  "firmware-range":
    "the firmware lacks a part, as a split OVMF_CODE.fd does; it takes a whole OVMF.fd",
  "event-log-malformed": "the event log is not a strict TCG log with SHA-384 digests",
  "ticket-malformed": "the ticket is not laid out as one",
  "ticket-role": "the ticket is of a peer of another role",
  "ticket-life": "the ticket holds for no time, or for longer than any may",
  "ticket-early": "the ticket does not hold yet",
  "ticket-expired": "the ticket does not hold any more",
  "ticket-stale": "the ticket does not show that it was made when it says",
} as const;

/** A certificate below the anchor. */
export type CertificateName = keyof typeof CERTIFICATES;
/** A revocation list. */
export type ListName = keyof typeof LISTS;
/** A signed JSON document. */
export type DocumentName = keyof typeof DOCUMENTS;

/** Every cause of a refusal. */
export type ReasonCode =
  | `${CertificateName}-${keyof typeof CERTIFICATE_FAULTS}`
  | `${ListName}-${keyof typeof LIST_FAULTS}`
  | `${DocumentName}-${keyof typeof DOCUMENT_FAULTS}`
  | keyof typeof OTHERS;

function combined(
  things: Readonly<Record<string, string>>,
  faults: Readonly<Record<string, string>>,
): [string, string][] {
  return Object.entries(things).flatMap(([thing, what]) =>
    Object.entries(faults).map(([fault, is]): [string, string] => [
      `${thing}-${fault}`,
      `${what} ${is}`,
    ])
  );
}

/** All codes with what they mean, in the order of the tables above. */
export const REASONS: ReadonlyMap<ReasonCode, string> = new Map(
  [
    ...combined(CERTIFICATES, CERTIFICATE_FAULTS),
    ...combined(LISTS, LIST_FAULTS),
    ...combined(DOCUMENTS, DOCUMENT_FAULTS),
    ...Object.entries(OTHERS),
  ] as [ReasonCode, string][],
);

/** What a code means, as half a sentence. */
export function describe(code: ReasonCode): string {
  return REASONS.get(code)!;
}

/**
 * A refusal. `code` is for programs and operators; the message adds what was expected and what
 * came. It holds public bytes only, yet it may name a machine: a peer is told no more than that it
 * was refused.
 */
export class AttestationError extends Error {
  override readonly name = "AttestationError";
  constructor(readonly code: ReasonCode, detail?: string) {
    super(`${code}: ${describe(code)}${detail === undefined ? "" : `; ${detail}`}`);
  }
}

/** Refuses unless `holds`. */
export function demand(holds: boolean, code: ReasonCode, detail?: string): asserts holds {
  if (!holds) throw new AttestationError(code, detail);
}
