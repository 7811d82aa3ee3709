/** Lineages: what is read, what is refused, and which manifest a client takes from one. */
import assert from "node:assert/strict";
import { concat, hex } from "../../src/protocol/bytes.ts";
import {
  acceptLineage,
  decodeLineage,
  encodeLineage,
  type LineageRefusal,
  MAX_EPOCHS,
  MAX_LINEAGE_BYTES,
  type SignedManifest,
  type Trust,
} from "../../src/protocol/lineage.ts";
import type { Manifest } from "../../src/protocol/manifest.ts";
import { Play } from "./play.ts";
import { refuses } from "./refuses.ts";

// Three servers; then one leaves and two join; then two of those four stay and one joins.
const zero = new Play(170);
zero.round();
const one = zero.next([0, 1], 2);
one.round();
const two = one.next([1, 2], 1);
const { instance } = zero.manifest;
const [first, second, third] = two.lineage;

const read = (...epochs: SignedManifest[]) => decodeLineage(encodeLineage(epochs), instance);
const asked = (epochs: SignedManifest[], trust: Trust) => acceptLineage(read(...epochs), trust);
const pin = ({ fingerprint }: Manifest) => ({ pin: fingerprint });

function accepts(manifest: Manifest, epochs: SignedManifest[], trust: Trust): void {
  const answer = asked(epochs, trust);
  assert.ok("accepted" in answer, "message" in answer ? answer.message : "");
  assert.equal(hex(answer.accepted.fingerprint), hex(manifest.fingerprint));
}
function declines(
  refused: LineageRefusal,
  message: RegExp,
  epochs: SignedManifest[],
  trust: Trust,
) {
  const answer = asked(epochs, trust);
  assert.ok("refused" in answer, "it was accepted");
  assert.equal(answer.refused, refused);
  assert.match(answer.message, message);
  return answer;
}

Deno.test("a lineage is read as it was written, from epoch 0 or any later one on", () => {
  const all = read(first, second, third);
  assert.deepEqual(all.map(({ manifest }) => manifest.epoch), [0, 1, 2]);
  assert.ok(all.every(({ missing }) => missing.length === 0));
  assert.equal(hex(encodeLineage(all)), hex(encodeLineage(two.lineage)));
  assert.deepEqual(read(first).map(({ manifest }) => manifest.epoch), [0]);
  const later = read(second, third);
  assert.deepEqual(later.map(({ manifest }) => manifest.epoch), [1, 2]);
  assert.deepEqual(later[0].missing, []);
});

Deno.test("a lineage with any byte flipped is refused", () => {
  const bytes = encodeLineage(two.lineage);
  for (let at = 0; at < bytes.length; at++) {
    const altered = bytes.slice();
    altered[at] ^= 1 << (at % 8);
    assert.throws(() => decodeLineage(altered, instance), { name: "ProtocolError" }, `byte ${at}`);
  }
});

Deno.test("epochs left out, doubled, swapped, of another instance or of none are refused", () => {
  refuses("chain", () => read(first, third), /rise/);
  refuses("chain", () => read(first, first), /rise/);
  refuses("chain", () => read(second, first), /rise/);
  refuses("range", () => read(), /0 epochs/);
  refuses("range", () => decodeLineage(new Uint8Array(2), instance), /0 epochs/);
  refuses("mismatch", () => decodeLineage(encodeLineage([first]), new Uint8Array(32)));
  const other = new Play(171), aside = other.next([0], 1);
  refuses("chain", () => read(first, aside.signed()), /follows another/);
});

Deno.test("a change of parameters or instance is no epoch", () => {
  const parameters = { ...zero.parameters, leaseRounds: 33 };
  refuses("chain", () => read(first, zero.next([0], 1, { parameters }).signed()), /parameters/);
  const foreign = zero.next([0], 1, { instance: new Uint8Array(32).fill(1) });
  refuses("chain", () => read(first, foreign.signed()), /instance/);
});

Deno.test("every member of an epoch signs it; of the one before, at least one", () => {
  const { manifest, signatures, departed } = second, [a, b] = signatures;
  const like = (change: Partial<SignedManifest>) => read(first, { ...second, ...change });
  refuses("signature", () => like({ signatures: [b, a, ...signatures.slice(2)] }));
  refuses("signature", () => like({ signatures: [new Uint8Array(64), ...signatures.slice(1)] }));
  refuses("signature", () => like({ departed: [undefined, undefined, a] }));
  refuses("encoding", () => like({ departed: [a, undefined, departed![2]] }), /twice/);
  refuses("length", () => read({ manifest, signatures: signatures.slice(0, -1) }));
  assert.deepEqual(like({ departed: [] })[1].missing.map(hex), [hex(zero.servers[2].signer.key)]);
  const strangers = zero.next([], 3);
  read(first, strangers.signed([0, 1]));
  refuses("signature", () => read(first, strangers.signed([0, 1, 2])), /no server of epoch 0/);
});

