/** Cases in which a certificate or a chain is spoilt, or used for what it was not issued for. */
import { formatChain } from "../../src/attest/pem.ts";
import { DAY_MS } from "../../src/attest/simulated_authority.ts";
import {
  CA_USAGE,
  type CertificateFields,
  issue,
  type SimulatedCertificate,
} from "../../src/attest/simulated_certificates.ts";
import { simulatedCollateral } from "../../src/attest/simulated_collateral.ts";
import { simulatedPlatform } from "../../src/attest/simulated_platform.ts";
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { ascii, type Case, collateralOf, quoteFrom, replaced } from "./cases.ts";
import { authority, NOW, otherAuthority, platform, REPORT_DATA, seeded } from "./stage.ts";

const { root, pckCa, tcbSigner } = authority;
/** A machine whose key was taken out of it: it may sign data, and tries to sign certificates. */
const stolen = platform.pck;
const renamed = (by: SimulatedCertificate, commonName: string) => ({ ...by, commonName });

/** The quote of a machine with a certificate that `issuer` made, shown with these above it. */
const issuedBy = (issuer: SimulatedCertificate, ...above: SimulatedCertificate[]) =>
  quoteFrom({ issuer, chain: (pck) => [pck, ...above].map(({ der }) => der) });
/** The stage's machine, its quote shown with another chain. */
const shown = (...chain: SimulatedCertificate[]) =>
  quoteFrom({ chain: () => chain.map(({ der }) => der) });
const changed = (pck: Partial<CertificateFields>) => quoteFrom({ pck });
const signer = (by: SimulatedCertificate, ...chain: SimulatedCertificate[]) =>
  collateralOf({ tcbSigner: { by, chain } });
const qeSigner = (by: SimulatedCertificate, ...chain: SimulatedCertificate[]) =>
  collateralOf({ qeSigner: { by, chain } });
const signedBy = (issuer: SimulatedCertificate) => issue(tcbSigner, issuer);
/** Another authority, which calls itself the same; and one that does not. */
const other = otherAuthority();
const stranger = otherAuthority({ root: { commonName: "ANOTHER SGX Root CA" } });

/** A signer for QE identities alone. */
const qeOnly = issue({ ...tcbSigner, serial: Uint8Array.of(9) }, root);
/** Another CA of platforms, of the same root. */
const processorCa = issue({
  ...other.pckCa,
  commonName: "DEV-ONLY SGX PCK Processor CA",
}, root);
/** The CA again, in a new certificate for the same key; and one whose time is over. */
const renewed = issue({ ...pckCa, serial: Uint8Array.of(7), until: NOW + 10 * DAY_MS }, root);
const over = issue({ ...pckCa, serial: Uint8Array.of(8), until: NOW - 1000 }, root);

