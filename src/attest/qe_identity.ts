/**
 * The quoting enclave's identity, version 2 for TDX: who signs it, what it must show, and which of
 * its versions deserve which status; and whether an enclave's report is of it.
 */
import { createHash } from "node:crypto";
import { equal, isZero } from "../protocol/bytes.ts";
import { type Field, type Level, readSvnLevels, type SvnLevel } from "./document.ts";
import type { Quote } from "./quote.ts";
import { AttestationError, demand } from "./reasons.ts";
import type { QeReport } from "./reports.ts";

/** Bit of the first byte of ATTRIBUTES: the enclave can be debugged. */
const DEBUG = 0x02;

/** What the quoting enclave must show. */
export interface QeIdentity {
  /** issueDate and nextUpdate, Unix ms, both included. */
  readonly from: number;
  readonly until: number;
  readonly evaluationNumber: number;
  /** Fields of the QE report, the masked ones with their masks. */
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly miscSelect: Uint8Array;
  readonly miscSelectMask: Uint8Array;
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  /** The highest first. */
  readonly levels: readonly SvnLevel[];
}

/** Reads it. Refuses as `qe-identity-kind` and `qe-identity-malformed`. */
export function readQeIdentity(document: Field): QeIdentity {
  const id = document.field("id").text(16), version = document.field("version").integer(999);
  demand(id === "TD_QE" && version === 2, "qe-identity-kind", `${id}, version ${version}`);
  return {
    from: document.field("issueDate").time(),
    until: document.field("nextUpdate").time(),
    evaluationNumber: document.field("tcbEvaluationDataNumber").integer(2 ** 31),
    mrSigner: document.field("mrsigner").bytes(32),
    isvProdId: document.field("isvprodid").integer(0xffff),
    miscSelect: document.field("miscselect").bytes(4),
    miscSelectMask: document.field("miscselectMask").bytes(4),
    attributes: document.field("attributes").bytes(16),
    attributesMask: document.field("attributesMask").bytes(16),
    levels: readSvnLevels(document.field("tcbLevels")),
  };
}

/** Refuses, as `qe-report-binding`, a report that does not vouch for the attestation key alone. */
export function checkBinding(quote: Quote): void {
  const { attestationKey, qeAuthData, qeReport: { reportData } } = quote;
  const bound = createHash("sha256").update(attestationKey).update(qeAuthData).digest();
  demand(equal(reportData.subarray(0, 32), bound), "qe-report-binding");
  demand(isZero(reportData.subarray(32)), "qe-report-binding", "more than the key is bound");
}

/** Whether two values agree wherever the mask has a bit. */
export function agree(a: Uint8Array, b: Uint8Array, mask: Uint8Array): boolean {
  return mask.every((bits, i) => ((a[i] ^ b[i]) & bits) === 0);
}

const u16 = (bytes: Uint8Array) => bytes[0] | (bytes[1] << 8);

/** The level of an enclave. Refuses, as `qe-…`, one that is not of this identity. */
export function qeLevel(report: QeReport, identity: QeIdentity): Level {
  const product = u16(report.isvProdId), svn = u16(report.isvSvn);
  demand((report.attributes[0] & DEBUG) === 0, "qe-debug");
  demand(equal(report.mrSigner, identity.mrSigner), "qe-mrsigner");
  demand(product === identity.isvProdId, "qe-product", `product ${product}`);
  const misc = agree(report.miscSelect, identity.miscSelect, identity.miscSelectMask);
  demand(misc, "qe-misc");
  demand(agree(report.attributes, identity.attributes, identity.attributesMask), "qe-attributes");
  const level = identity.levels.find(({ isvSvn }) => isvSvn <= svn);
  if (!level) throw new AttestationError("qe-level", `version ${svn}`);
  return level;
}
