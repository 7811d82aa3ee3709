/**
 * Collateral as Intel's Provisioning Certification Service (PCS, API version 4) and its mirrors in
 * data centres (PCCS) hand it out: what to ask for, and how the answers become collateral. Nothing
 * is verified here; whoever takes collateral from a network verifies it.
 *
 * | part        | path under the base URL                                 | header with the chain              |
 * | ----------- | ------------------------------------------------------- | ---------------------------------- |
 * | TCB info    | `/tdx/certification/v4/tcb?fmspc=…`                     | `TCB-Info-Issuer-Chain`            |
 * | QE identity | `/tdx/certification/v4/qe/identity`                     | `SGX-Enclave-Identity-Issuer-Chain` |
 * | PCK CRL     | `/sgx/certification/v4/pckcrl?ca=platform&encoding=der` | `SGX-PCK-CRL-Issuer-Chain`         |
 * | root CRL    | `/sgx/certification/v4/rootcacrl`; Intel: another URL   |                                    |
 */
import type { Collateral } from "./collateral.ts";
import { MAX_DOCUMENT_BYTES } from "./document.ts";
import type { Family } from "./family.ts";
import { MAX_CHAIN_BYTES } from "./pem.ts";
import { AttestationError, demand } from "./reasons.ts";
import { MAX_LIST_BYTES } from "./revocations.ts";

/** Where Intel's own service is. */
export const INTEL_PCS = "https://api.trustedservices.intel.com";
/** Where Intel's root says that its revocation list is (the CRL distribution point in it). */
export const INTEL_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

/** What is asked for. */
export const PCS_PARTS = ["tcbInfo", "qeIdentity", "pckCrl", "rootCrl"] as const;
/** One of them. */
export type PcsPart = (typeof PCS_PARTS)[number];

/** What stands around a signed document. */
const SIGNATURE_DIGITS = 128;
const OPEN = { tcbInfo: '{"tcbInfo":', qeIdentity: '{"enclaveIdentity":' } as const;
const BETWEEN = ',"signature":"', CLOSE = '"}';
const TAIL_BYTES = BETWEEN.length + SIGNATURE_DIGITS + CLOSE.length;

/** Bytes of an answer's body, at most. */
export const MAX_PCS_BYTES: Readonly<Record<PcsPart, number>> = {
  tcbInfo: MAX_DOCUMENT_BYTES + OPEN.tcbInfo.length + TAIL_BYTES,
  qeIdentity: MAX_DOCUMENT_BYTES + OPEN.qeIdentity.length + TAIL_BYTES,
  pckCrl: 2 * MAX_LIST_BYTES,
  rootCrl: 2 * MAX_LIST_BYTES,
};

/** Headers with a chain, in lower case. Version 3 of the API spelled the first one otherwise. */
const CHAIN_HEADERS: Readonly<Record<Exclude<PcsPart, "rootCrl">, readonly string[]>> = {
  tcbInfo: ["tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"],
  qeIdentity: ["sgx-enclave-identity-issuer-chain"],
  pckCrl: ["sgx-pck-crl-issuer-chain"],
};

/** An answer with status 200. */
export interface PcsAnswer {
  readonly body: Uint8Array;
  /** Names in either case, as `Headers` and others give them. */
  readonly headers: Iterable<readonly [string, string]>;
}

/** The URLs to ask under a base URL such as `https://localhost:8081`. */
export function pcsUrls(base: URL, { fmspc, ca }: Family): Readonly<Record<PcsPart, URL>> {
  const at = (path: string) => {
    const url = new URL(base);
    const [pathname, search = ""] = path.split("?");
    url.pathname = url.pathname.replace(/\/+$/, "") + pathname;
    url.search = search;
    url.hash = "";
    return url;
  };
  const isIntel = base.origin === INTEL_PCS;
  return {
    tcbInfo: at(`/tdx/certification/v4/tcb?fmspc=${fmspc}`),
    qeIdentity: at("/tdx/certification/v4/qe/identity"),
    pckCrl: at(`/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`),
    rootCrl: isIntel ? new URL(INTEL_ROOT_CRL) : at("/sgx/certification/v4/rootcacrl"),
  };
}

