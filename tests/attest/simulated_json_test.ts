/** The simulated authority and its machines as files: what comes back, and what is refused. */
import assert from "node:assert/strict";
import { equal } from "../../src/protocol/bytes.ts";
import {
  formatAuthority,
  formatPlatform,
  parseAuthority,
  parsePlatform,
  SimulatedJsonError,
} from "../../src/attest/simulated_json.ts";
import { simulatedCollateral } from "../../src/attest/simulated_collateral.ts";
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { Random } from "../protocol/random.ts";
import { authority, NOW, platform } from "./stage.ts";

const revoked = [Uint8Array.of(0x41, 2), Uint8Array.of(9)];
const AUTHORITY = formatAuthority({ authority, revoked });
const PLATFORM = formatPlatform({ platform, image: "zipnet" });

Deno.test("an authority comes back to the byte: certificates, and what it issues", () => {
  const kept = parseAuthority(AUTHORITY);
  for (const name of ["root", "pckCa", "tcbSigner"] as const) {
    assert.ok(equal(kept.authority[name].der, authority[name].der), name);
  }
  assert.deepEqual(kept.revoked, revoked);
  assert.deepEqual(simulatedCollateral(kept.authority, NOW), simulatedCollateral(authority, NOW));
  assert.equal(formatAuthority(kept), AUTHORITY);
});

Deno.test("a machine comes back, its quotes to the byte, and it has no key but its own", () => {
  const kept = parsePlatform(PLATFORM), data = new Random(3).bytes(64);
  assert.equal(kept.image, "zipnet");
  assert.deepEqual(simulatedQuote(kept.platform, data), simulatedQuote(platform, data));
  for (const name of ["root", "pckCa", "tcbSigner"] as const) {
    assert.ok(!PLATFORM.includes(authority[name].key.secret.toHex()), name);
  }
  assert.ok(!PLATFORM.includes(platform.pck.key.secret.toHex()));
});

Deno.test("what is missing, too long or no JSON is refused by name", () => {
  const without = (json: string, field: string, value?: unknown) =>
    JSON.stringify({ ...JSON.parse(json), [field]: value });
  for (
    const [parse, json, told] of [
      [parseAuthority, "", /expected an authority as JSON/],
      [parseAuthority, "[]", /expected an object/],
      [parseAuthority, without(AUTHORITY, "root"), /^root: expected an object/],
      [
        parseAuthority,
        without(AUTHORITY, "root", { secret: "00" }),
        /root.secret: expected 32 bytes/,
      ],
      [parseAuthority, without(AUTHORITY, "revoked"), /^revoked: expected a list/],
      [
        parseAuthority,
        without(AUTHORITY, "revoked", ["zz"]),
        /revoked\[0\]: expected 1 to 20 bytes/,
      ],
      [parsePlatform, without(PLATFORM, "image", ""), /^image: expected a text/],
      [parsePlatform, without(PLATFORM, "image", "x".repeat(129)), /^image: expected a text/],
      [parsePlatform, without(PLATFORM, "chain", []), /expected three certificates/],
      [parsePlatform, without(PLATFORM, "qe_report", "00"), /qe_report: expected 384 bytes/],
      [
        parsePlatform,
        without(PLATFORM, "attestation_key", 7),
        /attestation_key: expected 32 bytes/,
      ],
      [parsePlatform, " ".repeat(1_048_577), /characters, at most/],
    ] as const
  ) {
    assert.throws(() => parse(json), (error: Error) => {
      assert.ok(error instanceof SimulatedJsonError, String(error));
      assert.match(error.message, told);
      return true;
    });
  }
});

Deno.test("whatever byte is changed, it is read or refused with a line", () => {
  for (const [parse, json] of [[parseAuthority, AUTHORITY], [parsePlatform, PLATFORM]] as const) {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed), bytes = new TextEncoder().encode(json);
      bytes[random.below(bytes.length)] ^= 1 << random.below(7);
      try {
        parse(new TextDecoder().decode(bytes));
      } catch (error) {
        assert.ok(error instanceof SimulatedJsonError, `seed ${seed}: ${error}`);
      }
    }
  }
});
