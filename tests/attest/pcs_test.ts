/** Requests to the provisioning service, and its answers: whole, malformed and damaged. */
import assert from "node:assert/strict";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import {
  assemble,
  INTEL_PCS,
  INTEL_ROOT_CRL,
  MAX_PCS_BYTES,
  PCS_PARTS,
  type PcsAnswer,
  type PcsPart,
  pcsUrls,
} from "../../src/attest/pcs.ts";
import { AttestationError } from "../../src/attest/reasons.ts";
import { Random } from "../protocol/random.ts";
import { ascii, COLLATERAL } from "./cases.ts";
import { ANCHOR } from "./judge.ts";
import { answersOf } from "./pcs_answers.ts";
import { refusalOf, refused } from "./refused.ts";
import { spoilt } from "./spoil.ts";
import { NOW } from "./stage.ts";

const ANSWERS = answersOf(COLLATERAL);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
/** The answers with one of them changed. */
const changed = (part: PcsPart, changes: Partial<PcsAnswer>) => ({
  ...ANSWERS,
  [part]: { ...ANSWERS[part], ...changes },
});
const FAMILY = { fmspc: "b0c06f000000", ca: "processor" } as const;
const urls = (base: string) =>
  Object.fromEntries(Object.entries(pcsUrls(new URL(base), FAMILY)).map(([k, v]) => [k, v.href]));

Deno.test("pcs: the URLs of a family, at Intel and at a mirror", () => {
  const under = (base: string) => ({
    tcbInfo: `${base}/tdx/certification/v4/tcb?fmspc=b0c06f000000`,
    qeIdentity: `${base}/tdx/certification/v4/qe/identity`,
    pckCrl: `${base}/sgx/certification/v4/pckcrl?ca=processor&encoding=der`,
    rootCrl: `${base}/sgx/certification/v4/rootcacrl`,
  });
  assert.deepEqual(urls(INTEL_PCS), { ...under(INTEL_PCS), rootCrl: INTEL_ROOT_CRL });
  assert.deepEqual(urls("https://localhost:8081"), under("https://localhost:8081"));
  assert.deepEqual(urls("http://127.0.0.1:1/a/b//?x=1#y"), under("http://127.0.0.1:1/a/b"));
});

Deno.test("pcs: where the root's list is stands in Intel's root", async () => {
  const { intelAnchor } = await import("../../src/attest/anchor.ts");
  const { certificate } = await intelAnchor();
  assert.ok(String.fromCharCode(...certificate.der).includes(INTEL_ROOT_CRL));
});

Deno.test("pcs: answers of the service and of a mirror are the collateral, to the byte", async () => {
  for (const service of ["pcs", "pccs"] as const) {
    const collateral = assemble(answersOf(COLLATERAL, service));
    assert.deepEqual(collateral, COLLATERAL);
    await verifyCollateral(collateral, ANCHOR, NOW);
  }
  const [, [, value]] = ANSWERS.tcbInfo.headers;
  const other = changed("tcbInfo", {
    headers: new Headers({ "SGX-TCB-Info-Issuer-Chain": value }),
  });
  assert.deepEqual(assemble(other), COLLATERAL, "the spelling of version 3");
});

Deno.test("pcs: a document is taken to the byte, however it is written", () => {
  const document = '{ "a" : "},\\"signature\\":\\"", "b":[{}] ,"signature":"x"}';
  const body = ascii(`{"tcbInfo":${document},"signature":"${"Ab".repeat(64)}"}`);
  const { tcbInfo, tcbInfoSignature } = assemble(changed("tcbInfo", { body }));
  assert.equal(text(tcbInfo), document);
  assert.deepEqual(tcbInfoSignature, new Uint8Array(64).fill(0xab));
});

