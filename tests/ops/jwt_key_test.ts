/** The issuer's key: its forms, its one SPKI, and what is no such key. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import {
  IssuerKeyError,
  MAX_ISSUER_KEYS,
  MAX_KEY_TEXT,
  readIssuerKeys,
} from "../../src/ops/jwt_key.ts";
import { ec, okp, part } from "./issuer.ts";

Deno.test("issuer's key: PEM and JWK of one key are one SPKI", () => {
  for (const [{ pem, jwk, alg }, kind] of [[ec, "P-256"], [okp, "Ed25519"]] as const) {
    const [key, ...others] = readIssuerKeys(pem);
    equal(others.length, 0);
    equal(key.kind, kind);
    equal(key.spki.toBase64(), pem.split("\n").slice(1, -2).join(""));
    for (const more of [{}, { alg }, { use: "sig", kid: "1", key_ops: ["verify"] }]) {
      deepEqual(readIssuerKeys(JSON.stringify({ ...jwk, ...more })), [key]);
    }
  }
  // RFC 8037, A.2.
  const [{ spki }] = readIssuerKeys(okp.pem);
  equal(
    spki.subarray(12).toHex(),
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  );
});

Deno.test("issuer's keys: several, as PEM blocks or as a set, in their order", () => {
  const both = [...readIssuerKeys(ec.pem), ...readIssuerKeys(okp.pem)];
  for (const between of ["", "\n\n", "\r\n"]) {
    deepEqual(readIssuerKeys(`${ec.pem}${between}${okp.pem}`), both);
  }
  deepEqual(readIssuerKeys(JSON.stringify({ keys: [ec.jwk, okp.jwk] })), both);
});

Deno.test("issuer's key: what is no such key is refused, and not shown", () => {
  const pem = (der: Uint8Array, name = "PUBLIC KEY") =>
    `-----BEGIN ${name}-----\n${der.toBase64()}\n-----END ${name}-----\n`;
  const jwk = (changes: object, of: object = ec.jwk) => JSON.stringify({ ...of, ...changes });
  const [{ spki }] = readIssuerKeys(ec.pem);
  const changed = (bytes: Uint8Array, at: number) => bytes.with(at, bytes[at] ^ 1);
  const small = Uint8Array.fromHex(`302a300506032b6570032100${"01".padEnd(64, "0")}`);
  const other = (name: "P-384" | "secp256k1") =>
    generateKeyPairSync("ec", { namedCurve: name }).publicKey
      .export({ type: "spki", format: "pem" }) as string;
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 }).publicKey;
  const bad: [text: string, message: RegExp][] = [
    ["", /another text/],
    ["hunter2", /another text/],
    [ec.pem.repeat(MAX_ISSUER_KEYS + 1), /5 keys/],
    [`${ec.pem}hunter2`, /another text/],
    [JSON.stringify({ keys: [] }), /0 keys/],
    [JSON.stringify({ keys: Array(MAX_ISSUER_KEYS + 1).fill(ec.jwk) }), /5 keys/],
    [JSON.stringify({ keys: "hunter2" }), /no list of JWKs/],
    [JSON.stringify({ keys: [null] }), /no list of JWKs/],
    [JSON.stringify({ keys: [ec.jwk, ec.secretJwk] }), /holds a secret/],
    [pem(spki, "CERTIFICATE"), /another text/],
    [ec.secretPem, /a private key, which belongs to the issuer alone/],
    [`${ec.pem}${ec.secretPem}`, /a private key/],
    ["-----BEGIN PUBLIC KEY-----\nAAA\n-----END PUBLIC KEY-----", /not base64/],
    [pem(new Uint8Array(0)), /another kind/],
    [other("P-384"), /another kind/],
    [rsa.export({ type: "spki", format: "pem" }) as string, /another kind/],
    [pem(spki.subarray(0, -1)), /another kind/],
    [pem(changed(spki, 20)), /another kind/],
    [pem(changed(spki, 90)), /not on its curve/],
    [pem(small), /of small order/],
    ["{", /not JSON/],
    [JSON.stringify(ec.secretJwk), /holds a secret/],
    [JSON.stringify({ kty: "oct", k: part("hunter2") }), /holds a secret/],
    [jwk({ crv: "P-384" }), /another kind/],
    [jwk({ kty: "OKP" }), /another kind/],
    [jwk({ crv: "X25519" }, okp.jwk), /another kind/],
    [jwk({ alg: "HS256" }), /another algorithm/],
    [jwk({ use: "enc" }), /not for signatures/],
    [jwk({ x: undefined }), /coordinates/],
    [jwk({ y: 5 }), /coordinates/],
    [jwk({ x: `${okp.jwk.x}=` }), /coordinates/],
    [jwk({ x: part(new Uint8Array(31)) }), /coordinates/],
    [jwk({ x: ec.jwk.y, y: ec.jwk.x }), /not on its curve/],
    [" ".repeat(MAX_KEY_TEXT + 1), /8193 characters, at most 8192/],
  ];
  for (const [text, message] of bad) {
    throws(() => readIssuerKeys(text), (error: unknown) => {
      ok(error instanceof IssuerKeyError, String(error));
      ok(message.test(error.message), `${text}: ${error.message}`);
      ok(error.message.startsWith("expected 1 to 4 public keys as PEM"));
      equal(error.message.includes("hunter2"), false);
      return true;
    });
  }
});
