/**
 * Quotes that Intel's hardware signed, with the collateral of their days. They name a machine, so
 * they lie outside the repository; where they are not, these tests are skipped and say so.
 */
import assert from "node:assert/strict";
import { intelAnchor } from "../../src/attest/anchor.ts";
import { type Collateral, verifyCollateral } from "../../src/attest/collateral.ts";
import { CollateralBook } from "../../src/attest/collateral_book.ts";
import { parseCollateral } from "../../src/attest/collateral_json.ts";
import { familyName, familyOf } from "../../src/attest/family.ts";
import { assemble } from "../../src/attest/pcs.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { parseQuote, quoteLength } from "../../src/attest/quote.ts";
import { verifyQuote } from "../../src/attest/verifier.ts";
import { COLLATERAL, QUOTE } from "../attest/cases.ts";
import { ANCHOR } from "../attest/judge.ts";
import { answersOf } from "../attest/pcs_answers.ts";
import { refusalOf, refused } from "../attest/refused.ts";
import { secondOpinion } from "../attest/second_opinion.ts";
import { spoilt, spoiltCollateral } from "../attest/spoil.ts";
import { NOW } from "../attest/stage.ts";
import { Random } from "../protocol/random.ts";

const FOLDER = new URL("../../../shared/fixtures/tdx-real/", import.meta.url);
const DAY = 86_400_000, SEED = 500, FLIPS = 1_000;

/** Why the tests cannot run; empty where they can. */
function missing(): string {
  try {
    Deno.statSync(FOLDER);
    return "";
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return "no ../shared/fixtures/tdx-real";
  }
}
const why = missing();

function real(name: string, run: () => Promise<void>): void {
  const skipped = why === "" ? "" : ` (skipped: ${why})`;
  Deno.test({ name: `real quotes: ${name}${skipped}`, ignore: why !== "", fn: run });
}

interface Sample {
  readonly quote: Uint8Array;
  readonly collateral: Collateral;
  /** A day on which its collateral holds. */
  readonly day: number;
}
const read = (name: string) => Deno.readFileSync(new URL(name, FOLDER));
/** A sample, without what follows the declared end of its quote. */
function sample(name: string, day: string): Sample {
  const bytes = read(name), json = new TextDecoder().decode(read(`${name}_collateral.json`));
  const quote = bytes.subarray(0, quoteLength(bytes));
  return { quote, collateral: parseCollateral(json), day: Date.parse(day) };
}
const current = () => sample("tdx_quote", "2025-06-25");
const outdated = () => sample("tdx_quote_outdated", "2026-02-25");

const policy = createPolicy({});
const intel = await intelAnchor();
/** The verdict on a sample under Intel's root. */
async function verdict({ quote, collateral, day }: Sample, now = day) {
  const verified = await verifyCollateral(collateral, intel, now);
  return await verifyQuote(quote, { collateral: verified, policy, now });
}

real("of version 4, up to date on its day, refused a month later and a month before", async () => {
  const given = current(), verified = await verdict(given);
  assert.equal(verified.status, "UpToDate");
  assert.deepEqual([verified.simulated, verified.fmspc], [false, "b0c06f000000"]);
  assert.equal(verified.evaluationNumber, 17);
  assert.equal(verified.validUntil, Date.parse("2025-07-19T10:00:35Z"));
  await refused("pck-crl-expired", () => verdict(given, given.day + 30 * DAY));
  await refused("pck-crl-early", () => verdict(given, given.day - 30 * DAY));
  const cached = await verifyCollateral(given.collateral, intel, given.day);
  const later = { collateral: cached, policy, now: given.day + 30 * DAY };
  await refused("pck-crl-expired", () => verifyQuote(given.quote, later));
});

real("of version 5, below every level of its family", async () => {
  const given = outdated();
  assert.equal(parseQuote(given.quote).version, 5);
  await refused("tcb-level", () => verdict(given));
  assert.equal(
    secondOpinion(given.quote, given.collateral, intel.certificate.der, given.day),
    undefined,
  );
});

real("a development root refuses them, and Intel's root a simulated one", async () => {
  const verified = await verifyCollateral(COLLATERAL, ANCHOR, NOW);
  for (const { quote, collateral, day } of [current(), outdated()]) {
    await refused("root-crl-issuer", () => verifyCollateral(collateral, ANCHOR, day));
    await refused("pck-root", () => verifyQuote(quote, { collateral: verified, policy, now: NOW }));
    const theirs = await verifyCollateral(collateral, intel, day);
    await refused("pck-root", () => verifyQuote(QUOTE, { collateral: theirs, policy, now: day }));
  }
});

real("of a family that is read from the quote, with its collateral in the book", async () => {
  const { quote, collateral, day } = current(), book = new CollateralBook(intel);
  assert.equal(familyName(familyOf(quote)), "b0c06f000000/platform");
  assert.equal(await book.offer(collateral, day), "new");
  const terms = { collateral: book.forQuote(quote, day), policy, now: day };
  assert.equal((await verifyQuote(quote, terms)).status, "UpToDate");
  assert.deepEqual(book.staples(), [collateral]);
  assert.equal(book.until(day), Date.parse("2025-07-19T10:00:35Z"));
  assert.deepEqual(assemble(answersOf(collateral)), collateral);
});

real("what we accept is accepted elsewhere, and no changed byte is", async () => {
  const given = current(), { quote, collateral, day } = given;
  assert.equal(secondOpinion(quote, collateral, intel.certificate.der, day), "UpToDate");
  for (let run = 0; run < FLIPS; run++) {
    const seed = SEED + run, changed = spoilt(new Random(seed), quote);
    const what = `seed ${seed}, byte ${changed.at}`;
    assert.ok(await refusalOf(() => verdict({ ...given, quote: changed.bytes })), what);
    const other = spoiltCollateral(new Random(seed), collateral);
    assert.ok(
      await refusalOf(() => verdict({ ...given, collateral: other.collateral })),
      `seed ${seed}, ${other.field}, byte ${other.at}`,
    );
  }
});
