/**
 * The record of a round and its certificate: what readers get, and what certifies itself.
 *
 * Layout of a record: header (153 + 132 N) ‖ u32 length ‖ bitmap ‖ root (32) ‖ sum hash (32) ‖
 * P (32) ‖ u32 length ‖ schedule vector ‖ u32 length ‖ message vector. A certified record is the
 * record followed by N FINAL signatures (64 each) in manifest order.
 */
import { type Aggregate, aggregateDigest, readBitmap } from "./aggregate.ts";
import { concat, Reader, type RecordHash, u64, Writer } from "./bytes.ts";
import type { Vectors } from "./envelope.ts";
import { ProtocolError } from "./errors.ts";
import { hash, hashVector } from "./hash.ts";
import { decodeHeader, type Header, headerBytes } from "./header.ts";
import { verify } from "./keys.ts";
import type { Manifest } from "./manifest.ts";
import { type Parameters, scheduleBytes } from "./parameters.ts";

/** A record that was read; its hash is computed from its bytes. */
export interface Record extends Vectors {
  readonly header: Header;
  readonly bitmap: Uint8Array;
  readonly root: Uint8Array;
  readonly sum: Uint8Array;
  /** `P`: the hash of all share commitments. */
  readonly shares: Uint8Array;
  readonly hash: RecordHash;
  readonly bytes: Uint8Array;
}

/** A record with the FINAL signature of every server, in manifest order. */
export interface CertifiedRecord {
  readonly record: Record;
  readonly certificate: readonly Uint8Array[];
}

/** Most bytes of a certified record of an instance of N servers. */
export function maxRecordBytes(p: Parameters, servers: number): number {
  return headerBytes(servers) + 4 + Math.ceil(p.maxClients / 8) + 96 + 8 + scheduleBytes(p) +
    p.maxVectorBytes +
    64 * servers;
}

/** The record of an aggregate under a header, with the vectors that its shares opened. */
export function createRecord(
  manifest: Manifest,
  header: Header,
  aggregate: Aggregate,
  shares: Uint8Array,
  opened: Vectors,
): Record {
  const out = new Writer().bytes(header.bytes).vector(aggregate.bitmap).bytes(aggregate.root).bytes(
    aggregate.sum,
  );
  return decodeRecord(
    out.bytes(shares).vector(opened.schedule).vector(opened.messages).end(),
    manifest,
  );
}

/** Reads a record of `manifest`. */
export function decodeRecord(bytes: Uint8Array, manifest: Manifest): Record {
  const reader = new Reader(bytes, "record");
  const record = readRecord(reader, manifest);
  reader.end();
  return record;
}

function readRecord(reader: Reader, manifest: Manifest): Record {
  const from = reader.left;
  const header = decodeHeader(reader.bytes(headerBytes(manifest.servers.length)), manifest);
  const bitmap = readBitmap(reader, header.rosterSize);
  const root = reader.bytes(32), sum = reader.bytes(32), shares = reader.bytes(32);
  const schedule = reader.vector(scheduleBytes(manifest.parameters), "schedule");
  const messages = reader.vector(header.messageBytes, "message vector");
  const digest = aggregateDigest({ header: header.hash, bitmap, root, sum });
  const start = reader.input.length - from;
  return {
    header,
    bitmap,
    root,
    sum,
    shares,
    schedule,
    messages,
    hash: hash(
      "record",
      header.hash,
      digest,
      shares,
      hashVector("schedule", schedule),
      hashVector("messages", messages),
    ),
    bytes: reader.input.subarray(start, reader.input.length - reader.left),
  };
}

/** The layout of a certified record. */
export function encodeCertified({ record, certificate }: CertifiedRecord): Uint8Array {
  return concat(record.bytes, ...certificate);
}

/** Reads a certified record; `checkCertificate` judges it. */
export function decodeCertified(bytes: Uint8Array, manifest: Manifest): CertifiedRecord {
  const reader = new Reader(bytes, "certified record");
  const record = readRecord(reader, manifest);
  const certificate = manifest.servers.map(() => reader.bytes(64));
  reader.end();
  return { record, certificate };
}

/** Throws unless all N servers signed FINAL for the record. */
export function checkCertificate(
  manifest: Manifest,
  { record, certificate }: CertifiedRecord,
): void {
  if (certificate.length !== manifest.servers.length) {
    throw new ProtocolError(
      "length",
      `${certificate.length} FINALs, expected ${manifest.servers.length}`,
    );
  }
  manifest.servers.forEach((server, i) => {
    const { hash, header: { round } } = record;
    if (!verify(server, certificate[i], "final", u64(round), hash)) {
      throw new ProtocolError("signature", `record ${round} without the FINAL of server ${i}`);
    }
  });
}
