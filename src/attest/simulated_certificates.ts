/**
 * Certificates and revocation lists of the simulated platform, in Intel's profile. Everything that
 * a verifier looks at can be set, so that tests make each wrong one by its name.
 */
import { hash } from "node:crypto";
import { concat } from "../protocol/bytes.ts";
import { OID, USAGE } from "./certificate.ts";
import { TAG } from "./der.ts";
import * as write from "./der_writer.ts";
import { sign, type SimulatedKey } from "./simulated_key.ts";

/** Usage bits of a CA and of an end certificate. */
export const CA_USAGE: number = USAGE.certificateSign | USAGE.listSign;
export const END_USAGE: number = USAGE.digitalSignature;

/** What a certificate says. */
export interface CertificateFields {
  readonly commonName: string;
  readonly key: SimulatedKey;
  /** Serial number, big-endian, at most 20 bytes, first bit clear. */
  readonly serial: Uint8Array;
  /** Validity, Unix ms. */
  readonly from: number;
  readonly until: number;
  /** Path length of a CA; left out: no CA. */
  readonly pathLength?: number;
  readonly usage: number;
  /** Extensions beside the usual ones, as DER. */
  readonly more?: readonly Uint8Array[];
}

/** A certificate with its key. */
export interface SimulatedCertificate extends CertificateFields {
  readonly der: Uint8Array;
}

/** A name that says what it is. */
export function simulatedName(commonName: string): Uint8Array {
  const part = (oid: string, tag: number, text: string) =>
    write.der(
      TAG.set,
      write.sequence(write.oid(oid), write.der(tag, new TextEncoder().encode(text))),
    );
  return write.sequence(
    part(OID.commonName, TAG.utf8, commonName),
    part("2.5.4.10", TAG.utf8, "zipnet simulation, not Intel"),
    part("2.5.4.6", TAG.printable, "ZZ"),
  );
}

/** One extension. */
export function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? [write.boolean(true)] : [];
  return write.sequence(write.oid(oid), ...flag, write.octets(value));
}

const algorithm = () => write.sequence(write.oid(OID.ecdsaWithSha256));

/** What is signed, the algorithm, the signature. */
function signed(body: Uint8Array, key: SimulatedKey): Uint8Array {
  const raw = sign(key, body);
  const pair = write.sequence(
    write.integer(raw.subarray(0, 32)),
    write.integer(raw.subarray(32)),
  );
  return write.sequence(body, algorithm(), write.wholeBits(pair));
}

/** A key's identifier, 20 bytes. */
function keyId(key: SimulatedKey): Uint8Array {
  return new Uint8Array(hash("sha256", key.xy, "buffer")).subarray(0, 20);
}

const authorityKey = (key: SimulatedKey) =>
  extension(OID.authorityKey, false, write.sequence(write.der(0x80, keyId(key))));

/** Issues a certificate; without an issuer it signs itself. */
export function issue(
  fields: CertificateFields,
  issuer: CertificateFields = fields,
): SimulatedCertificate {
  const { key, pathLength } = fields;
  const constraints = pathLength === undefined
    ? write.sequence()
    : write.sequence(write.boolean(true), write.integer(pathLength));
  const body = write.sequence(
    write.der(TAG.explicit0, write.integer(2)),
    write.integer(fields.serial),
    algorithm(),
    simulatedName(issuer.commonName),
    write.sequence(write.time(fields.from), write.time(fields.until)),
    simulatedName(fields.commonName),
    write.sequence(
      write.sequence(write.oid(OID.ecPublicKey), write.oid(OID.p256)),
      write.wholeBits(concat(Uint8Array.of(4), key.xy)),
    ),
    write.der(
      TAG.explicit3,
      write.sequence(
        authorityKey(issuer.key),
        extension(OID.subjectKey, false, write.octets(keyId(key))),
        extension(OID.keyUsage, true, write.namedBits(fields.usage)),
        extension(OID.basicConstraints, true, constraints),
        ...fields.more ?? [],
      ),
    ),
  );
  return { ...fields, der: signed(body, issuer.key) };
}

/** What a revocation list says. */
export interface ListFields {
  /** Unix ms. */
  readonly from: number;
  readonly until: number;
  readonly number: number;
  /** Serial numbers. */
  readonly revoked: readonly Uint8Array[];
  /** Extensions beside the usual ones, as DER. */
  readonly more?: readonly Uint8Array[];
}

/** A revocation list of a CA. */
export function issueList(fields: ListFields, ca: CertificateFields): Uint8Array {
  const keyCompromise = extension(OID.reasonCode, false, write.integer(1, TAG.enumerated));
  const entries = fields.revoked.map((serial) =>
    write.sequence(
      write.integer(serial),
      write.time(fields.from),
      write.sequence(keyCompromise),
    )
  );
  const body = write.sequence(
    write.integer(1),
    algorithm(),
    simulatedName(ca.commonName),
    write.time(fields.from),
    write.time(fields.until),
    ...entries.length > 0 ? [write.sequence(...entries)] : [],
    write.der(
      TAG.explicit0,
      write.sequence(
        extension(OID.crlNumber, false, write.integer(fields.number)),
        authorityKey(ca.key),
        ...fields.more ?? [],
      ),
    ),
  );
  return signed(body, ca.key);
}
