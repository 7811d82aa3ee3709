/** `deno task mrtd` as a process: what it prints, how it ends, and what it may not read. */
import { deepEqual, equal, match } from "node:assert/strict";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { firmwareMrTd } from "../../src/attest/mrtd.ts";
import { extended, predictRtmr2 } from "../../src/attest/rtmr.ts";
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { event, specId } from "../attest/event_log.ts";
import { firmware } from "../attest/firmware.ts";
import { platform, REPORT_DATA } from "../attest/stage.ts";
import { Random } from "../protocol/random.ts";
import { Folder, tool } from "./tool.ts";

const IMAGE = firmware(), initrd = new Random(95).bytes(100_000);
const ZERO = new Uint8Array(48);
const mrtd = (order: "page" | "pass") => hex(firmwareMrTd(IMAGE, order));

Deno.test("mrtd: a firmware in both orders, or as the option takes it", async () => {
  using folder = new Folder();
  const file = folder.put("OVMF.fd", IMAGE), read = [folder.path];
  const both = await tool("mrtd", [file], { read });
  deepEqual(both, {
    code: 0,
    out: `MRTD_PAGE=${mrtd("page")}\nMRTD_PASS=${mrtd("pass")}\n`,
    err: "",
  });
  const one = await tool("mrtd", ["-", "--order", "pass"], { stdin: IMAGE });
  deepEqual(one, { code: 0, out: `ZIPNET_MRTD=${mrtd("pass")}\n`, err: "" });
});

Deno.test("mrtd rtmr2: a command line as text or as a file, and an initrd", async () => {
  using folder = new Folder();
  const line = folder.put("line", "console=ttyS0 quiet\n"), file = folder.put("it's", initrd);
  const expected = (direct: boolean) =>
    `ZIPNET_RTMR2=${hex(predictRtmr2("console=ttyS0 quiet", initrd, { direct }))}\n`;
  const told = ["rtmr2", "--cmdline", "console=ttyS0 quiet", "--initrd"];
  equal((await tool("mrtd", [...told, "-"], { stdin: initrd })).out, expected(true));
  const plain = ["rtmr2", "--cmdline-file", line, "--initrd", file, "--no-initrd-suffix"];
  equal((await tool("mrtd", plain, { read: [folder.path] })).out, expected(false));
  const { code, err } = await tool("mrtd", [...told, file]);
  equal(code, 2);
  const quoted = `'${file.replace("'", "'\\''")}'`;
  match(err, /^zipnet: .* may not be read: hand it over as standard input .*, or run deno run /);
  equal(err.trimEnd().endsWith(`rtmr2 --cmdline 'console=ttyS0 quiet' --initrd ${quoted}`), true);
  equal(err.trimEnd().split("\n").length, 1);
});

Deno.test("mrtd replay: the registers of a log, and those in which a quote differs", async () => {
  using folder = new Folder();
  const digests = [1, 2, 3].map((n) => new Uint8Array(48).fill(n));
  const log = concat(specId(), ...digests.map((digest, i) => event(1 + i, digest)));
  const registers = [...digests.map((digest) => extended([digest])), ZERO];
  const out = `ZIPNET_RTMR0=${hex(registers[0])}\nZIPNET_RTMR1=${hex(registers[1])}\n` +
    `ZIPNET_RTMR2=${hex(registers[2])}\nRTMR3=${hex(ZERO)}\n`;
  deepEqual(await tool("mrtd", ["replay", "-"], { stdin: log }), { code: 0, out, err: "" });

  const quote = (rtmr1: Uint8Array) =>
    simulatedQuote(platform, REPORT_DATA, {
      report: { rtmr0: registers[0], rtmr1, rtmr2: registers[2], rtmr3: ZERO },
    });
  const read = [folder.path], stdin = log;
  const padded = concat(quote(registers[1]), new Uint8Array(70));
  const same = folder.put("same", padded), text = folder.put("text", `${hex(padded)}\n`);
  for (const file of [same, text]) {
    const ending = await tool("mrtd", ["replay", "-", "--quote", file], { read, stdin });
    deepEqual(ending, { code: 0, out, err: "zipnet: the quote has these RTMRs\n" });
  }
  const other = folder.put("other", quote(ZERO));
  const ending = await tool("mrtd", ["replay", "-", "--quote", other], { read, stdin });
  const err = `zipnet: RTMR1 of the quote is ${hex(ZERO)}\n`;
  deepEqual(ending, { code: 1, out, err });
});

Deno.test("mrtd: what does not fit is one line and exit code 2", async () => {
  using folder = new Folder();
  const split = folder.put("OVMF_CODE.fd", IMAGE.subarray(0x1000)), none = folder.put("none", "");
  const cases: [string[], RegExp][] = [
    [[], /expected a firmware file/],
    [["a", "b"], /expected a firmware file.*, got a b/],
    [[split], /OVMF_CODE.fd: firmware-range: .*whole OVMF.fd.* the file has 12288$/],
    [[none], /none: firmware-malformed: /],
    [[`${folder.path}/nowhere`], /nowhere cannot be read: /],
    [[split, "--order", "both"], /--order: expected page or pass, got both/],
    [[split, "--oder", "page"], /unknown option --oder; did you mean --order\?/],
    [[split, "--quote", none], /--quote does not go with this/],
    [["rtmr2", "--cmdline", "a"], /expected --initrd FILE/],
    [["rtmr2", "--initrd", none], /expected one of --cmdline TEXT and --cmdline-file FILE/],
    [["rtmr2", "--cmdline", "é", "--initrd", none], /the command line: expected printable ASCII/],
    [["rtmr2", "--cmdline", "a", "--cmdline", "b", "--initrd", none], /--cmdline stands 2 times/],
    [["rtmr2", "--cmdline-file", "-", "--initrd", "-"], /standard input can be read once/],
    [["replay", none], /none: event-log-malformed: /],
    [["replay"], /expected an event log, got nothing/],
  ];
  for (const [args, message] of cases) {
    const { code, out, err } = await tool("mrtd", args, { read: [folder.path] });
    deepEqual([code, out], [2, ""], args.join(" "));
    match(err.trimEnd(), new RegExp(`^zipnet: [^\n]*${message.source}`), args.join(" "));
    equal(err.trimEnd().includes("\n"), false, err);
  }
  const { code, out } = await tool("mrtd", ["--help"]);
  equal(code, 0);
  match(out, /deno task mrtd replay/);
});
