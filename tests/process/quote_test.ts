/** `deno task quote` as a process: what it shows, its verdict in one line, and how it ends. */
import { deepEqual, equal, match } from "node:assert/strict";
import { formatCollateral } from "../../src/attest/collateral_json.ts";
import { simulatedSource } from "../../src/attest/quote_source.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import { makeTicket, TICKET_MS, type TicketTerms } from "../../src/attest/ticket.ts";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { COLLATERAL, QUOTE } from "../attest/cases.ts";
import { ANCHOR } from "../attest/judge.ts";
import { NOW, platform, seeded } from "../attest/stage.ts";
import { Folder, tool } from "./tool.ts";

const DAY = "2026-01-01", { mrTd, rtmr1, rtmr2 } = simulatedMeasurements("zipnet");
const { key } = signer(seeded(6)(32));
const TERMS: TicketTerms = {
  instance: instanceId(universeId(), "example"),
  anchor: ANCHOR.fingerprint,
  ...{ role: "client", key, from: NOW, until: NOW + TICKET_MS, freshness: seeded(7)(40) },
};
const TICKET = await makeTicket(simulatedSource(platform), TERMS);

/** The files of one verdict, and the tool over them. */
class Bench extends Folder {
  readonly collateral = this.put("collateral.json", formatCollateral(COLLATERAL));
  readonly anchor = this.put("root.der", ANCHOR.certificate.der);
  /** Runs it on evidence as standard input, with these rules. */
  async judge(stdin: Uint8Array, ...rules: string[]) {
    const by = ["--collateral", this.collateral, "--anchor", this.anchor, "--at", DAY];
    const ending = await tool("quote", ["-", ...by, ...rules], { read: [this.path], stdin });
    equal(ending.err, "");
    const lines = ending.out.trimEnd().split("\n");
    return { code: ending.code, lines, last: lines.at(-1)! };
  }
}

Deno.test("quote: shows a quote, binary or in hex, and says that nothing was verified", async () => {
  using folder = new Folder();
  const binary = await tool("quote", ["-"], { stdin: concat(QUOTE, new Uint8Array(70)) });
  deepEqual([binary.code, binary.err], [0, ""]);
  const lines = binary.out.trimEnd().split("\n");
  equal(lines[0], `quote           version 4, TDX, report 1.0, ${QUOTE.length} bytes`);
  equal(lines.at(-2), "padding         70 bytes behind the quote, not of it");
  equal(lines.at(-1), "nothing was verified: that takes --collateral FILE");
  equal(binary.out.includes("PPID"), false);
  const text = hex(QUOTE).toUpperCase().replaceAll(/.{64}/g, "$&\n");
  const file = folder.put("quote.hex", text), read = [folder.path];
  const digits = await tool("quote", [file, "--machine"], { read });
  match(digits.out, new RegExp(`^PPID +${hex(seeded(2)(16))}$`, "m"));
  match(digits.out, new RegExp(`^MRTD +${hex(mrTd)}$`, "m"));
});

Deno.test("quote: accepted by anchor and policy, or refused in one line with the reason", async () => {
  using bench = new Bench();
  const rules = ["--mrtd", `${"ab".repeat(48)},${hex(mrTd)}`, "--rtmr1", hex(rtmr1)];
  const { code, lines, last } = await bench.judge(QUOTE, ...rules, "--rtmr2", hex(rtmr2));
  equal(code, 0);
  match(last, /^verified: UpToDate until 2026-01-31T00:00:00\.000Z$/);
  const warnings = (of: readonly string[]) => of.filter((line) => line.startsWith("warning: "));
  deepEqual(warnings(lines), ["warning: a development root vouches for it, no hardware"]);
  const open = await bench.judge(QUOTE);
  match(warnings(open.lines)[0], /requires no MRTD, RTMR1, RTMR2/);

  const cases: [string[], RegExp][] = [
    [
      ["--mrtd", "ab".repeat(48)],
      /^refused: mrtd: the firmware \(MRTD\) is not one of .*; it is f1/,
    ],
    [["--tcb", "OutOfDate"], /^refused: tcb-status: .*; UpToDate$/],
  ];
  for (const [more, message] of cases) {
    const ending = await bench.judge(QUOTE, ...more);
    equal(ending.code, 4);
    match(ending.last, message);
    match(ending.lines[0], /^quote /, "it is shown none the less");
  }
  const later = ["-", "--collateral", bench.collateral, "--anchor", bench.anchor];
  const read = [bench.path], stdin = QUOTE;
  const expired = await tool("quote", [...later, "--at", "2027-06-01T00:00:00Z"], { read, stdin });
  match(expired.out, /\nrefused: \S+-expired: .*it is 2027-06-01T00:00:00\.000Z\n$/);
  const intel = await tool("quote", later.slice(0, 3), { read, stdin });
  deepEqual([intel.code, /\nrefused: root-crl-issuer: /.test(intel.out)], [4, true]);
  const cut = await tool("quote", ["-"], { stdin: QUOTE.subarray(0, 700) });
  deepEqual([cut.code, cut.err], [4, ""]);
  match(cut.out, /^refused: quote-truncated: the quote ends before its declared length; .*\n$/);
});

