/** PREPARE, PARTIAL and FINAL against two corrupt servers of three. */
import assert from "node:assert/strict";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { createDecline, type Decline } from "../../src/committee/decline.ts";
import { CommitteeState } from "../../src/committee/state.ts";
import { decodeSigned, type Statement, verifyStatement } from "../../src/protocol/statements.ts";
import { encodeShare } from "../../src/protocol/share.ts";
import type { Stage as Harness } from "./stage.ts";
import { Stage } from "./stage.ts";

type Final = Extract<Statement, { kind: "final" }>;

function started(seed: number): { stage: Harness; header: ReturnType<Harness["header"]> } {
  const stage = new Stage(seed);
  return { stage, header: stage.open() };
}

Deno.test("a round that all play by the rules becomes a record", () => {
  const stage = new Stage(20);
  const secrets = stage.round();
  assert.equal(stage.member.head.round, secrets.header.round);
  assert.equal(stage.certified.length, 1);
  assert.deepEqual(stage.kinds, ["open", "prepare", "partial", "final"]);
});

Deno.test("a participant set under the minimum is not prepared", () => {
  const { stage, header } = started(21);
  stage.fixes(header, stage.fold(header, [0, 1]));
  assert.equal(stage.has("prepare", header), false);
  assert.deepEqual(stage.declined, ["prepare-few"]);
});

Deno.test("a set with a place where nobody stands is not prepared", () => {
  const stage = new Stage(22), [first] = stage.play.clients;
  stage.apply({ kind: "expire", index: 0, client: first.signer.key });
  stage.play.roster.set(0, undefined);
  const header = stage.open();
  assert.ok(stage.has("open", header));
  stage.fixes(header);
  assert.deepEqual(stage.declined, ["prepare-strangers"]);
});

Deno.test("an aggregate for another header is not prepared", () => {
  const { stage, header } = started(23);
  const old = stage.fold(header);
  stage.abandon(header);
  const next = stage.open();
  stage.give(old.digest, old.bytes);
  stage.apply({ kind: "aggregate", header: next.hash, digest: old.digest });
  assert.equal(stage.has("prepare", next), false);
});

Deno.test("an aggregate whose bytes are not what its digest says is not prepared", () => {
  const { stage, header } = started(24);
  const full = stage.fold(header), other = stage.fold(header, [0, 1, 2]);
  stage.give(full.digest, other.bytes);
  stage.apply({ kind: "aggregate", header: header.hash, digest: full.digest });
  assert.equal(stage.has("prepare", header), false);
  stage.pass(1_000);
  stage.give(full.digest, full.bytes);
  assert.ok(stage.has("prepare", header), "the right bytes are taken after all");
});

Deno.test("an aggregate for a subset after the full set is not prepared under the same header", () => {
  const { stage, header } = started(25);
  stage.fixes(header);
  stage.fixes(header, stage.fold(header, [0, 1, 2]));
  assert.equal(stage.kinds.filter((kind) => kind === "prepare").length, 1);
});

Deno.test("a subset is not released under another header while the full set may still open", () => {
  const { stage, header } = started(26);
  stage.prepared(stage.fixes(header));
  assert.ok(stage.has("partial", header));
  stage.abandon(header);
  const second = stage.open(stage.header({ carry: false, messageBytes: 0 }));
  assert.equal(stage.has("open", second), false, "nobody has said VOID: the first may still open");
});

Deno.test("somebody's VOID lets rounds go on, and the first header stays closed", () => {
  const { stage, header } = started(27);
  const secrets = stage.prepared(stage.fixes(header));
  const partial = stage.partial(secrets);
  stage.abandon(header);
  const { nonce } = stage.play.servers[0].bundle;
  stage.say(0, { kind: "void", header: header.hash, nonce });
  const second = stage.open(stage.header({ carry: false, messageBytes: 0 }));
  stage.fixes(second, stage.fold(second, [0, 1, 2]));
  assert.ok(stage.has("prepare", second));
  const before = stage.kinds.length;
  stage.say(0, partial);
  stage.apply({ kind: "aggregate", header: header.hash, digest: secrets.aggregate.digest });
  assert.equal(stage.kinds.length, before);
});

