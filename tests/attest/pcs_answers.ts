/** Collateral as the provisioning service would answer it. */
import type { Collateral } from "../../src/attest/collateral.ts";
import type { PcsAnswer, PcsPart } from "../../src/attest/pcs.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { ascii } from "./cases.ts";

/** The service itself; one of its mirrors, which answers lists as hex digits. */
export type Service = "pcs" | "pccs";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** The four answers. */
export function answersOf(
  collateral: Collateral,
  service: Service = "pcs",
): Record<PcsPart, PcsAnswer & { readonly headers: [string, string][] }> {
  const chain = (name: string, pem: Uint8Array): [string, string][] => [
    ["Content-Type", "application/octet-stream"],
    [service === "pcs" ? name : name.toLowerCase(), encodeURIComponent(text(pem))],
  ];
  const signed = (name: string, document: Uint8Array, signature: Uint8Array) =>
    ascii(`{"${name}":${text(document)},"signature":"${hex(signature)}"}`);
  const list = (der: Uint8Array) => service === "pcs" ? der : ascii(hex(der).toUpperCase());
  const { tcbInfo, tcbInfoSignature, qeIdentity, qeIdentitySignature } = collateral;
  return {
    tcbInfo: {
      body: signed("tcbInfo", tcbInfo, tcbInfoSignature),
      headers: chain("TCB-Info-Issuer-Chain", collateral.tcbInfoChain),
    },
    qeIdentity: {
      body: signed("enclaveIdentity", qeIdentity, qeIdentitySignature),
      headers: chain("SGX-Enclave-Identity-Issuer-Chain", collateral.qeIdentityChain),
    },
    pckCrl: {
      body: list(collateral.pckCrl),
      headers: chain("SGX-PCK-CRL-Issuer-Chain", collateral.pckCrlChain),
    },
    rootCrl: { body: list(collateral.rootCrl), headers: [] },
  };
}
