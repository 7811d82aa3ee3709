/**
 * Verifying quotes, beside bare ECDSA P-256 verifications in the same run. One at a time shows the
 * latency; many at once use all cores, and show how many quotes a second a server can admit.
 */
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { verifies, verifyingKey } from "../../src/attest/ecdsa.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { parseQuote } from "../../src/attest/quote.ts";
import { sign } from "../../src/attest/simulated_key.ts";
import { verifyQuote } from "../../src/attest/verifier.ts";
import { COLLATERAL, QUOTE } from "./cases.ts";
import { ANCHOR } from "./judge.ts";
import { NOW, platform } from "./stage.ts";

const collateral = await verifyCollateral(COLLATERAL, ANCHOR, NOW);
const terms = { collateral, policy: createPolicy({}), now: NOW };
const message = QUOTE.subarray(0, 632), signature = sign(platform.pck.key, message);
const key = await verifyingKey(platform.pck.key.xy);
const ecdsa = () => verifies(key, signature, message);
const quote = () => verifyQuote(QUOTE, terms);

const one = "one quote";
Deno.bench("5 ECDSA verifications, one by one", { group: one, baseline: true }, async () => {
  for (let i = 0; i < 5; i++) await ecdsa();
});
Deno.bench("a quote, collateral cached", { group: one }, async () => void await quote());
Deno.bench("collateral", { group: one }, async () => {
  await verifyCollateral(COLLATERAL, ANCHOR, NOW);
});
Deno.bench("a quote, parsed only", { group: one }, () => void parseQuote(QUOTE));

const AT_ONCE = 100, many = `${AT_ONCE} quotes at once`;
const atOnce = (n: number, what: () => Promise<unknown>) =>
  Promise.all(Array.from({ length: n }, what));
Deno.bench("5 ECDSA verifications for each", { group: many, baseline: true }, async () => {
  await atOnce(5 * AT_ONCE, ecdsa);
});
Deno.bench(
  "quotes, collateral cached",
  { group: many },
  async () => void await atOnce(AT_ONCE, quote),
);
