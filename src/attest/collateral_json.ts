/**
 * Collateral as one JSON object of text: the fields and names that tools around Intel's services
 * share. Chains are PEM, documents their exact text, lists and signatures hex digits.
 */
import { hex } from "../protocol/bytes.ts";
import { type Collateral } from "./collateral.ts";
import { MAX_DOCUMENT_BYTES } from "./document.ts";
import { MAX_CHAIN_BYTES } from "./pem.ts";
import { AttestationError, demand } from "./reasons.ts";
import { MAX_LIST_BYTES } from "./revocations.ts";

/** Fields: name, whether it is hex digits or text, and how many characters it may have. */
const FIELDS: readonly (readonly [keyof Collateral, string, "hex" | "text", number])[] = [
  ["pckCrlChain", "pck_crl_issuer_chain", "text", MAX_CHAIN_BYTES],
  ["rootCrl", "root_ca_crl", "hex", 2 * MAX_LIST_BYTES],
  ["pckCrl", "pck_crl", "hex", 2 * MAX_LIST_BYTES],
  ["tcbInfoChain", "tcb_info_issuer_chain", "text", MAX_CHAIN_BYTES],
  ["tcbInfo", "tcb_info", "text", MAX_DOCUMENT_BYTES],
  ["tcbInfoSignature", "tcb_info_signature", "hex", 128],
  ["qeIdentityChain", "qe_identity_issuer_chain", "text", MAX_CHAIN_BYTES],
  ["qeIdentity", "qe_identity", "text", MAX_DOCUMENT_BYTES],
  ["qeIdentitySignature", "qe_identity_signature", "hex", 128],
];

/** Characters of collateral as JSON; real one has 16,000. */
export const MAX_COLLATERAL_JSON = 8_388_608;

/** Collateral as JSON. */
export function formatCollateral(collateral: Collateral): string {
  const decoder = new TextDecoder();
  return JSON.stringify(Object.fromEntries(
    FIELDS.map(([name, key, form]) => [
      key,
      form === "hex" ? hex(collateral[name]) : decoder.decode(collateral[name]),
    ]),
  ));
}

/** Reads it; nothing is verified. Refuses as `collateral-malformed`. Unknown fields are skipped. */
export function parseCollateral(json: string): Collateral {
  demand(json.length <= MAX_COLLATERAL_JSON, "collateral-malformed", `${json.length} characters`);
  const object = asObject(json), found: Partial<Record<keyof Collateral, Uint8Array>> = {};
  for (const [name, key, form, most] of FIELDS) {
    const value = Object.hasOwn(object, key) ? object[key] : undefined;
    const isText = typeof value === "string";
    demand(isText, "collateral-malformed", `${key} is no text`);
    demand(value.length <= most, "collateral-malformed", `${key} has ${value.length} characters`);
    const isHex = value.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(value);
    demand(form === "text" || isHex, "collateral-malformed", `${key} is not hex digits`);
    found[name] = form === "hex" ? Uint8Array.fromHex(value) : new TextEncoder().encode(value);
  }
  return found as Collateral;
}

function asObject(json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new AttestationError("collateral-malformed", "no JSON");
  }
  demand(typeof value === "object" && value !== null, "collateral-malformed", "no object");
  return value as Record<string, unknown>;
}
