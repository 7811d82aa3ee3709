/**
 * Revocation lists (CRL version 2, RFC 5280) as Intel's CAs sign them: whole lists of their own
 * certificates. A critical extension is refused, so that a delta, or a list for some certificates
 * only, is never taken for the whole. An entry counts whatever its date and reason.
 */
import { equal, hex } from "../protocol/bytes.ts";
import { type Certificate, OID, readAlgorithm, readExtensions, readSigned } from "./certificate.ts";
import { DerReader, TAG } from "./der.ts";
import { verifies } from "./ecdsa.ts";
import { demand, type ListName } from "./reasons.ts";

/** Bytes of a list: about 28,000 entries; real ones have 44 to 80. */
export const MAX_LIST_BYTES = 1_048_576;
/** An integer that names the list; grows with each one. */
const MAX_NUMBER_BYTES = 20;

/** A list. */
export interface RevocationList {
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** Name of the CA, as DER. */
  readonly issuer: Uint8Array;
  /** thisUpdate and nextUpdate, Unix ms, both included. */
  readonly from: number;
  readonly until: number;
  /** CRL number in hex, without leading zero bytes. */
  readonly number: string;
  /** Serial numbers in hex, without leading zero bytes. */
  readonly revoked: ReadonlySet<string>;
}

/** Reads a list. Refuses as `<name>-malformed`. */
export function parseRevocationList(der: Uint8Array, name: ListName): RevocationList {
  const code = `${name}-malformed` as const;
  demand(der.length <= MAX_LIST_BYTES, code, `a list of ${der.length} bytes`);
  const { signed, signature, body } = readSigned(der, code, code);
  demand(body.integer(255) === 1, code, "not of version 2");
  demand(readAlgorithm(body) === OID.ecdsaWithSha256, code, "not ECDSA with SHA-256");
  const issuer = body.element(TAG.sequence).whole;
  const from = body.time(), until = body.time();
  const revoked = new Set<string>();
  if (body.next(TAG.sequence)) {
    const entries = body.inside();
    if (entries.done) entries.fail("an empty list of entries");
    while (!entries.done) {
      const entry = entries.inside();
      revoked.add(hex(entry.unsigned(20)));
      entry.time();
      if (!entry.done) readExtensions(entry, code, []);
      entry.end();
    }
  }
  const given = body.inside(TAG.explicit0);
  const number = readExtensions(given, code, []).get(OID.crlNumber);
  given.end();
  body.end();
  demand(number !== undefined, code, "no CRL number");
  return {
    signed,
    signature,
    issuer,
    from,
    until,
    number: readNumber(number.value, code),
    revoked,
  };
}

function readNumber(value: Uint8Array, code: `${ListName}-malformed`): string {
  const reader = new DerReader(value, code);
  const number = hex(reader.unsigned(MAX_NUMBER_BYTES));
  reader.end();
  return number;
}

/** Refuses a list that is not this CA's, or not signed by it. Dates are the caller's to judge. */
export async function verifyRevocationList(
  list: RevocationList,
  ca: Certificate,
  name: ListName,
): Promise<void> {
  demand(equal(list.issuer, ca.subject), `${name}-issuer`, `expected one of ${ca.commonName}`);
  demand(await verifies(ca.key, list.signature, list.signed), `${name}-signature`);
}
