/** The book of collateral: of each part the newest is believed, and nothing older ever again. */
import assert from "node:assert/strict";
import { CollateralBook, IN_USE_MS } from "../../src/attest/collateral_book.ts";
import type { Collateral } from "../../src/attest/collateral.ts";
import { MAX_FAMILIES } from "../../src/attest/collateral_marks.ts";
import { type Family, familyOf } from "../../src/attest/family.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { AttestationError } from "../../src/attest/reasons.ts";
import { trustAnchor } from "../../src/attest/anchor.ts";
import {
  DAY_MS,
  type SimulatedAuthority,
  simulatedAuthority,
} from "../../src/attest/simulated_authority.ts";
import {
  type CollateralChanges,
  simulatedCollateral,
} from "../../src/attest/simulated_collateral.ts";
import { issue } from "../../src/attest/simulated_certificates.ts";
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { verifyQuote } from "../../src/attest/verifier.ts";
import { Random } from "../protocol/random.ts";
import { QUOTE, quoteFrom } from "./cases.ts";
import { ANCHOR } from "./judge.ts";
import { refusalOf, refused } from "./refused.ts";
import { spoilt } from "./spoil.ts";
import { authority, NOW, otherAuthority, platform, REPORT_DATA, seeded } from "./stage.ts";

const FAMILY: Family = { fmspc: "de0000000001", ca: "platform" };
const LATER = NOW + DAY_MS;
const issued = (at: number, changes?: CollateralChanges) =>
  simulatedCollateral(authority, at, changes);
const STRANGER = otherAuthority();
const FIRST = issued(NOW), SECOND = issued(LATER);

/** Fields of each part. */
const PARTS: Record<string, (keyof Collateral)[]> = {
  "root CRL": ["rootCrl"],
  "PCK CRL": ["pckCrl"],
  "TCB info": ["tcbInfo", "tcbInfoSignature"],
  "QE identity": ["qeIdentity", "qeIdentitySignature"],
};
/** A set with one part of another. */
function mixed(set: Collateral, other: Collateral, part: string): Collateral {
  return { ...set, ...Object.fromEntries(PARTS[part].map((field) => [field, other[field]])) };
}
/** TCB info of another family. */
const ofFamily = (fmspc: string): CollateralChanges => ({
  tcbInfo: (info) => ({ ...info, fmspc }),
});

async function bookOf(...sets: Collateral[]): Promise<CollateralBook> {
  const book = new CollateralBook(ANCHOR);
  for (const set of sets) assert.equal(await book.offer(set, LATER), "new");
  return book;
}
function verdict(book: CollateralBook, now: number, quote = QUOTE) {
  const policy = createPolicy({});
  return verifyQuote(quote, { collateral: book.forQuote(quote, now), policy, now });
}

Deno.test("book: a quote is judged by the collateral of its family", async () => {
  const book = await bookOf(FIRST);
  assert.deepEqual(familyOf(QUOTE), FAMILY);
  assert.deepEqual(book.families(), [FAMILY]);
  assert.equal((await verdict(book, LATER)).status, "UpToDate");
  const other = quoteFrom({ platform: { fmspc: "de0000000002" } })();
  assert.throws(() => book.forQuote(other, LATER), (error: unknown) => {
    assert.ok(error instanceof AttestationError);
    assert.equal(error.code, "collateral-missing");
    assert.match(error.message, /de0000000002\/platform/);
    return true;
  });
  await refused("quote-truncated", () => book.forQuote(QUOTE.subarray(0, 900), LATER));
  const { der } = platform.pck;
  for (const chain of [[der], [der, authority.pckCa.der]]) {
    await refused("pck-chain", () => book.forQuote(quoteFrom({ chain: () => chain })(), LATER));
  }
});

