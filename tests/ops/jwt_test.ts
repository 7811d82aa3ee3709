/** Tokens: which admit a client, and every way in which one does not. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign as nodeSign } from "node:crypto";
import {
  JWT_REASONS,
  JWT_SLACK_S,
  type JwtCode,
  JwtError,
  type JwtVerifier,
  jwtVerifier,
  MAX_JWT_BYTES,
} from "../../src/ops/jwt.ts";
import { Random } from "../protocol/random.ts";
import { CLAIMS, CLIENT, ec, INSTANCE, NOW, okp, OTHER, otherEc, part, token } from "./issuer.ts";

const byEc = await jwtVerifier({ key: ec.pem, instance: INSTANCE });
const byOkp = await jwtVerifier({ key: okp.pem, instance: INSTANCE });
const S = NOW / 1000;

/** That a token is refused with this code, and that the error tells nothing of it. */
async function refused(code: JwtCode, text: string, by: JwtVerifier = byEc, now = NOW) {
  await rejects(() => by.verify(text, CLIENT, now), (error: unknown) => {
    ok(error instanceof JwtError, String(error));
    equal(error.code, code, error.message);
    equal(error.cause, undefined);
    const shown = error.message + JSON.stringify(Object.entries(error));
    for (const secret of [...text.split("."), CLIENT.toHex(), INSTANCE, "evil"]) {
      ok(secret === "" || !shown.includes(secret), shown);
    }
    return true;
  });
}

Deno.test("jwt: a token of either algorithm admits, with the key as PEM or JWK", async () => {
  for (const by of [ec, okp]) {
    for (const key of [by.pem, ` ${by.pem.replaceAll("\n", "\r\n")} `, JSON.stringify(by.jwk)]) {
      const verifier = await jwtVerifier({ key, instance: INSTANCE });
      const until = NOW + 3_600_000 + 60_000 - 1;
      deepEqual(await verifier.verify(token(by), CLIENT, NOW), { until });
    }
  }
  await byOkp.verify(token(okp, {}, { alg: "Ed25519" }), CLIENT, NOW);
  await byEc.verify(token(ec, {}, { typ: "JWT", kid: "1" }), CLIENT, NOW);
  await byEc.verify(token(ec, { aud: ["other", INSTANCE] }), CLIENT, NOW);
  await byEc.verify(token(ec, { sub: CLIENT.toHex().toUpperCase() }), CLIENT, NOW);
});

Deno.test("jwt: any key of the issuer may have signed, and a refusal is by the one that came closest", async () => {
  for (const keys of [[ec, okp], [okp, ec]]) {
    const both = await jwtVerifier({
      key: keys.map(({ pem }) => pem).join(""),
      instance: INSTANCE,
    });
    for (const by of keys) await both.verify(token(by), CLIENT, NOW);
    await refused("jwt-signature", token(otherEc), both);
    await refused("jwt-algorithm", token({ ...ec, alg: "HS256" }), both);
    await refused("jwt-expired", token(okp, { exp: S - 3_600 }), both);
    await refused("jwt-audience", token(ec, { aud: "evil" }), both);
  }
});

Deno.test("jwt: the token of RFC 7515 A.3 is signed by its key, and made for nobody", async () => {
  const rfc =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGF" +
    "tcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8IS" +
    "lSApmWQxfKTUJqPP3-Kg6NU1Q";
  await refused("jwt-audience", rfc);
  await refused("jwt-signature", rfc.replace(".DtEh", ".DtEi"));
});

Deno.test("jwt: made for this instance, and for no other", async () => {
  for (
    const aud of [undefined, "", "acme", `${INSTANCE} `, "ACME.MAINNET", ["other"], [], 1, null]
  ) {
    await refused("jwt-audience", token(ec, { aud }));
  }
});

Deno.test("jwt: bound to the client that shows it, never to nobody", async () => {
  const subjects = [undefined, "", "evil", OTHER.toHex(), CLIENT.toHex().slice(2), [
    CLIENT.toHex(),
  ]];
  for (const sub of [...subjects, `0x${CLIENT.toHex()}`, null, 7]) {
    await refused("jwt-subject", token(ec, { sub }));
  }
  await rejects(() => byEc.verify(token(ec), OTHER, NOW), { code: "jwt-subject" });
});

Deno.test("jwt: times hold with a minute of slack, to the millisecond", async () => {
  const accepts = (claims: Record<string, unknown>, now = NOW) =>
    byEc.verify(token(ec, claims), CLIENT, now);
  for (const exp of [S - 60 + 1, S - 59.5, S + 0.25, S + 1]) {
    const { until } = await accepts({ exp });
    deepEqual(await accepts({ exp }, until), { until });
    await refused("jwt-expired", token(ec, { exp }), byEc, until + 1);
  }
  for (const exp of [S - 60, S - 10_000, 0, -1]) await refused("jwt-expired", token(ec, { exp }));
  for (const claim of ["nbf", "iat"]) {
    for (const at of [S - 10_000, S, S + JWT_SLACK_S]) await accepts({ [claim]: at });
    for (const at of [S + JWT_SLACK_S + 1, 4e9]) {
      await refused("jwt-early", token(ec, { [claim]: at }));
    }
    for (const at of ["0", null, {}]) await refused("jwt-malformed", token(ec, { [claim]: at }));
  }
  for (const exp of [undefined, null, `${S + 60}`, 1e15]) {
    await refused("jwt-malformed", token(ec, { exp }));
  }
  const claims = JSON.stringify(CLAIMS).replace(/"exp":\d+/, '"exp":1e999');
  const signed = `${part({ alg: "ES256" })}.${part(claims)}`;
  const endless = `${signed}.${part(ec.sign(new TextEncoder().encode(signed)))}`;
  await refused("jwt-malformed", endless);
});

