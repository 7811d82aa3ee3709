/** The rows of the table of options that say who is admitted, and what quotes must show. */
import { type AcceptableStatus, DEFAULT_STATUSES } from "../attest/policy.ts";
import { TCB_STATUSES } from "../attest/status.ts";
import type { PRESETS } from "../protocol/parameters.ts";
import { choices, measurements, sources, token } from "./attestation_kinds.ts";
import { choice, integer, text } from "./kinds.ts";
import { ROLES, type Row, row, SERVER } from "./row.ts";

/** What a process shows of the machine that it runs on. */
export type Evidence = "tdx" | "simulated" | "none";

/** What a server shows that is not told what to, by preset, and how `--help` says it. */
export const SERVER_EVIDENCE: Readonly<Record<keyof typeof PRESETS, Evidence>> = {
  interactive: "tdx",
  archival: "tdx",
  dev: "simulated",
};
const SERVER_EVIDENCE_TEXT = "simulated in preset dev, else tdx";

const ACCEPTABLE = TCB_STATUSES.filter((it): it is AcceptableStatus => it !== "Revoked");
const TCB_OF_SERVERS = "accepted statuses of the platforms of the committee's servers";

/** A measurement that servers must show. */
function ofServers(what: string): Row<readonly Uint8Array[]> {
  const others = `${what} of the committee's servers: one of these, or they are refused`;
  return {
    roles: ROLES,
    kind: measurements,
    absent: "any",
    meaning: {
      server: `${what} of the committee's servers: one of these; part of the policy id`,
      ...{ aggregator: others, client: others, reader: others },
    },
  };
}

/** A measurement that clients must show. */
function ofClients(what: string): Row<readonly Uint8Array[]> {
  return {
    roles: SERVER,
    kind: measurements,
    absent: "any",
    meaning: `with --admission=attested: ${what} of clients, one of these; part of the policy id`,
  };
}

/** The rows. */
export const ATTESTATION_OPTIONS = {
  admission: row({
    roles: SERVER,
    kind: choices("WORD,...", "open", "list", "jwt", "attested"),
    absent: "open in preset dev, else required",
    meaning: "who may be a client: open (anyone), list (the keys in --clients), jwt (who has a " +
      "token of the issuer in --jwt-key), attested (who shows a quote); several must all hold",
  }),
  clients: row({
    roles: SERVER,
    kind: text("FILE", "a file"),
    absent: "none",
    meaning: "with --admission=list: Ed25519 public keys, one in hex a line; # starts a comment",
  }),
  jwtKey: row({
    roles: SERVER,
    kind: text("FILE", "a file"),
    absent: "none",
    meaning:
      "with --admission=jwt: the issuer's public keys as PEM, JWK or JWK set, on P-256 or Ed25519; several while they change",
  }),
  jwt: row({
    roles: ["client"],
    kind: token,
    absent: "none",
    meaning: "the token, where admission asks for one",
  }),
  attestation: row({
    roles: ["server", "client"],
    kind: choice("tdx", "simulated", "none"),
    absent: { server: SERVER_EVIDENCE_TEXT, client: "what admission asks for" },
    meaning: "quotes that it shows of its own machine: of TDX under Intel's root, simulated ones " +
      "under a development root, or none, for private networks",
  }),
  mrtd: ofServers("firmware (MRTD)"),
  rtmr0: ofServers("machine's shape (RTMR0)"),
  rtmr1: ofServers("kernel (RTMR1)"),
  rtmr2: ofServers("command line and initrd, and with them the program (RTMR2)"),
  clientMrtd: ofClients("firmware (MRTD)"),
  clientRtmr0: ofClients("machine's shape (RTMR0)"),
  clientRtmr1: ofClients("kernel (RTMR1)"),
  clientRtmr2: ofClients("command line and initrd (RTMR2)"),
  tcb: row({
    roles: ROLES,
    kind: choices("STATUS,...", ...ACCEPTABLE),
    default: DEFAULT_STATUSES.join(","),
    meaning: {
      server: "accepted statuses of platforms; part of the policy id",
      ...{ aggregator: TCB_OF_SERVERS, client: TCB_OF_SERVERS, reader: TCB_OF_SERVERS },
    },
  }),
  tcbMinEvaluation: row({
    roles: ROLES,
    kind: integer(0, 2 ** 31),
    default: "0",
    meaning: "lowest evaluation number of Intel's data on platforms (TCB info, QE identity)",
  }),
  anchor: row({
    roles: ROLES,
    kind: text("FILE", "a file"),
    absent: "Intel's",
    meaning: "root certificate of a development network, DER or PEM",
  }),
  platform: row({
    roles: ["server", "client"],
    kind: text("FOLDER", "a folder"),
    default: "/run/zipnet-tsm",
    meaning: "where quotes come from: the mounted TSM item, or the simulated platform",
  }),
  collateral: row({
    roles: ["server", "client"],
    kind: sources,
    absent: "peers",
    meaning: "where Intel's data on platforms comes from: files and URLs, in order, before peers",
  }),
} as const;
