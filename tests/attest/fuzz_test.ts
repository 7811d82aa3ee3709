/**
 * Damaged bytes: whatever byte of a quote or of collateral is changed, the answer is a refusal with
 * a code. Every byte is signed, is a signature, or has one form; so none can be changed unseen.
 */
import assert from "node:assert/strict";
import { formatCollateral, parseCollateral } from "../../src/attest/collateral_json.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { REASONS } from "../../src/attest/reasons.ts";
import { verifyQuote } from "../../src/attest/verifier.ts";
import { Random } from "../protocol/random.ts";
import { COLLATERAL, QUOTE, quoteOf } from "./cases.ts";
import { ANCHOR, ANY_STATUS } from "./judge.ts";
import { refusalOf } from "./refused.ts";
import { spoilt, spoiltCollateral } from "./spoil.ts";
import { NOW } from "./stage.ts";

const RUNS = 3_000, AT_ONCE = 60, SEED = 20_260_101;
const cached = await verifyCollateral(COLLATERAL, ANCHOR, NOW);
const terms = { collateral: cached, policy: createPolicy({ statuses: ANY_STATUS }), now: NOW };

/** Runs all cases, some at once, and wants a code from each. */
async function allRefused(cases: (run: number) => { what: string; act: () => Promise<unknown> }) {
  for (let from = 0; from < RUNS; from += AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, (_, i) => cases(from + i));
    await Promise.all(batch.map(async ({ what, act }) => {
      const code = await refusalOf(act);
      assert.ok(code !== undefined && REASONS.has(code), `${what}: ${code ?? "accepted"}`);
    }));
  }
}

Deno.test("fuzz: no byte of a quote can be changed unseen", async () => {
  const quotes = [QUOTE, quoteOf({ version: 5 })(), quoteOf({ td15: true })()];
  for (const quote of quotes) assert.equal((await verifyQuote(quote, terms)).status, "UpToDate");
  await allRefused((run) => {
    const { bytes, at } = spoilt(new Random(SEED + run), quotes[run % quotes.length]);
    return { what: `seed ${SEED + run}, byte ${at}`, act: () => verifyQuote(bytes, terms) };
  });
});

Deno.test("fuzz: no byte of collateral can be changed unseen", async () => {
  await allRefused((run) => {
    const { collateral, field, at } = spoiltCollateral(new Random(SEED + run), COLLATERAL);
    const act = () => verifyCollateral(collateral, ANCHOR, NOW);
    return { what: `seed ${SEED + run}, ${field}, byte ${at}`, act };
  });
});

Deno.test("fuzz: cuts, insertions and repeats of a quote get a code", async () => {
  await allRefused((run) => {
    const random = new Random(SEED + run), at = 1 + random.below(QUOTE.length - 1);
    const kind = random.below(3), more = 1 + random.below(100);
    const rest = kind === 0 ? at + more : kind === 1 ? at : Math.max(0, at - more);
    const between = kind === 1 ? random.bytes(more) : new Uint8Array(0);
    const bytes = Uint8Array.of(...QUOTE.subarray(0, at), ...between, ...QUOTE.subarray(rest));
    return { what: `seed ${SEED + run}`, act: () => verifyQuote(bytes, terms) };
  });
});

Deno.test("fuzz: noise gets a code, and damaged JSON is read or gets one", async () => {
  const json = formatCollateral(COLLATERAL);
  for (let run = 0; run < RUNS; run++) {
    const random = new Random(SEED + run);
    const noise = random.bytes(random.below(700));
    assert.ok(await refusalOf(() => verifyQuote(noise, terms)), `seed ${SEED + run}`);
    const at = random.below(json.length);
    const damaged = json.slice(0, at) + String.fromCharCode(random.below(128)) + json.slice(at + 1);
    await refusalOf(() => parseCollateral(damaged));
  }
});
