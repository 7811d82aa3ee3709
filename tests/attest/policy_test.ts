/** Policies: what they refuse, their one encoding, and what they warn of. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { hex } from "../../src/protocol/bytes.ts";
import {
  checkReport,
  createPolicy,
  MAX_ALLOWED,
  type Policy,
  policyId,
  policyWarnings,
} from "../../src/attest/policy.ts";
import { AttestationError } from "../../src/attest/reasons.ts";
import { simulatedMeasurement } from "../../src/attest/simulated_measurements.ts";
import { simulatedReport } from "../../src/attest/simulated_quote.ts";
import { mergeStatuses, TCB_STATUSES, type TcbStatus } from "../../src/attest/status.ts";
import { verifyQuote } from "../../src/attest/verifier.ts";
import { COLLATERAL, QUOTE } from "./cases.ts";
import { ANCHOR } from "./judge.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { refused } from "./refused.ts";
import { NOW, REPORT_DATA } from "./stage.ts";

const [a, b, c] = ["a", "b", "c"].map(simulatedMeasurement).sort((x, y) =>
  hex(x) < hex(y) ? -1 : 1
);
const id = (rules: Partial<Policy>, clients?: Partial<Policy>) =>
  hex(policyId(createPolicy(rules), clients && createPolicy(clients)));

Deno.test("a policy's id is the hash of its published encoding", () => {
  const label = hex(new TextEncoder().encode("zipnet/1/attestation-policy\0"));
  const servers = "02" + "0001" + "12000000" + "00" + `02${hex(a)}${hex(b)}` + "00" +
    `01${hex(c)}` + "0000";
  const clients = "01" + "04" + "00000000" + "01" + "0000000000";
  const expected = (fields: string) =>
    createHash("sha256").update(label + fields, "hex").digest("hex");
  const rules = { minimumEvaluation: 18, allowed: { mrTd: [a, b], rtmr1: [c] } };
  assert.equal(id(rules), expected(`${servers}00`));
  assert.equal(
    id(rules, { statuses: ["OutOfDate"], debug: true }),
    expected(`${servers}01${clients}`),
  );
});

Deno.test("the id covers what admits clients, and is zero where nothing is asked of anybody", () => {
  const label = hex(new TextEncoder().encode("zipnet/1/attestation-policy\0"));
  const sha256 = (digits: string) => createHash("sha256").update(digits, "hex").digest("hex");
  const zero = "00".repeat(32), terms = { list: false, jwt: false, attested: false };
  const rules = createPolicy({ statuses: ["UpToDate"] });
  const encoded = "0100" + "00000000" + "00" + "0000000000";
  const ids = [
    [policyId(rules, undefined, { ...terms, list: true }), `${encoded}0001`],
    [policyId(rules, rules, { ...terms, attested: true }), `${encoded}01${encoded}04`],
    [policyId(undefined, undefined, { ...terms, list: true }), "000001"],
    [policyId(undefined, undefined, { ...terms, jwt: true }), "000002"],
    [policyId(undefined, rules, { list: true, jwt: true, attested: true }), `0001${encoded}07`],
  ] as const;
  for (const [came, fields] of ids) assert.equal(hex(came), sha256(label + fields));
  assert.equal(new Set(ids.map(([came]) => hex(came))).size, ids.length);
  assert.equal(hex(policyId()), zero);
  assert.equal(hex(policyId(undefined, undefined, terms)), zero);
  assert.deepEqual(policyId(rules, undefined, terms), policyId(rules));
});

Deno.test("a policy's id is the same however it was written down, and differs by every rule", () => {
  assert.equal(id({ allowed: { mrTd: [b, a, b] } }), id({ allowed: { mrTd: [a, b] } }));
  assert.equal(id({ statuses: ["SWHardeningNeeded", "UpToDate", "UpToDate"] }), id({}));
  const ids = [
    id({}),
    id({}, {}),
    id({ statuses: ["UpToDate"] }),
    id({ minimumEvaluation: 1 }),
    id({ debug: true }),
    ...(["mrTd", "rtmr0", "rtmr1", "rtmr2", "mrSeam"] as const).map((name) =>
      id({ allowed: { [name]: [a] } })
    ),
    id({ allowed: { mrTd: [a, b] } }),
    id({}, { minimumEvaluation: 1 }),
  ];
  assert.equal(new Set(ids).size, ids.length);
});

Deno.test("rules that cannot be a policy are refused with what was expected", () => {
  const bad: [Record<string, unknown>, RegExp][] = [
    [{ statuses: [] }, /accepted statuses: expected some of UpToDate/],
    [{ statuses: ["Revoked"] }, /accepted statuses/],
    [{ statuses: ["Fine"] }, /got Fine/],
    [{ minimumEvaluation: -1 }, /minimum evaluation number/],
    [{ minimumEvaluation: 1.5 }, /minimum evaluation number/],
    [{ allowed: { mrTd: [] } }, /mrtd: expected 1\.\.64 values, got 0/],
    [{ allowed: { rtmr1: Array(MAX_ALLOWED + 1).fill(a) } }, /rtmr1: expected 1\.\.64 values/],
    [{ allowed: { rtmr2: [a.subarray(1)] } }, /rtmr2: expected values of 48 bytes/],
  ];
  for (const [rules, message] of bad) {
    assert.throws(() => createPolicy(rules as Partial<Policy>), { name: "RangeError", message });
  }
});

Deno.test("a policy keeps its values when the caller's change", () => {
  const value = a.slice(), policy = createPolicy({ allowed: { mrTd: [value] } });
  value.fill(0);
  assert.deepEqual(policy.allowed.mrTd, [a]);
});

Deno.test("debug is never accepted from real hardware, whatever the policy says", async () => {
  const report = simulatedReport(REPORT_DATA, {
    report: { tdAttributes: Uint8Array.fromHex("0100001000000000") },
  });
  const policy = createPolicy({ debug: true });
  checkReport(report, policy, true);
  await refused("td-debug", () => checkReport(report, policy, false));
});

Deno.test("a policy that does not pin the program warns", () => {
  const pinned = { mrTd: [a], rtmr1: [b], rtmr2: [c] };
  assert.deepEqual(policyWarnings(createPolicy({ allowed: pinned })), []);
  assert.deepEqual(policyWarnings(createPolicy({ allowed: { mrTd: [a] } })), [
    "the policy requires no RTMR1, RTMR2: without them it does not say which program runs",
  ]);
  assert.equal(policyWarnings(createPolicy({ debug: true })).length, 2);
});

Deno.test("report data other than what is asked for is refused before anything is verified", async () => {
  const policy = createPolicy({}), collateral = await verifyCollateral(COLLATERAL, ANCHOR, NOW);
  const terms = { policy, collateral, now: NOW };
  assert.equal((await verifyQuote(QUOTE, { ...terms, reportData: REPORT_DATA })).simulated, true);
  for (const reportData of [new Uint8Array(64), REPORT_DATA.subarray(1), new Uint8Array(0)]) {
    await refused("report-data", () => verifyQuote(QUOTE, { ...terms, reportData }));
  }
});

Deno.test("what is accepted tells status, advisories, measurements and its end", async () => {
  const collateral = await verifyCollateral(COLLATERAL, ANCHOR, NOW);
  const policy = createPolicy({ statuses: ["UpToDate"] });
  const { report, ...rest } = await verifyQuote(QUOTE, { policy, collateral, now: NOW });
  assert.deepEqual(report, simulatedReport(REPORT_DATA));
  assert.deepEqual(rest, {
    status: "UpToDate",
    advisories: [],
    tcbDate: Date.UTC(2025, 2, 12),
    evaluationNumber: 18,
    fmspc: "de0000000001",
    validUntil: NOW + 30 * 86_400_000,
    simulated: true,
  });
});

Deno.test("parts make a whole as Intel folds them", () => {
  const fold = (base: TcbStatus, part: TcbStatus) => mergeStatuses([base, part]);
  for (const status of TCB_STATUSES) {
    assert.equal(fold(status, "UpToDate"), status);
    assert.equal(fold(status, "Revoked"), "Revoked");
  }
  assert.equal(fold("UpToDate", "OutOfDate"), "OutOfDate");
  assert.equal(fold("SWHardeningNeeded", "OutOfDate"), "OutOfDate");
  assert.equal(fold("ConfigurationNeeded", "OutOfDate"), "OutOfDateConfigurationNeeded");
  assert.equal(
    fold("ConfigurationAndSWHardeningNeeded", "OutOfDate"),
    "OutOfDateConfigurationNeeded",
  );
  assert.equal(
    fold("OutOfDateConfigurationNeeded", "OutOfDate"),
    "OutOfDateConfigurationNeeded",
  );
});

Deno.test("a refusal says its code, what that means, and what came", () => {
  const error = new AttestationError("tcb-status", "OutOfDate SIM-SA-00001");
  assert.equal(
    error.message,
    "tcb-status: the status is not one that the policy accepts; OutOfDate SIM-SA-00001",
  );
});
