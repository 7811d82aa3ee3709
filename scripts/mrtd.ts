/**
 * `deno task mrtd`: what a TDX guest will measure, from the files that it is started with, and what
 * it has measured, from its event log.
 */
import { AttestationError } from "../src/attest/reasons.ts";
import { MAX_EVENT_LOG_BYTES, parseEventLog, replayEvents } from "../src/attest/event_log.ts";
import { firmwareMrTd, PAGE_ORDERS } from "../src/attest/mrtd.ts";
import { MAX_QUOTE_BYTES, parseQuote, quoteLength } from "../src/attest/quote.ts";
import { MAX_COMMAND_LINE, predictRtmr2 } from "../src/attest/rtmr.ts";
import { MAX_FIRMWARE_BYTES } from "../src/attest/tdvf.ts";
import { EXIT } from "../src/ops/exit.ts";
import { equal, hex } from "../src/protocol/bytes.ts";
import { bytesOrHex, called, Inputs, Misuse, parseFlags, run } from "./tool.ts";

const HELP = `What a TDX guest measures, a line NAME=hex for each, as options take it.

  deno task mrtd OVMF.fd                           MRTD of a firmware in both orders
  deno task mrtd OVMF.fd --order page|pass         as ZIPNET_MRTD, in the order of the hypervisor
  deno task mrtd rtmr2 --cmdline TEXT --initrd FILE
                                                   as ZIPNET_RTMR2
  deno task mrtd replay EVENT-LOG                  the RTMRs that follow from an event log
  deno task mrtd replay EVENT-LOG --quote QUOTE    and whether a quote has them: else exit code 1

  --cmdline-file FILE   the command line as a file; line ends at its end do not count
  --no-initrd-suffix    the guest is not started by -kernel and -initrd, so that the firmware does
                        not put " initrd=initrd" behind the command line

One file may be -, standard input; others need a permission that the refusal prints. Upstream KVM with
QEMU from 9 on measures page by page (page), the patched QEMU 8 of distributions in two passes (pass).
In a guest: deno task mrtd replay - < /sys/firmware/acpi/tables/data/CCEL
`;

const FLAGS = {
  text: ["order", "cmdline", "cmdline-file", "initrd", "quote"],
  switches: ["no-initrd-suffix", "help"],
} as const;
/** Bytes of an initrd; a whole image in one has 50 MB. */
const MAX_INITRD_BYTES = 2 ** 29;
/** Bytes of a file with a quote, which may be hex digits in lines. */
const MAX_QUOTE_FILE = 3 * MAX_QUOTE_BYTES;

type Args = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  return parseFlags(args, FLAGS);
}

function main(): number {
  const args = parse(Deno.args), [command, ...rest] = args.words;
  if (args.help) console.log(HELP.trimEnd());
  else if (command === "rtmr2") predict(args, rest);
  else if (command === "replay") return replay(args, rest);
  else measure(args, args.words);
  return EXIT.clean;
}

/** Refuses flags that the command does not know. */
function only(args: Args, ...known: (keyof Args)[]): void {
  for (const name of [...FLAGS.text, ...FLAGS.switches]) {
    if (args[name] && !known.includes(name)) {
      throw new Misuse(`--${name} does not go with this: deno task mrtd --help`);
    }
  }
}

function measure(args: Args, words: readonly string[]): void {
  only(args, "order");
  const file = one(words, "a firmware file, or rtmr2 or replay");
  const order = PAGE_ORDERS.find((it) => it === args.order);
  if (args.order !== undefined && order === undefined) {
    throw new Misuse(`--order: expected ${PAGE_ORDERS.join(" or ")}, got ${args.order}`);
  }
  const firmware = new Inputs("mrtd", [file]).read(file, MAX_FIRMWARE_BYTES);
  for (const each of order === undefined ? PAGE_ORDERS : [order]) {
    const name = order === undefined ? `MRTD_${each.toUpperCase()}` : "ZIPNET_MRTD";
    console.log(`${name}=${hex(understood(file, () => firmwareMrTd(firmware, each)))}`);
  }
}

function predict(args: Args, words: readonly string[]): void {
  only(args, "cmdline", "cmdline-file", "initrd", "no-initrd-suffix");
  const { cmdline, "cmdline-file": file, initrd } = args;
  if (words.length > 0) throw new Misuse(`${words[0]}: expected options only behind rtmr2`);
  if ((cmdline === undefined) === (file === undefined)) {
    throw new Misuse("expected one of --cmdline TEXT and --cmdline-file FILE");
  }
  if (initrd === undefined) throw new Misuse("expected --initrd FILE");
  const inputs = new Inputs("mrtd", [file, initrd]);
  const line = cmdline ?? textOf(inputs.read(file!, 2 * MAX_COMMAND_LINE));
  const bytes = inputs.read(initrd, MAX_INITRD_BYTES), direct = !args["no-initrd-suffix"];
  const value = understood("--cmdline", () => predictRtmr2(line, bytes, { direct }));
  console.log(`ZIPNET_RTMR2=${hex(value)}`);
}

/** A command line from a file; what is no UTF-8 is refused where it is looked at. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/[\r\n]+$/, "");
}

function replay(args: Args, words: readonly string[]): number {
  only(args, "quote");
  const file = one(words, "an event log"), { quote } = args;
  const inputs = new Inputs("mrtd", [file, quote]);
  const log = inputs.read(file, MAX_EVENT_LOG_BYTES);
  const values = understood(file, () => replayEvents(parseEventLog(log)));
  values.forEach((value, i) => console.log(`${i < 3 ? "ZIPNET_" : ""}RTMR${i}=${hex(value)}`));
  if (quote === undefined) return EXIT.clean;
  const bytes = bytesOrHex(inputs.read(quote, MAX_QUOTE_FILE));
  const { report } = understood(quote, () => parseQuote(bytes.subarray(0, quoteLength(bytes))));
  const theirs = [report.rtmr0, report.rtmr1, report.rtmr2, report.rtmr3];
  const wrong = values.flatMap((value, i) => equal(value, theirs[i]) ? [] : [i]);
  for (const i of wrong) console.error(`zipnet: RTMR${i} of the quote is ${hex(theirs[i])}`);
  if (wrong.length > 0) return EXIT.failure;
  console.error("zipnet: the quote has these RTMRs");
  return EXIT.clean;
}

function one(words: readonly string[], what: string): string {
  if (words.length === 1) return words[0];
  throw new Misuse(`expected ${what}, got ${words.join(" ") || "nothing"}: deno task mrtd --help`);
}

/** What is read of a file; where it cannot be read, the line names the file. */
function understood<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw new Misuse(error.message);
    if (error instanceof AttestationError) throw new Misuse(`${called(name)}: ${error.message}`);
    throw error;
  }
}

await run(main);
