import assert from "node:assert/strict";
import { hex, xorInto } from "../../src/protocol/bytes.ts";
import { joinVectors } from "../../src/protocol/envelope.ts";
import { xchacha20 } from "../../src/protocol/pad.ts";
import {
  createShare,
  decodeShare,
  encodeShare,
  maxShareBytes,
  openVectors,
  shareCommitment,
  sharesHash,
} from "../../src/protocol/share.ts";
import { Play } from "./play.ts";
import { refuses } from "./refuses.ts";

const play = new Play(130), p = play.parameters;
const { before, talked, slots } = play.talk(["one", undefined, "three"]);
const { header } = talked.certified.record, [share] = talked.shares;
const key = play.servers[0].signer.key, { digest } = talked.aggregate;

Deno.test("all shares together open exactly what was sent", () => {
  const { schedule, messages } = openVectors(talked.aggregate, talked.shares, p);
  assert.ok(schedule.every((byte) => byte === 0));
  assert.equal(messages.length, 128);
  for (const slot of [slots[0]!, slots[2]!]) assert.ok(hex(messages).includes(hex(slot)));
  assert.equal(before.layout.grants.length, 2);
});

Deno.test("with one share missing, or one participant more, nothing opens", () => {
  const open = (shares: typeof talked.shares) =>
    joinVectors(openVectors(talked.aggregate, shares, p));
  const text = hex(slots[0]!);
  assert.ok(!hex(open(talked.shares.slice(1))).includes(text));
  const two = [0, 1].map((c) => play.pair(c, 0));
  const fewer = createShare(xchacha20, two, header, share.blind, p);
  const some = open([fewer, ...talked.shares.slice(1)]);
  assert.ok(!hex(some).includes(text));
  const all = open(talked.shares);
  xorInto(some, all);
  assert.ok(some.some((byte) => byte !== 0));
});

Deno.test("a share comes back; one of another header or length is refused", () => {
  const bytes = encodeShare(share);
  assert.deepEqual(decodeShare(bytes, header, p), share);
  assert.ok(bytes.length <= maxShareBytes(p));
  refuses("mismatch", () => decodeShare(bytes, play.header(), p));
  refuses("range", () => decodeShare(bytes, { ...header, messageBytes: 64 }, p));
});

Deno.test("a commitment binds header, D, server, blind and both parts", () => {
  const made = hex(shareCommitment(share, digest, key));
  const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => i === 5 ? byte ^ 1 : byte);
  const others = [
    shareCommitment({ ...share, header: flipped(share.header) }, digest, key),
    shareCommitment(share, flipped(digest), key),
    shareCommitment(share, digest, flipped(key)),
    shareCommitment({ ...share, blind: flipped(share.blind) }, digest, key),
    shareCommitment({ ...share, schedule: flipped(share.schedule) }, digest, key),
    shareCommitment({ ...share, messages: flipped(share.messages) }, digest, key),
  ];
  for (const other of others) assert.notEqual(hex(other), made);
  assert.equal(new Set(others.map(hex)).size, others.length);
});

Deno.test("P binds every commitment in its place", () => {
  const [a, b, c] = talked.commitments,
    P = (list: Uint8Array[]) => hex(sharesHash(header.hash, digest, list));
  assert.equal(P([a, b, c]), hex(talked.sharesHash));
  for (const other of [[b, a, c], [a, b], [a, b, c, c], [a, b, a]]) {
    assert.notEqual(P(other), hex(talked.sharesHash));
  }
});
