/** What `@phala/dcap-qvl`, an independent verifier, says of a quote beside collateral. */
import { Buffer } from "node:buffer";
import { QuoteVerifier } from "@phala/dcap-qvl";
import type { Collateral } from "../../src/attest/collateral.ts";
import { formatCollateral } from "../../src/attest/collateral_json.ts";

/** The status with which it accepts, or undefined. */
export function secondOpinion(
  quote: Uint8Array,
  collateral: Collateral,
  root: Uint8Array,
  now: number,
): string | undefined {
  const verifier = QuoteVerifier.newWithRootCa(Buffer.from(root));
  try {
    return verifier.verify(quote, JSON.parse(formatCollateral(collateral)), now / 1000).status;
  } catch {
    return undefined;
  }
}
