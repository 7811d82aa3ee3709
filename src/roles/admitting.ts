/** What a server's process admits clients by, from its options. */
import type { Attestation as Options } from "../ops/attestation.ts";
import type { RoleOptions } from "../ops/role_options.ts";
import type { Environment } from "../universe/environment.ts";
import type { Attestation as Terms } from "./attestation.ts";
import { Admissions, type AdmissionTerms } from "./admissions.ts";
import type { Records } from "./records.ts";

/** What it works with. */
export interface AdmittingOptions {
  readonly options: RoleOptions["server"];
  readonly environment: Environment;
  readonly instance: { readonly id: Uint8Array; readonly name: string };
  readonly attestation: Options;
  /** The records by which freshness is judged. */
  readonly records: Records;
  /** What tickets are judged by, where any are asked for. */
  readonly terms?: Terms;
}

/** How clients' evidence is judged; undefined where they have to show nothing but their key. */
export async function admissionsOf(p: AdmittingOptions): Promise<Admissions | undefined> {
  const { environment, records, instance, options: { admission: { jwt: key } } } = p;
  const { attestation: { clients: policy } } = p;
  const terms: AdmissionTerms = {
    ticket: policy && p.terms && { policy, collateral: p.terms.collateral },
    token: key === undefined ? undefined : await tokens(key, p),
  };
  if (!terms.ticket && !terms.token) return undefined;
  return new Admissions({ environment, records, instance: instance.id, terms });
}

/** The library for tokens is loaded where tokens are asked for. */
async function tokens(key: string, { instance }: AdmittingOptions) {
  const { jwtVerifier } = await import("../ops/jwt.ts");
  return await jwtVerifier({ key, instance: instance.name });
}
