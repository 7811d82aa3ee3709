/**
 * From options to what a role judges quotes by: the trust anchor, the rules, and the two ids that
 * an instance's parameters hold. Here a production process refuses a development root, and a
 * development one Intel's, so that the two worlds cannot be mixed by a wrong file.
 */
import { intelAnchor, type TrustAnchor, trustAnchor } from "../attest/anchor.ts";
import { MAX_CHAIN_BYTES, parseChain } from "../attest/pem.ts";
import {
  type Allowed,
  createPolicy,
  type Policy,
  policyId,
  policyWarnings,
} from "../attest/policy.ts";
import { AttestationError, demand } from "../attest/reasons.ts";
import { hex, ZERO32 } from "../protocol/bytes.ts";
import type { Parameters } from "../protocol/parameters.ts";
import type { Role } from "../universe/network.ts";
import type { AttestationOptions } from "./attestation_options.ts";
import { both, OptionError } from "./options.ts";
import type { RoleOptions } from "./role_options.ts";

/** What a role shows of its machine, and judges others by. */
export interface Attestation {
  /** The root that quotes are judged under; undefined at a server where nothing is attested. */
  readonly anchor?: TrustAnchor;
  /** Rules for quotes of the committee's servers; undefined with `anchor`. */
  readonly servers?: Policy;
  /**
   * Whether servers must show quotes in any case, since measurements were named. Else they must
   * where the parameters of their instance name an anchor.
   */
  readonly required: boolean;
  /** Rules for quotes of clients; of a server whose admission asks for them. */
  readonly clients?: Policy;
  /** What a server's options add to the parameters of its instance. */
  readonly parameters?: Pick<Parameters, "anchor" | "policy">;
  /** What to say at every start, a line each. */
  readonly warnings: readonly string[];
}

/** Name of the root certificate in the folder of a simulated platform. */
const ROOT_FILE = "root.der";

/**
 * What the options of a role come to; `readFile` reads the root certificate that they name. Rejects
 * with an `OptionError` where that is not to be had, or not of the world that the process is of.
 */
export async function attestationOf(
  options: RoleOptions[Role],
  readFile: (path: string) => Uint8Array,
): Promise<Attestation> {
  const { role, attestation } = options, { evidence, statuses, minimumEvaluation } = attestation;
  const rules = (allowed: Allowed) => createPolicy({ statuses, minimumEvaluation, allowed });
  const attested = role !== "server" || evidence !== "none";
  const anchor = attested ? await anchorOf(attestation, readFile) : undefined;
  const servers = attested ? rules(attestation.servers) : undefined;
  const asksClients = role === "server" && options.admission.attested;
  const clients = asksClients ? rules(attestation.clients) : undefined;
  const required = Object.keys(attestation.servers).length > 0;
  const judges = role === "server" ? attested : required;
  return {
    ...{ anchor, servers, required, clients },
    parameters: role === "server"
      ? { anchor: anchor?.fingerprint ?? ZERO32, policy: idOf(options, servers, clients) }
      : undefined,
    warnings: [
      ...evidence === "none" ? [NONE[role === "server" ? "server" : "client"]] : [],
      ...anchor?.simulated ? [SIMULATED] : [],
      ...judges && servers ? policyWarnings(servers).map((it) => `servers: ${it}`) : [],
      ...clients ? policyWarnings(clients).map((it) => `clients: ${it}`) : [],
    ],
  };
}

const NONE = {
  server: "no server shows a quote, so nobody can tell what they run: for private networks only",
  client: "it shows no quote: where admission asks for one, it is refused",
};
const SIMULATED = "the trust anchor is a development root: what it vouches for is no hardware";

function idOf({ admission }: RoleOptions["server"], servers?: Policy, clients?: Policy) {
  const { list, jwt, attested } = admission;
  const terms = { list: list !== undefined, jwt: jwt !== undefined, attested };
  return policyId(servers, clients, terms);
}

/** The root of the world that the process is of. */
async function anchorOf(
  { evidence, anchor: file, platform }: AttestationOptions,
  readFile: (path: string) => Uint8Array,
): Promise<TrustAnchor> {
  const named = `the file named by ${both("anchor")}`;
  const where = file === undefined
    ? `${ROOT_FILE} in the folder named by ${both("platform")}`
    : named;
  const path = file ?? (evidence === "simulated" ? `${platform}/${ROOT_FILE}` : undefined);
  if (path === undefined) return await intelAnchor();
  const anchor = await readAnchor(() => readFile(path), path, where, file === undefined);
  if (evidence === "tdx" && anchor.simulated) {
    refuse(
      `${both("attestation")} is tdx, yet ${where} holds a development root ` +
        `(${hex(anchor.fingerprint)}): a process that shows quotes of TDX believes Intel's root ` +
        "alone; leave the file out, or show simulated quotes",
    );
  }
  if (evidence === "simulated" && !anchor.simulated) {
    refuse(
      `${both("attestation")} is simulated, yet ${where} holds Intel's root: simulated quotes ` +
        `stand below a development root; name that in ${both("anchor")}, or show quotes of tdx`,
    );
  }
  return anchor;
}

async function readAnchor(
  read: () => Uint8Array,
  path: string,
  where: string,
  isDefault: boolean,
): Promise<TrustAnchor> {
  let bytes: Uint8Array;
  try {
    bytes = read();
  } catch (error) {
    const reason = error instanceof Error ? error.name : "unknown error";
    const advice = reason === "NotCapable"
      ? `run with --allow-read=${folderOf(path)} (beside -P it replaces the set's own folders)`
      : isDefault
      ? `simulated quotes need a simulated platform: name its folder in ${both("platform")}, or ` +
        `the development root in ${both("anchor")}`
      : "expected the path of a root certificate that this process can read";
    return refuse(`${where} cannot be read (${reason}): ${advice}`);
  }
  try {
    return await trustAnchor(derOf(bytes));
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    return refuse(`${where} is no root certificate, DER or PEM (${error.message}): name another`);
  }
}

/** The one certificate of a file in either form. */
function derOf(bytes: Uint8Array): Uint8Array {
  const size = `${bytes.length} bytes, at most ${MAX_CHAIN_BYTES}`;
  demand(bytes.length <= MAX_CHAIN_BYTES, "anchor-malformed", size);
  if (bytes[0] !== "-".charCodeAt(0)) return bytes;
  const chain = parseChain(bytes, "anchor");
  demand(chain.length === 1, "anchor-malformed", `${chain.length} certificates`);
  return chain[0];
}

/** What has to be granted for a file: its folder, or the file where it stands in none. */
function folderOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end > 0 ? path.slice(0, end) : path;
}

function refuse(message: string): never {
  throw new OptionError(message);
}
