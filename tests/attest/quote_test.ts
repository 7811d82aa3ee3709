/** Quotes as bytes: the published layout, what is read of it, and every way not to fit it. */
import assert from "node:assert/strict";
import { concat, hex, u32 } from "../../src/protocol/bytes.ts";
import { parseCertificate } from "../../src/attest/certificate.ts";
import * as write from "../../src/attest/der_writer.ts";
import { formatChain } from "../../src/attest/pem.ts";
import { parsePlatform, SGX } from "../../src/attest/platform.ts";
import { MAX_QUOTE_BYTES, parseQuote, quoteLength } from "../../src/attest/quote.ts";
import { SIMULATED_PLATFORM } from "../../src/attest/simulated_platform.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import { simulatedQuote, simulatedReport } from "../../src/attest/simulated_quote.ts";
import { refusalOf, refused } from "./refused.ts";
import { changedPlatform, platform, REPORT_DATA } from "./stage.ts";

const v4 = simulatedQuote(platform, REPORT_DATA);
const v5 = simulatedQuote(platform, REPORT_DATA, { version: 5 });
const td15 = simulatedQuote(platform, REPORT_DATA, { td15: true });
const measured = simulatedMeasurements("zipnet");

/** The quote with bytes put at an offset. */
function patched(quote: Uint8Array, at: number, bytes: string): Uint8Array {
  const out = quote.slice();
  out.set(Uint8Array.fromHex(bytes), at);
  return out;
}

Deno.test("a quote has its fields where Intel's layout puts them", () => {
  const at = (quote: Uint8Array, from: number, length: number) =>
    hex(quote.subarray(from, from + length));
  const head = "0200810000000000000093" + "9a7233f79c4ca9940a0db3957f0607";
  assert.equal(at(v4, 0, 28), "0400" + head);
  assert.equal(at(v5, 0, 28), "0500" + head);
  assert.equal(at(v5, 48, 6), "020048020000");
  assert.equal(at(td15, 48, 6), "030088020000");
  for (const [quote, shift] of [[v4, 0], [v5, 6]] as const) {
    assert.equal(at(quote, shift + 184, 48), hex(measured.mrTd));
    assert.equal(at(quote, shift + 376, 48), hex(measured.rtmr0));
    assert.equal(at(quote, shift + 568, 64), hex(REPORT_DATA));
  }
  for (const [quote, shift] of [[v4, 0], [v5, 6], [td15, 70]] as const) {
    const u32At = (offset: number) => new DataView(quote.buffer).getUint32(shift + offset, true);
    assert.equal(u32At(632), quote.length - shift - 636);
    assert.equal(at(quote, shift + 700, 64), hex(platform.attestationKey.xy));
    assert.equal(at(quote, shift + 764, 2), "0600");
    assert.equal(u32At(766), quote.length - shift - 770);
    assert.equal(at(quote, shift + 770, 384), hex(platform.qeReport));
    assert.equal(at(quote, shift + 770 + 128, 32), "de".repeat(32));
    assert.equal(at(quote, shift + 1154, 64), hex(platform.qeSignature));
    assert.equal(at(quote, shift + 1218, 2), "2000");
    assert.equal(at(quote, shift + 1220, 32), hex(platform.qeAuthData));
    assert.equal(at(quote, shift + 1252, 2), "0500");
    assert.equal(u32At(1254), quote.length - shift - 1258);
    const chain = `${formatChain(platform.chain)}\0`;
    assert.equal(at(quote, shift + 1258, chain.length), hex(new TextEncoder().encode(chain)));
  }
});