Deno.test("book: the same bytes again are known, and cost no verification", async () => {
  const book = await bookOf(FIRST);
  const { verify } = crypto.subtle;
  crypto.subtle.verify = () => Promise.reject(new Error("a signature was verified"));
  try {
    assert.equal(await book.offer(structuredClone(FIRST), LATER), "known");
  } finally {
    crypto.subtle.verify = verify;
  }
  const other = issued(NOW, { pckCrl: { revoked: [Uint8Array.of(9)] } });
  assert.equal(await book.offer(other, LATER), "known", "as new as what is believed");
  assert.deepEqual(book.staples(), [FIRST]);
});

Deno.test("book: bytes that change after they were offered change nothing", async () => {
  const book = new CollateralBook(ANCHOR), given = structuredClone(FIRST);
  const offered = book.offer(given, NOW);
  for (const bytes of Object.values(given)) bytes.fill(0);
  assert.equal(await offered, "new");
  book.staple(FAMILY)!.pckCrl.fill(0);
  assert.deepEqual(book.staples(), [FIRST]);
});

for (const part of Object.keys(PARTS)) {
  Deno.test(`book: an older ${part} is not believed, alone or in a newer set`, async () => {
    const book = await bookOf(SECOND);
    assert.equal(await book.offer(mixed(SECOND, FIRST, part), LATER), "older");
    assert.deepEqual(book.staples(), [SECOND]);
    const third = issued(LATER + 1000);
    assert.equal(await book.offer(mixed(third, FIRST, part), LATER + 1000), "new");
    assert.deepEqual(book.staples(), [mixed(third, SECOND, part)]);
  });

  Deno.test(`book: after a restart an older ${part} is refused with its whole set`, async () => {
    const marks = (await bookOf(SECOND)).marks();
    const again = new CollateralBook(ANCHOR, { marks });
    await refused("collateral-older", () => again.offer(mixed(SECOND, FIRST, part), LATER));
    await refused("collateral-missing", () => again.forQuote(QUOTE, LATER));
    assert.deepEqual([again.marks(), again.families()], [marks, []]);
    assert.equal(await again.offer(SECOND, LATER), "new");
    assert.equal((await verdict(again, LATER)).status, "UpToDate");
  });
}

Deno.test("book: a list goes by its number and its date, and must not fall behind in either", async () => {
  const lists = (number: number, from: number) =>
    issued(NOW, { pckCrl: { number, from }, rootCrl: { number, from } });
  for (
    const [number, from, expected] of [
      [7, LATER, "known"],
      [6, LATER + 1000, "older"],
      [8, LATER - 1000, "older"],
      [256, LATER, "new"],
      [7, LATER + 1000, "new"],
    ] as const
  ) {
    const book = await bookOf(lists(7, LATER));
    assert.equal(await book.offer(lists(number, from), LATER + 1000), expected, `${number}`);
  }
});

Deno.test("book: documents go by their date, and of one date by their evaluation number", async () => {
  const number = (tcbEvaluationDataNumber: number, at = NOW) =>
    issued(at, { tcbInfo: (info) => ({ ...info, tcbEvaluationDataNumber }) });
  const book = await bookOf(number(17));
  assert.equal(await book.offer(number(16), LATER), "older");
  assert.equal(await book.offer(number(18), LATER), "new");
  assert.equal(book.forQuote(QUOTE, LATER).tcbInfo.evaluationNumber, 18);
  assert.equal(await book.offer(number(16, LATER), LATER), "new");
  assert.equal(await book.offer(number(19), LATER), "older");
  assert.equal(book.forQuote(QUOTE, LATER).tcbInfo.evaluationNumber, 16);
});

Deno.test("book: a revocation that comes in refuses a quote that was accepted before", async () => {
  const book = await bookOf(FIRST);
  let changes = 0;
  const end = book.onChange(() => changes++);
  assert.equal((await verdict(book, LATER)).status, "UpToDate");
  const revoking = issued(LATER, { pckCrl: { revoked: [platform.pck.serial] } });
  assert.equal(await book.offer(revoking, LATER), "new");
  assert.equal(changes, 1);
  await refused("pck-revoked", () => verdict(book, LATER));
  assert.equal(await book.offer(FIRST, LATER), "older");
  assert.equal(changes, 1, "nothing changed");
  await refused("pck-revoked", () => verdict(book, LATER));
  end();
  assert.equal(await book.offer(issued(LATER + 1000), LATER + 1000), "new");
  assert.equal(changes, 1);
});

