/** Time travel: everything holds from its first to its last second, however it was cached. */
import assert from "node:assert/strict";
import { trustAnchor } from "../../src/attest/anchor.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import type { ReasonCode } from "../../src/attest/reasons.ts";
import { DAY_MS, simulatedAuthority } from "../../src/attest/simulated_authority.ts";
import {
  type CollateralChanges,
  simulatedCollateral,
} from "../../src/attest/simulated_collateral.ts";
import { simulatedPlatform } from "../../src/attest/simulated_platform.ts";
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { verifyQuote } from "../../src/attest/verifier.ts";
import { judge } from "./judge.ts";
import { refused } from "./refused.ts";
import { NOW, REPORT_DATA, seeded } from "./stage.ts";

const START = NOW - 10 * DAY_MS, END = NOW + 10 * DAY_MS;
const wide = { from: START, until: END };
const text = (ms: number) => new Date(ms).toISOString().replace(".000", "");

type Life = { from: number; until: number };
const THINGS = [
  ...["anchor", "root-crl", "pck-ca", "pck-crl", "tcb-signer", "tcb-info", "qe-identity", "pck"],
] as const;

/** Everything holds from START to END, but for one thing. */
async function world(thing: string, life: Life) {
  const of = (name: string) => name === thing ? life : wide;
  const authority = simulatedAuthority(seeded(1), NOW, {
    root: of("anchor"),
    pckCa: of("pck-ca"),
    tcbSigner: of("tcb-signer"),
  });
  const dated = (name: string): CollateralChanges["tcbInfo"] => (document) => ({
    ...document,
    issueDate: text(of(name).from),
    nextUpdate: text(of(name).until),
  });
  const collateral = simulatedCollateral(authority, NOW, {
    rootCrl: of("root-crl"),
    pckCrl: of("pck-crl"),
    tcbInfo: dated("tcb-info"),
    qeIdentity: dated("qe-identity"),
  });
  const platform = simulatedPlatform(authority, seeded(2), NOW, { pck: of("pck") });
  const quote = simulatedQuote(platform, REPORT_DATA);
  const anchor = await trustAnchor(authority.root.der);
  const cached = await verifyCollateral(collateral, anchor, NOW);
  const policy = createPolicy({});
  return {
    at: (now: number) => verifyQuote(quote, { collateral: cached, policy, now }),
    fresh: (now: number) => verifyCollateral(collateral, anchor, now),
  };
}

for (const thing of THINGS) {
  Deno.test(`time: ${thing} holds from its first to its last second, cached or not`, async () => {
    const from = NOW - DAY_MS, until = NOW + DAY_MS;
    const { at, fresh } = await world(thing, { from, until });
    for (const now of [from, NOW, until]) {
      assert.equal((await at(now)).validUntil, until, "valid until the first of all ends");
      await fresh(now);
    }
    for (const [fault, now] of [["early", from - 1], ["expired", until + 1]] as const) {
      const code = `${thing}-${fault}` as ReasonCode;
      await refused(code, () => at(now), `cached, ${fault}`);
      if (thing !== "pck") await refused(code, () => fresh(now), `fresh, ${fault}`);
    }
  });
}

Deno.test("time: where all ends at once, the anchor is named", async () => {
  const { at } = await world("none", wide);
  const { validUntil } = await at(NOW);
  assert.equal(validUntil, END);
  await refused("anchor-expired", () => at(END + 1));
  await refused("anchor-early", () => at(START - 1));
});

Deno.test("time: a clock that says nothing is refused", async () => {
  for (const now of [NaN, Infinity, -Infinity, 8.64e15 + 1]) {
    await refused(now > 0 ? "anchor-expired" : "anchor-early", () => judge({ now }), `${now}`);
  }
});
