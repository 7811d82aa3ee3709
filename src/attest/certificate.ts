/**
 * X.509 certificates as Intel's provisioning PKI makes them: version 3, ECDSA P-256 with SHA-256,
 * issuer and subject with one common name each, basic constraints and key usage always there.
 * Extensions that are critical and not understood are refused; others are skipped.
 */
import { hex } from "../protocol/bytes.ts";
import { DerReader, TAG } from "./der.ts";
import { readSignature, type VerifyingKey, verifyingKey } from "./ecdsa.ts";
import { type CertificateName, demand, type ReasonCode } from "./reasons.ts";

/** Bytes of a certificate; a platform's has 1.3 KB. */
export const MAX_CERTIFICATE_BYTES = 8_192;
/** Bytes of a serial number (RFC 5280). */
const MAX_SERIAL_BYTES = 20;
/** Extensions of a certificate or list. */
const MAX_EXTENSIONS = 16;

/** Identifiers of algorithms, name parts and extensions. */
export const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecPublicKey: "1.2.840.10045.2.1",
  p256: "1.2.840.10045.3.1.7",
  commonName: "2.5.4.3",
  subjectKey: "2.5.29.14",
  keyUsage: "2.5.29.15",
  basicConstraints: "2.5.29.19",
  crlNumber: "2.5.29.20",
  reasonCode: "2.5.29.21",
  authorityKey: "2.5.29.35",
  sgx: "1.2.840.113741.1.13.1",
} as const;

/** Bits of key usage. */
export const USAGE = { digitalSignature: 0x80, certificateSign: 0x04, listSign: 0x02 } as const;

/** A certificate as it was read; nothing of it is verified. */
export interface Certificate {
  readonly der: Uint8Array;
  /** What the signature is over. */
  readonly signed: Uint8Array;
  /** r ‖ s. */
  readonly signature: Uint8Array;
  /** Serial number in hex, without leading zero bytes. */
  readonly serial: string;
  /** Names as DER: they are equal if their bytes are. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly commonName: string;
  /** Validity, Unix ms, both ends included. */
  readonly from: number;
  readonly until: number;
  /** x ‖ y, and the same as a key that verifies. */
  readonly xy: Uint8Array;
  readonly key: VerifyingKey;
  readonly isCa: boolean;
  /** CA certificates that may follow below; undefined: any number. */
  readonly pathLength?: number;
  /** Bits of `USAGE`. */
  readonly usage: number;
  /** Content of the SGX extension. */
  readonly sgx?: Uint8Array;
}

/** One extension. */
export interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Reads one certificate. Refuses as `<name>-malformed`, or `<name>-profile` where it is another kind. */
export async function parseCertificate(
  der: Uint8Array,
  name: CertificateName | "anchor",
): Promise<Certificate> {
  const read = readCertificate(der, name);
  return { ...read, key: await verifyingKey(read.xy) };
}

/** As `parseCertificate`, for those who will verify nothing with its key. */
export function readCertificate(
  der: Uint8Array,
  name: CertificateName | "anchor",
): Omit<Certificate, "key"> {
  const code: ReasonCode = `${name}-malformed`, profile: ReasonCode = `${name}-profile`;
  demand(der.length <= MAX_CERTIFICATE_BYTES, code, `a certificate of ${der.length} bytes`);
  const { signed, signature, body } = readSigned(der, code, profile);
  const version = body.next(TAG.explicit0) ? body.inside(TAG.explicit0) : undefined;
  demand(version !== undefined && version.integer(255) === 2, profile, "not of version 3");
  version.end();
  const serial = hex(body.unsigned(MAX_SERIAL_BYTES));
  demand(readAlgorithm(body) === OID.ecdsaWithSha256, profile, "not ECDSA with SHA-256");
  const issuer = body.element(TAG.sequence).whole;
  const validity = body.inside();
  const from = validity.time(), until = validity.time();
  validity.end();
  const subject = body.element(TAG.sequence).whole;
  const xy = readKey(body, profile);
  const given = body.next(TAG.explicit3) ? body.inside(TAG.explicit3) : undefined;
  demand(given !== undefined, profile, "no extensions");
  const extensions = readExtensions(given, profile, KNOWN);
  given.end();
  body.end();
  commonName(issuer, code);
  return {
    ...{ der, signed, signature, serial, issuer, subject, from, until, xy },
    commonName: commonName(subject, code),
    ...readConstraints(extensions, code, profile),
    usage: readUsage(extensions, code, profile),
    sgx: extensions.get(OID.sgx)?.value,
  };
}

