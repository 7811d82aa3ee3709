/**
 * The public keys of who issues tokens: PEM (SPKI), JWK or a set of JWKs, on P-256 or Ed25519;
 * several while the issuer changes from one to the next. The kind of key fixes the algorithm, so a
 * token has no say in how it is verified. Whatever form it was written in, a key has one SPKI in
 * DER.
 */
import { Buffer } from "node:buffer";
import { createPublicKey } from "node:crypto";
import { concat, equal } from "../protocol/bytes.ts";
import { checkPublicKey } from "../protocol/keys.ts";

/** Keys of one issuer at a time, and characters of their text. */
export const MAX_ISSUER_KEYS = 4, MAX_KEY_TEXT = 8_192;

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
const EXPECTED = `expected 1 to ${MAX_ISSUER_KEYS} public keys as PEM (BEGIN PUBLIC KEY) or JWK, ` +
  "on P-256 or Ed25519";

/** Reads keys: PEM blocks one after the other, one JWK, or a JWK set. Throws an `IssuerKeyError`. */
export function readIssuerKeys(text: string): readonly IssuerKey[] {
  if (text.length > MAX_KEY_TEXT) refuse(`${text.length} characters, at most ${MAX_KEY_TEXT}`);
  const trimmed = text.trim();
  if (/PRIVATE KEY/.test(trimmed)) refuse("a private key, which belongs to the issuer alone");
  const all = trimmed.startsWith("{")
    ? ofJson(trimmed)
    : trimmed.split(/(?=-----BEGIN )/).map(ofPem);
  if (all.length === 0 || all.length > MAX_ISSUER_KEYS) refuse(`${all.length} keys`);
  return all.map(checked);
}

function checked(spki: Uint8Array): IssuerKey {
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
  const match = /^-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/.exec(
    text,
  );
  if (!match) refuse("another text");
  try {
    return Uint8Array.fromBase64(match[1], { lastChunkHandling: "strict" });
  } catch {
    return refuse("PEM that is not base64");
  }
}

function ofJson(text: string): Uint8Array[] {
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse("a text that is not JSON");
  }
  if (!("keys" in json)) return [ofJwk(json)];
  const { keys } = json;
  const set = Array.isArray(keys) && keys.every((it) => typeof it === "object" && it !== null);
  return set ? keys.map(ofJwk) : refuse("a set of keys that is no list of JWKs");
}

function ofJwk(jwk: Record<string, unknown>): Uint8Array {
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
