import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { prefix } from "../../src/protocol/hash.ts";
import {
  agreement,
  checkAgreementKey,
  checkPublicKey,
  pairKey,
  signer,
  verify,
} from "../../src/protocol/keys.ts";
import { Random } from "./random.ts";
import { refuses } from "./refuses.ts";

const { Point } = ed25519, L = Point.Fn.ORDER, P = 2n ** 255n - 19n;
const le = (n: bigint) =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((n >> BigInt(8 * i)) & 255n));
const number = (bytes: Uint8Array) => bytes.reduceRight((n, byte) => 256n * n + BigInt(byte), 0n);

const seed = new Random(40).bytes(32), me = signer(seed), part = new Random(41).bytes(32);
const message = concat(prefix("open"), part);
const { scalar } = ed25519.utils.getExtendedPublicKey(seed);
const challenge = (R: Uint8Array, A: Uint8Array) => number(sha512(concat(R, A, message))) % L;
/** A point of order 8. */
const order8 = Point.fromBytes(
  le(0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n),
);
/** S for a nonce r: satisfies 8·S·B = 8·R + 8·k·A whatever small-order parts R and A have. */
const respond = (r: bigint, R: Uint8Array, A: Uint8Array) =>
  concat(R, le((r + challenge(R, A) * scalar) % L));

Deno.test("a signature verifies under its own key, label and parts only", () => {
  const signature = me.sign("open", part);
  assert.equal(hex(signature), hex(ed25519.sign(message, seed)));
  assert.equal(hex(me.key), hex(ed25519.getPublicKey(seed)));
  assert.ok(verify(me.key, signature, "open", part));
  assert.ok(!verify(me.key, signature, "final", part));
  assert.ok(!verify(me.key, signature, "open", part, part));
  assert.ok(!verify(signer(part).key, signature, "open", part));
  assert.ok(!verify(me.key, signature.subarray(0, 63), "open", part));
  assert.ok(!verify(me.key, concat(signature, Uint8Array.of(0)), "open", part));
  assert.ok(!verify(me.key.subarray(1), signature, "open", part));
});

Deno.test("S of L or more is refused", () => {
  const signature = me.sign("open", part), S = number(signature.subarray(32));
  const more = concat(signature.subarray(0, 32), le(S + L));
  assert.ok(!verify(me.key, more, "open", part));
});

Deno.test("R with a part of small order is refused, where noble accepts", () => {
  const R = Point.BASE.multiply(12_345n).add(order8).toBytes();
  const signature = respond(12_345n, R, me.key);
  assert.ok(ed25519.verify(signature, message, me.key));
  assert.ok(ed25519.verify(signature, message, me.key, { zip215: false }));
  assert.ok(!verify(me.key, signature, "open", part));
});

Deno.test("a key with a part of small order verifies where k cancels it, and only there", () => {
  const A = Point.BASE.multiply(scalar).add(order8).toBytes();
  const seen = new Set<boolean>();
  for (let r = 1n; r < 30n; r++) {
    const R = Point.BASE.multiply(r).toBytes(), signature = respond(r, R, A);
    const cancels = challenge(R, A) % 8n === 0n;
    assert.ok(ed25519.verify(signature, message, A));
    assert.equal(verify(A, signature, "open", part), cancels);
    seen.add(cancels);
  }
  assert.equal(seen.size, 2);
});

Deno.test("R that is not canonical is refused, where noble accepts", () => {
  const identity = le(1n), long = le(P + 1n);
  assert.ok(verify(me.key, respond(0n, identity, me.key), "open", part));
  assert.ok(ed25519.verify(respond(0n, long, me.key), message, me.key));
  assert.ok(!verify(me.key, respond(0n, long, me.key), "open", part));
});

