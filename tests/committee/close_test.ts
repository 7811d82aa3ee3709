/** The end of an epoch: a server signs the next manifest once, and nothing more in this one. */
import assert from "node:assert/strict";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { verify } from "../../src/protocol/keys.ts";
import type { Closing, Refusal } from "../../src/committee/release.ts";
import {
  boot,
  DIGEST,
  Disk,
  FACTS,
  finish,
  GENESIS,
  header,
  named,
  nextFrom,
  NOW,
  partials,
  prepares,
  recordOf,
  refused,
  release,
  says,
  SERVERS,
  SHARE,
  signed,
  SIGNERS,
} from "./one_server.ts";

const YES = { certified: true };

function closed(closing: Closing, fingerprint = named("next manifest")): void {
  assert.ok("signature" in closing, `refused: ${"refused" in closing && closing.refused}`);
  assert.ok(verify(SERVERS[0], closing.signature, "sign-manifest", fingerprint));
}
function open(closing: Closing, rule: Refusal): void {
  assert.deepEqual(closing, { refused: rule });
}

Deno.test("the next manifest names this one, the next epoch and my head, which all have signed", () => {
  const disk = new Disk(), rules = boot(disk), { hash } = finish(rules, header(1));
  const next = nextFrom(hash);
  open(rules.close({ ...next, previous: named("x") }, YES), "close-manifest");
  for (const epoch of [0, 2, NaN]) open(rules.close({ ...next, epoch }, YES), "close-epoch");
  open(rules.close(nextFrom(GENESIS.hash), YES), "close-head");
  open(rules.close(next, { certified: false }), "close-uncertified");
  open(rules.close(next, YES, "other parameters"), "close-content");
  assert.equal(rules.closed, undefined);
  const before = disk.log.length;
  closed(rules.close(next, YES));
  assert.deepEqual(disk.log.slice(before), ["save", "manifest"], "durable first");
  assert.deepEqual(rules.closed, next.fingerprint);
});

Deno.test("an epoch closes once, for one manifest, which may be signed again in any boot", () => {
  const disk = new Disk(), rules = boot(disk), next = nextFrom(GENESIS.hash);
  closed(rules.close(next, YES));
  const other = nextFrom(GENESIS.hash, { fingerprint: named("other") });
  for (const on of [rules, boot(disk, "boot 2")]) {
    open(on.close(other, YES), "close-twice");
    closed(on.close(next, YES));
    closed(on.close(next, { certified: false }));
  }
});

Deno.test("after closing nothing is signed but VOIDs, in this boot and later ones", () => {
  const disk = new Disk(), rules = boot(disk), first = header(1), record = finish(rules, first);
  const on = { previous: record.hash }, done = header(2, on), begun = header(3, on);
  release(rules, done);
  const voided = says(1, { kind: "void", header: done.hash, nonce: named("its") });
  const facts = { ...FACTS, evidence: [{ void: voided }] };
  signed(rules.open(begun, NOW));
  signed(rules.prepare(begun, DIGEST, SHARE, facts));
  assert.ok(rules.repeat(done.hash));
  closed(rules.close(nextFrom(record.hash), YES));
  const final = recordOf(done),
    finals = SIGNERS.map((_, i) =>
      says(i, { kind: "final", round: final.round, record: final.hash })
    );
  for (const [boots, name] of [[rules, "boot 1"], [boot(disk, "boot 2"), "boot 2"]] as const) {
    const nonce = named(name), again = { ...begun, nonce };
    refused(boots.open(begun, NOW), "open-closed");
    refused(boots.open(header(4, { ...on, nonce }), NOW), "open-closed");
    refused(boots.prepare(again, DIGEST, SHARE, facts), "prepare-closed");
    refused(boots.partial(begun, prepares(begun), facts), "partial-closed");
    refused(boots.partial(done, prepares(done), facts), "partial-closed");
    refused(boots.final(final, partials(done), { sharesMatch: true }, SHARE), "final-closed");
    refused(boots.final(record, partials(first), { sharesMatch: true }, SHARE), "final-closed");
    assert.equal(boots.repeat(done.hash), undefined);
    assert.equal(boots.adopt(final, finals, SHARE), false);
    assert.deepEqual(boots.head, { round: 1, hash: record.hash });
    signed(boots.void(begun));
  }
});

Deno.test("the next epoch has a register of its own, and its first round is above the start", () => {
  const disk = new Disk(), old = boot(disk);
  for (const round of [5, 6]) finish(old, header(round, { previous: old.head.hash }));
  const start = old.head, next = nextFrom(start.hash);
  closed(old.close(next, YES));
  assert.throws(() => boot(disk, "boot 2", 3, { manifest: next }), ProtocolError);
  const fresh = new Disk(), rules = boot(fresh, "boot 1", 3, { manifest: next, genesis: start });
  assert.deepEqual([rules.head, rules.closed], [start, undefined]);
  const on = { previous: start.hash };
  refused(rules.open(header(6, on), NOW), "open-behind");
  refused(rules.open(header(7, { ...on, carry: true }), NOW), "open-carry");
  // What it starts from was another committee's to sign.
  refused(
    rules.final({ ...recordOf(header(6)), ...start }, [], { sharesMatch: true }, SHARE),
    "final-behind",
  );
  const record = finish(rules, header(7, on));
  assert.throws(() => boot(fresh, "boot 2"), /register of another committee/);
  open(rules.close(nextFrom(record.hash), YES), "close-manifest");
  const second = nextFrom(record.hash, { previous: next.fingerprint });
  open(rules.close(second, YES), "close-epoch");
  closed(rules.close({ ...second, epoch: 2 }, YES));
});

Deno.test("a lost disk forgets that an epoch closed, but opens nothing of an earlier boot", () => {
  const disk = new Disk(), rules = boot(disk), h = header(1);
  signed(rules.open(h, NOW));
  closed(rules.close(nextFrom(GENESIS.hash), YES));
  const blank = boot(new Disk(), "boot 2");
  assert.equal(blank.closed, undefined);
  refused(blank.open(h, NOW), "open-nonce");
  refused(blank.prepare(h, DIGEST, SHARE, FACTS), "prepare-opened");
});
