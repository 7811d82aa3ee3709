/** Quotes and tickets in readable form: what is shown, what names a machine, and bad input. */
import assert from "node:assert/strict";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { parseCertificate } from "../../src/attest/certificate.ts";
import {
  describeQuote,
  describeTicket,
  formatLines,
  type Line,
  readEvidence,
} from "../../src/attest/describe_quote.ts";
import { simulatedSource } from "../../src/attest/quote_source.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { decodeTicket, makeTicket } from "../../src/attest/ticket.ts";
import { Random } from "../protocol/random.ts";
import { QUOTE } from "./cases.ts";
import { refusalOf, refused } from "./refused.ts";
import { spoilt } from "./spoil.ts";
import { changedPlatform, NOW, platform, REPORT_DATA, seeded } from "./stage.ts";

const SEED = 7_500, FLIPS = 3_000;
const measured = simulatedMeasurements("zipnet");
const td15 = simulatedQuote(platform, REPORT_DATA, { td15: true });
const TICKET = await makeTicket(simulatedSource(platform), {
  ...{ instance: new Uint8Array(32), anchor: new Uint8Array(32), key: new Uint8Array(32) },
  ...{ role: "client", from: NOW, until: NOW + 3_600_000, freshness: new Uint8Array(40).fill(7) },
});

const valueOf = (lines: readonly Line[], name: string) => lines.find(([it]) => it === name)?.[1];
const shown = async (quote: Uint8Array, machine = false) => await describeQuote(quote, { machine });