Deno.test("no PARTIAL without the PREPARE of every server, forged, doubled or for another set", () => {
  const { stage, header } = started(28), secrets = stage.fixes(header);
  const [a, b] = stage.corrupt, said = stage.prepare(secrets, b);
  stage.say(a, stage.prepare(secrets, a));
  const silent = (what: string) => assert.equal(stage.has("partial", header), false, what);
  silent("one PREPARE is missing");
  const forged = { ...stage.sign(a, said), server: stage.play.servers[b].signer.key };
  stage.apply({ kind: "statement", signed: forged });
  silent("one is forged");
  stage.say(a, said);
  silent("one server said it twice");
  assert.equal(stage.convicted.length, 1, "which convicts it");
  stage.say(b, { ...said, digest: stage.fold(header, [0, 1, 2]).digest });
  silent("one is for a subset");
  assert.equal(stage.member.state.live!.prepares[b], undefined, "it counts for nothing");
});

Deno.test("a share that was changed after the others were seen does not become a record", () => {
  const { stage, header } = started(29), secrets = stage.prepared(stage.fixes(header));
  const [a, b] = stage.corrupt, right = secrets.shares.get(b)!;
  const id = stage.prepare(secrets, b).share;
  const changed = { ...right, schedule: right.schedule.map((byte) => byte ^ 1) };
  for (const s of [a, b]) stage.say(s, stage.partial(secrets));
  stage.give(stage.prepare(secrets, a).share, encodeShare(secrets.shares.get(a)!));
  stage.give(id, encodeShare(changed));
  assert.equal(stage.kinds.includes("final"), false);
  stage.pass(1_000);
  stage.give(id, encodeShare(right));
  assert.ok(stage.kinds.includes("final"), "the share that was committed to is taken after all");
});

Deno.test("no FINAL without the PARTIAL of every server for the same shares", () => {
  const { stage, header } = started(30), secrets = stage.prepared(stage.fixes(header));
  const [a, b] = stage.corrupt;
  for (const s of stage.corrupt) {
    stage.give(stage.prepare(secrets, s).share, encodeShare(secrets.shares.get(s)!));
  }
  stage.say(a, stage.partial(secrets));
  assert.equal(stage.kinds.includes("final"), false, "one is missing");
  stage.say(b, { ...stage.partial(secrets), shares: stage.play.random.bytes(32) });
  assert.equal(stage.kinds.includes("final"), false, "one is for other shares");
});

Deno.test("two PREPAREs, PARTIALs or FINALs of one server are reported with a proof", () => {
  const { stage, header } = started(31), secrets = stage.fixes(header), [a] = stage.corrupt;
  const first = stage.prepare(secrets, a);
  stage.say(a, first);
  stage.say(a, first);
  assert.equal(stage.convicted.length, 0, "the same twice is nothing");
  stage.say(a, { ...first, share: stage.play.random.bytes(32) });
  stage.prepared(secrets);
  stage.say(a, stage.partial(secrets));
  stage.say(a, { ...stage.partial(secrets), shares: stage.play.random.bytes(32) });
  for (const round of [header.round, header.round, header.round + 1]) {
    stage.say(a, { kind: "final", round, record: stage.play.random.bytes(32) });
  }
  assert.deepEqual(stage.convicted.map(({ why }) => why), [
    "two PREPAREs for one header",
    "two PARTIALs for one header",
    "two FINALs for one round",
  ]);
  for (const { server, proof } of stage.convicted) {
    assert.equal(hex(server), hex(stage.play.servers[a].signer.key));
    const half = proof.length / 2;
    const [x, y] = [decodeSigned(proof.subarray(0, half)), decodeSigned(proof.subarray(half))];
    assert.ok(verifyStatement(x) && verifyStatement(y));
    assert.equal(hex(concat(x.server, y.server)), hex(concat(server, server)));
  }
});

