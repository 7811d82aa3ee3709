/**
 * Certificate chains as PEM text. A chain has one reading: lines of 64 base64 characters but for the
 * last, one kind of line end, nothing between certificates, and after the last one at most a line
 * end and one zero byte (quotes carry it). No byte of it can be changed to another without a
 * refusal here or later, though line ends could be rewritten as a whole: PEM text is not signed.
 */
import { type CertificateName, demand } from "./reasons.ts";

/** Bytes of a chain as PEM; real ones have 3.7 KB. */
export const MAX_CHAIN_BYTES = 16_384;
/** Certificates of a chain. */
export const MAX_CHAIN = 8;

const BEGIN = "-----BEGIN CERTIFICATE-----", END = "-----END CERTIFICATE-----";

/** The certificates of a chain, as DER. Refuses as `<name>-malformed`. */
export function parseChain(pem: Uint8Array, name: CertificateName | "anchor"): Uint8Array[] {
  const code = `${name}-malformed` as const;
  demand(pem.length <= MAX_CHAIN_BYTES, code, `a chain of ${pem.length} bytes`);
  const bare = pem.at(-1) === 0 ? pem.subarray(0, -1) : pem;
  const text = String.fromCharCode(...bare);
  const eol = text.includes("\r") ? "\r\n" : "\n";
  const lines = text.split(eol);
  if (lines.at(-1) === "") lines.pop();
  const found: Uint8Array[] = [];
  for (let at = 0; at < lines.length; at++) {
    demand(lines[at] === BEGIN, code, "no BEGIN CERTIFICATE where one was expected");
    const end = lines.indexOf(END, at);
    demand(end > at + 1, code, "a certificate without content or end");
    const body = lines.slice(at + 1, end);
    const even = body.every((line, i) => line.length === 64 || i === body.length - 1);
    const last = body.at(-1)!.length;
    demand(even && last >= 1 && last <= 64, code, "lines of other than 64 characters");
    const der = decodeBase64(body.join(""));
    demand(der !== undefined, code, "not canonical base64");
    found.push(der);
    demand(found.length <= MAX_CHAIN, code, `more than ${MAX_CHAIN} certificates`);
    at = end;
  }
  demand(found.length > 0, code, "no certificate");
  return found;
}

/** The bytes of base64 in its one form: padded, unused bits zero. */
function decodeBase64(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/=]+$/.test(text)) return undefined;
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return undefined;
  }
}

/** A chain as PEM text, each certificate with its line end. */
export function formatChain(certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => {
    const base64 = der.toBase64();
    return [BEGIN, ...base64.match(/.{1,64}/g) ?? [], END, ""].join("\n");
  }).join("");
}
