/** Cases of honest quotes of platforms that are not in order, and of policies that do not fit. */
import { simulatedMeasurement } from "../../src/attest/simulated_measurements.ts";
import { DEFAULT_STATUSES } from "../../src/attest/policy.ts";
import {
  type SimulatedDocument,
  type SimulatedLevel,
} from "../../src/attest/simulated_collateral.ts";
import { u16 } from "../../src/attest/simulated_platform.ts";
import { TCB_STATUSES } from "../../src/attest/status.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import { type Case, collateralOf, quoteFrom, quoteOf } from "./cases.ts";

const first = (document: SimulatedDocument, changes: Partial<SimulatedLevel>) => ({
  ...document,
  tcbLevels: [{ ...document.tcbLevels[0], ...changes }, ...document.tcbLevels.slice(1)],
});
/** The platform's own level has this status. */
const level = (tcbStatus: string) =>
  collateralOf({ tcbInfo: (info) => first(info, { tcbStatus }) });
/** So has the quoting enclave's. */
const qeLevel = (tcbStatus: string) =>
  collateralOf({ qeIdentity: (identity) => first(identity, { tcbStatus }) });
/** The platform's level and the enclave's. */
const both = (platform: string, qe: string) =>
  collateralOf({
    tcbInfo: (info) => first(info, { tcbStatus: platform }),
    qeIdentity: (identity) => first(identity, { tcbStatus: qe }),
  });
const qe = (changes: Parameters<typeof quoteFrom>[0]["qeReport"]) =>
  quoteFrom({ qeReport: changes });
const ours = simulatedMeasurements("zipnet"), theirs = simulatedMeasurement("another");
const seam = new Uint8Array(48).fill(0xde);