Deno.test("bits past the old members are refused, and a bitmap of another size", () => {
  const bytes = encodeLineage([first, second]), at = bytes.length - 64 - 1;
  assert.equal(bytes[at], 4);
  const spare = bytes.slice();
  spare[at] |= 8;
  refuses("encoding", () => decodeLineage(concat(spare, bytes.subarray(-64)), instance));
  const longer = concat(bytes.subarray(0, at + 1), Uint8Array.of(0), bytes.subarray(at + 1));
  longer[at - 4] = 2;
  refuses("range", () => decodeLineage(longer, instance));
});

Deno.test("without a pin the newest is taken; with one on any epoch, what follows it", () => {
  const all = [first, second, third];
  accepts(two.manifest, all, {});
  for (const { manifest } of [zero, one, two]) {
    accepts(two.manifest, all, pin(manifest));
    accepts(two.manifest, all, { known: manifest });
  }
  accepts(zero.manifest, [first], pin(zero.manifest));
  accepts(two.manifest, [third], pin(two.manifest));
});

Deno.test("a majority never moves a client: an old member's silence takes a new pin", () => {
  const key = hex(zero.servers[2].signer.key).slice(0, 16), silent = one.signed([2]);
  for (const epochs of [[first, silent], [first, silent, third]]) {
    const newest = epochs.at(-1)!.manifest;
    for (const trust of [pin(zero.manifest), { known: zero.manifest }]) {
      const wanted = new RegExp(
        `^epoch 1 lacks the signature of server ${key} of epoch 0: if you trust it, pin ` +
          `${hex(one.manifest.fingerprint)}$`,
      );
      const answer = declines("unsigned", wanted, epochs, trust);
      assert.equal(answer.reached?.epoch, 0);
    }
    accepts(newest, epochs, pin(one.manifest));
    accepts(newest, epochs, { known: one.manifest });
    accepts(newest, epochs, {});
  }
  const all = zero.next([], 4);
  const missing = declines("unsigned", /, /, [first, all.signed([0, 2])], pin(zero.manifest));
  assert.match(
    missing.message,
    /^epoch 1 lacks the signature of server [0-9a-f]{16}, [0-9a-f]{16} /,
  );
});

Deno.test("a later link that is not complete stops a client that trusts the epoch before it", () => {
  const silent = two.signed([0, 3]);
  const answer = declines("unsigned", /^epoch 2 /, [first, second, silent], pin(zero.manifest));
  assert.equal(answer.reached?.epoch, 1);
  declines("unsigned", /^epoch 2 /, [first, second, silent], pin(one.manifest));
  accepts(two.manifest, [first, second, silent], pin(two.manifest));
});

Deno.test("what is trusted and not there: another pin, an older, a later or a rival lineage", () => {
  const newest = hex(two.manifest.fingerprint);
  const stranger = { pin: new Uint8Array(32).fill(7) };
  declines("unpinned", new RegExp(`epoch 2 is ${newest}, expected the pinned 07`), [
    first,
    second,
    third,
  ], stranger);
  declines("unpinned", /expected the pinned/, [first, second], pin(two.manifest));
  declines("behind", /ends with epoch 1.*ask another/, [first, second], { known: two.manifest });
  declines("cut", new RegExp(`begins with epoch 2.*${newest}`), [third], { known: one.manifest });
  const rival = zero.next([0, 1], 3);
  declines("forked", new RegExp(hex(rival.manifest.fingerprint)), [first, rival.signed()], {
    known: one.manifest,
  });
});

Deno.test(`at most ${MAX_EPOCHS} epochs`, () => {
  let play = new Play(180, { servers: 2, clients: 1 });
  const epochs = [play.signed()];
  while (epochs.length <= MAX_EPOCHS) {
    play = play.next([0], 1);
    epochs.push(play.signed());
  }
  assert.equal(play.manifest.epoch, MAX_EPOCHS);
  refuses("range", () => encodeLineage(epochs), /257 epochs/);
  const most = encodeLineage(epochs.slice(1));
  assert.ok(most.length <= MAX_LINEAGE_BYTES);
  const lineage = decodeLineage(most, instance);
  assert.equal(lineage.length, MAX_EPOCHS);
  const answer = acceptLineage(lineage, pin(epochs[1].manifest));
  assert.ok("accepted" in answer && answer.accepted.epoch === MAX_EPOCHS);
  const longer = most.slice();
  new DataView(longer.buffer).setUint16(0, MAX_EPOCHS + 1, true);
  refuses("range", () => decodeLineage(longer, instance), /257 epochs/);
});