export const CHAIN_CASES: readonly Case[] = [
  {
    name: "a quote of another root",
    expected: "pck-root",
    quote: () => simulatedQuote(simulatedPlatform(other, seeded(2), NOW), REPORT_DATA),
  },
  {
    name: "quote and collateral of another root",
    expected: "root-crl-issuer",
    quote: () => simulatedQuote(simulatedPlatform(stranger, seeded(2), NOW), REPORT_DATA),
    collateral: () => simulatedCollateral(stranger, NOW),
  },
  {
    name: "quote and collateral of another root of the same name",
    expected: "root-crl-signature",
    quote: () => simulatedQuote(simulatedPlatform(other, seeded(2), NOW), REPORT_DATA),
    collateral: () => simulatedCollateral(other, NOW),
  },
  {
    name: "another root above the right CA",
    expected: "pck-root",
    quote: shown(stolen, pckCa, other.root),
  },
  {
    name: "a PCK certificate that has expired",
    expected: "pck-expired",
    quote: changed({ until: NOW - 1000 }),
  },
  {
    name: "a PCK certificate of the future",
    expected: "pck-early",
    quote: changed({ from: NOW + 60_000 }),
  },
  {
    name: "a PCK certificate issued by another PCK leaf",
    expected: "pck-ca-profile",
    quote: issuedBy(stolen, stolen, root),
  },
  {
    name: "a PCK certificate issued by another PCK leaf, with the whole chain",
    expected: "pck-chain",
    quote: issuedBy(stolen, stolen, pckCa, root),
    elsewhere: "accepted",
  },
  {
    name: "a PCK certificate issued by another PCK leaf, below the CA",
    expected: "pck-issuer",
    quote: issuedBy(stolen, pckCa, root),
  },
  {
    name: "a PCK certificate issued by another PCK leaf in the CA's name",
    expected: "pck-signature",
    quote: issuedBy(renamed(stolen, pckCa.commonName), pckCa, root),
  },
  {
    name: "a PCK certificate issued by a PCK leaf in the CA's name, and the leaf as CA",
    expected: "pck-ca-profile",
    quote: issuedBy(
      renamed(stolen, pckCa.commonName),
      issue({ ...stolen, commonName: pckCa.commonName }, pckCa),
      root,
    ),
  },
  {
    name: "a PCK certificate issued straight by the root",
    expected: "pck-chain",
    quote: issuedBy(root, root),
    elsewhere: "accepted",
  },
  {
    name: "a PCK certificate issued straight by the root, shown twice",
    expected: "pck-ca-profile",
    quote: issuedBy(root, root, root),
    elsewhere: "accepted",
  },
  {
    name: "a PCK certificate issued straight by the root, below the CA",
    expected: "pck-issuer",
    quote: issuedBy(root, pckCa, root),
  },
  {
    name: "a PCK certificate that is a CA",
    expected: "pck-profile",
    quote: changed({ pathLength: 0, usage: CA_USAGE }),
  },
  {
    name: "a PCK certificate without the SGX extension",
    expected: "pck-extension",
    quote: changed({ more: [] }),
  },
  {
    name: "another certificate of the root in the place of the PCK certificate",
    expected: "pck-profile",
    quote: shown(tcbSigner, pckCa, root),
  },
  {
    name: "a chain without its root",
    expected: "pck-chain",
    quote: shown(stolen, pckCa),
    elsewhere: "accepted",
  },
  { name: "the PCK certificate alone", expected: "pck-chain", quote: shown(stolen) },
  { name: "a chain in the wrong order", expected: "pck-root", quote: shown(root, pckCa, stolen) },
  {
    name: "a PCK certificate of a CA that the list does not cover",
    expected: "pck-crl-issuer",
    quote: issuedBy(processorCa, processorCa, root),
    elsewhere: "accepted",
  },
  {
    name: "a renewed certificate of the CA",
    expected: "UpToDate",
    quote: shown(stolen, renewed, root),
  },
  {
    name: "a certificate of the CA that has expired",
    expected: "pck-ca-expired",
    quote: shown(stolen, over, root),
  },
  {
    name: "a renewed certificate of the CA that is revoked",
    expected: "pck-ca-revoked",
    quote: shown(stolen, renewed, root),
    collateral: collateralOf({ rootCrl: { revoked: [renewed.serial] } }),
  },

  {
    name: "a TCB signer issued by a PCK leaf, with the whole chain",
    expected: "tcb-signer-chain",
    collateral: signer(signedBy(stolen), signedBy(stolen), stolen, pckCa, root),
    elsewhere: "accepted",
  },
  {
    name: "a TCB signer issued by a PCK leaf",
    expected: "tcb-signer-issuer",
    collateral: signer(signedBy(stolen), signedBy(stolen), root),
  },
  {
    name: "a TCB signer issued by a PCK leaf in the root's name",
    expected: "tcb-signer-signature",
    collateral: signer(
      signedBy(stolen),
      signedBy(renamed(stolen, root.commonName)),
      root,
    ),
  },
  {
    name: "TCB info signed by a PCK key, with its chain",
    expected: "tcb-signer-chain",
    collateral: signer(stolen, stolen, pckCa, root),
    elsewhere: "accepted",
  },
  {
    name: "TCB info signed by a PCK key that the root certified",
    expected: "tcb-signer-profile",
    collateral: signer(stolen, issue(stolen, root), root),
    elsewhere: "accepted",
  },
  {
    name: "a QE identity signed by a PCK key, with its chain",
    expected: "qe-signer-chain",
    collateral: qeSigner(stolen, stolen, pckCa, root),
    elsewhere: "accepted",
  },
  {
    name: "a QE identity signed by the CA of platforms",
    expected: "qe-signer-profile",
    collateral: qeSigner(pckCa, pckCa, root),
  },
  {
    name: "a QE signer of another root",
    expected: "qe-signer-root",
    collateral: qeSigner(other.tcbSigner, other.tcbSigner, other.root),
  },
  {
    name: "a QE signer issued by a PCK leaf",
    expected: "qe-signer-issuer",
    collateral: qeSigner(signedBy(stolen), signedBy(stolen), root),
  },
  {
    name: "a QE signer issued by a PCK leaf in the root's name",
    expected: "qe-signer-signature",
    collateral: qeSigner(
      signedBy(stolen),
      signedBy(renamed(stolen, root.commonName)),
      root,
    ),
  },
  {
    name: "a QE signer that has expired",
    expected: "qe-signer-expired",
    collateral: qeSigner(tcbSigner, issue({ ...tcbSigner, until: NOW - 1000 }, root), root),
  },
  {
    name: "a QE signer of the future",
    expected: "qe-signer-early",
    collateral: qeSigner(tcbSigner, issue({ ...tcbSigner, from: NOW + 1000 }, root), root),
  },
  {
    name: "a QE signer, other than the TCB signer, that is revoked",
    expected: "qe-signer-revoked",
    collateral: collateralOf({
      rootCrl: { revoked: [qeOnly.serial] },
      qeSigner: { by: qeOnly, chain: [qeOnly, root] },
    }),
  },
  {
    name: "a CA of platforms of another root",
    expected: "pck-ca-root",
    collateral: collateralOf({ pckCrlIssuer: { by: pckCa, chain: [pckCa, other.root] } }),
    elsewhere: "accepted",
  },
  {
    name: "a CA of platforms with a chain of three",
    expected: "pck-ca-chain",
    collateral: collateralOf({ pckCrlIssuer: { by: pckCa, chain: [pckCa, pckCa, root] } }),
    elsewhere: "accepted",
  },
  {
    name: "a CA of platforms that another root issued in this one's name",
    expected: "pck-ca-signature",
    quote: shown(stolen, issue(pckCa, other.root), root),
  },
  {
    name: "a TCB signer of another root",
    expected: "tcb-signer-root",
    collateral: signer(other.tcbSigner, other.tcbSigner, other.root),
  },
  {
    name: "a TCB signer that has expired",
    expected: "tcb-signer-expired",
    collateral: signer(tcbSigner, issue({ ...tcbSigner, until: NOW - 1000 }, root), root),
  },
  {
    name: "a chain that is no PEM",
    expected: "tcb-signer-malformed",
    collateral: replaced({ tcbInfoChain: ascii("no PEM") }),
  },
  {
    name: "a chain with a word between its certificates",
    expected: "qe-signer-malformed",
    collateral: replaced({
      qeIdentityChain: ascii(
        `${formatChain([tcbSigner.der])}and the root:\n${formatChain([root.der])}`,
      ),
    }),
    elsewhere: "accepted",
  },
];