export const STATE_CASES: readonly Case[] = [
  ...TCB_STATUSES.map((status): Case => ({
    name: `a platform that is ${status}`,
    expected: status === "Revoked" ? "tcb-revoked" : status,
    collateral: level(status),
  })),
  {
    name: "an unknown status",
    expected: "tcb-info-malformed",
    collateral: level("Fine"),
  },
  {
    name: "a quoting enclave that is out of date",
    expected: "OutOfDate",
    collateral: qeLevel("OutOfDate"),
  },
  {
    name: "a quoting enclave that is revoked",
    expected: "tcb-revoked",
    collateral: qeLevel("Revoked"),
  },
  {
    name: "a quoting enclave of an older level",
    expected: "OutOfDate",
    quote: qe({ isvSvn: u16(2) }),
  },
  {
    name: "a platform to configure with a quoting enclave that is out of date",
    expected: "OutOfDateConfigurationNeeded",
    collateral: both("ConfigurationAndSWHardeningNeeded", "OutOfDate"),
  },
  {
    name: "a platform to harden with a quoting enclave that is out of date",
    expected: "OutOfDate",
    collateral: both("SWHardeningNeeded", "OutOfDate"),
  },
  {
    name: "a TDX module that is revoked",
    expected: "tcb-revoked",
    collateral: collateralOf({
      tcbInfo: (info) => ({
        ...info,
        tdxModuleIdentities: (info.tdxModuleIdentities as SimulatedDocument[]).map((module) =>
          first(module, { tcbStatus: "Revoked" })
        ),
      }),
    }),
    elsewhere: "accepted",
  },
  {
    name: "a TDX module below the platform's component, yet up to date by its identity",
    expected: "UpToDate",
    collateral: collateralOf({
      tcbInfo: (info) => ({
        ...info,
        tdxModuleIdentities: (info.tdxModuleIdentities as SimulatedDocument[]).map((module) =>
          first(module, { tcb: { isvsvn: 4 } })
        ),
      }),
    }),
    quote: quoteOf({
      report: { teeTcbSvn: Uint8Array.fromHex("04010300000000000000000000000000") },
    }),
    elsewhere: "refused",
  },
  {
    name: "a TDX module below every level of its identity",
    expected: "module-level",
    quote: quoteOf({
      report: { teeTcbSvn: Uint8Array.fromHex("01010300000000000000000000000000") },
    }),
  },
  {
    name: "a platform with an older TDX component",
    expected: "OutOfDate",
    quote: quoteOf({
      report: { teeTcbSvn: Uint8Array.fromHex("06010200000000000000000000000000") },
    }),
  },
  {
    name: "a platform with an older PCE",
    expected: "tcb-status",
    quote: quoteFrom({ platform: { pceSvn: 12 } }),
    policy: { statuses: DEFAULT_STATUSES },
  },
  {
    name: "a PCE below every level",
    expected: "tcb-level",
    quote: quoteFrom({ platform: { pceSvn: 4 } }),
  },
  {
    name: "a platform with a component below every level",
    expected: "tcb-level",
    quote: quoteFrom({ platform: { components: [3, 3, 2, 2, 3, 1, 0, 5, ...Array(8).fill(0)] } }),
  },

  {
    name: "a quoting enclave that can be debugged",
    expected: "qe-debug",
    quote: qe({ attributes: Uint8Array.fromHex("17000000000000000700000000000000") }),
  },
  {
    name: "another signer of the quoting enclave",
    expected: "qe-mrsigner",
    quote: qe({ mrSigner: new Uint8Array(32) }),
  },
  {
    name: "another enclave of that signer",
    expected: "qe-product",
    quote: qe({ isvProdId: u16(1) }),
  },
  {
    name: "another MISCSELECT",
    expected: "qe-misc",
    quote: qe({ miscSelect: Uint8Array.of(1, 0, 0, 0) }),
  },
  {
    name: "other attributes of the quoting enclave",
    expected: "qe-attributes",
    quote: qe({ attributes: Uint8Array.fromHex("91000000000000000700000000000000") }),
  },
  {
    name: "a quoting enclave below every level",
    expected: "qe-level",
    quote: qe({ isvSvn: u16(1) }),
  },

  {
    name: "a policy that pins every measurement of this guest",
    expected: "UpToDate",
    policy: {
      allowed: {
        ...{ mrTd: [theirs, ours.mrTd], rtmr0: [ours.rtmr0], rtmr1: [ours.rtmr1] },
        ...{ rtmr2: [ours.rtmr2], mrSeam: [seam] },
      },
    },
  },
  ...([
    ["firmware", "mrtd", "mrTd"],
    ["machine", "rtmr0", "rtmr0"],
    ["kernel", "rtmr1", "rtmr1"],
    ["command line and initrd", "rtmr2", "rtmr2"],
    ["TDX module", "mrseam", "mrSeam"],
  ] as const).map(([what, expected, name]): Case => ({
    name: `another ${what} than the policy's`,
    expected,
    policy: { allowed: { [name]: [theirs] } },
  })),
  {
    name: "a status that the policy does not accept",
    expected: "tcb-status",
    collateral: level("OutOfDate"),
    policy: { statuses: DEFAULT_STATUSES },
  },
  {
    name: "collateral below the policy's evaluation number",
    expected: "tcb-evaluation",
    policy: { minimumEvaluation: 19 },
  },
  {
    name: "collateral at the policy's evaluation number",
    expected: "UpToDate",
    policy: { minimumEvaluation: 18 },
  },
  {
    name: "a QE identity below the policy's evaluation number",
    expected: "tcb-evaluation",
    collateral: collateralOf({
      qeIdentity: (identity) => ({ ...identity, tcbEvaluationDataNumber: 17 }),
    }),
    policy: { minimumEvaluation: 18 },
  },
  {
    name: "TD debug where a simulation's policy accepts it",
    expected: "UpToDate",
    quote: quoteOf({ report: { tdAttributes: Uint8Array.fromHex("0100001000000000") } }),
    policy: { debug: true },
    elsewhere: "refused",
  },
  {
    name: "TD profiling where a simulation's policy accepts debug",
    expected: "td-debug",
    quote: quoteOf({ report: { tdAttributes: Uint8Array.fromHex("1000001000000000") } }),
    policy: { debug: true },
  },
];
