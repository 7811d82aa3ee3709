import assert from "node:assert/strict";
import { MAX_RELEASED_PER_HEAD } from "../../src/committee/register.ts";
import {
  type Evidence,
  type Facts,
  MAX_ROUND_GAP,
  MAX_SKEW_MS,
} from "../../src/committee/release.ts";
import { signer } from "../../src/protocol/keys.ts";
import { type Signed, signStatement } from "../../src/protocol/statements.ts";
import {
  boot,
  DIGEST,
  Disk,
  FACTS,
  finish,
  GENESIS,
  header,
  named,
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
  voidOf,
  withOne,
} from "./one_server.ts";

Deno.test("a round goes from OPEN to FINAL, and the head moves", () => {
  const disk = new Disk(), rules = boot(disk), h = header(1);
  const record = finish(rules, h);
  assert.deepEqual(rules.head, { round: 1, hash: record.hash });
  assert.deepEqual(rules.attachment, named("attachment"));
  assert.equal(rules.released(h.hash), false);
  assert.deepEqual(rules.opened?.round, 1);
  assert.deepEqual(disk.log, "save open save prepare save partial save final".split(" "));
});

Deno.test("OPEN: number, head, boot, clock and contents", () => {
  const rules = boot(new Disk());
  refused(rules.open(header(0), NOW), "open-behind");
  refused(rules.open(header(MAX_ROUND_GAP + 1), NOW), "open-ahead");
  refused(rules.open(header(1, { previous: named("other") }), NOW), "open-head");
  refused(rules.open(header(1, { nonce: named("other") }), NOW), "open-nonce");
  for (const skew of [MAX_SKEW_MS + 1, -MAX_SKEW_MS - 1, NaN]) {
    refused(rules.open(header(1, { time: NOW + skew }), NOW), "open-time");
  }
  refused(rules.open(header(1), NOW, "another roster"), "open-content");
  assert.equal(rules.opened, undefined);
  signed(rules.open(header(MAX_ROUND_GAP, { time: NOW - MAX_SKEW_MS }), NOW));
  refused(rules.open(header(MAX_ROUND_GAP, { hash: named("other") }), NOW), "open-behind");
  refused(rules.open(header(2), NOW), "open-behind");
});

Deno.test("carry 1: only on a head that I released and signed in this boot, and only once", () => {
  const disk = new Disk(), rules = boot(disk);
  refused(rules.open(header(1, { carry: true }), NOW), "open-carry");
  const { hash: previous } = finish(rules, header(1));
  assert.ok(rules.mayCarry());
  signed(rules.open(header(2, { carry: true, previous }), NOW));
  const h = header(3, { carry: true, previous });
  release(rules, h);
  assert.equal(rules.mayCarry(), false);
  refused(rules.open(header(4, { carry: true, previous }), NOW), "open-carry");
  const again = boot(disk, "boot 2");
  assert.equal(again.mayCarry(), false);
  assert.ok(again.released(h.hash));
});

Deno.test("carry 1: never on a head that was opened in a boot whose disk is lost", () => {
  const rules = boot(new Disk()), first = header(1), record = finish(rules, first);
  release(rules, header(2, { carry: true, previous: record.hash }));
  const carried = header(3, {
    carry: true,
    previous: record.hash,
    nonce: named("boot 2"),
  });
  // The PARTIALs of the first boot still let the record be signed again, but vouch for nothing.
  const resigned = boot(new Disk(), "boot 2");
  signed(resigned.final(record, partials(first), { sharesMatch: true }, named("a")));
  refused(resigned.open(carried, NOW), "open-carry");
  const adopting = boot(new Disk(), "boot 2");
  const finals = SIGNERS.map((_, i) =>
    says(i, { kind: "final", round: record.round, record: record.hash })
  );
  assert.ok(adopting.adopt(record, finals, named("a")));
  refused(adopting.open(carried, NOW), "open-carry");
});

Deno.test("PREPARE: the last opened of this boot, once, for a set that hides", () => {
  const disk = new Disk(), rules = boot(disk), h = header(1), later = header(2);
  const ask = (change: Partial<Facts>, digest = DIGEST, share = SHARE) =>
    rules.prepare(later, digest, share, { ...FACTS, ...change });
  signed(rules.open(h, NOW));
  signed(rules.open(later, NOW));
  refused(rules.prepare(h, DIGEST, SHARE, FACTS), "prepare-opened");
  refused(ask({ holdsBytes: false }), "prepare-bytes");
  refused(ask({ strangers: 1 }), "prepare-strangers");
  refused(ask({ participants: 2 }), "prepare-few");
  refused(ask({ participants: NaN }), "prepare-few");
  const first = signed(ask({}));
  assert.deepEqual(signed(ask({})), first);
  refused(ask({}, named("other")), "prepare-twice");
  refused(ask({}, DIGEST, named("other")), "prepare-twice");
  signed(rules.void(later));
  assert.ok(rules.voided(later.hash));
  refused(ask({}), "prepare-voided");
  refused(boot(disk, "boot 2").prepare(later, DIGEST, SHARE, FACTS), "prepare-boot");
  const lone = boot(new Disk(), "boot 1", 0);
  signed(lone.open(h, NOW));
  refused(lone.prepare(h, DIGEST, SHARE, { ...FACTS, participants: 1 }), "prepare-few");
});