/** Extensions that a certificate may mark as critical. */
const KNOWN: readonly string[] = [OID.basicConstraints, OID.keyUsage];

/** The three parts of a certificate or list: what is signed, ECDSA with SHA-256, the signature. */
export function readSigned(
  der: Uint8Array,
  code: ReasonCode,
  profile: ReasonCode,
): { signed: Uint8Array; signature: Uint8Array; body: DerReader } {
  const outer = new DerReader(der, code);
  const parts = outer.inside();
  outer.end();
  const body = parts.element(TAG.sequence);
  demand(readAlgorithm(parts) === OID.ecdsaWithSha256, profile, "not ECDSA with SHA-256");
  const signature = readSignature(parts.wholeBits(), code);
  parts.end();
  return { signed: body.whole, signature, body: new DerReader(body.content, code) };
}

/** An algorithm without parameters. */
export function readAlgorithm(reader: DerReader): string {
  const parts = reader.inside();
  const oid = parts.oid();
  parts.end();
  return oid;
}

/** x ‖ y of an uncompressed P-256 key. */
function readKey(body: DerReader, profile: ReasonCode): Uint8Array {
  const parts = body.inside(), algorithm = parts.inside();
  const kind = algorithm.oid();
  demand(kind === OID.ecPublicKey, profile, `a key of kind ${kind}`);
  const curve = algorithm.oid();
  demand(curve === OID.p256, profile, `a key on curve ${curve}`);
  algorithm.end();
  const point = parts.wholeBits();
  parts.end();
  demand(point.length === 65 && point[0] === 4, profile, "a key that is not uncompressed");
  return point.subarray(1);
}

/** Extensions by identifier. Each stands once; a critical one is one of `known`. */
export function readExtensions(
  outer: DerReader,
  profile: ReasonCode,
  known: readonly string[],
): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>(), list = outer.inside();
  while (!list.done) {
    const parts = list.inside();
    const oid = parts.oid();
    const critical = parts.flag();
    const value = parts.element(TAG.octets).content;
    parts.end();
    demand(!critical || known.includes(oid), profile, `critical extension ${oid} is not known`);
    if (found.has(oid)) list.fail(`extension ${oid} stands twice`);
    found.set(oid, { critical, value });
    if (found.size > MAX_EXTENSIONS) list.fail(`more than ${MAX_EXTENSIONS} extensions`);
  }
  if (found.size === 0) list.fail("an empty list of extensions");
  return found;
}

function readConstraints(
  extensions: ReadonlyMap<string, Extension>,
  code: ReasonCode,
  profile: ReasonCode,
): { isCa: boolean; pathLength?: number } {
  const extension = extensions.get(OID.basicConstraints);
  demand(extension?.critical === true, profile, "no critical basic constraints");
  const outer = new DerReader(extension.value, code), parts = outer.inside();
  outer.end();
  const isCa = parts.flag();
  const pathLength = parts.next(TAG.integer) ? parts.integer(255) : undefined;
  parts.end();
  demand(isCa || pathLength === undefined, profile, "a path length without a CA");
  return { isCa, pathLength };
}

function readUsage(
  extensions: ReadonlyMap<string, Extension>,
  code: ReasonCode,
  profile: ReasonCode,
): number {
  const extension = extensions.get(OID.keyUsage);
  demand(extension?.critical === true, profile, "no critical key usage");
  const outer = new DerReader(extension.value, code), usage = outer.namedBits();
  outer.end();
  return usage;
}

/** The one common name of a name: printable ASCII. */
function commonName(name: Uint8Array, code: ReasonCode): string {
  const parts = new DerReader(name, code).inside();
  let found: string | undefined;
  while (!parts.done) {
    const set = parts.inside(TAG.set), pair = set.inside();
    set.end();
    const oid = pair.oid(), { tag, content } = pair.element();
    pair.end();
    if (oid !== OID.commonName) continue;
    if (found !== undefined) parts.fail("two common names");
    if (tag !== TAG.utf8 && tag !== TAG.printable) parts.fail("a common name of another type");
    found = String.fromCharCode(...content.subarray(0, 256));
    if (!/^[ -~]{1,64}$/.test(found)) {
      parts.fail("a common name that is not 1..64 ASCII characters");
    }
  }
  return found ?? parts.fail("a name without a common name");
}