Deno.test("pcs: a body that is not exactly the object and its signature is refused", async () => {
  const whole = text(ANSWERS.qeIdentity.body), digits = "ab".repeat(64);
  const of = (document: string) => `{"enclaveIdentity":${document},"signature":"${digits}"}`;
  for (
    const body of [
      ...["", "{}", "null", ` ${whole}`, `${whole}\n`, `${whole}}`, whole.slice(0, -1)],
      ...[whole.replace("enclaveIdentity", "tcbInfo"), whole.replace(/"}$/, '0"}')],
      ...[of(""), of("7"), of("[]"), of('"text"'), of("{"), of("{}{}"), of("{} ")],
      ...[of('{},"other":{}'), of('{},"enclaveIdentity":{}'), of("{}").replace("ab", "xx")],
      ...[of("{}").replace('"signature"', '"Signature"'), of("{}").replace(',"sig', ', "sig')],
      ...[`{"signature":"${digits}","enclaveIdentity":{}}`, of("{}").replace(/"}$/, '")')],
    ]
  ) {
    const answers = changed("qeIdentity", { body: ascii(body) });
    await refused("pcs-malformed", () => assemble(answers), body.slice(0, 60));
  }
  const [before, after] = of('{"a":"?"}').split("?");
  const body = Uint8Array.of(...ascii(before), 0xff, ...ascii(after));
  await refused("pcs-malformed", () => assemble(changed("qeIdentity", { body })), "no UTF-8");
});

Deno.test("pcs: a list that is neither DER nor hex digits is refused", async () => {
  for (const body of ["", "3", "3g", "30 82", "-----BEGIN X509 CRL-----", "3082\n"]) {
    for (const part of ["pckCrl", "rootCrl"] as const) {
      await refused("pcs-malformed", () => assemble(changed(part, { body: ascii(body) })), body);
    }
  }
});

Deno.test("pcs: a chain that is missing, there twice, too long or not encoded is refused", async () => {
  for (const part of ["tcbInfo", "qeIdentity", "pckCrl"] as const) {
    const [other, [name, value]] = ANSWERS[part].headers;
    for (
      const headers of [
        [other],
        [other, ["X-Issuer-Chain", value]],
        [[name, value], [name.toUpperCase(), value]],
        [[name, "%"]],
        [[name, "%ff"]],
        [[name, "a".repeat(16_385)]],
        [[name, "%41".repeat(16_385)]],
      ] as [string, string][][]
    ) {
      await refused("pcs-malformed", () => assemble(changed(part, { headers })), part);
    }
  }
});

Deno.test("pcs: a body over its bound is refused", async () => {
  const digits = "3".repeat(2 * 1_048_576 + 2);
  const padded = (body: Uint8Array) => text(body).replace(":{", `:{"a":"${"b".repeat(262_144)}",`);
  for (const part of PCS_PARTS) {
    const isList = part === "pckCrl" || part === "rootCrl";
    const body = ascii(isList ? digits : padded(ANSWERS[part].body));
    await refused("pcs-malformed", () => assemble(changed(part, { body })), part);
    assert.ok(body.length > MAX_PCS_BYTES[part]);
  }
  const list = new Uint8Array(1_048_577).fill(0x30);
  await refused("pcs-malformed", () => assemble(changed("rootCrl", { body: list })));
});

Deno.test("fuzz: whatever byte of an answer is changed, it is refused with a code", async () => {
  const SEED = 4_000, RUNS = 3_000;
  for (let run = 0; run < RUNS; run++) {
    const random = new Random(SEED + run), part = random.pick(PCS_PARTS);
    const answers = answersOf(COLLATERAL, run % 2 === 0 ? "pcs" : "pccs");
    const { headers, body } = answers[part];
    const inHeader = headers.length > 0 && random.below(2) === 0;
    if (inHeader) headers[1][1] = text(spoilt(random, ascii(headers[1][1])).bytes);
    const damaged = inHeader ? { headers, body } : { headers, body: spoilt(random, body).bytes };
    let collateral;
    try {
      collateral = assemble({ ...answers, [part]: damaged });
    } catch (error) {
      assert.ok(error instanceof AttestationError, `seed ${SEED + run}: ${error}`);
      continue;
    }
    const code = await refusalOf(() => verifyCollateral(collateral, ANCHOR, NOW));
    // Hex digits have two cases, and URL-encoding two spellings: the collateral is the same then.
    if (code === undefined) assert.deepEqual(collateral, COLLATERAL, `seed ${SEED + run}`);
  }
});
