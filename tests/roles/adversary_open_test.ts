/** What the leader may put before an honest server to OPEN, and what it declines. */
import assert from "node:assert/strict";
import { Writer } from "../../src/protocol/bytes.ts";
import { encodeCommand } from "../../src/committee/commands.ts";
import { createBundle } from "../../src/protocol/bundle.ts";
import type { HeaderFields } from "../../src/protocol/header.ts";
import { agreement } from "../../src/protocol/keys.ts";
import { Stage } from "./stage.ts";

/** The honest server declines a header, for a reason, and opens the right one after it. */
function declines(stage: Stage, other: Partial<HeaderFields>, reason: RegExp): void {
  const header = stage.header(other);
  stage.propose(header);
  assert.equal(stage.has("open", header), false);
  assert.match(stage.declined.at(-1) ?? "nothing", reason);
  stage.abandon(header);
  const right = stage.open(stage.header());
  assert.ok(stage.has("open", right));
}

Deno.test("a bundle that the leader made in another server's name is not opened", () => {
  const stage = new Stage(1), { manifest, servers } = stage.play;
  const forged = createBundle(servers[0].signer, manifest, {
    nonce: servers[1].bundle.nonce,
    keyEpoch: 0,
    agreement: agreement(stage.play.random.bytes(32)).key,
  });
  const bundles = servers.map(({ bundle }) => bundle);
  declines(stage, { bundles: bundles.with(1, forged) }, /not signed by server 1/);
});

Deno.test("a bundle that the leader made in the honest server's own name is not opened", () => {
  const stage = new Stage(2), { manifest, servers } = stage.play, [first, , honest] = servers;
  const forged = createBundle(first.signer, manifest, {
    nonce: honest.bundle.nonce,
    keyEpoch: 0,
    agreement: first.agreement.key,
  });
  const bundles = servers.map(({ bundle }) => bundle);
  declines(stage, { bundles: bundles.with(2, forged) }, /not signed by server 2/);
});

Deno.test("a bundle with the honest server's X25519 key, signed by another, is not opened", () => {
  const stage = new Stage(3), { manifest, servers } = stage.play, [, second, honest] = servers;
  const copied = createBundle(second.signer, manifest, {
    nonce: second.bundle.nonce,
    keyEpoch: 0,
    agreement: honest.bundle.agreement,
  });
  const bundles = servers.map(({ bundle }) => bundle);
  declines(stage, { bundles: bundles.with(1, copied) }, /X25519 key twice/);
});

Deno.test("an older bundle of the honest server is not opened after a key epoch", () => {
  const stage = new Stage(4), before = stage.header();
  stage.member.rotateKeys();
  stage.flush();
  stage.propose(before);
  assert.match(stage.declined.at(-1) ?? "nothing", /older bundle/);
});

Deno.test("a header that does not extend the head is not opened", () => {
  const stage = new Stage(5);
  const first = stage.member.head;
  stage.round();
  declines(
    stage,
    { previous: first.hash, carry: false, messageBytes: 0 },
    /does not extend|open-head/,
  );
});

Deno.test("a second header for a round that was opened is not opened", () => {
  const stage = new Stage(6), header = stage.open();
  stage.abandon(header);
  const twin = stage.play.header({ round: header.round, time: stage.now + 1 });
  stage.propose(twin);
  assert.equal(stage.member.state.live, undefined, "the order does not take it");
  // An engine that made up a state in which the first never was.
  const places = encodeCommand({ kind: "places", round: 0, size: 4, freeing: [] });
  const seats = [...stage.member.state.registry.commands()].map(encodeCommand);
  const out = new Writer().u32(1 + seats.length).vector(places);
  for (const seat of seats) out.vector(seat);
  stage.host.restore(out.end());
  stage.propose(twin);
  assert.equal(stage.has("open", twin), false);
  assert.equal(stage.declined.at(-1), "open-behind");
});

Deno.test("a roster that leaves somebody out is not opened", () => {
  const stage = new Stage(7), { roster } = stage.play, smaller = roster.clone();
  smaller.set(1, undefined);
  declines(stage, { rosterRoot: smaller.root }, /another roster/);
});

Deno.test("a roster with a client that this server does not admit is not opened", () => {
  const names: string[] = [];
  const stage = new Stage(8, 2, (client) => {
    names.push(client.join());
    return names.length === 2 ? "not on the list" : undefined;
  });
  stage.propose(stage.header());
  assert.match(stage.declined.at(-1) ?? "nothing", /not admitted here: not on the list/);
});

Deno.test("a header of another time is not opened", () => {
  const stage = new Stage(9);
  declines(stage, { time: stage.now - 60_001 }, /open-time/);
});

Deno.test("grants are not opened again after a release on them: carry lapses", () => {
  const stage = new Stage(10);
  stage.round();
  const header = stage.open();
  assert.ok(header.carry && stage.has("open", header));
  stage.prepared(stage.fixes(header));
  assert.ok(stage.has("partial", header));
  stage.abandon(header);
  stage.say(0, { kind: "void", header: header.hash, nonce: stage.play.servers[0].bundle.nonce });
  const again = stage.header({ carry: true, messageBytes: stage.member.head.layout.bytes });
  stage.propose(again);
  assert.equal(stage.has("open", again), false);
  assert.equal(stage.declined.at(-1), "open-carry");
  stage.abandon(again);
  const empty = stage.open(stage.header({ carry: false, messageBytes: 0 }));
  assert.ok(stage.has("open", empty), "without the grants it goes on");
});

Deno.test("grants are carried over a void round in which nobody released", () => {
  const stage = new Stage(11);
  stage.round();
  const header = stage.open();
  stage.fixes(header);
  stage.abandon(header);
  const again = stage.open();
  assert.ok(again.carry && stage.has("open", again));
});
