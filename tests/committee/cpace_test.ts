/** The published test vectors of draft-irtf-cfrg-cpace-21, appendix B.3: CPACE-RISTR255-SHA512. */
import { equal, throws } from "node:assert/strict";
import { createHmac, hash } from "node:crypto";
import { concat, hex, unhex } from "../../src/protocol/bytes.ts";
import {
  calculateGenerator,
  confirmation,
  generatorString,
  littleEndian,
  lvCat,
  sampleScalar,
  scalarMult,
  scalarMultVfy,
  sessionKey,
} from "../../src/committee/cpace.ts";
import { refuses } from "../protocol/refuses.ts";

const text = new TextEncoder();
const bytes = (digits: string) => unhex(digits, digits.length / 2);

const SECRET = text.encode("Password");
const CHANNEL = bytes("0b415f696e69746961746f720b425f726573706f6e646572");
const SESSION = bytes("7e4b4791d6a8ef019b936c79fb7f2c57");
const GENERATOR = "222b6b195fe84b1652badb6f6a3ae3d24341e7306967f0b8115b40d5698c7e56";
const YA = bytes("da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08");
const YB = bytes("d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d");
const SHARE_A = "d6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157";
const SHARE_B = "3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258";
const SHARED = "80b69a8a76457ab6a4d7f887a4bf6b55a2f80ac19c333f917a05fc9887c8b40f";
const KEY = "b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd" +
  "2b38950a39dfd5d4a79164614c2984f7daa460b588c1e80c3fa2068af7900447";

Deno.test("cpace: the draft's generator string and generator", () => {
  const string = generatorString(SECRET, CHANNEL, SESSION);
  equal(
    hex(string),
    "11435061636552697374726574746f3235350850617373776f726464" + "00".repeat(100) +
      "180b415f696e69746961746f720b425f726573706f6e646572107e4b4791d6a8ef019b936c79fb7f2c57",
  );
  equal(hex(calculateGenerator(SECRET, CHANNEL, SESSION)), GENERATOR);
});

Deno.test("cpace: the draft's shares, shared element and key", () => {
  const a = littleEndian(YA), b = littleEndian(YB), g = bytes(GENERATOR);
  equal(hex(scalarMult(a, g)), SHARE_A);
  equal(hex(scalarMult(b, g)), SHARE_B);
  equal(hex(scalarMultVfy(a, bytes(SHARE_B))), SHARED);
  equal(hex(scalarMultVfy(b, bytes(SHARE_A))), SHARED);
  const first = { share: bytes(SHARE_A), said: text.encode("ADa") };
  const second = { share: bytes(SHARE_B), said: text.encode("ADb") };
  const shared = bytes(SHARED);
  equal(hex(sessionKey(SESSION, shared, first, second)), KEY);
  equal(hex(shared), "00".repeat(32), "the shared element is wiped");
});

Deno.test("cpace: lengths are LEB128, beyond 127 and 16383 too", () => {
  equal(hex(lvCat(new Uint8Array(0), Uint8Array.of(7))), "000107");
  equal(hex(lvCat(new Uint8Array(128)).subarray(0, 2)), "8001");
  equal(hex(lvCat(new Uint8Array(16_384)).subarray(0, 3)), "808001");
});

Deno.test("cpace: the identity, and what is no canonical element, is refused", () => {
  const minusOne = `ec${"ff".repeat(30)}7f`, prime = `ed${"ff".repeat(30)}7f`;
  for (const bad of ["00".repeat(32), `01${"00".repeat(31)}`, minusOne, prime, "ff".repeat(32)]) {
    refuses("key", () => scalarMultVfy(5n, bytes(bad)));
  }
  refuses("key", () => scalarMultVfy(5n, new Uint8Array(31)));
});

Deno.test("cpace: random bytes make a scalar below the order, and are wiped", () => {
  const seed = new Uint8Array(64).fill(0xff);
  const scalar = sampleScalar(seed);
  equal(scalar > 0n && scalar < 2n ** 253n, true);
  equal(hex(seed), "00".repeat(64));
  throws(() => sampleScalar(new Uint8Array(64)), /zero/);
});

Deno.test("cpace: a confirmation depends on session, key and part", () => {
  const key = bytes(KEY), part = { share: bytes(SHARE_A), said: text.encode("ADa") };
  const all = [
    confirmation(SESSION, key, part),
    confirmation(SESSION.with(0, 0), key, part),
    confirmation(SESSION, key.with(0, 0), part),
    confirmation(SESSION, key, { ...part, said: text.encode("ADb") }),
    confirmation(SESSION, key, { ...part, share: bytes(SHARE_B) }),
  ];
  equal(new Set(all.map(hex)).size, all.length);
  // The draft gives the construction and no vector: the key is a hash, the MAC is HMAC-SHA-512.
  const macKey = hash("sha512", concat(text.encode("CPaceMac"), SESSION, key), "buffer");
  const mac = createHmac("sha512", macKey).update(lvCat(part.share, part.said)).digest("hex");
  equal(hex(all[0]), mac);
});