for (
  const [name, quote, version] of [["4", v4, 4], ["5", v5, 5], ["5 of a 1.5", td15, 5]] as const
) {
  Deno.test(`a quote of version ${name} is read as it was made`, () => {
    const read = parseQuote(quote);
    assert.equal(read.version, version);
    assert.deepEqual(read.report, simulatedReport(REPORT_DATA, { td15: quote === td15 }));
    assert.deepEqual(read.attestationKey, platform.attestationKey.xy);
    assert.deepEqual(read.qeReportBytes, platform.qeReport);
    assert.deepEqual(read.qeAuthData, platform.qeAuthData);
    assert.deepEqual(
      concat(read.signed, u32(quote.length - read.signed.length - 4)),
      quote.subarray(0, read.signed.length + 4),
    );
    const shifted = concat(Uint8Array.of(0), quote).subarray(1);
    assert.deepEqual(parseQuote(shifted).report, read.report, "at an odd address");
    shifted.fill(0);
    assert.deepEqual(parseQuote(quote).report, read.report, "the input was copied");
  });

  Deno.test(`a quote of version ${name} is refused at every length but its own`, async () => {
    for (let n = 0; n < quote.length; n++) {
      await refused("quote-truncated", () => parseQuote(quote.subarray(0, n)), `cut at ${n}`);
    }
    for (const more of [1, 70, 8_000]) {
      const padded = concat(quote, new Uint8Array(more));
      await refused("quote-trailing", () => parseQuote(padded));
      assert.equal(quoteLength(padded), quote.length, "a padded quote says where it ends");
    }
    const over = new Uint8Array(MAX_QUOTE_BYTES + 1);
    over.set(quote);
    await refused("quote-size", () => parseQuote(over));
  });
}

Deno.test("a machine from the same seed makes the same quote, byte for byte", () => {
  assert.deepEqual(simulatedQuote(changedPlatform({}), REPORT_DATA), v4);
});

Deno.test("a quote whose header or lengths say something else is refused by its cause", async () => {
  const cases: [string, Parameters<typeof refused>[0], Uint8Array][] = [
    ["version 3", "quote-version", patched(v4, 0, "0300")],
    ["version 6", "quote-version", patched(v4, 0, "0600")],
    ["key of P-384", "quote-key-type", patched(v4, 2, "0300")],
    ["SGX", "quote-tee", patched(v4, 4, "00000000")],
    ["SEV", "quote-tee", patched(v4, 4, "82000000")],
    ["another vendor", "quote-vendor", patched(v4, 12, "00")],
    ["an SGX body", "quote-body", patched(v5, 48, "0100")],
    ["an unknown body", "quote-body", patched(v5, 48, "0400")],
    ["an unknown body of 1.5 size", "quote-body", patched(td15, 48, "0400")],
    ["a 1.0 body of 1.5 size", "quote-body", patched(v5, 50, "88020000")],
    ["a 1.5 body of 1.0 size", "quote-body", patched(td15, 50, "48020000")],
    ["a length of 4 GiB", "quote-size", patched(v4, 632, "ffffffff")],
    ["a length of one more", "quote-truncated", patched(v4, 632, hex(u32(v4.length - 635)))],
    ["a length of one less", "quote-trailing", patched(v4, 632, hex(u32(v4.length - 637)))],
    ["no length", "quote-certification", patched(v4, 632, "00000000").subarray(0, 636)],
    ["bare PCK chain", "quote-certification", patched(v4, 764, "0500")],
    ["a QE part of one more", "quote-certification", patched(v4, 766, hex(u32(v4.length - 769)))],
    ["a QE part of one less", "quote-trailing", patched(v4, 766, hex(u32(v4.length - 771)))],
    ["a QE part of 4 GiB", "quote-certification", patched(v4, 766, "ffffffff")],
    ["much QE data", "quote-certification", patched(v4, 1218, "ffff")],
    ["QE data of one more", "quote-certification", patched(v4, 1218, "2100")],
    ["an encrypted PPID", "quote-certification", patched(v4, 1252, "0300")],
    ["a chain of one more", "quote-certification", patched(v4, 1254, hex(u32(v4.length - 1257)))],
    ["a chain of one less", "quote-trailing", patched(v4, 1254, hex(u32(v4.length - 1259)))],
  ];
  for (const [what, code, bytes] of cases) await refused(code, () => parseQuote(bytes), what);
});

