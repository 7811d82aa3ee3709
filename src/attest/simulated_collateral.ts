/**
 * Collateral of a simulated authority, in the form of Intel's services: two revocation lists, TCB
 * info of its one family of platforms and the identity of its quoting enclave. Every negative case
 * is a change to it.
 */
import { hex } from "../protocol/bytes.ts";
import type { Collateral } from "./collateral.ts";
import { formatChain } from "./pem.ts";
import { DAY_MS, type SimulatedAuthority } from "./simulated_authority.ts";
import { issueList, type ListFields, type SimulatedCertificate } from "./simulated_certificates.ts";
import { sign } from "./simulated_key.ts";
import { SIMULATED_PLATFORM, SIMULATED_QE } from "./simulated_platform.ts";

/** How long collateral holds; the root's revocation list a year. */
export const COLLATERAL_DAYS = 30;
const ROOT_LIST_DAYS = 365;

/** A level as JSON. */
export interface SimulatedLevel {
  readonly tcb: Readonly<Record<string, unknown>>;
  readonly tcbDate: string;
  readonly tcbStatus: string;
  readonly advisoryIDs?: readonly string[];
}

/** A document as JSON. */
export type SimulatedDocument = Readonly<Record<string, unknown>> & {
  readonly tcbLevels: readonly SimulatedLevel[];
};

/** What the chain of a signer is, if not the signer and the root. */
export interface SimulatedSigner {
  readonly by: SimulatedCertificate;
  readonly chain: readonly SimulatedCertificate[];
}

/** Changes to collateral. */
export interface CollateralChanges {
  readonly rootCrl?: Partial<ListFields>;
  readonly pckCrl?: Partial<ListFields>;
  /** The CA of the PCK list, and the chain shown for it. */
  readonly pckCrlIssuer?: SimulatedSigner;
  readonly tcbInfo?: (info: SimulatedDocument) => SimulatedDocument;
  readonly tcbSigner?: SimulatedSigner;
  readonly qeIdentity?: (identity: SimulatedDocument) => SimulatedDocument;
  readonly qeSigner?: SimulatedSigner;
}

const text = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
/** Date of the newest levels, and of those that are out of date. */
const LEVEL_DATE = "2025-03-12T00:00:00Z", OLD_DATE = "2023-08-09T00:00:00Z";
const NO_SIGNER = "0".repeat(96), NO_ATTRIBUTES = "0".repeat(16), WHOLE_MASK = "F".repeat(16);

const life = (now: number, days: number) => ({
  from: Math.floor(now / 1000) * 1000,
  until: Math.floor(now / 1000) * 1000 + days * DAY_MS,
});

function header(now: number) {
  const { from, until } = life(now, COLLATERAL_DAYS);
  return { issueDate: text(from), nextUpdate: text(until), tcbEvaluationDataNumber: 18 };
}

const svnLevel = (isvsvn: number, tcbStatus: string, advisoryIDs?: string[]): SimulatedLevel => ({
  tcb: { isvsvn },
  tcbDate: tcbStatus === "UpToDate" ? LEVEL_DATE : OLD_DATE,
  tcbStatus,
  ...advisoryIDs ? { advisoryIDs } : {},
});

function platformLevel(pcesvn: number, tdx: number, tcbStatus: string): SimulatedLevel {
  const padded = (first: readonly number[]) =>
    Array.from({ length: 16 }, (_, i) => ({ svn: first[i] ?? 0 }));
  return {
    tcb: {
      sgxtcbcomponents: padded(SIMULATED_PLATFORM.components),
      pcesvn,
      tdxtcbcomponents: padded([5, 0, tdx]),
    },
    tcbDate: tcbStatus === "UpToDate" ? LEVEL_DATE : OLD_DATE,
    tcbStatus,
    ...tcbStatus === "UpToDate" ? {} : { advisoryIDs: ["SIM-SA-00001"] },
  };
}

/** TCB info issued at `now`: the simulated machine is up to date, older ones are not. */
export function simulatedTcbInfo(now: number): SimulatedDocument {
  const module = { mrsigner: NO_SIGNER, attributes: NO_ATTRIBUTES, attributesMask: WHOLE_MASK };
  return {
    ...{ id: "TDX", version: 3 },
    ...header(now),
    ...{ fmspc: SIMULATED_PLATFORM.fmspc, pceId: SIMULATED_PLATFORM.pceId, tcbType: 0 },
    tdxModule: module,
    tdxModuleIdentities: [
      { id: "TDX_03", ...module, tcbLevels: [svnLevel(3, "UpToDate")] },
      {
        id: "TDX_01",
        ...module,
        tcbLevels: [svnLevel(6, "UpToDate"), svnLevel(2, "OutOfDate", ["SIM-SA-00002"])],
      },
    ],
    tcbLevels: [
      platformLevel(SIMULATED_PLATFORM.pceSvn, 3, "UpToDate"),
      platformLevel(SIMULATED_PLATFORM.pceSvn, 2, "OutOfDate"),
      platformLevel(5, 2, "OutOfDateConfigurationNeeded"),
    ],
  };
}

/** The quoting enclave's identity issued at `now`. */
export function simulatedQeIdentity(now: number): SimulatedDocument {
  return {
    ...{ id: "TD_QE", version: 2 },
    ...header(now),
    ...{ miscselect: "00000000", miscselectMask: "FFFFFFFF" },
    attributes: "11000000000000000000000000000000",
    attributesMask: "FBFFFFFFFFFFFFFF0000000000000000",
    mrsigner: hex(SIMULATED_QE.mrSigner).toUpperCase(),
    isvprodid: SIMULATED_QE.isvProdId,
    tcbLevels: [svnLevel(4, "UpToDate"), svnLevel(2, "OutOfDate", ["SIM-SA-00003"])],
  };
}

/** Collateral issued at `now` (Unix ms), good for 30 days. */
export function simulatedCollateral(
  { root, pckCa, tcbSigner }: SimulatedAuthority,
  now: number,
  changes: CollateralChanges = {},
): Collateral {
  const bytes = (value: string) => new TextEncoder().encode(value);
  const chain = ({ chain }: SimulatedSigner) => bytes(formatChain(chain.map(({ der }) => der)));
  const tcb = changes.tcbSigner ?? { by: tcbSigner, chain: [tcbSigner, root] };
  const qe = changes.qeSigner ?? { by: tcbSigner, chain: [tcbSigner, root] };
  const ca = changes.pckCrlIssuer ?? { by: pckCa, chain: [pckCa, root] };
  const same = (document: SimulatedDocument) => document;
  const tcbInfo = bytes(JSON.stringify((changes.tcbInfo ?? same)(simulatedTcbInfo(now))));
  const qeIdentity = bytes(JSON.stringify((changes.qeIdentity ?? same)(simulatedQeIdentity(now))));
  const number = Math.floor(now / 1000), revoked: Uint8Array[] = [];
  return {
    rootCrl: issueList(
      { ...life(now, ROOT_LIST_DAYS), number, revoked, ...changes.rootCrl },
      root,
    ),
    pckCrlChain: chain(ca),
    pckCrl: issueList(
      { ...life(now, COLLATERAL_DAYS), number, revoked, ...changes.pckCrl },
      ca.by,
    ),
    ...{ tcbInfoChain: chain(tcb), tcbInfo, tcbInfoSignature: sign(tcb.by.key, tcbInfo) },
    ...{ qeIdentityChain: chain(qe), qeIdentity, qeIdentitySignature: sign(qe.by.key, qeIdentity) },
  };
}
