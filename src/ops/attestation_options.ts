/** What a process shows of its machine and asks of others', from its options; no file is read yet. */
import type { AcceptableStatus, Allowed } from "../attest/policy.ts";
import type { Role } from "../universe/network.ts";
import { type Evidence, SERVER_EVIDENCE } from "./attestation_rows.ts";
import type { Parser } from "./role_options.ts";
import type { OptionName, Values } from "./table.ts";

/** Options of attestation. */
export interface AttestationOptions {
  /** What it shows. A server always has it; a client without it shows what it is asked for. */
  readonly evidence?: Evidence;
  /** Measurements that the committee's servers must show; empty: none were named. */
  readonly servers: Allowed;
  /** Measurements that clients must show; a server's alone. */
  readonly clients: Allowed;
  readonly statuses: readonly AcceptableStatus[];
  /** Lowest evaluation number of collateral. */
  readonly minimumEvaluation: number;
  /** File of a root other than Intel's. */
  readonly anchor?: string;
  /** Folder that quotes come from; of a server or client. */
  readonly platform?: string;
  /** Files and URLs of collateral, in order. */
  readonly collateral: readonly string[];
}

/** What a server asks of the others only if it shows something itself. */
const NEED_EVIDENCE: readonly OptionName[] = [
  ...["mrtd", "rtmr0", "rtmr1", "rtmr2", "tcb", "tcbMinEvaluation", "anchor"] as const,
];

/** The options of attestation of a role. Refuses what contradicts another option. */
export function attestation(
  role: Role,
  values: Values,
  given: ReadonlySet<OptionName>,
  { refuse, both }: Parser,
): AttestationOptions {
  const evidence = values.attestation ??
    (role === "server" ? SERVER_EVIDENCE[values.preset!] : undefined);
  if (role === "server" && evidence === "none") {
    const stray = NEED_EVIDENCE.find((name) => given.has(name));
    const shows = `${both("attestation")} to be tdx or simulated`;
    if (stray) refuse(`${both(stray)} needs ${shows}: set it, or leave both out`);
    if (values.admission?.includes("attested")) {
      refuse(`${both("admission")} has attested, which needs ${shows}: who asks shows too`);
    }
  }
  const { mrtd, rtmr0, rtmr1, rtmr2, clientMrtd, clientRtmr0, clientRtmr1, clientRtmr2 } = values;
  return {
    evidence,
    servers: named(mrtd, rtmr0, rtmr1, rtmr2),
    clients: named(clientMrtd, clientRtmr0, clientRtmr1, clientRtmr2),
    statuses: values.tcb!,
    minimumEvaluation: values.tcbMinEvaluation!,
    anchor: values.anchor,
    platform: values.platform,
    collateral: values.collateral ?? [],
  };
}

/** Those that were given. */
function named(...values: readonly (readonly Uint8Array[] | undefined)[]): Allowed {
  const names = ["mrTd", "rtmr0", "rtmr1", "rtmr2"] as const;
  return Object.fromEntries(names.flatMap((name, i) => values[i] ? [[name, values[i]]] : []));
}