Deno.test("jwt: the issuer's key fixes the algorithm, whatever a token says", async () => {
  const hmac = (key: string | Uint8Array) => ({
    alg: "HS256",
    sign: (signed: Uint8Array) => new Uint8Array(createHmac("sha256", key).update(signed).digest()),
  });
  const { privateKey: rsa } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const { privateKey: p384 } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const none = { alg: "none", sign: () => new Uint8Array() };
  const evil = [
    none,
    { ...none, alg: "None" },
    { ...none, sign: ec.sign },
    hmac(ec.pem),
    hmac(Uint8Array.fromBase64(ec.pem.split("\n").slice(1, -2).join(""))),
    hmac(JSON.stringify(ec.jwk)),
    {
      alg: "RS256",
      sign: (signed: Uint8Array) => new Uint8Array(nodeSign("sha256", signed, rsa)),
    },
    {
      alg: "ES384",
      sign: (signed: Uint8Array) =>
        new Uint8Array(nodeSign("sha384", signed, { key: p384, dsaEncoding: "ieee-p1363" })),
    },
    okp,
  ];
  for (const by of evil) await refused("jwt-algorithm", token(by));
  await refused("jwt-algorithm", token(ec), byOkp);
  // The right name with the wrong curve, key, encoding, or none.
  await refused("jwt-signature", token(evil[7], {}, { alg: "ES256" }));
  await refused("jwt-signature", token(okp, {}, { alg: "ES256" }));
  await refused("jwt-signature", token(none, {}, { alg: "ES256" }));
  await refused("jwt-signature", token(ec, {}, { alg: "EdDSA" }), byOkp);
  await refused("jwt-signature", token({ ...ec, sign: () => new Uint8Array(64) }));
});

Deno.test("jwt: no key in a token is looked at", async () => {
  await refused("jwt-signature", token(otherEc));
  const hints = {
    jwk: otherEc.jwk,
    jku: "https://evil.example/keys",
    x5u: "https://evil.example/x",
  };
  for (const [name, value] of Object.entries(hints)) {
    await refused("jwt-signature", token(otherEc, {}, { [name]: value }));
  }
});

Deno.test("jwt: extensions that must be understood are not", async () => {
  const headers = [
    { crit: ["exp"], exp: 1 },
    { crit: ["evil"], evil: true },
    { crit: [] },
    { crit: "evil" },
    { crit: ["b64"], b64: false },
    { crit: ["b64"], b64: true },
  ];
  for (const header of headers.slice(0, 5)) await refused("jwt-malformed", token(ec, {}, header));
  // What the standard has without an extension.
  await byEc.verify(token(ec, {}, headers[5]), CLIENT, NOW);
});

Deno.test("jwt: what is no token is malformed, and a long one is not read", async () => {
  const good = token(ec), [header, claims, signature] = good.split(".");
  const bad = ["", ".", "..", "evil", `${header}.${claims}`, `${good}.`, `${good}.${signature}`];
  const spelled = [
    ` ${good}`,
    `${good}\n`,
    `${good}=`,
    good.replace(".", ". "),
    good.replace(".", "é."),
  ];
  for (const text of [...bad, ...spelled]) await refused("jwt-malformed", text);
  for (const value of ["evil", "[]", "1", '"evil"', "null", "{", new Uint8Array([0xff])]) {
    const asHeader = `${part(value)}.${claims}`, asClaims = `${header}.${part(value)}`;
    for (const signed of [asHeader, asClaims]) {
      const text = `${signed}.${part(ec.sign(new TextEncoder().encode(signed)))}`;
      await refused("jwt-malformed", text);
    }
  }
  const fits = token(ec, { pad: "x".repeat(2_700) });
  ok(fits.length < MAX_JWT_BYTES);
  await byEc.verify(fits, CLIENT, NOW);
  await refused("jwt-malformed", token(ec, { pad: "x".repeat(3_000) }));
});

Deno.test("jwt: of a good token no byte can be changed", async () => {
  for (const [by, verifier] of [[ec, byEc], [okp, byOkp]] as const) {
    const good = token(by), seed = 7, random = new Random(seed), seen = new Set<string>();
    for (let i = 0; i < 1_000; i++) {
      const at = random.below(good.length);
      const other = good.charCodeAt(at) ^ (1 + random.below(127));
      const text = good.slice(0, at) + String.fromCharCode(other) + good.slice(at + 1);
      const came = await verifier.verify(text, CLIENT, NOW).then(
        () => "accepted",
        (error) => error,
      );
      ok(came instanceof JwtError, `seed ${seed}, flip ${i} at ${at}: ${came}`);
      seen.add(came.code);
    }
    ok(seen.has("jwt-signature") && seen.has("jwt-malformed"));
  }
});

Deno.test("jwt: an error says its code, and what that means", () => {
  for (const [code, text] of Object.entries(JWT_REASONS)) {
    equal(new JwtError(code as JwtCode).message, `${code}: ${text}`);
  }
});
