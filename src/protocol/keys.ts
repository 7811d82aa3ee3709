/**
 * Ed25519 and X25519 over `node:crypto`, which is native in Deno.
 *
 * Verification is the strict, cofactor-free rule that every implementation must share, since all
 * must agree on which certificates are valid: S < L, a canonical key that is not of small order,
 * and `S·B − k·A` encoding to exactly R. `node:crypto` does the first and the last; the key is
 * checked here. noble's `verify` accepts more and must not judge.
 */
import { Buffer } from "node:buffer";
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
} from "node:crypto";
import { concat, equal, hex, isZero } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { type Label, prefix } from "./hash.ts";

const PKCS8_ED25519 = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32]);
const PKCS8_X25519 = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 110, 4, 34, 4, 32]);
const SPKI_ED25519 = Uint8Array.from([48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0]);
const SPKI_X25519 = Uint8Array.from([48, 42, 48, 5, 6, 3, 43, 101, 110, 3, 33, 0]);

/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;

/** y coordinates of the points of small order (RFC 8032 curve; 0, 1, −1 and the four of order 8). */
const SMALL_ORDER = new Set([
  "00".repeat(32),
  "01" + "00".repeat(31),
  "ec" + "ff".repeat(30) + "7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]);

/** The bytes, if they are an Ed25519 public key that may be used; else a `ProtocolError`. */
export function checkPublicKey(key: Uint8Array): Uint8Array {
  if (key.length !== 32) {
    throw new ProtocolError("length", `a public key of ${key.length} bytes, expected 32`);
  }
  // Not `slice`: that of a `Buffer` is a view, and the key itself would change.
  const y = new Uint8Array(key);
  y[31] &= 0x7f;
  const canonical = y[31] < 0x7f || y.subarray(1, 31).some((b) => b !== 0xff) || y[0] < 0xed;
  if (!canonical) throw new ProtocolError("key", "a public key that is not canonical");
  if (SMALL_ORDER.has(hex(y))) throw new ProtocolError("key", "a public key of small order");
  return key;
}

/** Imported keys, so that a committee's and a roster's keys are parsed once. */
const imported = new Map<string, KeyObject>();
const MAX_IMPORTED = 8_192;

function publicKey(key: Uint8Array): KeyObject {
  const name = hex(key);
  let object = imported.get(name);
  if (object === undefined) {
    checkPublicKey(key);
    object = createPublicKey({ key: der(SPKI_ED25519, key), format: "der", type: "spki" });
    if (imported.size >= MAX_IMPORTED) imported.delete(imported.keys().next().value!);
    imported.set(name, object);
  }
  return object;
}

/** Signs under a label. */
export interface Signer {
  /** The Ed25519 public key, 32 bytes. */
  readonly key: Uint8Array;
  /** Signature over label and parts, 64 bytes. */
  sign(label: Label, ...parts: Uint8Array[]): Uint8Array;
}

/** The signer of a 32-byte Ed25519 seed. */
export function signer(seed: Uint8Array): Signer {
  const secret = createPrivateKey({ key: der(PKCS8_ED25519, seed), format: "der", type: "pkcs8" });
  const spki = createPublicKey(secret).export({ format: "der", type: "spki" });
  return {
    key: new Uint8Array(spki.subarray(SPKI_ED25519.length)),
    sign: (label, ...parts) =>
      new Uint8Array(nodeSign(null, concat(prefix(label), ...parts), secret)),
  };
}

/** Signed messages that were found good, by key and signature: most are seen again, by many roles. */
const verified = new Map<string, Uint8Array>();
const MAX_VERIFIED = 2_048, MAX_VERIFIED_BYTES = 1_024;

/** Whether `signature` over label and parts is `key`'s. False for anything malformed. */
export function verify(
  key: Uint8Array,
  signature: Uint8Array,
  label: Label,
  ...parts: Uint8Array[]
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const message = concat(prefix(label), ...parts), name = hex(key) + hex(signature);
  const before = verified.get(name);
  if (before !== undefined && equal(before, message)) return true;
  try {
    if (!nodeVerify(null, message, publicKey(key), signature)) return false;
  } catch {
    return false;
  }
  if (message.length <= MAX_VERIFIED_BYTES) {
    if (verified.size >= MAX_VERIFIED) verified.delete(verified.keys().next().value!);
    verified.set(name, message);
  }
  return true;
}

/** An X25519 key pair of one boot, session or key epoch. */
export interface Agreement {
  /** Public key, 32 bytes. */
  readonly key: Uint8Array;
  /** X25519 output with the peer, 32 bytes; a `ProtocolError` where it would be all zero. */
  shared(peer: Uint8Array): Uint8Array;
  /** Forgets the secret: `shared` throws from now on. */
  destroy(): void;
}

/** The key pair of 32 random bytes, which are wiped. */
export function agreement(secret: Uint8Array): Agreement {
  let object: KeyObject | undefined = createPrivateKey({
    key: der(PKCS8_X25519, secret),
    format: "der",
    type: "pkcs8",
  });
  secret.fill(0);
  const spki = createPublicKey(object).export({ format: "der", type: "spki" });
  return {
    key: new Uint8Array(spki.subarray(SPKI_X25519.length)),
    shared(peer) {
      if (object === undefined) {
        throw new ProtocolError("key", "the key of this session is destroyed");
      }
      return agree(object, peer);
    },
    destroy() {
      object = undefined;
    },
  };
}

function agree(secret: KeyObject, peer: Uint8Array): Uint8Array {
  if (peer.length !== 32) {
    throw new ProtocolError("length", `an X25519 key of ${peer.length} bytes, expected 32`);
  }
  let out: Uint8Array | undefined;
  try {
    const key = createPublicKey({ key: der(SPKI_X25519, peer), format: "der", type: "spki" });
    out = diffieHellman({ privateKey: secret, publicKey: key });
  } catch { /* some builds throw where others answer zeros: both are refused below */ }
  if (out === undefined || isZero(out)) {
    throw new ProtocolError("key", "an X25519 key of small order");
  }
  return new Uint8Array(out);
}

const probe = createPrivateKey({
  key: der(PKCS8_X25519, new Uint8Array(32).fill(0x51)),
  format: "der",
  type: "pkcs8",
});

/** The bytes, if they are an X25519 key whose shared secrets are not all zero. */
export function checkAgreementKey(key: Uint8Array): Uint8Array {
  agree(probe, key);
  return key;
}

/** The two ends of a pair key, each with its Ed25519 and X25519 public keys. */
export interface PairEnds {
  readonly instance: Uint8Array;
  readonly client: { readonly key: Uint8Array; readonly agreement: Uint8Array };
  readonly server: { readonly key: Uint8Array; readonly agreement: Uint8Array };
}

/**
 * The pair key of a client and a server, 32 bytes, from the X25519 output, which is wiped. The
 * identities are part of it: else a server that signs a bundle with another's X25519 key would
 * make two pads cancel.
 */
export function pairKey(shared: Uint8Array, ends: PairEnds): Uint8Array {
  const info = concat(
    prefix("pair"),
    ends.client.key,
    ends.client.agreement,
    ends.server.key,
    ends.server.agreement,
  );
  const out = new Uint8Array(hkdfSync("sha256", shared, ends.instance, info, 32));
  shared.fill(0);
  return out;
}

function der(head: Uint8Array, key: Uint8Array): Buffer {
  if (key.length !== 32) {
    throw new ProtocolError("length", `a key of ${key.length} bytes, expected 32`);
  }
  return Buffer.from(concat(head, key));
}