/** Collateral of the four answers. Refuses as `pcs-malformed`. */
export function assemble(answers: Readonly<Record<PcsPart, PcsAnswer>>): Collateral {
  for (const part of PCS_PARTS) {
    const { length } = answers[part].body, most = MAX_PCS_BYTES[part];
    demand(length <= most, "pcs-malformed", `${part} of ${length} bytes, expected ${most} at most`);
  }
  const tcb = readSigned("tcbInfo", answers.tcbInfo.body);
  const qe = readSigned("qeIdentity", answers.qeIdentity.body);
  return {
    rootCrl: readList("rootCrl", answers.rootCrl.body),
    pckCrlChain: readChain("pckCrl", answers.pckCrl.headers),
    pckCrl: readList("pckCrl", answers.pckCrl.body),
    tcbInfoChain: readChain("tcbInfo", answers.tcbInfo.headers),
    ...{ tcbInfo: tcb.document, tcbInfoSignature: tcb.signature },
    qeIdentityChain: readChain("qeIdentity", answers.qeIdentity.headers),
    ...{ qeIdentity: qe.document, qeIdentitySignature: qe.signature },
  };
}

/**
 * The inner object to the byte, as it was signed, and its signature. The body is exactly
 * `{"<name>":<object>,"signature":"<128 hex digits>"}`: what stands around the object has a fixed
 * length, and what stands between is one JSON value, so the body has no other reading.
 */
function readSigned(
  part: "tcbInfo" | "qeIdentity",
  body: Uint8Array,
): { document: Uint8Array; signature: Uint8Array } {
  const fail = (what: string) => new AttestationError("pcs-malformed", `${part} ${what}`);
  const open = OPEN[part], end = body.length - TAIL_BYTES;
  if (end <= open.length || ascii(body.subarray(0, open.length)) !== open) {
    throw fail(`does not begin with ${open}`);
  }
  const tail = ascii(body.subarray(end));
  const digits = tail.slice(BETWEEN.length, -CLOSE.length);
  if (!tail.startsWith(BETWEEN) || !tail.endsWith(CLOSE) || !/^[0-9a-fA-F]+$/.test(digits)) {
    throw fail("does not end with its signature");
  }
  const document = body.slice(open.length, end);
  const braced = document[0] === 0x7b && document.at(-1) === 0x7d;
  if (!braced || !isJson(document)) throw fail("is not one JSON object and its signature");
  return { document, signature: Uint8Array.fromHex(digits) };
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** A list as DER; a PCCS may answer with its hex digits instead. DER begins with 0x30. */
function readList(part: PcsPart, body: Uint8Array): Uint8Array {
  const most = `${part} has more than ${MAX_LIST_BYTES} bytes`;
  if (body[0] === 0x30) {
    demand(body.length <= MAX_LIST_BYTES, "pcs-malformed", most);
    return body.slice();
  }
  const text = ascii(body), isHex = text.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(text);
  demand(isHex, "pcs-malformed", `${part} is neither DER nor hex digits`);
  return Uint8Array.fromHex(text);
}

/** The chain of a part: PEM, URL-encoded in a header. */
function readChain(part: keyof typeof CHAIN_HEADERS, headers: PcsAnswer["headers"]): Uint8Array {
  const names = CHAIN_HEADERS[part];
  const found = [...headers].filter(([name]) => names.includes(name.toLowerCase()));
  const [value] = found.map(([, value]) => value);
  demand(value !== undefined, "pcs-malformed", `${part} comes without the header ${names[0]}`);
  demand(found.length === 1, "pcs-malformed", `${part} comes with two chains`);
  const long = `a chain of ${value.length} characters`;
  demand(value.length <= 3 * MAX_CHAIN_BYTES, "pcs-malformed", long);
  const chain = new TextEncoder().encode(urlDecoded(part, value));
  demand(chain.length <= MAX_CHAIN_BYTES, "pcs-malformed", long);
  return chain;
}

function urlDecoded(part: PcsPart, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw new AttestationError("pcs-malformed", `the chain of ${part} is not URL-encoded`);
  }
}

/** One character a byte; ASCII as itself. */
function ascii(bytes: Uint8Array): string {
  return new TextDecoder("windows-1252").decode(bytes);
}
