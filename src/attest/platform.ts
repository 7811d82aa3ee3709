/**
 * What a platform's certificate says of the machine: Intel's SGX extension (1.2.840.113741.1.13.1),
 * a list of pairs of identifier and value. Only what the verdict needs is taken; a pair that stands
 * twice is refused, an unknown one is skipped.
 */
import { hex } from "../protocol/bytes.ts";
import { OID } from "./certificate.ts";
import { DerReader, TAG } from "./der.ts";
import { demand } from "./reasons.ts";

/** Components of a TCB, for SGX as for TDX. */
export const COMPONENTS = 16;
/** Pairs of one list. */
const MAX_PAIRS = 32;

/** Identifiers within the extension, and within its list of SVNs. */
export const SGX = {
  ...{ ppid: `${OID.sgx}.1`, tcb: `${OID.sgx}.2`, pceId: `${OID.sgx}.3`, fmspc: `${OID.sgx}.4` },
  ...{ type: `${OID.sgx}.5`, pceSvn: `${OID.sgx}.2.17`, cpuSvn: `${OID.sgx}.2.18` },
} as const;

/** A machine's family and security versions. */
export interface Platform {
  /** Family of platforms, 12 hex digits. */
  readonly fmspc: string;
  /** Provisioning enclave, 4 hex digits. */
  readonly pceId: string;
  readonly pceSvn: number;
  /** SVNs of the SGX components, 0..255. */
  readonly components: readonly number[];
}

/** Reads the content of the extension. Refuses as `pck-extension`. */
export function parsePlatform(extension: Uint8Array | undefined): Platform {
  demand(extension !== undefined, "pck-extension", "there is none");
  const outer = new DerReader(extension, "pck-extension");
  const pairs = readPairs(outer);
  outer.end();
  const tcb = readPairs(take(pairs, SGX.tcb));
  const svn = (oid: string, most: number) => take(tcb, oid).integer(most);
  return {
    fmspc: octets(pairs, SGX.fmspc, 6),
    pceId: octets(pairs, SGX.pceId, 2),
    pceSvn: svn(SGX.pceSvn, 0xffff),
    components: Array.from({ length: COMPONENTS }, (_, i) => svn(`${SGX.tcb}.${i + 1}`, 255)),
  };
}

/** The machine's own number (PPID), 32 hex digits. Refuses as `pck-extension`. */
export function readPpid(extension: Uint8Array | undefined): string {
  demand(extension !== undefined, "pck-extension", "there is none");
  return octets(readPairs(new DerReader(extension, "pck-extension")), SGX.ppid, 16);
}

/** Values by identifier, each as a reader that stands before it. */
function readPairs(outer: DerReader): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>(), list = outer.inside();
  while (!list.done) {
    const pair = list.inside(), oid = pair.oid();
    if (found.has(oid)) list.fail(`${oid} stands twice`);
    found.set(oid, pair.element().whole);
    pair.end();
    if (found.size > MAX_PAIRS) list.fail(`more than ${MAX_PAIRS} pairs`);
  }
  return found;
}

function take(pairs: ReadonlyMap<string, Uint8Array>, oid: string): DerReader {
  const value = pairs.get(oid);
  demand(value !== undefined, "pck-extension", `${oid} is missing`);
  return new DerReader(value, "pck-extension");
}

function octets(pairs: ReadonlyMap<string, Uint8Array>, oid: string, length: number): string {
  const { content } = take(pairs, oid).element(TAG.octets);
  demand(content.length === length, "pck-extension", `${oid} of ${content.length} bytes`);
  return hex(content);
}
