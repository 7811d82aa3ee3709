/** Judges a case, or any quote beside any collateral, from its bytes. */
import { type TrustAnchor, trustAnchor } from "../../src/attest/anchor.ts";
import { type Collateral, verifyCollateral } from "../../src/attest/collateral.ts";
import { type AcceptableStatus, createPolicy } from "../../src/attest/policy.ts";
import { TCB_STATUSES } from "../../src/attest/status.ts";
import { type VerifiedQuote, verifyQuote } from "../../src/attest/verifier.ts";
import { type Case, COLLATERAL, QUOTE } from "./cases.ts";
import { CHAIN_CASES } from "./cases_chain.ts";
import { COLLATERAL_CASES } from "./cases_collateral.ts";
import { QUOTE_CASES } from "./cases_quote.ts";
import { STATE_CASES } from "./cases_state.ts";
import { authority, NOW } from "./stage.ts";

/** The whole matrix. */
export const MATRIX: readonly Case[] = [
  ...QUOTE_CASES,
  ...CHAIN_CASES,
  ...COLLATERAL_CASES,
  ...STATE_CASES,
];
/** Every status that can be accepted, so that a case shows the one that it has. */
export const ANY_STATUS = TCB_STATUSES.filter((it): it is AcceptableStatus => it !== "Revoked");
/** The anchor of the stage. */
export const ANCHOR: TrustAnchor = await trustAnchor(authority.root.der);

/** Verifies a case; throws the reason against it. */
export async function judge(given: Partial<Case>): Promise<VerifiedQuote> {
  const anchor = given.anchor ? await trustAnchor(given.anchor().root.der) : ANCHOR;
  const now = given.now ?? NOW;
  const verified = await verifyCollateral(given.collateral?.() ?? COLLATERAL, anchor, now);
  const policy = createPolicy({ statuses: ANY_STATUS, ...given.policy });
  return await verifyQuote(given.quote?.() ?? QUOTE, { collateral: verified, policy, now });
}

/** Verifies a quote beside collateral under the anchor of the stage. */
export function judged(quote: Uint8Array, collateral: Collateral): Promise<VerifiedQuote> {
  return judge({ quote: () => quote, collateral: () => collateral });
}
