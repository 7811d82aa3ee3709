/** Cases in which collateral is spoilt: revocation, dates, documents. */
import { concat, hex } from "../../src/protocol/bytes.ts";
import { DAY_MS } from "../../src/attest/simulated_authority.ts";
import { issue } from "../../src/attest/simulated_certificates.ts";
import {
  simulatedCollateral,
  type SimulatedDocument,
  simulatedTcbInfo,
} from "../../src/attest/simulated_collateral.ts";
import { ascii, type Case, COLLATERAL, collateralOf, replaced } from "./cases.ts";
import { authority, NOW, otherAuthority, platform } from "./stage.ts";

const { root, pckCa, tcbSigner } = authority;
const revoked = [platform.pck.serial], none = new Uint8Array(0);
const other = otherAuthority();
const processorCa = issue({ ...other.pckCa, commonName: "DEV-ONLY SGX PCK Processor CA" }, root);
const tcbInfo = (changes: Partial<SimulatedDocument>) =>
  collateralOf({ tcbInfo: (info) => ({ ...info, ...changes }) });
const qeIdentity = (changes: Partial<SimulatedDocument>) =>
  collateralOf({ qeIdentity: (identity) => ({ ...identity, ...changes }) });
const edited = (bytes: Uint8Array, from: string, to: string) =>
  ascii(new TextDecoder().decode(bytes).replace(from, to));
const time = (ms: number) => new Date(ms).toISOString().replace(".000", "");
const garbage = Uint8Array.fromHex("00");