Deno.test("book: what the root revokes is revoked for all families, whichever it came with", async () => {
  const other = issued(NOW, ofFamily("de0000000002"));
  const revoked = [authority.tcbSigner.serial];
  const book = await bookOf(FIRST, other);
  const signer = simulatedSigner();
  const revoking = simulatedCollateral(signer, LATER, {
    ...ofFamily("de0000000003"),
    rootCrl: { revoked },
  });
  assert.equal(await book.offer(revoking, LATER), "new");
  await refused("tcb-signer-revoked", () => book.forQuote(QUOTE, LATER));
  // A newer set of the revoked signer, beside the old list of the root.
  const hiding = mixed(issued(LATER + 1000), FIRST, "root CRL");
  const before = book.marks();
  await refused("tcb-signer-revoked", () => book.offer(hiding, LATER + 1000));
  assert.deepEqual(book.marks(), before);
  assert.equal(await book.offer(simulatedCollateral(signer, LATER + 1000), LATER + 1000), "new");
  assert.equal((await verdict(book, LATER + 1000)).status, "UpToDate");
});

/** The authority with another signer of TCB data. */
function simulatedSigner(): SimulatedAuthority {
  return { ...authority, tcbSigner: issue(STRANGER.tcbSigner, authority.root) };
}

Deno.test("book: without a newer set it ends with the first part that expires", async () => {
  const book = await bookOf(FIRST), end = NOW + 30 * DAY_MS;
  assert.deepEqual(book.lifetime(FAMILY), {
    refresh: NOW + 15 * DAY_MS,
    warn: NOW + 22.5 * DAY_MS,
    until: end,
  });
  assert.equal((await verdict(book, end)).validUntil, end);
  assert.equal(book.until(end), end);
  await refused("pck-crl-expired", () => book.forQuote(QUOTE, end + 1));
  assert.equal(book.until(end + 1), end, "a use shows for a day");
  assert.equal(book.until(end + IN_USE_MS + 1), undefined);
  assert.equal(book.lifetime({ ...FAMILY, ca: "processor" }), undefined);
  await refused("pck-crl-expired", () => book.offer(FIRST_AGAIN, end + 1));
  assert.equal(await book.offer(issued(end), end + 1), "new");
  assert.equal((await verdict(book, end + 1)).status, "UpToDate");
});
Deno.test("book: the end of a certificate is the end of what stands below it", async () => {
  const short = simulatedAuthority(seeded(9), NOW, { root: { until: NOW + 20 * DAY_MS } });
  const book = new CollateralBook(await trustAnchor(short.root.der));
  await book.offer(simulatedCollateral(short, NOW), NOW);
  assert.deepEqual(book.lifetime(FAMILY), {
    refresh: NOW + 5 * DAY_MS,
    warn: NOW + 12.5 * DAY_MS,
    until: NOW + 20 * DAY_MS,
  });
});

/** As old as the first, but other bytes. */
const FIRST_AGAIN = issued(NOW, { pckCrl: { revoked: [Uint8Array.of(9)] } });

Deno.test("book: a clock behind what was signed already is not believed", async () => {
  const book = await bookOf(SECOND);
  const early = LATER - 1;
  const again = new CollateralBook(ANCHOR, { marks: book.marks() });
  for (const it of [book, again]) {
    await refused("clock-behind", () => it.checkClock(early));
    await refused("clock-behind", () => it.checkClock(NaN));
    await refused("clock-behind", () => it.offer(FIRST, early));
    await refused("clock-behind", () => it.forQuote(QUOTE, early));
    it.checkClock(LATER);
  }
  // The clock is not led forward by what is not valid yet.
  await refused("root-crl-early", () => book.offer(issued(LATER + DAY_MS), LATER));
  book.checkClock(LATER);
});

