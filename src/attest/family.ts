/**
 * Families of platforms: what collateral is asked for and kept by. A family is named by its FMSPC
 * and by which of the two CAs certifies its machines; it does not name a machine.
 */
import { type Certificate, readCertificate } from "./certificate.ts";
import { parseChain } from "./pem.ts";
import { parsePlatform } from "./platform.ts";
import { parseQuote, type Quote } from "./quote.ts";
import { AttestationError, demand } from "./reasons.ts";

/** CAs of platforms, by the ends of their common names. */
const ENDS = { platform: "SGX PCK Platform CA", processor: "SGX PCK Processor CA" } as const;

/** Which CA certifies a machine. */
export type PckCaKind = keyof typeof ENDS;
/** Both. */
export const PCK_CA_KINDS: readonly PckCaKind[] = ["platform", "processor"];

/** A family of platforms. */
export interface Family {
  /** 12 lower-case hex digits. */
  readonly fmspc: string;
  readonly ca: PckCaKind;
}

/** A family as text, for keys and logs: `b0c06f000000/platform`. */
export function familyName({ fmspc, ca }: Family): string {
  return `${fmspc}/${ca}`;
}

/** Which CA a certificate is, by its name. Refuses any other as `pck-ca-profile`. */
export function pckCaKind({ commonName }: Pick<Certificate, "commonName">): PckCaKind {
  const kind = PCK_CA_KINDS.find((kind) => commonName.endsWith(ENDS[kind]));
  if (kind === undefined) throw new AttestationError("pck-ca-profile", `it is "${commonName}"`);
  return kind;
}

/**
 * The family that a quote says it is of. Nothing is verified, and a third of a millisecond spent:
 * whoever made the quote may have lied, and is refused when the quote is judged by the collateral
 * of that family. Refuses as the parsers do.
 */
export function familyOf(quote: Uint8Array | Quote): Family {
  const { chain } = quote instanceof Uint8Array ? parseQuote(quote) : quote;
  const certificates = parseChain(chain, "pck");
  demand(certificates.length === 3, "pck-chain", `${certificates.length}, expected 3`);
  const { fmspc } = parsePlatform(readCertificate(certificates[0], "pck").sgx);
  return { fmspc, ca: pckCaKind(readCertificate(certificates[1], "pck-ca")) };
}
