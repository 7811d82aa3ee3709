/**
 * What a server keeps with its head: the record, and, until all have signed FINAL for it, the
 * statements and shares with which any other server can finish it too.
 *
 * Layout: u8 kind ‖ body. 1 certified: a certified record. 2 pending: u32 length ‖ record ‖ u32
 * length ‖ aggregate ‖ N PREPAREs (193 each) ‖ N PARTIALs (161 each) ‖ N × (u32 length ‖ share).
 */
import { type Aggregate, decodeAggregate, maxAggregateBytes } from "../protocol/aggregate.ts";
import { concat, equal, Reader, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Header } from "../protocol/header.ts";
import type { Manifest } from "../protocol/manifest.ts";
import type { Parameters } from "../protocol/parameters.ts";
import {
  type CertifiedRecord,
  checkCertificate,
  createRecord,
  decodeCertified,
  decodeRecord,
  encodeCertified,
  maxRecordBytes,
  type Record,
} from "../protocol/record.ts";
import {
  decodeShare,
  encodeShare,
  maxShareBytes,
  openVectors,
  type Share,
  shareCommitment,
  sharesHash,
} from "../protocol/share.ts";
import { decodeSigned, encodeSigned, type Signed } from "../protocol/statements.ts";

const CERTIFIED = 1, PENDING = 2;
const PREPARE_BYTES = 193, PARTIAL_BYTES = 161;

/** All that a FINAL rests on. */
export interface Pending {
  readonly record: Record;
  readonly aggregate: Aggregate;
  readonly prepares: readonly Signed[];
  readonly partials: readonly Signed[];
  readonly shares: readonly Share[];
}

/** Either stage of a head. */
export type Evidence = { readonly certified: CertifiedRecord } | { readonly pending: Pending };

/** Most bytes of encoded evidence. */
export function maxEvidenceBytes(parameters: Parameters, length: number): number {
  return 9 + maxRecordBytes(parameters, length) + maxAggregateBytes(parameters) +
    length * (PREPARE_BYTES + PARTIAL_BYTES + 4 + maxShareBytes(parameters));
}

/** The layout of evidence. */
export function encodeEvidence(evidence: Evidence): Uint8Array {
  if ("certified" in evidence) {
    return concat(Uint8Array.of(CERTIFIED), encodeCertified(evidence.certified));
  }
  const { record, aggregate, prepares, partials, shares } = evidence.pending;
  const out = new Writer().u8(PENDING).vector(record.bytes).vector(aggregate.bytes);
  for (const signed of [...prepares, ...partials]) out.bytes(encodeSigned(signed));
  for (const share of shares) out.vector(encodeShare(share));
  return out.end();
}

/** Reads evidence; a certificate and all that can be recomputed are checked, PARTIALs are not. */
export function decodeEvidence(bytes: Uint8Array, manifest: Manifest): Evidence {
  const kind = new Reader(bytes, "evidence").u8();
  if (kind === CERTIFIED) {
    const certified = decodeCertified(bytes.subarray(1), manifest);
    checkCertificate(manifest, certified);
    return { certified };
  }
  if (kind !== PENDING) throw new ProtocolError("type", `evidence of kind ${kind}`);
  const reader = new Reader(bytes.subarray(1), "evidence");
  const { parameters } = manifest;
  const claimed = decodeRecord(reader.bounded(1, bytes.length, "record"), manifest);
  const aggregate = decodeAggregate(
    reader.bounded(1, bytes.length, "aggregate"),
    claimed.header,
    parameters,
  );
  const prepares = manifest.servers.map(() => decodeSigned(reader.bytes(PREPARE_BYTES)));
  const partials = manifest.servers.map(() => decodeSigned(reader.bytes(PARTIAL_BYTES)));
  const shares = manifest.servers.map(() =>
    decodeShare(reader.bounded(1, bytes.length, "share"), claimed.header, parameters)
  );
  reader.end();
  const record = openRecord(manifest, claimed.header, aggregate, prepares, partials, shares);
  if (record === undefined || !equal(record.hash, claimed.hash)) {
    throw new ProtocolError("mismatch", "evidence whose shares do not open its record");
  }
  return { pending: { record, aggregate, prepares, partials, shares } };
}

/** The record that shares open, if each is the one that its server committed to. */
export function openRecord(
  manifest: Manifest,
  header: Header,
  aggregate: Aggregate,
  prepares: readonly Signed[],
  partials: readonly Signed[],
  shares: readonly Share[],
): Record | undefined {
  const commitments = manifest.servers.map((server, i) =>
    shareCommitment(shares[i], aggregate.digest, server)
  );
  const match = prepares.every(({ statement }, i) =>
    statement.kind === "prepare" && equal(statement.digest, aggregate.digest) &&
    equal(statement.share, commitments[i])
  );
  const [partial] = partials;
  if (!match || partial?.statement.kind !== "partial") return undefined;
  // PREPAREs may be made up: what all have signed is P.
  const all = sharesHash(header.hash, aggregate.digest, commitments);
  if (!equal(partial.statement.shares, all)) return undefined;
  return createRecord(
    manifest,
    header,
    aggregate,
    partial.statement.shares,
    openVectors(aggregate, shares, manifest.parameters),
  );
}
