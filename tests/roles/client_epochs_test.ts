/** A client over changes of the committee: what becomes of its messages, its session and its silence. */
import assert from "node:assert/strict";
import { equal, hex, Reader } from "../../src/protocol/bytes.ts";
import { decodeRegistration } from "../../src/protocol/registration.ts";
import { CLIENT_REGISTRY } from "../../src/roles/streams.ts";
import type { Progress, Submission } from "../../src/roles/outbox.ts";
import type { Play, PlayedRound } from "../protocol/play.ts";
import type { Sender } from "./sender.ts";
import { round, talking } from "./talker.ts";
import { peerOf } from "./wire.ts";

const PAYLOAD = new TextEncoder().encode("over the border");

/** Rounds until a message has its outcome, at most 20; answers the record it landed in. */
async function lands(s: Sender, submission: Submission): Promise<PlayedRound> {
  for (let i = 0; i < 20; i++) {
    const played = round(s);
    s.broadcasts.frame(played.bytes);
    await s.wires.pass(1);
    const { status } = submission;
    if (status.kind === "retrying" || status.kind === "pending") continue;
    assert.deepEqual(status, { kind: "landed", round: s.play.head.round, slot: 0 });
    assert.match(new TextDecoder().decode(played.certified.record.messages), /over the border/);
    return played;
  }
  return assert.fail(`after 20 rounds: ${JSON.stringify(submission.status)}`);
}

/** What a sender is told on the way. */
function progress(submission: Submission): string[] {
  const told: string[] = [];
  submission.onProgress((it: Progress) => void told.push("reason" in it ? it.reason : it.kind));
  return told;
}

for (const first of ["the record", "the lineage"]) {
  Deno.test(`a message granted in an epoch's last record lands in the next, ${first} first`, async () => {
    const s = await talking(530), sent = s.client.outbox.send(PAYLOAD), told = progress(sent);
    const before = s.broadcasts, last = round(s);
    assert.equal(s.play.head.layout.grants.length, 1);
    s.change([1, 2], 2);
    const steps = [() => before.frame(last.bytes), () => s.adopt()];
    for (const step of first === "the record" ? steps : steps.toReversed()) step();
    await s.wires.pass(1_000);
    assert.equal(s.broadcasts, before, "the feed of an aggregator stays");
    const { certified: { record } } = await lands(s, sent);
    assert.ok(equal(record.header.bytes.subarray(32, 64), s.play.manifest.fingerprint));
    assert.ok(!told.includes("exposed"), "nobody has seen it before");
  });
}

Deno.test("a slot that was sent in an epoch's last, void round counts as exposed", async () => {
  for (const once of [false, true]) {
    const s = await talking(531), sent = s.client.outbox.send(PAYLOAD, { once });
    const told = progress(sent);
    s.broadcasts.frame(round(s).bytes);
    assert.ok(s.show(), "the slot leaves, and no record comes");
    s.change([1, 2], 1);
    s.adopt();
    if (once) s.broadcasts.frame(round(s).bytes);
    else await lands(s, sent);
    await s.wires.pass(1);
    assert.equal(told[0], "exposed");
    assert.equal(sent.status.kind, once ? "expired" : "landed");
  }
});

Deno.test("a message that lands in an epoch's last record is not sent again", async () => {
  const s = await talking(532), sent = s.client.outbox.send(PAYLOAD), told = progress(sent);
  s.broadcasts.frame(round(s).bytes);
  const last = round(s);
  s.change([1, 2], 1);
  s.adopt();
  s.broadcasts.frame(last.bytes);
  await s.wires.pass(1);
  assert.deepEqual(sent.status, { kind: "landed", round: 2, slot: 0 });
  assert.deepEqual(told, ["landed"]);
});

Deno.test("an epoch may count the void rounds of the one before again, under other headers", async () => {
  const s = await talking(533);
  s.broadcasts.frame(round(s).bytes);
  assert.ok(s.show({ round: 7 }));
  s.change([1, 2], 1);
  s.adopt();
  for (const again of [2, 7]) assert.ok(s.show({ round: again }), s.silence);
  assert.equal(s.show({ round: 7 }), undefined, "but not twice");
  assert.equal(new Set(s.submitted.map(hex)).size, s.envelopes);
});

