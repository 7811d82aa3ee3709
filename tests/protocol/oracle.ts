/**
 * A second implementation of hashes, keys, trees and tables, straight from the text of
 * `src/protocol/README.md` over noble. It shares no code with `src/protocol`: the vectors and the
 * decoder are judged by it.
 */
import { xchacha20 } from "@noble/ciphers/chacha.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { blake3 } from "@noble/hashes/blake3.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes, hexToBytes } from "@noble/hashes/utils.js";

export const hx = bytesToHex;
export const un = hexToBytes;

export const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
export const label = (name: string): Uint8Array => ascii(`zipnet/1/${name}\0`);
export const cat = (...parts: Uint8Array[]): Uint8Array => concatBytes(...parts);
export const zeros = (n: number): Uint8Array => new Uint8Array(n);

export function le(value: number, bytes: number): Uint8Array {
  const big = BigInt(value);
  return Uint8Array.from({ length: bytes }, (_, i) => Number((big >> BigInt(8 * i)) & 255n));
}
export const vec = (bytes: Uint8Array): Uint8Array => cat(le(bytes.length, 4), bytes);

export const H = (name: string, ...parts: Uint8Array[]): Uint8Array =>
  sha256(cat(label(name), ...parts));
export const B3 = (...parts: Uint8Array[]): Uint8Array => blake3(cat(...parts));

export const publicKey = (seed: Uint8Array): Uint8Array => ed25519.getPublicKey(seed);
export const agreementKey = (secret: Uint8Array): Uint8Array => x25519.getPublicKey(secret);
export const sign = (seed: Uint8Array, name: string, ...parts: Uint8Array[]): Uint8Array =>
  ed25519.sign(cat(label(name), ...parts), seed);

/** A party's Ed25519 and X25519 secrets, 32 bytes each. */
export interface Secrets {
  readonly seed: Uint8Array;
  readonly secret: Uint8Array;
}

export function pairKey(instance: Uint8Array, client: Secrets, server: Secrets): Uint8Array {
  const shared = x25519.getSharedSecret(client.secret, agreementKey(server.secret));
  const ends = [client, server].flatMap((p) => [publicKey(p.seed), agreementKey(p.secret)]);
  return hkdf(sha256, shared, instance, cat(label("pair"), ...ends), 32);
}

export const pad = (key: Uint8Array, h: Uint8Array, length: number): Uint8Array =>
  xchacha20(key, h.subarray(0, 24), zeros(length));

export const xor = (a: Uint8Array, ...others: Uint8Array[]): Uint8Array =>
  a.map((byte, i) => others.reduce((sum, other) => sum ^ other[i], byte));

export function merkle(leaves: Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return zeros(32);
  if (leaves.length === 1) return leaves[0];
  const above: Uint8Array[] = [];
  for (let i = 0; i < leaves.length; i += 2) {
    above.push(i + 1 < leaves.length ? H("node", leaves[i], leaves[i + 1]) : leaves[i]);
  }
  return merkle(above);
}

/** Siblings of leaf `index`, lowest first: roots of the subtrees beside its way up. */
export function merklePath(leaves: Uint8Array[], index: number): Uint8Array[] {
  const path: Uint8Array[] = [];
  for (let span = 1; span < leaves.length; span *= 2) {
    const start = (Math.floor(index / span) ^ 1) * span;
    if (start < leaves.length) path.push(merkle(leaves.slice(start, start + span)));
  }
  return path;
}

export function places(h: Uint8Array, c: Uint8Array, per: number): number[] {
  const digest = H("cell", h, c);
  return [0, 1, 2, 3].map((j) => {
    const [a, b, d, e] = digest.subarray(4 * j);
    return j * per + ((a + 2 ** 8 * b + 2 ** 16 * d + 2 ** 24 * e) % per);
  });
}

export function entry(h: Uint8Array, c: Uint8Array, units: number, flags = 0): Uint8Array {
  const body = cat(c, le(units, 2), le(flags, 2));
  return cat(body, H("check", h, body).slice(0, 4));
}

/** XORs an entry into one cell. */
export function mark(table: Uint8Array, cell: number, bytes: Uint8Array): void {
  bytes.forEach((byte, i) => table[24 * cell + i] ^= byte);
}

/** Decodes naively: every cell looked at in every pass. */
export function decodeTable(
  vector: Uint8Array,
  h: Uint8Array,
): { entries: { c: string; units: number; flags: number }[]; complete: boolean } {
  const table = vector.slice(), count = table.length / 24;
  const entries: { c: string; units: number; flags: number }[] = [];
  for (let peeled = -1; peeled !== entries.length && entries.length < count;) {
    peeled = entries.length;
    for (let i = 0; i < count && entries.length < count; i++) {
      const cell = table.slice(24 * i, 24 * i + 24), c = cell.slice(0, 16);
      if (cell.every((byte) => byte === 0)) continue;
      if (hx(H("check", h, cell.slice(0, 20)).slice(0, 4)) !== hx(cell.slice(20))) continue;
      const at = places(h, c, count / 4);
      if (!at.includes(i) || entries.some((e) => e.c === hx(c))) continue;
      for (const place of at) mark(table, place, cell);
      const units = cell[16] + 256 * cell[17], flags = cell[18] + 256 * cell[19];
      entries.push({ c: hx(c), units, flags });
    }
  }
  return { entries, complete: table.every((byte) => byte === 0) };
}
