/**
 * CPace, draft-irtf-cfrg-cpace-21, as CPACE-RISTR255-SHA512: two parties who know the same secret
 * get the same key, and learn of each other's secret nothing but whether it is the same.
 *
 * The generator of the group is a hash of the secret, so a share `y·G` is a uniform element
 * whatever the secret is: who only listens has nothing to test a guess against. Who takes part made
 * its share from one generator, that is from one guess; to test another one with the same run it
 * would have to solve a Diffie-Hellman problem. The trap is an element that kills the exponent
 * (the identity, or a point outside the group): `scalarMultVfy` refuses both.
 *
 * BigInts cannot be overwritten: the bytes of a scalar are wiped, the number is only let go.
 */
import { createHmac, hash } from "node:crypto";
import { ristretto255, ristretto255_hasher } from "@noble/curves/ed25519.js";
import { concat } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";

/** Bytes of a share. */
export const SHARE_BYTES = 32;
/** Bytes of a key confirmation. */
export const CONFIRMATION_BYTES = 64;
/** Random bytes behind a scalar: twice its length, so that the remainder is uniform. */
export const SCALAR_SEED_BYTES = 64;

const { Point } = ristretto255;
const text = new TextEncoder();
const DSI = text.encode("CPaceRistretto255");
const DSI_ISK = text.encode("CPaceRistretto255_ISK");
const DSI_MAC = text.encode("CPaceMac");
/** Bytes of a block of SHA-512: the secret fills the first one, whatever its length. */
const BLOCK = 128;

const sha512 = (bytes: Uint8Array) => new Uint8Array(hash("sha512", bytes, "buffer"));

/** Each part behind its length in LEB128. */
export function lvCat(...parts: Uint8Array[]): Uint8Array {
  return concat(...parts.flatMap((part) => [leb128(part.length), part]));
}

function leb128(length: number): Uint8Array {
  const out: number[] = [];
  for (; length >= 128; length >>>= 7) out.push((length & 127) | 128);
  return Uint8Array.of(...out, length);
}

/** What the generator is the hash of. */
export function generatorString(secret: Uint8Array, channel: Uint8Array, session: Uint8Array) {
  const taken = lvCat(secret).length + lvCat(DSI).length + 1;
  return lvCat(DSI, secret, new Uint8Array(Math.max(0, BLOCK - taken)), channel, session);
}

/** The generator of one run, encoded. `channel` names who runs it, `session` only this run. */
export function calculateGenerator(
  secret: Uint8Array,
  channel: Uint8Array,
  session: Uint8Array,
): Uint8Array {
  const seed = generatorString(secret, channel, session);
  const element = ristretto255_hasher.deriveToCurve!(sha512(seed)).toBytes();
  seed.fill(0);
  return element;
}

/** A scalar of 64 random bytes, which are wiped. */
export function sampleScalar(seed: Uint8Array): bigint {
  const scalar = littleEndian(seed) % Point.Fn.ORDER;
  seed.fill(0);
  if (scalar === 0n) throw new ProtocolError("key", "random bytes that make a scalar of zero");
  return scalar;
}

/** The number of bytes, the least first. */
export function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

/** A share: `scalar·element`, encoded. Both are ours. */
export function scalarMult(scalar: bigint, element: Uint8Array): Uint8Array {
  return Point.fromBytes(element).multiply(scalar).toBytes();
}

/**
 * `scalar·element` of the other party's element; a `ProtocolError` where it is no canonical
 * encoding of an element, or the identity.
 */
export function scalarMultVfy(scalar: bigint, element: Uint8Array): Uint8Array {
  let point: InstanceType<typeof Point>;
  try {
    point = Point.fromBytes(element);
  } catch {
    throw new ProtocolError("key", "a share that is no element of the group");
  }
  if (point.is0()) throw new ProtocolError("key", "a share that is the identity");
  return point.multiply(scalar).toBytes();
}

/** One party's share, and what it says about itself beside it. */
export interface Part {
  readonly share: Uint8Array;
  readonly said: Uint8Array;
}

/** The key of a run, 64 bytes; `first` sent its share before `second`. `shared` is wiped. */
export function sessionKey(
  session: Uint8Array,
  shared: Uint8Array,
  first: Part,
  second: Part,
): Uint8Array {
  const transcript = lvCat(first.share, first.said, second.share, second.said);
  const input = concat(lvCat(DSI_ISK, session, shared), transcript);
  const key = sha512(input);
  shared.fill(0);
  input.fill(0);
  return key;
}

/** What proves that the sender of `part` has the key, 64 bytes. */
export function confirmation(session: Uint8Array, key: Uint8Array, part: Part): Uint8Array {
  const input = concat(DSI_MAC, session, key);
  const macKey = sha512(input);
  const mac = createHmac("sha512", macKey).update(lvCat(part.share, part.said)).digest();
  input.fill(0);
  macKey.fill(0);
  return new Uint8Array(mac);
}