Deno.test("nothing of the old epoch passes into the first header of the new one", async () => {
  const s = await talking(538);
  s.client.outbox.send(PAYLOAD);
  s.broadcasts.frame(round(s).bytes);
  const { messageBytes, bundles: [old] } = s.play.header();
  assert.ok(messageBytes > 0);
  assert.ok(s.show());
  s.change([1, 2], 1);
  s.adopt();
  assert.equal(s.show({ carry: true, messageBytes }), undefined);
  assert.match(s.silence, /has 64 message bytes, expected 0/);
  const bundles = s.play.servers.map(({ bundle }) => bundle).with(0, old);
  assert.equal(s.show({ round: 8, bundles }), undefined);
  assert.match(s.silence, /not signed by server 0/);
});

Deno.test("a header of an old epoch gets nothing, whether it waited or comes late", async () => {
  const s = await talking(534), last = round(s), { play: old } = s;
  const late = (play: Play, carry: boolean) => play.header({ round: 9, carry, messageBytes: 0 });
  s.live.frame(s.frame(late(old, false)));
  const before = s.envelopes;
  s.change([1, 2], 1);
  s.adopt();
  s.broadcasts.frame(last.bytes);
  assert.equal(s.envelopes, before, "it waited for the record");
  s.live.frame(s.frame(late(old, false), old.open(late(old, false))));
  assert.equal(s.envelopes, before, "it comes late");
  assert.ok(s.show(), "while the new one is answered");
});

Deno.test("a header of the new epoch waits for the record that it starts from", async () => {
  const s = await talking(535), last = round(s), before = s.envelopes;
  s.change([1, 2], 1);
  s.adopt();
  assert.equal(s.show(), undefined);
  s.broadcasts.frame(last.bytes);
  assert.equal(s.envelopes, before + 1);
});

/** The registration in a frame to client-registry. */
function registered(s: Sender, frame: Uint8Array) {
  const reader = new Reader(frame.subarray(1), "registration");
  return decodeRegistration("register", reader.bytes(reader.left), s.play.manifest.instance);
}

Deno.test("a client whose server left registers at one of the newest epoch, in its session", async () => {
  const s = await talking(536), [gone] = s.wires.to(CLIENT_REGISTRY);
  assert.equal(gone.peer.id, peerOf("server", s.play.servers[0].seed).id);
  const { session } = registered(s, gone.sent[0]);
  s.broadcasts.frame(round(s).bytes);
  s.change([1, 2], 1);
  s.adopt();
  const asked = new Set<string>();
  for (let i = 0; i < 6; i++) {
    await s.wires.pass(10_000);
    const [wire] = s.wires.to(CLIENT_REGISTRY);
    asked.add(wire.peer.id);
    assert.equal(registered(s, wire.sent[0]).session, session);
    wire.close("away");
  }
  assert.ok(gone.closed);
  assert.ok(!asked.has(gone.peer.id));
  assert.ok([...asked].every((id) => s.play.servers.some(({ signer }) => hex(signer.key) === id)));
});

Deno.test("a client whose server stays keeps its stream, and registers anew only if it is missing", async () => {
  const s = await talking(537), [registry] = s.wires.to(CLIENT_REGISTRY);
  s.broadcasts.frame(round(s).bytes);
  // Headers of the old epoch that do not show it do not count in the new one.
  for (const at of [2, 3, 4]) s.live.frame(s.frame(s.play.header({ round: at }), undefined, 2));
  s.change([0, 1], 1);
  s.adopt();
  await s.wires.pass(1_000);
  assert.equal(registry.closed, undefined);
  const sent = registry.sent.length, { session } = registered(s, registry.sent[0]);
  s.play.roster.set(3, undefined);
  for (let i = 0; i < 4; i++) {
    assert.equal(registry.sent.length, sent);
    s.live.frame(s.frame(s.play.header({ round: 3 + i }), undefined, 2));
  }
  assert.equal(registry.sent.length, sent + 1);
  assert.ok(registered(s, registry.sent[sent]).session > session);
});
