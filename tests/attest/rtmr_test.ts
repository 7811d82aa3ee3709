/** RTMRs: extension by a computation of its own, and RTMR2 of a command line and an initrd. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import {
  extend,
  extended,
  INITRD_SUFFIX,
  MAX_COMMAND_LINE,
  measuredCommandLine,
  predictRtmr2,
} from "../../src/attest/rtmr.ts";
import { Random } from "../protocol/random.ts";

const initrd = new Random(92).bytes(5_000);
const ZERO = "00".repeat(48);

async function sha384(text: string): Promise<string> {
  const bytes = Uint8Array.fromHex(text);
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-384", bytes)));
}

Deno.test("a register is extended by hashing it with the digest", async () => {
  const digests = [new Random(93).bytes(48), new Random(94).bytes(48)];
  const [one, two] = digests.map(hex);
  const first = await sha384(ZERO + one);
  assert.equal(hex(extend(new Uint8Array(48), digests[0])), first);
  assert.equal(hex(extended(digests)), await sha384(first + two));
  assert.equal(hex(extended([])), ZERO);
});

Deno.test("a command line is measured as UTF-16LE with a zero at its end", () => {
  assert.equal(hex(measuredCommandLine("a=1 b")), "61003d0031002000620000" + "00");
  assert.equal(hex(measuredCommandLine("")), "0000");
});

Deno.test("RTMR2 is of the command line and then of the initrd", async () => {
  const line = "63006f006e0073006f006c0065003d00740074007900530030000000"; // console=ttyS0
  const first = await sha384(ZERO + await sha384(line));
  const second = await sha384(first + await sha384(hex(initrd)));
  assert.equal(hex(predictRtmr2("console=ttyS0", initrd, { direct: false })), second);
});

Deno.test("started directly, the command line has the firmware's words behind it", () => {
  const plain = (line: string) => hex(predictRtmr2(line, initrd, { direct: false }));
  assert.equal(INITRD_SUFFIX, " initrd=initrd");
  assert.equal(hex(predictRtmr2("quiet", initrd)), plain("quiet initrd=initrd"));
  assert.notEqual(hex(predictRtmr2("quiet", initrd)), plain("quiet"));
  assert.equal(hex(predictRtmr2("", initrd)), plain(" initrd=initrd"));
});

Deno.test("what cannot be a command line is refused", () => {
  for (const line of ["a\nb", "a\0", "é", "a\tb", "\u{1f600}"]) {
    assert.throws(() => predictRtmr2(line, initrd), /printable ASCII/);
  }
  const longest = "a".repeat(MAX_COMMAND_LINE);
  predictRtmr2(longest, initrd, { direct: false });
  const message = /2048 characters, a kernel takes 2047/;
  assert.throws(() => predictRtmr2(`${longest}a`, initrd, { direct: false }), message);
  const words = INITRD_SUFFIX.length;
  predictRtmr2(longest.slice(words), initrd);
  assert.throws(() => predictRtmr2(longest.slice(words - 1), initrd), message);
});
