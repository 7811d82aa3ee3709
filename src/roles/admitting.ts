/** What a server's process admits servers and clients by, from its options. */
import type { Attestation as Options } from "../ops/attestation.ts";
import { MARKS_NAME } from "../ops/collateral_keeper.ts";
import type { DataFolder } from "../ops/folder.ts";
import type { RoleOptions } from "../ops/role_options.ts";
import type { Store } from "../ops/store.ts";
import type { Signer } from "../protocol/keys.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network } from "../universe/network.ts";
import { Admissions, type AdmissionTerms } from "./admissions.ts";
import { type Attested, Gate } from "./admission.ts";
import type { Attestation as Terms } from "./attestation.ts";
import type { Places } from "./records.ts";
import { ServerTickets } from "./server_tickets.ts";

/** What it works with. */
export interface AdmittingOptions {
  readonly options: RoleOptions["server"];
  readonly environment: Environment;
  readonly network: Network;
  readonly signer: Signer;
  readonly instance: { readonly id: Uint8Array; readonly name: string };
  readonly attestation: Options;
  readonly attesting: (marks: Store) => Terms | undefined;
  readonly folder: Pick<DataFolder, "file">;
  /** The records by which freshness is judged. */
  readonly records: Places;
}

/** What is judged before anyone is let in; undefined where nothing has to be shown. */
export interface Admitting {
  /** Of servers. */
  readonly tickets?: ServerTickets;
  /** Of clients, beyond their keys. */
  readonly admissions?: Admissions;
}

/** What the options come to. */
export async function admittingOf(p: AdmittingOptions): Promise<Admitting> {
  const { network, environment, records, signer, instance: { id: instance, name }, options } = p;
  const { attestation: { clients: policy } } = p, { jwt: key } = options.admission;
  const attestation = p.attesting(p.folder.file(MARKS_NAME));
  const terms: AdmissionTerms = {
    ticket: policy && attestation && { policy, collateral: attestation.collateral },
    token: key === undefined ? undefined : await tokens(key, name),
  };
  const common = { network, environment, records, instance };
  return {
    tickets: attestation && new ServerTickets({ ...common, attestation, signer }),
    admissions: terms.ticket || terms.token ? new Admissions({ ...common, terms }) : undefined,
  };
}

/** The gate in front of what servers say to each other. */
export function gateOf(
  p: Pick<AdmittingOptions, "options" | "environment" | "network" | "instance"> & {
    readonly attested?: Attested;
  },
): Gate {
  const { network, environment, attested, instance: { id: instance } } = p;
  const { committeeSecrets: secrets } = p.options;
  return new Gate({ network, environment, instance, secrets, attested });
}

/** The library for tokens is loaded where tokens are asked for. */
async function tokens(key: string, instance: string) {
  const { jwtVerifier } = await import("../ops/jwt.ts");
  return await jwtVerifier({ key, instance });
}
