/** Records and certificates that were tampered with. */
import assert from "node:assert/strict";
import { concat, hex, u64 } from "../../src/protocol/bytes.ts";
import { createManifest } from "../../src/protocol/manifest.ts";
import {
  checkCertificate,
  decodeCertified,
  decodeRecord,
  encodeCertified,
  maxRecordBytes,
} from "../../src/protocol/record.ts";
import { Play } from "./play.ts";
import { refuses } from "./refuses.ts";

const play = new Play(150), { manifest } = play;
const { talked } = play.talk(["one", "two"]), { record, certificate } = talked.certified;
const [a, b, c] = certificate;
const judge = (signatures: readonly Uint8Array[]) =>
  checkCertificate(manifest, { record, certificate: signatures });

Deno.test("a certified record comes back", () => {
  const read = decodeCertified(talked.bytes, manifest);
  assert.equal(hex(read.record.hash), hex(record.hash));
  assert.equal(hex(encodeCertified(read)), hex(talked.bytes));
  assert.equal(hex(decodeRecord(record.bytes, manifest).hash), hex(record.hash));
  assert.ok(talked.bytes.length <= maxRecordBytes(play.parameters, 3));
  checkCertificate(manifest, read);
});

Deno.test("a certificate that is short, long, reordered, repeated or signed by others is refused", () => {
  judge([a, b, c]);
  for (const list of [[], [a], [a, b], [a, b, c, c]]) refuses("length", () => judge(list));
  const stranger = play.clients[0].signer.sign("final", u64(record.header.round), record.hash);
  const zeros = new Uint8Array(64);
  for (const list of [[b, a, c], [a, a, c], [a, c, b], [a, b, stranger], [a, b, zeros]]) {
    refuses("signature", () => judge(list));
  }
  refuses("signature", () => judge([a, b, c.subarray(1)]));
});

Deno.test("a signature over another statement of the same bytes is refused", () => {
  const opens = play.servers.map((s) => s.signer.sign("open", record.hash));
  refuses("signature", () => judge([a, b, opens[2]]));
});

Deno.test("a truncated or lengthened certified record is refused", () => {
  const decode = (bytes: Uint8Array) => decodeCertified(bytes, manifest);
  for (const cut of [1, 63, 64, 128, 192, 193]) {
    refuses("length", () => decode(talked.bytes.subarray(0, -cut)));
  }
  refuses("trailing", () => decode(concat(talked.bytes, a)));
  refuses("trailing", () => decodeRecord(talked.bytes, manifest));
});

Deno.test("a record of another epoch, instance or committee is refused", () => {
  const { instance, servers, parameters } = manifest, one = new Uint8Array(32).fill(1);
  const zero = new Uint8Array(32), first = { epoch: 0, previous: zero, start: zero };
  for (
    const other of [
      createManifest({ instance, servers, parameters, epoch: 1, previous: one, start: one }),
      createManifest({ instance: one, servers, parameters, ...first }),
      createManifest({
        instance,
        servers,
        parameters: { ...parameters, roundPeriod: 301 },
        ...first,
      }),
    ]
  ) refuses("mismatch", () => decodeCertified(talked.bytes, other));
});

Deno.test("signatures of another epoch's record do not certify this one", () => {
  const one = new Uint8Array(32).fill(1);
  const { instance, servers, parameters } = manifest;
  const later = createManifest({
    instance,
    servers,
    parameters,
    epoch: 1,
    previous: one,
    start: one,
  });
  const bytes = record.bytes.slice();
  bytes.set(later.fingerprint, 32);
  const relabelled = decodeRecord(bytes, later);
  refuses("signature", () => checkCertificate(later, { record: relabelled, certificate }));
});

Deno.test("every field of a record is under its hash", () => {
  const header = record.header.bytes.length, bitmap = header + 4, root = bitmap + 1;
  const vectors = root + 96 + 4, messages = vectors + record.schedule.length + 4;
  const offsets = { time: 72, previous: 80, bitmap, root, sum: root + 32, shares: root + 64 };
  const all = { ...offsets, schedule: vectors, messages, bundle: 153, rosterRoot: 121 };
  for (const [field, at] of Object.entries(all)) {
    const bytes = talked.bytes.slice();
    bytes[at] ^= 1;
    const read = decodeCertified(bytes, manifest);
    assert.notEqual(hex(read.record.hash), hex(record.hash), field);
    refuses("signature", () => checkCertificate(manifest, read));
  }
});

Deno.test("bits past the roster and lengths other than the header's are refused", () => {
  const at = record.header.bytes.length;
  const changed = (offset: number, xor: number) => {
    const bytes = talked.bytes.slice();
    bytes[offset] ^= xor;
    return () => decodeCertified(bytes, manifest);
  };
  refuses("encoding", changed(at + 4, 0x08));
  refuses("range", changed(at, 0x03), /bitmap/);
  refuses("range", changed(at + 5 + 96, 0x01), /schedule/);
  refuses("range", changed(at + 5 + 96 + 4 + record.schedule.length, 0x40), /message/);
});
