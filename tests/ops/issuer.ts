/** An issuer of tokens for tests: writes any header and claims, and signs with any key. */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";

/** The instance that tokens are made for. */
export const INSTANCE = "acme.mainnet";
/** When it plays, Unix ms. */
export const NOW = Date.UTC(2026, 0, 1);
/** The client's key, and another one. */
export const CLIENT = new Uint8Array(32).fill(0xc1), OTHER = new Uint8Array(32).fill(0xc2);

/** Claims of a good token. */
export const CLAIMS: Readonly<Record<string, unknown>> = {
  aud: INSTANCE,
  sub: CLIENT.toHex(),
  exp: NOW / 1000 + 3_600,
};

/** Signs the bytes before the second dot. */
export type Sign = (signed: Uint8Array) => Uint8Array;

/** A key pair. */
export interface Issuer {
  readonly alg: string;
  readonly sign: Sign;
  readonly pem: string;
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly secretPem: string;
  readonly secretJwk: Readonly<Record<string, unknown>>;
}

function issuer(alg: string, hash: string | null, pkcs8: string): Issuer {
  const der = Buffer.from(pkcs8, "hex");
  const secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const open: KeyObject = createPublicKey(secret);
  return {
    alg,
    sign: (signed) =>
      new Uint8Array(sign(hash, signed, { key: secret, dsaEncoding: "ieee-p1363" })),
    pem: open.export({ type: "spki", format: "pem" }) as string,
    jwk: open.export({ format: "jwk" }) as Record<string, unknown>,
    secretPem: secret.export({ type: "pkcs8", format: "pem" }) as string,
    secretJwk: secret.export({ format: "jwk" }) as Record<string, unknown>,
  };
}

const EC = (scalar: string) =>
  `3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420${scalar}`;
const OKP = (seed: string) => `302e020100300506032b657004220420${seed}`;

/** P-256; the scalar is of RFC 7515, A.3. */
export const ec = issuer(
  "ES256",
  "sha256",
  EC("8e9b109e719098bf980487df1f5d77e9cb29606ebed2263b5f57c213df84f4b2"),
);
/** Another one. */
export const otherEc = issuer("ES256", "sha256", EC("11".repeat(32)));
/** Ed25519; the seed is of RFC 8037, A.1. */
export const okp = issuer(
  "EdDSA",
  null,
  OKP("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
);

/** A part of a token. */
export function part(value: unknown): string {
  const bytes = value instanceof Uint8Array
    ? value
    : new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** A token of these claims; `undefined` takes one out. */
export function token(
  by: Pick<Issuer, "alg" | "sign">,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): string {
  const signed = `${part({ alg: by.alg, ...header })}.${part({ ...CLAIMS, ...claims })}`;
  return `${signed}.${part(by.sign(new TextEncoder().encode(signed)))}`;
}
