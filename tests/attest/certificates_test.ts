/** Anchor, certificates and PEM chains of the simulated authority, and each thing that can be wrong. */
import assert from "node:assert/strict";
import { intelAnchor, trustAnchor } from "../../src/attest/anchor.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { COLLATERAL } from "./cases.ts";
import { type Certificate, parseCertificate } from "../../src/attest/certificate.ts";
import { checkProfile, checkWindow, verifyIssued, windowOf } from "../../src/attest/chain.ts";
import * as write from "../../src/attest/der_writer.ts";
import { formatChain, MAX_CHAIN, parseChain } from "../../src/attest/pem.ts";
import { DAY_MS, simulatedAuthority } from "../../src/attest/simulated_authority.ts";
import {
  type CertificateFields,
  extension,
  issue,
  type SimulatedCertificate,
} from "../../src/attest/simulated_certificates.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { Random } from "../protocol/random.ts";
import { refusalOf, refused } from "./refused.ts";

const NOW = Date.UTC(2026, 0, 1);
const make = (seed = 1) => {
  const random = new Random(seed);
  return simulatedAuthority((n) => random.bytes(n), NOW);
};
const { root, pckCa, tcbSigner } = make();
const ascii = (text: string) => new TextEncoder().encode(text);

/** Reads and judges a certificate for the place of the CA of platforms. */
async function judged(der: Uint8Array): Promise<Certificate> {
  const found = await parseCertificate(der, "pck-ca");
  checkProfile(found, "pck-ca");
  await verifyIssued(found, await parseCertificate(root.der, "anchor"), "pck-ca");
  return found;
}

Deno.test("Intel's root is the one with the known fingerprint, and is not simulated", async () => {
  const intel = await intelAnchor();
  assert.equal(
    hex(intel.fingerprint),
    "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3",
  );
  assert.equal(intel.simulated, false);
  assert.equal(intel.certificate.commonName, "Intel SGX Root CA");
  assert.equal(intel.certificate.until, Date.UTC(2049, 11, 31, 23, 59, 59));
});

Deno.test("Intel's root refuses simulated collateral", async () => {
  const intel = await intelAnchor();
  await refused("root-crl-issuer", () => verifyCollateral(COLLATERAL, intel, NOW));
});

Deno.test("a development root is an anchor, and says that it is simulated", async () => {
  const anchor = await trustAnchor(root.der);
  assert.equal(anchor.simulated, true);
  assert.equal(anchor.certificate.commonName, "DEV-ONLY SGX Root CA");
  assert.deepEqual(make().root.der, root.der, "the same seed, the same root");
  assert.notDeepEqual(make(2).root.der, root.der);
});

Deno.test("an anchor signs itself and is a root", async () => {
  await refused("anchor-profile", () => trustAnchor(pckCa.der));
  await refused("anchor-signature", () => trustAnchor(issue(root, pckCa).der));
  const imitated = issue(root, { ...pckCa, commonName: root.commonName });
  await refused("anchor-signature", () => trustAnchor(imitated.der), "its name, another's key");
  const elsewhere = issue(root, { ...root, commonName: "ANOTHER SGX Root CA" });
  await refused("anchor-signature", () => trustAnchor(elsewhere.der), "its key, another's name");
  await refused("anchor-profile", () => trustAnchor(issue({ ...root, pathLength: 0 }).der));
  await refused("anchor-malformed", () => trustAnchor(root.der.subarray(1)));
});

const other = (fields: Partial<CertificateFields>, by: SimulatedCertificate = root) =>
  issue({ ...pckCa, ...fields }, by).der;

Deno.test("a CA of platforms is read as it was issued", async () => {
  const read = await judged(pckCa.der);
  assert.equal(read.commonName, pckCa.commonName);
  assert.equal(read.serial, hex(pckCa.serial));
  assert.deepEqual([read.from, read.until], [NOW, NOW + 365 * DAY_MS]);
  assert.deepEqual([read.isCa, read.pathLength, read.usage], [true, 0, 0x06]);
  const free = extension("1.2.3", false, write.octets(new Uint8Array(3)));
  assert.equal((await judged(other({ more: [free] }))).isCa, true, "an unknown, uncritical one");
});

