/**
 * What a client sends in a round: both vectors under the pads of all servers. Talkers, reservers
 * and cover senders send the same length and do the same work.
 *
 * Layout: h (32) ‖ u32 roster index ‖ u32 length ‖ schedule ‖ u32 length ‖ messages ‖ signature
 * (64) over the hash of all before it.
 */
import { concat, equal, type HeaderHash, Reader, u32, Writer } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { hash } from "./hash.ts";
import { type Signer, verify } from "./keys.ts";
import { type Parameters, scheduleBytes } from "./parameters.ts";

/** The two vectors of a round, and the lengths they must have. */
export interface Vectors {
  readonly schedule: Uint8Array;
  readonly messages: Uint8Array;
}

/** An envelope that was read. */
export interface Envelope extends Vectors {
  readonly header: HeaderHash;
  readonly index: number;
  /** Its hash: a leaf of the aggregate's tree, and what is signed. */
  readonly hash: Uint8Array;
  readonly signature: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Most bytes of an envelope of an instance. */
export function maxEnvelopeBytes(p: Parameters): number {
  return 32 + 4 + 8 + scheduleBytes(p) + p.maxVectorBytes + 64;
}

/** The vectors one after the other: what pads run over. */
export function joinVectors(vectors: Vectors): Uint8Array {
  return concat(vectors.schedule, vectors.messages);
}

/** Splits what pads ran over. */
export function splitVectors(body: Uint8Array, p: Parameters): Vectors {
  const at = scheduleBytes(p);
  return { schedule: body.subarray(0, at), messages: body.subarray(at) };
}

/** Signs and encodes an envelope; `padded` are the vectors ⊕ all pads. */
export function createEnvelope(
  signer: Signer,
  h: HeaderHash,
  index: number,
  padded: Vectors,
): Envelope {
  const digest = envelopeHash(h, index, padded);
  const signature = signer.sign("sign-envelope", digest);
  const bytes = new Writer().bytes(h).u32(index).vector(padded.schedule).vector(padded.messages)
    .bytes(signature).end();
  return { ...padded, header: h, index, hash: digest, signature, bytes };
}

/** Reads an envelope for a live header: exact lengths, that header, an index in its roster. */
export function decodeEnvelope(
  bytes: Uint8Array,
  live: { readonly hash: HeaderHash; readonly messageBytes: number; readonly rosterSize: number },
  p: Parameters,
): Envelope {
  const reader = new Reader(bytes, "envelope");
  const header = reader.bytes(32), index = reader.u32();
  if (!equal(header, live.hash)) {
    throw new ProtocolError("mismatch", "an envelope for another header");
  }
  if (index >= live.rosterSize) {
    reader.fail("range", `index ${index} in a roster of ${live.rosterSize}`);
  }
  const schedule = reader.vector(scheduleBytes(p), "schedule");
  const messages = reader.vector(live.messageBytes, "message vector");
  const signature = reader.bytes(64);
  reader.end();
  const digest = envelopeHash(header, index, { schedule, messages });
  return { header, index, schedule, messages, hash: digest, signature, bytes };
}

/** Throws unless the envelope is signed by the client that stands at its index. */
export function checkEnvelope(envelope: Envelope, client: Uint8Array | undefined): void {
  if (client === undefined || !verify(client, envelope.signature, "sign-envelope", envelope.hash)) {
    throw new ProtocolError(
      "signature",
      `an envelope not signed by the client at index ${envelope.index}`,
    );
  }
}

function envelopeHash(h: HeaderHash, index: number, { schedule, messages }: Vectors): Uint8Array {
  return hash(
    "envelope",
    h,
    u32(index),
    u32(schedule.length),
    schedule,
    u32(messages.length),
    messages,
  );
}

/** The aggregator's word that it folded an envelope. Layout: h ‖ u32 index ‖ envelope hash ‖ signature (64). */
export function createReceipt(signer: Signer, envelope: Envelope): Uint8Array {
  const body = concat(envelope.header, u32(envelope.index), envelope.hash);
  return concat(body, signer.sign("sign-receipt", body));
}

/** Throws unless `bytes` is the aggregator's receipt for this envelope. */
export function checkReceipt(bytes: Uint8Array, aggregator: Uint8Array, envelope: Envelope): void {
  const reader = new Reader(bytes, "receipt");
  const body = reader.bytes(68), signature = reader.bytes(64);
  reader.end();
  if (!equal(body, concat(envelope.header, u32(envelope.index), envelope.hash))) {
    throw new ProtocolError("mismatch", "a receipt for another envelope");
  }
  if (!verify(aggregator, signature, "sign-receipt", body)) {
    throw new ProtocolError("signature", "a receipt not signed by the aggregator");
  }
}