Deno.test("book: under another anchor neither collateral nor marks are believed", async () => {
  const stranger = await trustAnchor(STRANGER.root.der);
  const book = new CollateralBook(stranger);
  await refused("root-crl-signature", () => book.offer(FIRST, NOW));
  const marks = (await bookOf(FIRST)).marks();
  await refused("marks-malformed", () => new CollateralBook(stranger, { marks }));
});

Deno.test("book: families are bounded, and a new one is refused when it is full", async () => {
  const name = (i: number) => i.toString(16).padStart(12, "0");
  const book = new CollateralBook(ANCHOR);
  for (let i = 0; i < MAX_FAMILIES; i++) {
    assert.equal(await book.offer(issued(NOW, ofFamily(name(i))), NOW), "new");
  }
  const over = issued(NOW, ofFamily(name(MAX_FAMILIES)));
  await refused("collateral-full", () => book.offer(over, NOW));
  assert.equal(book.families().length, MAX_FAMILIES);
  const again = new CollateralBook(ANCHOR, { marks: book.marks() });
  await refused("collateral-full", () => again.offer(over, NOW));
  assert.equal(await again.offer(issued(LATER, ofFamily(name(3))), LATER), "new");
  assert.equal(await again.offer(issued(LATER, processor(name(3))), LATER), "new");
  assert.equal(again.families().length, 2, "both CAs of one family");
});

/** As `ofFamily`, certified by the other CA. */
function processor(fmspc: string): CollateralChanges {
  const fields = { ...authority.pckCa, commonName: "DEV-ONLY SGX PCK Processor CA" };
  const by = issue(fields, authority.root);
  return { ...ofFamily(fmspc), pckCrlIssuer: { by, chain: [by, authority.root] } };
}

Deno.test("book: damaged marks are refused, and none but those that it wrote are read", async () => {
  const marks = (await bookOf(FIRST, issued(LATER, ofFamily("de0000000002")))).marks();
  assert.deepEqual(new CollateralBook(ANCHOR, { marks }).marks(), marks);
  for (let n = 0; n < marks.length; n++) {
    await refused(
      "marks-malformed",
      () => new CollateralBook(ANCHOR, { marks: marks.slice(0, n) }),
    );
  }
  const whole = (bytes: Uint8Array) => new CollateralBook(ANCHOR, { marks: bytes }).marks();
  await refused("marks-malformed", () => whole(Uint8Array.of(...marks, 0)));
  const twice = Uint8Array.of(...marks, ...marks.subarray(-35));
  twice[33]++;
  await refused("marks-malformed", () => whole(twice));
  const head = marks.subarray(0, 33), rest = new Uint8Array(28);
  const made = (...keys: number[][]) =>
    whole(Uint8Array.of(...head, keys.length, 0, ...keys.flatMap((key) => [...key, ...rest])));
  made([0, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0], [4, 1, 0, 0, 0, 0, 0]);
  await refused("marks-malformed", () => made([0, 0, 0, 0, 0, 0, 1]), "a root CRL of a family");
  await refused("marks-malformed", () => made([5, 0, 0, 0, 0, 0, 0]), "an unknown part");
  const many = Array.from({ length: MAX_FAMILIES + 5 }, (_, i) => [4, 0, 0, 0, 0, 0, i]);
  await refused("marks-malformed", () => made(...many), "more than there may be");
  made(...many.slice(1));
  for (let run = 0; run < 1_000; run++) {
    const { bytes, at } = spoilt(new Random(run), marks);
    const code = await refusalOf(() => assert.deepEqual(whole(bytes), bytes));
    assert.ok(code === undefined || code === "marks-malformed", `seed ${run}, byte ${at}`);
  }
});

Deno.test("book: whatever byte of a quote is changed, its family is read or refused with a code", async () => {
  const quotes = [QUOTE, simulatedQuote(platform, REPORT_DATA, { version: 5 })];
  for (let run = 0; run < 1_000; run++) {
    await refusalOf(() => familyOf(spoilt(new Random(run), quotes[run % 2]).bytes));
  }
});
