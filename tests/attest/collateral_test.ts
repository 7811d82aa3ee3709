/** Collateral: as JSON, its documents field by field, and the advisories that it brings. */
import assert from "node:assert/strict";
import { Field } from "../../src/attest/document.ts";
import { readQeIdentity } from "../../src/attest/qe_identity.ts";
import { readTcbInfo } from "../../src/attest/tcb_info.ts";
import {
  formatCollateral,
  MAX_COLLATERAL_JSON,
  parseCollateral,
} from "../../src/attest/collateral_json.ts";
import {
  type SimulatedDocument,
  simulatedQeIdentity,
  simulatedTcbInfo,
} from "../../src/attest/simulated_collateral.ts";
import { COLLATERAL, collateralOf, quoteOf } from "./cases.ts";
import { judge } from "./judge.ts";
import { refusalOf, refused } from "./refused.ts";
import { NOW } from "./stage.ts";

Deno.test("collateral is the same after a walk through JSON", async () => {
  const json = formatCollateral(COLLATERAL);
  assert.deepEqual(parseCollateral(json), COLLATERAL);
  assert.equal((await judge({ collateral: () => parseCollateral(json) })).status, "UpToDate");
  const more = JSON.stringify({ ...JSON.parse(json), pck_certificate_chain: null });
  assert.deepEqual(parseCollateral(more), COLLATERAL, "a field more");
});

Deno.test("JSON that is no collateral is refused", async () => {
  const whole = JSON.parse(formatCollateral(COLLATERAL));
  for (const json of ["", "{", "null", "[]", "7", '"text"', "{}"]) {
    await refused("collateral-malformed", () => parseCollateral(json), json);
  }
  const padded = `${formatCollateral(COLLATERAL)}${" ".repeat(MAX_COLLATERAL_JSON)}`;
  await refused("collateral-malformed", () => parseCollateral(padded));
  for (const key of Object.keys(whole)) {
    for (const value of [undefined, null, 7, ["00"], {}, "x".repeat(3_000_000)]) {
      const json = JSON.stringify({ ...whole, [key]: value });
      await refused("collateral-malformed", () => parseCollateral(json), `${key}: ${typeof value}`);
    }
  }
  for (const value of ["0", "0g", " 00"]) {
    const json = JSON.stringify({ ...whole, pck_crl: value });
    await refused("collateral-malformed", () => parseCollateral(json), value);
  }
});

Deno.test("lists and signatures may be upper-case hex, as caching services write them", () => {
  const json = JSON.parse(formatCollateral(COLLATERAL));
  json.pck_crl = json.pck_crl.toUpperCase();
  assert.deepEqual(parseCollateral(JSON.stringify(json)), COLLATERAL);
});

type Path = (string | number)[];
/** Paths of all fields and items of a document. */
function paths(value: unknown, at: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [at];
  const inner = Object.entries(value).flatMap(([name, item]) => paths(item, [...at, name]));
  return at.length > 0 ? [at, ...inner] : inner;
}
/** The document with something else at a path; left out if it is undefined. */
function changed(document: SimulatedDocument, path: Path, value: unknown): SimulatedDocument {
  const copy = structuredClone(document);
  // deno-lint-ignore no-explicit-any
  const parent = path.slice(0, -1).reduce<any>((it, name) => it[name], copy);
  if (value !== undefined) parent[path.at(-1)!] = value;
  else if (Array.isArray(parent)) parent.splice(Number(path.at(-1)), 1);
  else delete parent[path.at(-1)!];
  return copy;
}

/** What may be missing: levels have advisories only if there are any, modules only from 1.5 on. */
const OPTIONAL = /advisoryIDs|tdxModuleIdentities(\.\d+)?$|tcbLevels\.\d+$/;

for (
  const [name, document, field, read] of [
    ["tcb-info", simulatedTcbInfo(NOW), "tcbInfo", readTcbInfo],
    ["qe-identity", simulatedQeIdentity(NOW), "qeIdentity", readQeIdentity],
  ] as const
) {
  Deno.test(`${name}: a field that is missing or of another type refuses the document`, async () => {
    read(new Field(document, name, name));
    for (const path of paths(document)) {
      for (const value of [undefined, null, -1, 1.5, "\u0000", [], {}, true]) {
        if (value === undefined && OPTIONAL.test(path.join("."))) continue;
        if (Array.isArray(value) && OPTIONAL.test(path.join("."))) continue;
        const spoilt = new Field(changed(document, path, value), name, name);
        const code = await refusalOf(() => read(spoilt));
        const expected = [`${name}-malformed`, `${name}-kind`];
        assert.ok(
          expected.includes(code!),
          `${path.join(".")} = ${JSON.stringify(value)}: ${code}`,
        );
      }
    }
  });

  Deno.test(`${name}: a list over its bound and a date that is none refuse the document`, async () => {
    const level = document.tcbLevels[0];
    const spoilt: Partial<SimulatedDocument>[] = [
      { tcbLevels: Array(65).fill(level) },
      { tcbLevels: [{ ...level, advisoryIDs: Array(257).fill("A") }] },
      { tcbLevels: [{ ...level, advisoryIDs: ["A".repeat(65)] }] },
      { issueDate: "2025-02-30T00:00:00Z" },
      { issueDate: "2025-02-03" },
      { issueDate: "2025-02-03T00:00:00.5Z" },
      { nextUpdate: "2025-02-03T00:00:00+00:00" },
      { tcbEvaluationDataNumber: 2 ** 32 },
      name === "tcb-info" ? { fmspc: "G".repeat(12) } : { mrsigner: "G".repeat(64) },
      name === "tcb-info" ? { fmspc: "00" } : { mrsigner: "00" },
    ];
    for (const changes of spoilt) {
      const collateral = collateralOf({ [field]: () => ({ ...document, ...changes }) });
      await refused(`${name}-malformed`, () => judge({ collateral }), JSON.stringify(changes));
    }
  });

  Deno.test(`${name}: bytes that are no JSON are refused, signed or not`, async () => {
    const signed = collateralOf({ [field]: () => undefined });
    await refused(`${name}-malformed`, () => judge({ collateral: signed }));
    const over = { [field]: new Uint8Array(262_145) };
    await refused(
      `${name}-malformed`,
      () => judge({ collateral: () => ({ ...COLLATERAL, ...over }) }),
    );
  });
}

Deno.test("advisories of platform, module and quoting enclave come together, each once", async () => {
  const first = (document: SimulatedDocument, ...advisoryIDs: string[]) => ({
    ...document,
    tcbLevels: [{ ...document.tcbLevels[0], advisoryIDs }],
  });
  const collateral = collateralOf({
    tcbInfo: (info) => first(info, "A", "B"),
    qeIdentity: (identity) => first(identity, "B", "C"),
  });
  const quote = quoteOf({
    report: { teeTcbSvn: Uint8Array.fromHex("05010300000000000000000000000000") },
  });
  const { advisories, tcbDate, status } = await judge({ collateral, quote });
  assert.deepEqual(advisories, ["A", "B", "SIM-SA-00002", "C"]);
  assert.deepEqual([status, tcbDate], ["OutOfDate", Date.UTC(2023, 7, 9)]);
});
