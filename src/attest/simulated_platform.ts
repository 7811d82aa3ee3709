/**
 * A simulated machine: its certificate with the SGX extension, its attestation key, and the QE
 * report that binds the one to the other. It has everything that real quotes show, and no hardware.
 */
import { createHash } from "node:crypto";
import { concat } from "../protocol/bytes.ts";
import { OID } from "./certificate.ts";
import * as write from "./der_writer.ts";
import { TAG } from "./der.ts";
import { type Platform, SGX } from "./platform.ts";
import { type QeReport, writeQeReport } from "./reports.ts";
import { freshFields, type SimulatedAuthority } from "./simulated_authority.ts";
import {
  type CertificateFields,
  END_USAGE,
  extension,
  issue,
  type SimulatedCertificate,
} from "./simulated_certificates.ts";
import { type Random, sign, type SimulatedKey, simulatedKey } from "./simulated_key.ts";

/** Family and security versions of simulated machines. */
export const SIMULATED_PLATFORM: Platform = {
  fmspc: "de0000000001",
  pceId: "0000",
  pceSvn: 13,
  components: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
};
/** Who signs the simulated quoting enclave, and which product and version it is. */
export const SIMULATED_QE = {
  mrSigner: new Uint8Array(32).fill(0xde),
  isvProdId: 2,
  isvSvn: 6,
} as const;

/** What a machine needs to make quotes. */
export interface QuotingPlatform {
  /** Certificates that its quotes carry: its own, the CA's, the root. */
  readonly chain: readonly Uint8Array[];
  readonly attestationKey: SimulatedKey;
  readonly qeReport: Uint8Array;
  readonly qeSignature: Uint8Array;
  readonly qeAuthData: Uint8Array;
}

/** A machine that makes quotes. */
export interface SimulatedPlatform extends QuotingPlatform {
  /** Its certificate. */
  readonly pck: SimulatedCertificate;
}

/** Changes to a machine. */
export interface PlatformChanges {
  readonly platform?: Partial<Platform>;
  readonly pck?: Partial<CertificateFields>;
  /** Who issues its certificate, if not the CA of the authority. */
  readonly issuer?: SimulatedCertificate;
  readonly chain?: (pck: SimulatedCertificate) => readonly Uint8Array[];
  readonly qeReport?: Partial<QeReport>;
}

/** A new machine of an authority, its certificate valid from `now` (Unix ms) for a year. */
export function simulatedPlatform(
  authority: SimulatedAuthority,
  random: Random,
  now: number,
  changes: PlatformChanges = {},
): SimulatedPlatform {
  const ppid = random(16);
  const pck = issue({
    ...freshFields(random, now),
    commonName: "DEV-ONLY SGX PCK Certificate",
    usage: END_USAGE,
    more: [platformExtension({ ...SIMULATED_PLATFORM, ...changes.platform }, ppid)],
    ...changes.pck,
  }, changes.issuer ?? authority.pckCa);
  const attestationKey = simulatedKey(random), qeAuthData = random(32);
  const bound = createHash("sha256").update(attestationKey.xy).update(qeAuthData).digest();
  const qeReport = writeQeReport({
    ...simulatedQeReport(),
    reportData: concat(bound, new Uint8Array(32)),
    ...changes.qeReport,
  });
  return {
    ...{ pck, attestationKey, qeReport, qeAuthData },
    chain: changes.chain?.(pck) ?? [pck.der, authority.pckCa.der, authority.root.der],
    qeSignature: sign(pck.key, qeReport),
  };
}

/** Two bytes, little-endian. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8);
}

function simulatedQeReport(): QeReport {
  return {
    cpuSvn: Uint8Array.from(SIMULATED_PLATFORM.components),
    miscSelect: new Uint8Array(4),
    reserved1: new Uint8Array(28),
    attributes: Uint8Array.fromHex("15000000000000000700000000000000"),
    mrEnclave: new Uint8Array(32).fill(0xed),
    reserved2: new Uint8Array(32),
    mrSigner: SIMULATED_QE.mrSigner,
    reserved3: new Uint8Array(96),
    isvProdId: u16(SIMULATED_QE.isvProdId),
    isvSvn: u16(SIMULATED_QE.isvSvn),
    reserved4: new Uint8Array(60),
    reportData: new Uint8Array(64),
  };
}

/** The SGX extension of a platform's certificate. */
export function platformExtension(platform: Platform, ppid: Uint8Array): Uint8Array {
  const pair = (oid: string, value: Uint8Array) => write.sequence(write.oid(oid), value);
  const { components, pceSvn, pceId, fmspc } = platform;
  const value = write.sequence(
    pair(SGX.ppid, write.octets(ppid)),
    pair(
      SGX.tcb,
      write.sequence(
        ...components.map((svn, i) => pair(`${SGX.tcb}.${i + 1}`, write.integer(svn))),
        pair(SGX.pceSvn, write.integer(pceSvn)),
        pair(SGX.cpuSvn, write.octets(Uint8Array.from(components))),
      ),
    ),
    pair(SGX.pceId, write.octets(Uint8Array.fromHex(pceId))),
    pair(SGX.fmspc, write.octets(Uint8Array.fromHex(fmspc))),
    pair(SGX.type, write.integer(1, TAG.enumerated)),
  );
  return extension(OID.sgx, false, value);
}