Deno.test("keys of small order are refused, with either sign", () => {
  let point = order8, count = 0;
  for (let i = 0; i < 8; i++, point = point.add(order8)) {
    for (const sign of [0, 0x80]) {
      const key = point.toBytes();
      key[31] = (key[31] & 0x7f) | sign;
      refuses("key", () => checkPublicKey(key));
      count++;
      // S = 0 and R = the identity would satisfy the equation for any message half the time.
      assert.ok(!verify(key, concat(le(1n), le(0n)), "open", part));
    }
  }
  assert.equal(count, 16);
});

Deno.test("keys that are not canonical are refused", () => {
  for (let y = P; y < 2n ** 255n; y++) {
    refuses("key", () => checkPublicKey(le(y)));
    refuses("key", () => checkPublicKey(le(y + 2n ** 255n)));
  }
  checkPublicKey(le(P - 2n));
  refuses("length", () => checkPublicKey(new Uint8Array(31)));
  refuses("length", () => checkPublicKey(new Uint8Array(33)));
});

Deno.test("X25519 agrees with noble and wipes the secret it was given", () => {
  const random = new Random(42), secret = random.bytes(32), other = random.bytes(32);
  const given = secret.slice(), mine = agreement(given), peer = x25519.getPublicKey(other);
  assert.deepEqual(given, new Uint8Array(32));
  assert.equal(hex(mine.key), hex(x25519.getPublicKey(secret)));
  assert.equal(hex(mine.shared(peer)), hex(x25519.getSharedSecret(secret, peer)));
  const long = le(P + 9n);
  assert.equal(hex(mine.shared(long)), hex(x25519.getSharedSecret(secret, long)));
  mine.destroy();
  refuses("key", () => mine.shared(peer));
});

Deno.test("X25519 keys that give all zeros are refused", () => {
  const mine = agreement(new Random(43).bytes(32));
  const order8 = [
    0xb8495f16056286fdb1329ceb8d09da6ac49ff1fae35616aeb8413b7c7aebe0n,
    0x57119fd0dd4e22d8868e1c58c45c44045bef839c55b1d0b1248c50a3bc959c5fn,
  ];
  for (const u of [0n, 1n, P - 1n, P, P + 1n, ...order8]) {
    refuses("key", () => mine.shared(le(u)));
    refuses("key", () => checkAgreementKey(le(u)));
    refuses("key", () => checkAgreementKey(le(u + 2n ** 255n)));
  }
  refuses("length", () => checkAgreementKey(new Uint8Array(31)));
  assert.equal(checkAgreementKey(mine.key), mine.key);
});

Deno.test("a pair key is the same at both ends, wipes its input, and differs by every end", () => {
  const random = new Random(44), a = agreement(random.bytes(32)), b = agreement(random.bytes(32));
  const [instance, client, server, other] = [1, 2, 3, 4].map(() => random.bytes(32));
  const ends = {
    instance,
    client: { key: client, agreement: a.key },
    server: { key: server, agreement: b.key },
  };
  const shared = a.shared(b.key), key = hex(pairKey(shared, ends));
  assert.deepEqual(shared, new Uint8Array(32));
  assert.equal(hex(pairKey(b.shared(a.key), ends)), key);
  for (
    const changed of [
      { ...ends, instance: other },
      { ...ends, client: { ...ends.client, key: other } },
      { ...ends, client: { ...ends.client, agreement: other } },
      { ...ends, server: { ...ends.server, key: other } },
      { ...ends, server: { ...ends.server, agreement: other } },
      { instance, client: ends.server, server: ends.client },
    ]
  ) assert.notEqual(hex(pairKey(a.shared(b.key), changed)), key);
});

Deno.test("a key that is checked is not changed, be it a view of something larger", () => {
  for (let i = 0, signs = new Set<number>(); signs.size < 2; i++) {
    const { key } = signer(new Random(i).bytes(32)), view = Buffer.from(key);
    signs.add(key[31] >> 7);
    assert.equal(checkPublicKey(view), view);
    assert.equal(hex(view), hex(key));
  }
});