Deno.test("quote: a ticket, and whom it speaks for", async () => {
  using bench = new Bench();
  const peer = ["--instance", "example", "--key", hex(key)];
  const bound = await bench.judge(TICKET, ...peer);
  equal(bound.code, 0);
  equal(bound.last, "verified: UpToDate until 2026-01-01T01:00:00.000Z");
  deepEqual(bound.lines.slice(0, 4), [
    "ticket          of a client",
    "from            2026-01-01T00:00:00.000Z",
    "until           2026-01-01T01:00:00.000Z, 60 min",
    `freshness       ${hex(TERMS.freshness)}`,
  ]);
  const alone = await bench.judge(TICKET);
  equal(alone.last, "verified: UpToDate until 2026-01-31T00:00:00.000Z");
  equal(alone.lines.some((line) => /^warning: whom the ticket speaks for/.test(line)), true);
  const cases: [string[], RegExp][] = [
    [["--instance", "another", "--key", hex(key)], /^refused: report-data: /],
    [[...peer, "--universe", "elsewhere"], /^refused: report-data: /],
    [["--instance", "example", "--key", hex(signer(seeded(8)(32)).key)], /^refused: report-data: /],
    [[...peer, "--role", "server"], /^refused: ticket-role: .*; it is of a client$/],
  ];
  for (const [rules, message] of cases) {
    const { code, last } = await bench.judge(TICKET, ...rules);
    equal(code, 4);
    match(last, message);
  }
});

Deno.test("quote: what does not fit is one line and exit code 2", async () => {
  using bench = new Bench();
  const file = bench.put("quote", QUOTE), by = [file, "--collateral", bench.collateral];
  const under = [...by, "--anchor", bench.anchor, "--at", DAY];
  const one = ["--instance", "example"], zero = "0".repeat(64);
  const cases: [string[], RegExp][] = [
    [[], /expected one quote or ticket/],
    [[file, file], /expected one quote or ticket/],
    [[`${bench.path}/nowhere`], /nowhere cannot be read: /],
    [[file, "--mrtd", hex(mrTd)], /--mrtd is for verifying, which takes --collateral FILE/],
    [[file, "--colateral", file], /unknown option --colateral; did you mean --collateral\?/],
    [[...by, "--mrtd", "ab"], /--mrtd: expected 96 hex digits, got 2 characters/],
    [[...by, "--tcb", "Revoked"], /accepted statuses: expected some of UpToDate, /],
    [[...by, "--at", "2026-02-30"], /--at: expected 2026-01-31 or /],
    [[...by, "--at", "yesterday"], /--at: expected 2026-01-31 or /],
    [[...by, ...one], /expected both --instance NAME and --key HEX/],
    [[...by, "--role", "server"], /beside --instance and --key/],
    [[...by, ...one, "--key", hex(key), "--role", "reader"], /--role: expected server or client/],
    [[...by, ...one, "--key", zero], /--key: a public key of small order/],
    [[...by, "--instance", "Ä", "--key", hex(key)], /--instance: an instance name is 1 to 64/],
    [[...under, ...one, "--key", hex(key)], /are for tickets, and this is a quote/],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await tool("quote", args, { read: [bench.path] });
    equal(code, 2, args.join(" "));
    match(err, new RegExp(`^zipnet: [^\n]*${message.source}[^\n]*\n$`), args.join(" "));
  }
  const refused = await tool("quote", [file, "--collateral", "-"]);
  deepEqual([refused.code, refused.out], [2, ""]);
  equal(
    refused.err,
    `zipnet: ${file} may not be read: hand it over as standard input (- in its place), or run deno ` +
      `run -q --no-prompt --allow-read=${file} scripts/quote.ts ${file} --collateral -\n`,
  );
  const large = await tool("quote", ["-"], { stdin: new Uint8Array(200_000) });
  deepEqual([large.code, large.err], [2, "zipnet: standard input has over 196791 bytes\n"]);
  match((await tool("quote", ["--help"])).out, /deno task quote FILE --collateral FILE/);
});
