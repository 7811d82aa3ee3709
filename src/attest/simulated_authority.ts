/**
 * The simulated maker of platforms: a development root, the CA of its platforms and the signer of
 * its collateral. Names say that this is not Intel, and end as the verifier wants them to. Whoever
 * has these keys makes platforms at will: the root's key belongs to the one who runs the network.
 */
import {
  CA_USAGE,
  type CertificateFields,
  END_USAGE,
  issue,
  type SimulatedCertificate,
} from "./simulated_certificates.ts";
import { type Random, simulatedKey } from "./simulated_key.ts";

/** One day, ms. */
export const DAY_MS = 86_400_000;
/** How long development certificates hold. */
export const CERTIFICATE_DAYS = 365;

/** Root, CA of platforms, signer of TCB info and QE identity. */
export interface SimulatedAuthority {
  readonly root: SimulatedCertificate;
  readonly pckCa: SimulatedCertificate;
  readonly tcbSigner: SimulatedCertificate;
}

/** Parts of a certificate that all of them share: a new key, a serial number, a year from `now`. */
export function freshFields(
  random: Random,
  now: number,
): Pick<CertificateFields, "key" | "serial" | "from" | "until"> {
  const serial = random(20);
  serial[0] = 0x40 | (serial[0] & 0x3f);
  const from = Math.floor(now / 1000) * 1000;
  return { key: simulatedKey(random), serial, from, until: from + CERTIFICATE_DAYS * DAY_MS };
}

/** Changes to the certificates of an authority. */
export interface AuthorityChanges {
  readonly root?: Partial<CertificateFields>;
  readonly pckCa?: Partial<CertificateFields>;
  readonly tcbSigner?: Partial<CertificateFields>;
}

/** A new authority, valid from `now` (Unix ms) for a year. */
export function simulatedAuthority(
  random: Random,
  now: number,
  changes: AuthorityChanges = {},
): SimulatedAuthority {
  const root = issue({
    ...freshFields(random, now),
    commonName: "DEV-ONLY SGX Root CA",
    pathLength: 1,
    usage: CA_USAGE,
    ...changes.root,
  });
  const pckCa = issue({
    ...freshFields(random, now),
    commonName: "DEV-ONLY SGX PCK Platform CA",
    pathLength: 0,
    usage: CA_USAGE,
    ...changes.pckCa,
  }, root);
  const tcbSigner = issue({
    ...freshFields(random, now),
    commonName: "DEV-ONLY SGX TCB Signing",
    usage: END_USAGE,
    ...changes.tcbSigner,
  }, root);
  return { root, pckCa, tcbSigner };
}
