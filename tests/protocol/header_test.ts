import assert from "node:assert/strict";
import { hex, u32, u64 } from "../../src/protocol/bytes.ts";
import { genesis } from "../../src/protocol/chain.ts";
import { decodeHeader, headerBytes } from "../../src/protocol/header.ts";
import {
  checkExtends,
  checkOpens,
  decodeOpened,
  encodeOpened,
  openedBytes,
} from "../../src/protocol/opened.ts";
import { Play, SMALL } from "./play.ts";
import { refuses } from "./refuses.ts";

const play = new Play(80), { manifest } = play;
play.round([play.vectors(play.header(), { reserve: play.slot(play.header(), "a text").slot })]);
const header = play.header();
const altered = (offset: number, bytes: Uint8Array) => {
  const out = header.bytes.slice();
  out.set(bytes, offset);
  return out;
};
const decode = (bytes: Uint8Array) => decodeHeader(bytes, manifest);

Deno.test("a header comes back; its hash is of all its bytes", () => {
  assert.equal(header.bytes.length, headerBytes(3));
  assert.equal(headerBytes(3), 153 + 3 * 132);
  const read = decode(header.bytes);
  assert.deepEqual(
    [read.round, read.time, read.carry, read.messageBytes, read.rosterSize, hex(read.hash)],
    [2, 1_800_000_001_000, true, 64, 3, hex(header.hash)],
  );
  for (let i = 0; i < header.bytes.length; i += 7) {
    const bytes = header.bytes.slice();
    bytes[i] ^= 0x10;
    try {
      assert.notEqual(hex(decode(bytes).hash), hex(header.hash), `byte ${i}`);
    } catch (error) {
      assert.equal((error as Error).name, "ProtocolError");
    }
  }
});

Deno.test("fields out of range are refused", () => {
  refuses("mismatch", () => decode(altered(0, Uint8Array.of(1))), /instance/);
  refuses("mismatch", () => decode(altered(32, Uint8Array.of(1, 2))), /committee/);
  refuses("range", () => decode(altered(64, u64(0))), /genesis/);
  refuses("range", () => decode(altered(71, Uint8Array.of(0x20))));
  refuses("range", () => decode(altered(79, Uint8Array.of(0x20))));
  decode(altered(64, u64(Number.MAX_SAFE_INTEGER)));
  refuses("encoding", () => decode(altered(112, Uint8Array.of(2))));
  refuses("encoding", () => decode(altered(112, Uint8Array.of(0))), /carry 0/);
  refuses("range", () => decode(altered(113, u32(63))));
  refuses("range", () => decode(altered(113, u32(SMALL.maxVectorBytes + 64))));
  decode(altered(113, u32(SMALL.maxVectorBytes)));
  refuses("range", () => decode(altered(117, u32(SMALL.maxClients + 1))));
  decode(altered(117, u32(SMALL.maxClients)));
});

Deno.test("a header of another number of servers is refused", () => {
  refuses("length", () => decode(header.bytes.subarray(0, headerBytes(2))));
  const four = new Uint8Array(headerBytes(4));
  four.set(header.bytes);
  refuses("trailing", () => decode(four));
});

Deno.test("a header without every OPEN is refused", () => {
  const opened = play.open(header), [a, b, c] = opened.opens;
  const read = decodeOpened(encodeOpened(opened), manifest);
  checkOpens(manifest, read);
  assert.equal(encodeOpened(opened).length, openedBytes(3));
  const other = play.open(play.header({ round: 9 })).opens;
  const commits = play.servers.map((s) => s.signer.sign("final", header.hash));
  const stranger = play.clients[0].signer.sign("open", header.hash);
  for (
    const opens of [
      [],
      [a, b],
      [b, a, c],
      [a, b, new Uint8Array(64)],
      [a, b, b],
      [a, b, other[2]],
      [a, b, commits[2]],
      [stranger, b, c],
    ]
  ) refuses("signature", () => checkOpens(manifest, { header, opens }));
  refuses("length", () => decodeOpened(encodeOpened({ header, opens: [a, b] }), manifest));
});

Deno.test("a header that does not extend the head is refused", () => {
  const { head } = play;
  checkExtends(header, head);
  checkExtends(play.header({ round: 7 }), head);
  checkExtends(play.header({ carry: false }), head);
  const wrong = [
    { round: 1 },
    { previous: genesis(manifest).hash },
    { previous: new Uint8Array(32) },
    { messageBytes: 0 },
    { messageBytes: 128 },
  ];
  for (const fields of wrong) refuses("chain", () => checkExtends(play.header(fields), head));
});

Deno.test("after genesis nothing carries", () => {
  const fresh = new Play(81), first = fresh.header();
  checkExtends(first, fresh.head);
  assert.deepEqual([first.carry, first.messageBytes, first.round], [false, 0, 1]);
  const carried = fresh.header({ carry: true, messageBytes: 0 });
  refuses("chain", () => checkExtends(carried, fresh.head), /genesis/);
});