Deno.test("PREPARE and PARTIAL: not once the head has moved", () => {
  const rules = boot(new Disk()), h = header(1), later = header(2);
  release(rules, h);
  signed(rules.open(later, NOW));
  const facts = { ...FACTS, evidence: [voidOf(h)] };
  signed(rules.prepare(later, DIGEST, SHARE, facts));
  signed(rules.final(recordOf(h), partials(h), { sharesMatch: true }, named("a")));
  refused(rules.prepare(later, DIGEST, SHARE, facts), "prepare-head");
  refused(rules.partial(later, prepares(later), facts), "prepare-head");
  refused(rules.void(later), "void-head");
});

Deno.test("a second release on a head asks for a VOID of, or conviction on, the first", () => {
  const rules = boot(new Disk()), h = header(1), later = header(2);
  release(rules, h);
  signed(rules.open(later, NOW));
  const nonce = named("its"), partial = partials(h)[1];
  const prepare = (name: string, server = 1) =>
    says(server, { kind: "prepare", header: h.hash, digest: named(name), share: SHARE });
  const voided = says(1, { kind: "void", header: h.hash, nonce });
  const context = { header: () => ({ round: 1, nonce }) };
  const outsider = signStatement(signer(new Uint8Array(32)), voided.statement);
  const useless: Evidence[][] = [
    [],
    [voidOf(later)],
    [{ void: { ...voided, server: SERVERS[2] } }],
    [{ void: outsider }],
    [{ void: partial }],
    [{ convicts: [prepare("a"), prepare("a")] }],
    [{ convicts: [prepare("a"), prepare("b", 2)] }],
    [{ convicts: [prepare("a"), { ...prepare("b"), signature: new Uint8Array(64) }] }],
    [{ convicts: [partial, voided] }],
    [{ convicts: [partial, voided], context: { header: () => ({ round: 1, nonce: SHARE }) } }],
  ];
  for (const evidence of useless) {
    refused(rules.prepare(later, DIGEST, SHARE, { ...FACTS, evidence }), "prepare-unproven");
  }
  const useful: Evidence[] = [
    voidOf(h),
    { convicts: [prepare("a"), prepare("b")] },
    { convicts: [partial, voided], context },
  ];
  for (const evidence of useful) {
    signed(rules.prepare(later, DIGEST, SHARE, { ...FACTS, evidence: [evidence] }));
  }
  refused(rules.partial(later, prepares(later), FACTS), "prepare-unproven");
});

Deno.test("a head carries at most MAX_RELEASED_PER_HEAD releases", () => {
  const disk = new Disk(), rules = boot(disk), evidence: Evidence[] = [];
  for (let round = 1; round <= MAX_RELEASED_PER_HEAD; round++) {
    release(rules, header(round), evidence);
    evidence.push(voidOf(header(round)));
  }
  const h = header(MAX_RELEASED_PER_HEAD + 1);
  signed(rules.open(h, NOW));
  refused(rules.prepare(h, DIGEST, SHARE, { ...FACTS, evidence }), "prepare-full");
  assert.ok(boot(disk, "boot 2").released(header(MAX_RELEASED_PER_HEAD).hash));
});

Deno.test("PARTIAL: all PREPAREs, one a server, for one header and digest, mine as I signed it", () => {
  const rules = boot(new Disk()), h = header(1), all = prepares(h);
  const ask = (list: (Signed | undefined)[]) => rules.partial(h, list, FACTS);
  const statement = { kind: "prepare", header: h.hash, digest: DIGEST, share: SHARE } as const;
  signed(rules.open(h, NOW));
  refused(ask(all), "partial-mine");
  signed(rules.prepare(h, DIGEST, SHARE, FACTS));
  refused(ask(all.slice(0, 2)), "partial-missing");
  refused(ask(withOne<Signed | undefined>(all, 1, undefined)), "partial-missing");
  refused(ask([...all, all[2]]), "partial-missing");
  refused(ask(withOne(all, 2, all[1])), "partial-server");
  refused(ask(all.toReversed()), "partial-server");
  refused(ask(withOne(all, 1, says(1, { ...statement, header: named("x") }))), "partial-header");
  refused(ask(withOne(all, 1, says(1, { kind: "open", header: h.hash }))), "partial-header");
  refused(ask(withOne(all, 1, says(1, { ...statement, digest: named("x") }))), "partial-digest");
  refused(ask(prepares(h, named("x"))), "partial-mine");
  refused(ask(withOne(all, 0, says(0, { ...statement, share: named("x") }))), "partial-mine");
  refused(ask(withOne(all, 2, { ...all[2], signature: all[1].signature })), "partial-signature");
  refused(rules.partial(h, all, { ...FACTS, strangers: 1 }), "prepare-strangers");
  assert.deepEqual(signed(ask(all)).statement, partials(h)[0].statement);
  assert.deepEqual(ask(all), ask(all));
  refused(ask(withOne(all, 1, says(1, { ...statement, share: named("x") }))), "partial-twice");
  signed(rules.open(header(2), NOW));
  assert.deepEqual(signed(ask(all)).statement, partials(h)[0].statement);
});