Deno.test("a quote's fields are shown by name", async () => {
  const lines = await shown(QUOTE), value = (name: string) => valueOf(lines, name);
  assert.equal(value("quote"), `version 4, TDX, report 1.0, ${QUOTE.length} bytes`);
  assert.equal(value("report data"), hex(REPORT_DATA));
  assert.equal(value("MRTD"), hex(measured.mrTd));
  assert.equal(value("RTMR0"), hex(measured.rtmr0));
  assert.equal(value("RTMR1"), hex(measured.rtmr1));
  assert.equal(value("RTMR2"), hex(measured.rtmr2));
  assert.equal(value("RTMR3"), "zero");
  assert.equal(value("TDATTRIBUTES"), "0000001000000000: SEPT_VE_DISABLE");
  assert.equal(value("TDX module"), "version 1, SVN 6");
  assert.equal(value("MRSEAM"), "de".repeat(48));
  assert.equal(value("TEE_TCB_SVN"), "6 1 3 0 0 0 0 0 0 0 0 0 0 0 0 0");
  assert.equal(value("QE"), "product 2, SVN 6");
  assert.equal(value("QE MRSIGNER"), "de".repeat(32));
  assert.equal(value("FMSPC"), "de0000000001");
  assert.equal(value("PCE"), "id 0000, SVN 13");
  assert.equal(value("SGX components"), "3 3 2 2 4 1 0 5 0 0 0 0 0 0 0 0");
  const certificates = lines.filter(([name]) => name === "certificate").map(([, it]) => it);
  assert.equal(certificates.length, 3);
  assert.match(
    certificates[0],
    /^DEV-ONLY SGX PCK Certificate, 2\d{3}-\d\d-\d\d to 2\d{3}-\d\d-\d\d$/,
  );
  assert.match(certificates[2], /^DEV-ONLY SGX Root CA, 2026-01-01T.*Z to 2027-01-01T.*Z$/);
  assert.match(value("root")!, /^[0-9a-f]{64}, not Intel's$/);
  assert.equal(value("MRSERVICETD"), undefined);
});

Deno.test("version 5 and a report 1.5 show what they have more", async () => {
  const v5 = await shown(simulatedQuote(platform, REPORT_DATA, { version: 5 }));
  assert.match(valueOf(v5, "quote")!, /^version 5, TDX, report 1\.0, /);
  const lines = await shown(td15);
  assert.match(valueOf(lines, "quote")!, /^version 5, TDX, report 1\.5, /);
  assert.equal(valueOf(lines, "MRSERVICETD"), "zero");
  assert.equal(valueOf(lines, "TEE_TCB_SVN2"), "6 1 3 0 0 0 0 0 0 0 0 0 0 0 0 0");
});

Deno.test("attributes are shown by name, unknown ones by number, and debug of both", async () => {
  const attributes = async (bits: string) => {
    const report = { tdAttributes: Uint8Array.fromHex(bits) };
    return valueOf(await shown(simulatedQuote(platform, REPORT_DATA, { report })), "TDATTRIBUTES");
  };
  assert.equal(await attributes("0000000000000000"), "0000000000000000: none");
  assert.equal(
    await attributes("21000078000000c0"),
    "21000078000000c0: DEBUG bit 5 LASS SEPT_VE_DISABLE MIGRATABLE PKS TPA PERFMON",
  );
  const debug = changedPlatform({
    qeReport: { attributes: Uint8Array.fromHex("17000000000000000700000000000000") },
  });
  const lines = await shown(simulatedQuote(debug, REPORT_DATA));
  assert.equal(valueOf(lines, "QE"), "product 2, SVN 6, under debug");
});

Deno.test("what names the machine is shown only if it is asked for", async () => {
  const { serial, from } = await parseCertificate(platform.pck.der, "pck");
  const ppid = hex(seeded(2)(16)), key = hex(platform.attestationKey.xy);
  const named = [["PCK serial", serial], ["PPID", ppid], ["attestation key", key]];
  const userData = Uint8Array.from({ length: 20 }, (_, i) => 0xa0 + i);
  const quote = concat(QUOTE.subarray(0, 28), userData, QUOTE.subarray(48));
  const all = await shown(quote, true), plain = formatLines(await shown(quote));
  const time = new Date(from).toISOString();
  for (const [name, value] of [...named, ["QE id", hex(userData)]]) {
    assert.equal(valueOf(all, name), value);
    assert.equal(plain.includes(value), false, name);
  }
  assert.ok(formatLines(all).includes(time));
  const [line] = plain.split("\n").filter((it) => it.includes("PCK Certificate"));
  assert.equal(line.includes(time), false);
});

Deno.test("a ticket is told from a quote, and what is behind a quote is cut", async () => {
  const { ticket, quote, padding } = readEvidence(TICKET);
  assert.deepEqual([ticket, padding], [decodeTicket(TICKET), 0]);
  assert.match(valueOf(await shown(quote), "quote")!, /^version 4/);
  assert.deepEqual(describeTicket(ticket!), [
    ["ticket", "of a client"],
    ["from", "2026-01-01T00:00:00.000Z"],
    ["until", "2026-01-01T01:00:00.000Z, 60 min"],
    ["freshness", "07".repeat(40)],
  ]);
  const padded = readEvidence(concat(QUOTE, new Uint8Array(70)));
  assert.deepEqual(padded, { quote: QUOTE, padding: 70 });
  const never = describeTicket({ ...ticket!, until: 2 ** 53 - 1 });
  assert.match(valueOf(never, "until")!, /^9007199254740991 ms, /);
});

Deno.test("bad input is refused by its code; bad certificates leave the rest readable", async () => {
  await refused("quote-truncated", () => readEvidence(new Uint8Array(0)));
  await refused("quote-version", () => readEvidence(new TextEncoder().encode("no quote")));
  await refused("ticket-malformed", () => readEvidence(TICKET.subarray(0, -1)));
  await refused("quote-truncated", () => readEvidence(QUOTE.subarray(0, -1)));
  const chain = () => [platform.pck.der, platform.pck.der.subarray(1)];
  const lines = await shown(simulatedQuote(changedPlatform({ chain }), REPORT_DATA));
  assert.match(valueOf(lines, "certificates")!, /^cannot be read: pck-malformed: /);
  assert.equal(valueOf(lines, "MRTD"), hex(measured.mrTd));
  assert.equal(valueOf(lines, "FMSPC"), undefined);
});

Deno.test("values stand in one column", () => {
  const text = formatLines([["MRTD", "zero"], ["attestation key", "ab"]]);
  assert.equal(text, "MRTD            zero\nattestation key ab");
});

Deno.test("fuzz: a changed byte of a quote or a ticket is shown or gets a code", async () => {
  let readable = 0;
  for (let run = 0; run < FLIPS; run++) {
    const { bytes } = spoilt(new Random(SEED + run), [QUOTE, td15, TICKET][run % 3]);
    const code = await refusalOf(async () => {
      const { ticket, quote } = readEvidence(bytes);
      formatLines([...ticket ? describeTicket(ticket) : [], ...await shown(quote, true)]);
    });
    if (code === undefined) readable++;
  }
  assert.ok(readable > FLIPS / 2 && readable < FLIPS, `${readable} of ${FLIPS} were shown`);
});
