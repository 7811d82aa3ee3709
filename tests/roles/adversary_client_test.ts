/** Committees and aggregators that lie to a client: it stays silent, or goes to somebody else. */
import assert from "node:assert/strict";
import { createBundle } from "../../src/protocol/bundle.ts";
import { concat, u64 } from "../../src/protocol/bytes.ts";
import { agreement } from "../../src/protocol/keys.ts";
import { refuses } from "../protocol/refuses.ts";
import { Sender } from "./sender.ts";

const sender = (seed: number) => new Sender(seed).begin();

Deno.test("a client sends once under a good header, also when it is told twice", async () => {
  const s = await sender(70);
  assert.ok(s.show());
  assert.equal(s.show(), undefined);
  assert.equal(s.envelopes, 1);
  s.broadcasts.frame(s.record());
  assert.ok(s.show());
});

Deno.test("a header without every OPEN ends the stream, and nothing is sent", async () => {
  for (const server of [0, 1, 2]) {
    const s = await sender(71), header = s.play.header(), { opens } = s.play.open(header);
    const bad = { header, opens: opens.with(server, opens[(server + 1) % 3]) };
    refuses("signature", () => s.live.frame(s.frame(header, bad)), /without the OPEN of server/);
    const two = s.frame(header).subarray(0, -64);
    await s.wires.pass(10_000);
    refuses("length", () => s.live.frame(two));
    assert.equal(s.envelopes, 0);
    await s.wires.pass(10_000);
    assert.ok(s.show(), "from another holder it takes the header");
  }
});

Deno.test("a key that its server did not sign is not used, though all servers opened it", async () => {
  const s = await sender(72), { servers, manifest } = s.play;
  const swapped = createBundle(servers[0].signer, manifest, {
    nonce: servers[1].bundle.nonce,
    keyEpoch: 0,
    agreement: agreement(s.play.random.bytes(32)).key,
  });
  const bundles = servers.map(({ bundle }) => bundle).with(1, swapped);
  assert.equal(s.show({ bundles }), undefined);
  assert.match(s.silence, /not signed by server 1/);
});

Deno.test("a server with another server's X25519 key gets no pads", async () => {
  const s = await sender(73), { servers, manifest } = s.play;
  const copied = createBundle(servers[0].signer, manifest, {
    nonce: servers[0].bundle.nonce,
    keyEpoch: 0,
    agreement: servers[2].bundle.agreement,
  });
  assert.equal(s.show({ bundles: servers.map(({ bundle }) => bundle).with(0, copied) }), undefined);
  assert.match(s.silence, /X25519 key twice/);
});

Deno.test("a header that does not extend the client's head gets nothing", async () => {
  const s = await sender(74), genesis = s.play.head;
  s.broadcasts.frame(s.record());
  const round = s.play.head.round + 1;
  assert.equal(s.show({ round, previous: genesis.hash, carry: false, messageBytes: 0 }), undefined);
  assert.equal(s.show({ messageBytes: 64 }), undefined, "nor one with another layout");
  assert.match(s.silence, /message bytes/);
});

Deno.test("a second header for one round gets nothing", async () => {
  const s = await sender(75);
  assert.ok(s.show());
  assert.equal(s.show({ time: 1 }), undefined);
});

Deno.test("a roster in which the client does not stand, or under its minimum, gets nothing", async () => {
  const s = await sender(76), header = s.play.header();
  s.live.frame(s.frame(header, s.play.open(header), 2));
  assert.equal(s.envelopes, 0);
  assert.match(s.silence, /not in the roster/);
  const careful = await new Sender(77, 9).begin();
  assert.equal(careful.show(), undefined);
  assert.match(careful.silence, /own minimum 9/);
});

/** Certified records that are not: each makes the client take another holder. */
const FALSE: Record<string, (bytes: Uint8Array, s: Sender) => Uint8Array> = {
  "one signature missing": (bytes) => concat(bytes.subarray(0, -64), new Uint8Array(64)),
  "its signatures reordered": (bytes) =>
    concat(
      bytes.subarray(0, -192),
      bytes.subarray(-128, -64),
      bytes.subarray(-192, -128),
      bytes.subarray(-64),
    ),
  "a signature cut off": (bytes) => bytes.subarray(0, -64),
  "a bit flipped in a vector": (bytes) => bytes.with(-300, bytes.at(-300)! ^ 1),
};

for (const [what, spoil] of Object.entries(FALSE)) {
  Deno.test(`a record with ${what} sends the client to another holder`, async () => {
    const s = await sender(78), first = s.broadcasts, { head } = s.play;
    const good = s.record();
    first.frame(spoil(good, s));
    assert.match(first.closed ?? "open", /does not verify/);
    assert.equal(s.wires.log.filter(({ event }) => event === "record refused").length, 1);
    await s.wires.pass(10_000);
    assert.notEqual(s.broadcasts.peer.id, first.peer.id);
    s.broadcasts.frame(good);
    assert.ok(s.show(), "there it gets the record, and takes part in the next round");
    assert.ok(head.round < s.play.head.round);
  });
}

Deno.test("a record of a committee that is not known sends the client to another holder", async () => {
  const s = await sender(78), first = s.broadcasts, { play } = s, good = s.record();
  first.frame(play.next([0, 1], 1).round().bytes);
  assert.equal(first.closed, "a committee that is not known yet");
  assert.equal(s.wires.log.filter(({ event }) => event === "record refused").length, 0);
  await s.wires.pass(10_000);
  assert.notEqual(s.broadcasts.peer.id, first.peer.id);
  s.broadcasts.frame(good);
  assert.ok(s.show(), "there it gets the record, and takes part in the next round");
});

Deno.test("a receipt that is not the aggregator's is no receipt", async () => {
  const s = await sender(79), header = s.play.header();
  s.show();
  const [submit] = s.wires.to(s.streams.submit);
  const body = concat(header.hash, u64(3), s.play.random.bytes(28));
  refuses("length", () => submit.frame(body));
  assert.equal(s.client.ready, false);
});