Deno.test("PARTIAL: not for a header given up by a later OPEN, a VOID or a restart", () => {
  const disk = new Disk(), h = header(1);
  const prepared = (name: string) => {
    disk.bytes = undefined;
    const rules = boot(disk, name), view = { ...h, nonce: named(name) };
    signed(rules.open(view, NOW));
    signed(rules.prepare(view, DIGEST, SHARE, FACTS));
    return rules;
  };
  const opening = prepared("boot 1");
  signed(opening.open(header(2), NOW));
  refused(opening.partial(h, prepares(h), FACTS), "prepare-opened");
  const voiding = prepared("boot 1");
  signed(voiding.void(h));
  refused(voiding.partial(h, prepares(h), FACTS), "prepare-voided");
  prepared("boot 1");
  refused(boot(disk, "boot 2").partial(h, prepares(h), FACTS), "prepare-boot");
});

Deno.test("VOID: never of what I released or may yet open; always of an earlier boot", () => {
  const disk = new Disk(), rules = boot(disk), h = header(1);
  refused(rules.void(h), "void-ahead");
  release(rules, h);
  refused(rules.void(h), "void-released");
  refused(rules.void(header(1, { hash: SHARE, previous: named("x") })), "void-head");
  signed(rules.open(header(3), NOW));
  assert.deepEqual(signed(rules.void(header(2))).statement.nonce, named("boot 1"));
  assert.equal(rules.voided(header(3).hash), false);
  signed(rules.void(header(3)));
  const again = boot(disk, "boot 2");
  assert.ok(again.voided(header(3).hash));
  assert.deepEqual(signed(again.void(h)).statement.nonce, named("boot 2"));
});

Deno.test("FINAL: all PARTIALs, one a server, for one header and P, once per round", () => {
  const rules = boot(new Disk()), h = header(1), all = partials(h), record = recordOf(h);
  const ask = (list: (Signed | undefined)[], of = record, sharesMatch = true) =>
    rules.final(of, list, { sharesMatch }, named("a"));
  const other = { kind: "partial", header: h.hash, shares: named("x") } as const;
  release(rules, h);
  refused(ask(all, { ...record, round: 0 }), "final-behind");
  refused(ask(all, { ...record, previous: named("x") }), "final-head");
  refused(ask(withOne<Signed | undefined>(all, 2, undefined)), "final-missing");
  refused(ask(withOne(all, 2, all[1])), "final-server");
  refused(ask(partials(header(2))), "final-header");
  refused(ask(withOne(all, 1, prepares(h)[1])), "final-header");
  refused(ask(withOne(all, 1, says(1, other))), "final-shares");
  refused(ask(withOne(all, 1, { ...all[1], signature: all[2].signature })), "final-signature");
  refused(ask(all, record, false), "final-match");
  assert.deepEqual(rules.head, GENESIS);
  const first = signed(ask(all));
  assert.deepEqual(signed(ask([])), first);
  refused(ask(all, recordOf(h, "other")), "final-behind");
  refused(ask(all, { ...recordOf(h, "other"), round: 2 }), "final-head");
});

Deno.test("adopt: a higher record that all have signed, and nothing else", () => {
  const disk = new Disk(), rules = boot(disk), record = { round: 5, hash: named("5") };
  const finals = SIGNERS.map((_, i) =>
    says(i, { kind: "final", round: record.round, record: record.hash })
  );
  const adopt = (list: (Signed | undefined)[], round = 5) =>
    rules.adopt({ ...record, round }, list, named("a"));
  assert.equal(adopt(finals.slice(1)), false);
  assert.equal(adopt([...finals.slice(1), undefined]), false);
  assert.equal(adopt(withOne(finals, 2, finals[1])), false);
  assert.equal(adopt(withOne(finals, 2, { ...finals[2], signature: new Uint8Array(64) })), false);
  assert.equal(
    adopt(withOne(finals, 2, says(2, { kind: "final", round: 5, record: SHARE }))),
    false,
  );
  assert.equal(adopt(finals, 0), false);
  assert.equal(adopt(finals, 6), false, "signed for another round");
  assert.ok(adopt(finals));
  assert.equal(adopt(finals), false);
  rules.attach(named("certified"));
  const again = boot(disk, "boot 2");
  assert.deepEqual(again.head, record);
  assert.deepEqual(again.attachment, named("certified"));
  assert.ok(
    "signed" in again.final({ ...record, previous: SHARE, header: SHARE }, [], {
      sharesMatch: true,
    }, SHARE),
  );
});
