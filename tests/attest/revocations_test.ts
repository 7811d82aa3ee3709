/** Revocation lists of the simulated authority, and each thing that can be wrong with one. */
import assert from "node:assert/strict";
import { parseCertificate } from "../../src/attest/certificate.ts";
import * as write from "../../src/attest/der_writer.ts";
import { parseRevocationList, verifyRevocationList } from "../../src/attest/revocations.ts";
import { DAY_MS, simulatedAuthority } from "../../src/attest/simulated_authority.ts";
import { extension, issueList, type ListFields } from "../../src/attest/simulated_certificates.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { Random } from "../protocol/random.ts";
import { refusalOf, refused } from "./refused.ts";

const NOW = Date.UTC(2026, 0, 1);
const random = new Random(3);
const { root, pckCa } = simulatedAuthority((n) => random.bytes(n), NOW);
const serials = [Uint8Array.of(1), Uint8Array.of(0xff, 2), new Uint8Array(20).fill(0x7f)];
const FIELDS: ListFields = { from: NOW, until: NOW + 30 * DAY_MS, number: 7, revoked: serials };
const list = (fields: Partial<ListFields> = {}, ca = pckCa) =>
  issueList({ ...FIELDS, ...fields }, ca);

async function judged(der: Uint8Array) {
  const found = parseRevocationList(der, "pck-crl");
  await verifyRevocationList(found, await parseCertificate(pckCa.der, "pck-ca"), "pck-crl");
  return found;
}

Deno.test("a list is read as it was issued", async () => {
  const read = await judged(list());
  assert.deepEqual([...read.revoked], serials.map(hex));
  assert.deepEqual([read.from, read.until, read.number], [NOW, NOW + 30 * DAY_MS, "07"]);
  assert.equal((await judged(list({ revoked: [] }))).revoked.size, 0);
});

Deno.test("a list of another CA, or under another key, is refused", async () => {
  await refused("pck-crl-issuer", () => judged(list({}, root)));
  await refused("pck-crl-signature", () => judged(list({}, { ...pckCa, key: root.key })));
});

Deno.test("a list with a critical extension might be no whole list, and is refused", async () => {
  const delta = extension("2.5.29.27", true, write.integer(1));
  await refused("pck-crl-malformed", () => judged(list({ more: [delta] })));
  const scope = extension("2.5.29.28", true, write.sequence());
  await refused("pck-crl-malformed", () => judged(list({ more: [scope] })));
});

Deno.test("every cut of a list, every byte after it, and every flipped bit is refused", async () => {
  const whole = list({ revoked: serials.slice(1) });
  for (let n = 0; n < whole.length; n++) {
    await refused("pck-crl-malformed", () => judged(whole.subarray(0, n)), `cut at ${n}`);
  }
  await refused("pck-crl-malformed", () => judged(Uint8Array.of(...whole, 0)));
  for (let bit = 0; bit < 8 * whole.length; bit++) {
    const der = whole.slice();
    der[bit >>> 3] ^= 1 << (bit & 7);
    assert.ok(await refusalOf(() => judged(der)), `bit ${bit}`);
  }
});

Deno.test("a list over its bound is refused", async () => {
  const filler = (length: number) => [extension("1.2.3", false, new Uint8Array(length))];
  await judged(list({ more: filler(1_000_000) }));
  await refused("pck-crl-malformed", () => judged(list({ more: filler(1_048_576) })));
});