Deno.test("a certificate that is not made for its place is refused", async () => {
  const unlike: Record<string, Uint8Array> = {
    "no CA": other({ pathLength: undefined }),
    "may not sign lists": other({ usage: 0x04 }),
    "may not sign certificates": other({ usage: 0x02 }),
    "another name": other({ commonName: "DEV-ONLY SGX PCK Platform CA 2" }),
    "an unknown critical extension": other({
      more: [extension("1.2.3", true, write.octets(new Uint8Array(3)))],
    }),
  };
  for (const [what, der] of Object.entries(unlike)) {
    await refused("pck-ca-profile", () => judged(der), what);
  }
  const twice = extension("2.5.29.14", false, write.octets(new Uint8Array(20)));
  await refused("pck-ca-malformed", () => judged(other({ more: [twice] })));
  await refused(
    "pck-ca-malformed",
    () => judged(other({ commonName: "\u00e9SGX PCK Platform CA" })),
  );
});

Deno.test("a certificate of another issuer or key is refused", async () => {
  await refused("pck-ca-issuer", () => judged(other({}, tcbSigner)));
  const imitated = other({}, { ...tcbSigner, commonName: root.commonName });
  await refused("pck-ca-signature", () => judged(imitated));
});

Deno.test("an end certificate that could sign certificates is refused", async () => {
  const judge = async (fields: Partial<CertificateFields>) =>
    checkProfile(
      await parseCertificate(issue({ ...tcbSigner, ...fields }, root).der, "tcb-signer"),
      "tcb-signer",
    );
  await judge({});
  await refused("tcb-signer-profile", () => judge({ pathLength: 0 }));
  await refused("tcb-signer-profile", () => judge({ usage: 0x84 }));
  await refused("tcb-signer-profile", () => judge({ usage: 0x40 }));
});

Deno.test("every cut of a certificate, every byte after it, and every flipped bit is refused", async () => {
  for (let n = 0; n < pckCa.der.length; n++) {
    await refused("pck-ca-malformed", () => judged(pckCa.der.subarray(0, n)), `cut at ${n}`);
  }
  await refused("pck-ca-malformed", () => judged(Uint8Array.of(...pckCa.der, 0)));
  for (let bit = 0; bit < 8 * pckCa.der.length; bit++) {
    const der = pckCa.der.slice();
    der[bit >>> 3] ^= 1 << (bit & 7);
    assert.ok(await refusalOf(() => judged(der)), `bit ${bit}`);
  }
});

Deno.test("a certificate holds from its first to its last second", async () => {
  const window = windowOf("pck-ca", await judged(pckCa.der));
  for (const now of [NOW, NOW + 365 * DAY_MS]) checkWindow(window, now);
  await refused("pck-ca-early", () => checkWindow(window, NOW - 1));
  await refused("pck-ca-expired", () => checkWindow(window, NOW + 365 * DAY_MS + 1));
  for (const now of [NaN, -Infinity]) await refused("pck-ca-early", () => checkWindow(window, now));
});

Deno.test("a chain is read from PEM in its one form", async () => {
  const pem = formatChain([pckCa.der, root.der]);
  for (const same of [pem, pem.trimEnd(), `${pem}\0`, pem.replaceAll("\n", "\r\n")]) {
    assert.deepEqual(parseChain(ascii(same), "pck-ca"), [pckCa.der, root.der]);
  }
  const body = pem.split("\n")[1];
  const bad = [
    "",
    "\0",
    "\n",
    `${pem}\n`,
    `${pem}\0\0`,
    ` ${pem}`,
    pem.replace("BEGIN", "BEGUN"),
    pem.replace("-----\n-----", "-----\n\n-----"),
    pem.replace(body, body.slice(0, 63)),
    pem.replace(body, `${body.slice(0, 32)}\n${body.slice(32)}`),
    pem.replace(body, `${body.slice(0, 63)}\u00e9`),
    pem.replace(body, `${body.slice(0, 63)} `),
    pem.replace("\n", "\r\n"),
    pem.slice(0, -30),
    "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\nAB==\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n",
    formatChain(Array(MAX_CHAIN + 1).fill(root.der)),
    formatChain([new Uint8Array(13_000)]),
  ];
  for (const text of bad) {
    await refused(
      "pck-ca-malformed",
      () => parseChain(ascii(text), "pck-ca"),
      JSON.stringify(text),
    );
  }
});