Deno.test("nobody can frame an honest server with what it did say", () => {
  const stage = new Stage(32);
  stage.round();
  const old = stage.said.find(({ statement }) => statement.kind === "final")!;
  const header = stage.open();
  stage.apply({ kind: "statement", signed: old });
  for (const signed of stage.said) stage.apply({ kind: "statement", signed });
  stage.round(header);
  assert.deepEqual(stage.convicted, []);
  assert.equal(stage.member.state.head.round, header.round, "and the round is not held up");
});

Deno.test("a FINAL with a false round does not stop the rounds that follow", () => {
  const stage = new Stage(33), header = stage.open();
  stage.say(0, { kind: "final", round: 2 ** 52, record: stage.play.random.bytes(32) });
  stage.released(stage.prepared(stage.fixes(header)));
  const { record } = stage.said.at(-1)!.statement as Final;
  for (const s of stage.corrupt) stage.say(s, { kind: "final", round: 2 ** 52, record });
  assert.equal(stage.member.state.head.round, 0, "nor is that the round of the head");
  stage.finals();
  stage.pass(2_000);
  assert.equal(stage.member.state.head.round, header.round);
});

Deno.test("the certificate of an old record, which is public, passes for that of no other round", () => {
  const stage = new Stage(35), { state } = stage.member, { manifest } = stage.play;
  for (let i = 0; i < 2; i++) stage.round();
  const [{ record: { hash: record }, certificate }] = stage.certified;
  const claim = (round: number) => {
    for (const [i, server] of manifest.servers.entries()) {
      const statement = { kind: "final", round, record } as const;
      stage.apply({ kind: "statement", signed: { statement, server, signature: certificate[i] } });
    }
    assert.equal(hex(state.head.record), hex(stage.member.head.hash), `as of round ${round}`);
  };
  const rounds = [state.head.round - 1, state.head.round + 1, 2 ** 40];
  rounds.forEach(claim);
  const header = stage.open(), fixed = stage.fixes(header);
  rounds.forEach(claim);
  assert.ok(state.live, "nor does it end the round in progress");
  stage.released(stage.prepared(fixed));
  stage.finals();
  assert.equal(state.head.round, header.round);
});

Deno.test("nobody declines in another's name", () => {
  const { stage, header } = started(36), { self, play, member } = stage, [other] = stage.corrupt;
  const [mine, its] = [self, other].map((i) => play.servers[i].signer);
  const order = (server: number, decline: Decline) =>
    stage.apply({ kind: "decline", server, decline });
  order(self, createDecline(its, header.hash, "open-carry"));
  order(self, createDecline(mine, play.random.bytes(32), "of another header"));
  const own = createDecline(its, header.hash, "as it likes");
  order(self, own);
  order(other, { ...own, reason: "open-carry" });
  assert.equal(member.state.live!.declined.size, 0);
  assert.equal(member.state.carry, true);
  order(other, own);
  assert.deepEqual([...member.state.live!.declined.values()], [own]);
  const restored = CommitteeState.restore(member.state.snapshot(), play.manifest, 0, {});
  assert.deepEqual(restored.live!.declined, member.state.live!.declined);
  stage.round(header);
  assert.deepEqual(stage.kinds, ["open", "prepare", "partial", "final"], "it goes on");
});

Deno.test("round numbers are not burned by proposals that nobody opens", () => {
  const stage = new Stage(34);
  for (const round of [2 ** 20, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    const header = stage.play.random.bytes(32);
    stage.apply({ kind: "propose", round, header });
    stage.apply({ kind: "abandon", header, reason: "test" });
  }
  assert.ok(stage.member.state.round < 8, `the next round would be ${stage.member.state.round}`);
});
