/**
 * Beside `@phala/dcap-qvl`: it accepts all that we accept, but for two cases that the matrix marks; and
 * what it accepts and we refuse is marked too, or a byte of a part that it does not verify.
 */
import assert from "node:assert/strict";
import { TCB_STATUSES } from "../../src/attest/status.ts";
import { Random } from "../protocol/random.ts";
import { COLLATERAL, QUOTE } from "./cases.ts";
import { judged, MATRIX } from "./judge.ts";
import { refusalOf } from "./refused.ts";
import { secondOpinion } from "./second_opinion.ts";
import { spoilt, spoiltCollateral } from "./spoil.ts";
import { authority, NOW } from "./stage.ts";

const { root: { der: root } } = authority;
const SEED = 4_000, FLIPS = 150;
/** Where the chain begins in the quote, as PEM text. */
const CHAIN_AT = 1_258;

Deno.test("differential: the matrix, case by case", () => {
  for (const { name, quote, collateral, now = NOW, policy, expected, elsewhere } of MATRIX) {
    const theirs = secondOpinion(quote?.() ?? QUOTE, collateral?.() ?? COLLATERAL, root, now);
    const accepted = (TCB_STATUSES as readonly string[]).includes(expected);
    // It knows no policy: what only a policy refuses, it accepts.
    if (policy && !accepted && !elsewhere) continue;
    const expectedOfIt = elsewhere === undefined ? accepted : elsewhere === "accepted";
    assert.equal(theirs !== undefined, expectedOfIt, `${name}: ${theirs ?? "refused"}`);
  }
});

Deno.test("differential: a changed byte of the quote", async () => {
  for (let run = 0; run < FLIPS; run++) {
    const { bytes, at } = spoilt(new Random(SEED + run), QUOTE),
      what = `seed ${SEED + run}, byte ${at}`;
    assert.ok(await refusalOf(() => judged(bytes, COLLATERAL)), what);
    const accepted = secondOpinion(bytes, COLLATERAL, root, NOW) !== undefined;
    assert.ok(!accepted || at >= CHAIN_AT, `${what}: accepted elsewhere`);
  }
});

Deno.test("differential: a changed byte of collateral", async () => {
  const unverified = ["rootCrl", "pckCrl", "pckCrlChain"];
  for (let run = 0; run < FLIPS; run++) {
    const { collateral, field, at } = spoiltCollateral(new Random(SEED + run), COLLATERAL);
    const what = `seed ${SEED + run}, ${field}, byte ${at}`;
    assert.ok(await refusalOf(() => judged(QUOTE, collateral)), what);
    const accepted = secondOpinion(QUOTE, collateral, root, NOW) !== undefined;
    assert.ok(!accepted || unverified.includes(field), `${what}: accepted elsewhere`);
  }
});
