/**
 * A server's share of a round: the XOR of its pads over the participants, fixed by a commitment
 * before anything opens, so that the last to release cannot read first and then choose.
 *
 * Layout of the blob: h (32) ‖ blind (32) ‖ u32 length ‖ schedule part ‖ u32 length ‖ message part.
 */
import { concat, equal, type HeaderHash, Reader, u32, Writer, xorInto } from "./bytes.ts";
import { joinVectors, splitVectors, type Vectors } from "./envelope.ts";
import { ProtocolError } from "./errors.ts";
import { hash } from "./hash.ts";
import { applyPads, type PadCipher } from "./pad.ts";
import { type Parameters, scheduleBytes } from "./parameters.ts";

/** A share: what is released after all have PREPAREd. */
export interface Share extends Vectors {
  readonly header: HeaderHash;
  readonly blind: Uint8Array;
}

/** Most bytes of an encoded share of an instance. */
export function maxShareBytes(p: Parameters): number {
  return 64 + 8 + scheduleBytes(p) + p.maxVectorBytes;
}

/** The share over the pair keys of all participants; `blind` is 32 fresh random bytes. */
export function createShare(
  cipher: PadCipher,
  keys: readonly Uint8Array[],
  header: { readonly hash: HeaderHash; readonly messageBytes: number },
  blind: Uint8Array,
  p: Parameters,
): Share {
  const zeros = new Uint8Array(scheduleBytes(p) + header.messageBytes);
  return {
    header: header.hash,
    blind,
    ...splitVectors(applyPads(cipher, keys, header.hash, zeros), p),
  };
}

/** `p = H(share ‖ h ‖ D ‖ server key ‖ blind ‖ schedule part ‖ message part)`. */
export function shareCommitment(share: Share, digest: Uint8Array, server: Uint8Array): Uint8Array {
  const { schedule, messages } = share;
  return hash(
    "share",
    share.header,
    digest,
    server,
    share.blind,
    u32(schedule.length),
    schedule,
    u32(messages.length),
    messages,
  );
}

/** `P = H(shares ‖ h ‖ D ‖ every p in manifest order)`. */
export function sharesHash(
  h: HeaderHash,
  digest: Uint8Array,
  commitments: readonly Uint8Array[],
): Uint8Array {
  return hash("shares", h, digest, concat(...commitments));
}

/** The layout of a share. */
export function encodeShare(share: Share): Uint8Array {
  return new Writer().bytes(share.header).bytes(share.blind).vector(share.schedule).vector(
    share.messages,
  ).end();
}

/** Reads a share of a header. */
export function decodeShare(
  bytes: Uint8Array,
  live: { readonly hash: HeaderHash; readonly messageBytes: number },
  p: Parameters,
): Share {
  const reader = new Reader(bytes, "share");
  const header = reader.bytes(32), blind = reader.bytes(32);
  if (!equal(header, live.hash)) throw new ProtocolError("mismatch", "a share for another header");
  const schedule = reader.vector(scheduleBytes(p), "schedule part");
  const messages = reader.vector(live.messageBytes, "message part");
  reader.end();
  return { header, blind, schedule, messages };
}

/** Takes all shares out of an aggregate: the opened vectors. */
export function openVectors(
  aggregate: Vectors,
  shares: readonly Vectors[],
  p: Parameters,
): Vectors {
  const body = joinVectors(aggregate);
  for (const share of shares) xorInto(body, joinVectors(share));
  return splitVectors(body, p);
}