export const COLLATERAL_CASES: readonly Case[] = [
  {
    name: "the PCK certificate is revoked",
    expected: "pck-revoked",
    collateral: collateralOf({ pckCrl: { revoked } }),
  },
  {
    name: "the PCK CA is revoked",
    expected: "pck-ca-revoked",
    collateral: collateralOf({ rootCrl: { revoked: [pckCa.serial] } }),
  },
  {
    name: "the TCB signer is revoked",
    expected: "tcb-signer-revoked",
    collateral: collateralOf({ rootCrl: { revoked: [tcbSigner.serial] } }),
  },
  {
    name: "the root is in its own list",
    expected: "anchor-revoked",
    collateral: collateralOf({ rootCrl: { revoked: [root.serial] } }),
  },

  {
    name: "a revoked PCK hidden by a list under a wrong key",
    expected: "pck-crl-signature",
    collateral: () => ({
      ...COLLATERAL,
      pckCrl: collateralOf({
        pckCrlIssuer: { by: { ...pckCa, key: other.pckCa.key }, chain: [pckCa, root] },
      })().pckCrl,
    }),
    elsewhere: "accepted",
  },
  {
    name: "a revoked PCK hidden by garbage",
    expected: "pck-crl-malformed",
    collateral: replaced({ pckCrl: garbage }),
    elsewhere: "accepted",
  },
  {
    name: "a revoked PCK hidden by nothing",
    expected: "pck-crl-malformed",
    collateral: replaced({ pckCrl: none }),
    elsewhere: "accepted",
  },
  {
    name: "a revoked PCK hidden by another CA's list",
    expected: "pck-crl-issuer",
    collateral: collateralOf({ pckCrlIssuer: { by: processorCa, chain: [processorCa, root] } }),
    elsewhere: "accepted",
  },
  {
    name: "a revoked PCK hidden by another CA's list, shown with the right CA",
    expected: "pck-crl-issuer",
    collateral: collateralOf({ pckCrlIssuer: { by: processorCa, chain: [pckCa, root] } }),
    elsewhere: "accepted",
  },
  {
    name: "a revoked PCK hidden by an expired list",
    expected: "pck-crl-expired",
    collateral: collateralOf({ pckCrl: { from: NOW - 60 * DAY_MS, until: NOW - DAY_MS } }),
    elsewhere: "accepted",
  },
  {
    name: "a list of the future",
    expected: "pck-crl-early",
    collateral: collateralOf({ pckCrl: { from: NOW + DAY_MS } }),
    elsewhere: "accepted",
  },
  {
    name: "a revoked CA hidden by garbage",
    expected: "root-crl-malformed",
    collateral: replaced({ rootCrl: garbage }),
    elsewhere: "accepted",
  },
  {
    name: "a revoked CA hidden by another root's list",
    expected: "root-crl-signature",
    collateral: replaced({ rootCrl: simulatedCollateral(other, NOW).rootCrl }),
    elsewhere: "accepted",
  },
  {
    name: "a revoked CA hidden by the list of platforms",
    expected: "root-crl-issuer",
    collateral: replaced({ rootCrl: COLLATERAL.pckCrl }),
    elsewhere: "accepted",
  },
  {
    name: "a revoked CA hidden by an expired list",
    expected: "root-crl-expired",
    collateral: collateralOf({ rootCrl: { from: NOW - 60 * DAY_MS, until: NOW - DAY_MS } }),
    elsewhere: "accepted",
  },

  {
    name: "TCB info that has expired",
    expected: "tcb-info-expired",
    collateral: tcbInfo({ nextUpdate: time(NOW - 1000) }),
  },
  {
    name: "TCB info of the future",
    expected: "tcb-info-early",
    collateral: tcbInfo({ issueDate: time(NOW + 1000) }),
  },
  {
    name: "TCB info for another family of platforms",
    expected: "pck-platform",
    collateral: tcbInfo({ fmspc: "DE0000000002" }),
  },
  {
    name: "TCB info for another PCE",
    expected: "pck-platform",
    collateral: tcbInfo({ pceId: "0001" }),
    elsewhere: "accepted",
  },
  { name: "TCB info for SGX", expected: "tcb-info-kind", collateral: tcbInfo({ id: "SGX" }) },
  { name: "TCB info of version 2", expected: "tcb-info-kind", collateral: tcbInfo({ version: 2 }) },
  {
    name: "TCB info that was edited",
    expected: "tcb-info-signature",
    collateral: replaced({ tcbInfo: edited(COLLATERAL.tcbInfo, "OutOfDate", "UpToDate") }),
  },
  {
    name: "TCB info with a space more",
    expected: "tcb-info-signature",
    collateral: replaced({ tcbInfo: concat(COLLATERAL.tcbInfo, ascii(" ")) }),
  },
  {
    name: "TCB info with the signature of the QE identity",
    expected: "tcb-info-signature",
    collateral: replaced({ tcbInfoSignature: COLLATERAL.qeIdentitySignature }),
  },
  {
    name: "TCB info in the place of the QE identity",
    expected: "qe-identity-kind",
    collateral: replaced({
      qeIdentity: COLLATERAL.tcbInfo,
      qeIdentitySignature: COLLATERAL.tcbInfoSignature,
    }),
  },
  {
    name: "TCB info without levels",
    expected: "tcb-info-malformed",
    collateral: tcbInfo({ tcbLevels: [] }),
  },
  {
    name: "TCB info with a level of 15 components",
    expected: "tcb-info-malformed",
    collateral: tcbInfo({
      tcbLevels: simulatedTcbInfo(NOW).tcbLevels.map((level) => ({
        ...level,
        tcb: {
          ...level.tcb,
          sgxtcbcomponents: (level.tcb.sgxtcbcomponents as unknown[]).slice(1),
        },
      })),
    }),
  },
  {
    name: "a QE identity that has expired",
    expected: "qe-identity-expired",
    collateral: qeIdentity({ nextUpdate: time(NOW - 1000) }),
  },
  {
    name: "a QE identity of the future",
    expected: "qe-identity-early",
    collateral: qeIdentity({ issueDate: time(NOW + 1000) }),
  },
  {
    name: "a QE identity that was edited",
    expected: "qe-identity-signature",
    collateral: replaced({
      qeIdentity: edited(COLLATERAL.qeIdentity, hex(new Uint8Array(4)), "00000001"),
    }),
  },
  {
    name: "a QE identity for SGX",
    expected: "qe-identity-kind",
    collateral: qeIdentity({ id: "QE" }),
  },
];