Deno.test("a quoting enclave may add up to 1,024 bytes", async () => {
  const quote = (length: number) =>
    simulatedQuote({ ...platform, qeAuthData: new Uint8Array(length) }, REPORT_DATA);
  for (const length of [0, 1_024]) {
    assert.equal(parseQuote(quote(length)).qeAuthData.length, length);
  }
  await refused("quote-certification", () => parseQuote(quote(1_025)));
});

Deno.test("a label's measurements are the same for ever, and differ from any other's", () => {
  assert.equal(hex(measured.mrTd).slice(0, 32), "f1b94377b17f2e91a529db520cdda826");
  const all = ["a", "b"].flatMap((label) => {
    const { rtmr3: _, ...it } = simulatedMeasurements(label);
    return Object.values(it).map(hex);
  });
  assert.equal(new Set(all).size, 8);
});

Deno.test("the SGX extension is read as it was written, and strictly", async () => {
  const { sgx } = await parseCertificate(platform.pck.der, "pck");
  assert.deepEqual(parsePlatform(sgx), SIMULATED_PLATFORM);
  await refused("pck-extension", () => parsePlatform(undefined));
  const pair = (oid: string, value: Uint8Array) => write.sequence(write.oid(oid), value);
  const svns = Array.from({ length: 17 }, (_, i) => pair(`${SGX.tcb}.${i + 1}`, write.integer(1)));
  const parts = {
    tcb: pair(SGX.tcb, write.sequence(...svns)),
    pceId: pair(SGX.pceId, write.octets(new Uint8Array(2))),
    fmspc: pair(SGX.fmspc, write.octets(new Uint8Array(6))),
  };
  const extension = (changes: Partial<typeof parts>, ...more: Uint8Array[]) =>
    write.sequence(...Object.values({ ...parts, ...changes }), ...more);
  const none = new Uint8Array(0);
  parsePlatform(extension({}));
  parsePlatform(extension({}, pair("1.2.3", write.integer(1))));
  const tcb = (...pairs: Uint8Array[]) => ({ tcb: pair(SGX.tcb, write.sequence(...pairs)) });
  const bad = {
    "no TCB": extension({ tcb: none }),
    "no family": extension({ fmspc: none }),
    "no PCE": extension({ pceId: none }),
    "a family of 5 bytes": extension({ fmspc: pair(SGX.fmspc, write.octets(new Uint8Array(5))) }),
    "a family of another type": extension({ fmspc: pair(SGX.fmspc, write.utf8("family")) }),
    "two families": extension({}, parts.fmspc),
    "a component missing": extension(tcb(...svns.slice(1))),
    "a component twice": extension(tcb(...svns, svns[0])),
    "a component of 256": extension(
      tcb(pair(`${SGX.tcb}.1`, write.integer(256)), ...svns.slice(1)),
    ),
    "a PCE SVN of 65,536": extension(
      tcb(...svns.slice(0, 16), pair(SGX.pceSvn, write.integer(65_536))),
    ),
    "too many pairs": extension(
      {},
      ...Array.from({ length: 40 }, (_, i) => pair(`1.2.${i}`, write.integer(1))),
    ),
    "bytes behind it": concat(extension({}), Uint8Array.of(0)),
    "a pair of three": extension(
      {},
      write.sequence(write.oid("1.2"), write.integer(1), write.integer(1)),
    ),
  };
  for (const [what, value] of Object.entries(bad)) {
    await refused("pck-extension", () => parsePlatform(value), what);
  }
  for (let n = 0; n < sgx!.length; n++) {
    assert.equal(await refusalOf(() => parsePlatform(sgx!.subarray(0, n))), "pck-extension");
  }
});
