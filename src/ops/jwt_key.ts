/**
 * The public key of who issues tokens: PEM (SPKI) or one JWK, on P-256 or Ed25519. The kind of key
 * fixes the algorithm, so a token has no say in how it is verified. Whatever form it was written
 * in, a key has one SPKI in DER; its hash is part of the policy id.
 */
import { Buffer } from "node:buffer";
import { createPublicKey } from "node:crypto";
import { concat, equal } from "../protocol/bytes.ts";
import { checkPublicKey } from "../protocol/keys.ts";

/** Characters of a key's text. */
export const MAX_KEY_TEXT = 4_096;

/** A key that verifies tokens. */
export interface IssuerKey {
  readonly kind: "P-256" | "Ed25519";
  /** SubjectPublicKeyInfo in DER, in its one form. */
  readonly spki: Uint8Array;
}

/** A text that is no such key; the message says what it is instead, and shows nothing of it. */
export class IssuerKeyError extends Error {
  override readonly name = "IssuerKeyError";
}

/** What stands before the bytes of a key in its SPKI; of P-256 uncompressed, x ‖ y. */
const PREFIX = {
  "P-256": Uint8Array.fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"),
  "Ed25519": Uint8Array.fromHex("302a300506032b6570032100"),
} as const;
const KEY_BYTES = { "P-256": 64, "Ed25519": 32 } as const;
const KINDS = ["P-256", "Ed25519"] as const;
const EXPECTED = "expected one public key as PEM (BEGIN PUBLIC KEY) or JWK, on P-256 or Ed25519";

/** Reads a key. Throws an `IssuerKeyError`. */
export function readIssuerKey(text: string): IssuerKey {
  if (text.length > MAX_KEY_TEXT) refuse(`${text.length} characters, at most ${MAX_KEY_TEXT}`);
  const trimmed = text.trim();
  if (/PRIVATE KEY/.test(trimmed)) refuse("a private key, which belongs to the issuer alone");
  const spki = trimmed.startsWith("{") ? ofJwk(trimmed) : ofPem(trimmed);
  const kind = KINDS.find((it) => {
    const prefix = PREFIX[it];
    return spki.length === prefix.length + KEY_BYTES[it] &&
      equal(spki.subarray(0, prefix.length), prefix);
  });
  if (!kind) refuse("a key of another kind, or a compressed one");
  try {
    // Knows points that are not on the curve; small orders it does not know.
    createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    if (kind === "Ed25519") checkPublicKey(spki.subarray(PREFIX[kind].length));
  } catch {
    refuse("a key that is not on its curve, or is of small order");
  }
  return { kind, spki };
}

function refuse(came: string): never {
  throw new IssuerKeyError(`${EXPECTED}, got ${came}`);
}

function ofPem(text: string): Uint8Array {
  const match = /^-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----$/.exec(
    text,
  );
  if (!match) refuse("another text");
  try {
    return Uint8Array.fromBase64(match[1], { lastChunkHandling: "strict" });
  } catch {
    return refuse("PEM that is not base64");
  }
}

function ofJwk(text: string): Uint8Array {
  let jwk: Record<string, unknown>;
  try {
    jwk = JSON.parse(text);
  } catch {
    return refuse("a text that is not JSON");
  }
  if ("keys" in jwk) refuse("a set of keys: keep the one that signs tokens");
  if ("d" in jwk || "k" in jwk) refuse("a JWK that holds a secret, which is the issuer's alone");
  const { kty, crv, alg, use } = jwk;
  const kind = KINDS.find((it) => it === crv);
  if (!kind || kty !== (kind === "P-256" ? "EC" : "OKP")) refuse("a JWK of another kind");
  if (alg !== undefined && !ALGORITHMS[kind].some((it) => it === alg)) {
    refuse("a JWK for another algorithm");
  }
  if (use !== undefined && use !== "sig") refuse("a JWK that is not for signatures");
  const x = coordinate(jwk.x);
  return kind === "P-256" ? concat(PREFIX[kind], x, coordinate(jwk.y)) : concat(PREFIX[kind], x);
}

/** 32 bytes in base64url, in its one form. */
function coordinate(text: unknown): Uint8Array {
  try {
    const bytes = Uint8Array.fromBase64(text as string, { alphabet: "base64url" });
    if (bytes.length === 32 && text === base64url(bytes)) return bytes;
  } catch {
    // Told below.
  }
  return refuse("a JWK whose coordinates are not 32 bytes in base64url");
}

/** Bytes as JOSE writes them. */
export function base64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Names of the algorithm of each kind of key; RFC 9864 gave EdDSA over Ed25519 its second one. */
export const ALGORITHMS: Readonly<Record<IssuerKey["kind"], readonly string[]>> = {
  "P-256": ["ES256"],
  "Ed25519": ["EdDSA", "Ed25519"],
};
