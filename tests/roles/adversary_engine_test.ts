/** An engine that lies: states made up, evidence made up, blobs that are not what they say. */
import assert from "node:assert/strict";
import { equal, Writer } from "../../src/protocol/bytes.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import { Roster } from "../../src/protocol/roster.ts";
import { createRecord } from "../../src/protocol/record.ts";
import { openVectors, shareCommitment } from "../../src/protocol/share.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { type Command, encodeCommand } from "../../src/committee/commands.ts";
import { encodeEvidence } from "../../src/committee/evidence.ts";
import { createVouch } from "../../src/committee/vouches.ts";
import { LAPSE_GRACE_MS } from "../../src/committee/vouching.ts";
import { CommitteeState } from "../../src/committee/state.ts";
import type { Signed } from "../../src/protocol/statements.ts";
import { Play } from "../protocol/play.ts";
import { Stage } from "./stage.ts";

function snapshot(commands: readonly Command[]): Uint8Array {
  const out = new Writer().u32(commands.length);
  for (const command of commands) out.vector(encodeCommand(command));
  return out.end();
}

/** The seats of a roster made of other clients. */
function strangers(stage: Stage): { seats: Command[]; roster: Roster; play: Play } {
  const play = new Play(77, { servers: 3, clients: 4 }), roster = new Roster();
  const seats = play.clients.map(({ signer, agreement }, index): Command => {
    roster.set(index, { client: signer.key, agreement: agreement.key });
    const registration = createRegistration("register", signer, {
      instance: stage.play.manifest.instance,
      agreement: agreement.key,
      session: stage.now,
    });
    return { kind: "seat", index, registration };
  });
  const places: Command = { kind: "places", round: 0, size: 4, freeing: [] };
  return { seats: [places, ...seats], roster, play };
}

/** Restores a state, by way of one with another live round, so that nothing made is kept. */
function imposes(stage: Stage, commands: readonly Command[]): void {
  const header = stage.play.random.bytes(32);
  stage.host.restore(snapshot([{ kind: "propose", round: 9, header }]));
  stage.host.restore(snapshot(commands));
  stage.flush();
}

/** The live round as it stands, as commands; `other` replaces its aggregate. */
function liveCommands(stage: Stage, other?: Uint8Array): Command[] {
  const live = stage.member.state.live!, { header, round } = live;
  const digest = other ?? live.digest;
  return [
    { kind: "propose", round, header },
    ...live.opens.map((signed): Command => ({ kind: "statement", signed: signed! })),
    ...(digest ? [{ kind: "aggregate", header, digest } as const] : []),
  ];
}

Deno.test("a state in which the set is another does not get a second PREPARE", () => {
  const stage = new Stage(40), header = stage.open();
  stage.fixes(header);
  const subset = stage.fold(header, [0, 1, 2]);
  const honest = CommitteeState.restore(stage.host.snapshot(), stage.play.manifest, 0, {});
  const seats: Command[] = [
    { kind: "places", round: 0, size: 4, freeing: [] },
    ...honest.registry.commands(),
  ];
  stage.give(subset.digest, subset.bytes);
  imposes(stage, [...seats, ...liveCommands(stage, subset.digest)]);
  assert.equal(stage.kinds.filter((kind) => kind === "prepare").length, 1);
  assert.equal(stage.declined.at(-1), "prepare-twice");
});

/** A header in which client 1 has a message, and the aggregates of all clients and of it alone. */
function talk(stage: Stage) {
  const { play } = stage, first = stage.open(), envelopes = play.clients.map((_, i) => i);
  const { slot } = play.slot(first, "the victim's words");
  const reserving = envelopes.map((i) =>
    play.envelope(i, first, i === 1 ? play.vectors(first, { reserve: slot }) : undefined)
  );
  stage.released(stage.prepared(stage.fixes(first, play.fold(first, reserving))));
  stage.finals();
  const header = stage.open(stage.header());
  const said = envelopes.map((i) =>
    play.envelope(i, header, i === 1 ? play.vectors(header, { talk: slot }) : undefined)
  );
  return { header, full: play.fold(header, said), alone: play.fold(header, [said[1]]) };
}

/** Shares that the server under test handed out since `from` frames. */
const shares = (stage: Stage, from: number) =>
  stage.frames.slice(from).filter(([kind]) => kind === 2);

for (const released of [false, true]) {
  Deno.test(
    `a state with PREPAREs of one set and the aggregate of another opens nothing${
      released ? " more" : ""
    }`,
    () => {
      const stage = new Stage(60), { header, full, alone } = talk(stage);
      const secrets = stage.fixes(header, full), live = stage.member.state.live!;
      const prepares = live.prepares.map((own, i) =>
        own ?? stage.sign(i, stage.prepare(secrets, i))
      );
      if (released) stage.prepared(secrets);
      const from = stage.frames.length, { state } = stage.member;
      const said = (signed: Signed): Command => ({ kind: "statement", signed });
      const { signatures } = state.finals!;
      const commands: Command[] = [
        { kind: "places", round: state.round - 1, size: 4, freeing: [] },
        ...state.registry.commands(),
        ...state.bundles.flatMap((bundle, server): Command[] =>
          bundle ? [{ kind: "bundle", server, bundle }] : []
        ),
        ...signatures.map((signed): Command => ({ kind: "statement", signed: signed! })),
        ...liveCommands(stage, alone.digest),
      ];
      stage.give(alone.digest, alone.bytes);
      stage.host.restore(snapshot(commands));
      stage.flush();
      assert.equal(stage.declined.at(-1), "prepare-few");
      stage.host.restore(snapshot([...commands, ...prepares.map(said)]));
      stage.flush();
      assert.equal(shares(stage, from).length, 0, "pads of one client alone");
    },
  );
}

Deno.test("a header that is ordered again, with PREPAREs of its first set, opens nothing more", () => {
  const stage = new Stage(61), { header, full, alone } = talk(stage);
  const secrets = stage.fixes(header, full);
  const order = (command: Command) => stage.host.apply([encodeCommand(command)]);
  const says = (signed: Signed) => order({ kind: "statement", signed });
  for (const s of stage.corrupt) says(stage.sign(s, stage.prepare(secrets, s)));
  const { opens, prepares } = stage.member.state.live!, [a] = stage.corrupt;
  const statements = { opens: [...opens], prepares: [...prepares] }, from = stage.frames.length;
  assert.ok(shares(stage, 0).length > 0, "it released for all");
  order({ kind: "abandon", header: header.hash, reason: "no PARTIAL" });
  const { nonce } = header.bundles[a];
  says(stage.sign(a, { kind: "void", header: header.hash, nonce }));
  assert.equal(stage.member.state.live, undefined);
  order({ kind: "propose", round: header.round + 1, header: header.hash });
  for (const signed of statements.opens) says(signed!);
  stage.give(alone.digest, alone.bytes);
  order({ kind: "aggregate", header: header.hash, digest: alone.digest });
  for (const signed of statements.prepares) says(signed!);
  assert.ok(stage.member.state.live!.prepares.includes(undefined), "PREPAREs of another set");
  assert.equal(shares(stage, from).length, 0, "pads of one client alone");
});

Deno.test("a state that seats clients for whom this server does not vouch gets no OPEN", () => {
  const stage = new Stage(43, 2, () => undefined, true), { play, now } = stage;
  const seats = play.clients.map(({ signer, agreement: { key: agreement } }, index): Command => {
    const fields = { instance: play.manifest.instance, agreement, session: now };
    return { kind: "seat", index, registration: createRegistration("register", signer, fields) };
  });
  const vouch = (server: number, until = now + 60_000) =>
    play.clients.map(({ signer: { key: client } }): Command => {
      const { signer } = play.servers[server];
      const word = createVouch(signer, play.manifest.instance, { client, time: now, until });
      return { kind: "vouch", server, vouch: word };
    });
  const places: Command = { kind: "places", round: 0, size: 4, freeing: [] };
  const others = [places, ...seats, ...vouch(0), ...vouch(1)];
  imposes(stage, others);
  assert.equal(stage.has("open", stage.open()), false);
  assert.match(
    stage.declined.at(-1)!,
    /^client [0-9a-f]{16} is not admitted here: no vouch of mine$/,
  );
  imposes(stage, [...others, ...vouch(2, now - 1)]);
  assert.equal(stage.has("open", stage.open()), false, "it was taken back");
  imposes(stage, [...others, ...vouch(2)]);
  assert.equal(stage.has("open", stage.open()), true);
  stage.now += 60_000 + LAPSE_GRACE_MS + 1;
  imposes(stage, [...others, ...vouch(2)]);
  assert.equal(stage.has("open", stage.open()), false, "it ended long ago");
});

Deno.test("a state in which the roster is another after OPEN does not get a PREPARE", () => {
  const stage = new Stage(41), header = stage.open(), { seats } = strangers(stage);
  assert.ok(stage.has("open", header));
  imposes(stage, [...seats, ...liveCommands(stage)]);
  stage.fixes(header);
  assert.equal(stage.has("prepare", header), false, "pads of clients that stand in no header");
});

Deno.test("a state that leaves out what this server released does not let it release again", () => {
  const stage = new Stage(42), header = stage.open();
  stage.prepared(stage.fixes(header));
  const seats = [...stage.member.state.registry.commands()];
  const places: Command = { kind: "places", round: header.round, size: 4, freeing: [] };
  stage.host.restore(snapshot([places, ...seats]));
  stage.flush();
  const second = stage.open(stage.play.header({ round: header.round + 1, time: stage.now }));
  assert.ok(stage.has("open", second));
  stage.fixes(second, stage.fold(second, [0, 1, 2]));
  assert.equal(stage.declined.at(-1), "prepare-unproven");
});

Deno.test("evidence whose shares are not those that all released under does not get FINAL", () => {
  const stage = new Stage(43), { play } = stage, header = stage.open();
  const secrets = stage.prepared(stage.fixes(header));
  for (const s of stage.corrupt) stage.say(s, stage.partial(secrets));
  const partials = stage.member.state.live!.partials.map((signed) => signed!);
  // A set and shares of the corrupt servers' own making, and PREPAREs that fit them.
  const aggregate = stage.fold(header, [0, 1, 2]);
  const of = stage.secrets(header, aggregate), [a] = stage.corrupt;
  const shares = play.servers.map((_, i) => of.shares.get(i) ?? of.shares.get(a)!);
  const prepares = play.servers.map(({ signer }, i) => ({
    statement: {
      kind: "prepare" as const,
      header: header.hash,
      digest: aggregate.digest,
      share: shareCommitment(shares[i], aggregate.digest, signer.key),
    },
    server: signer.key,
    signature: new Uint8Array(64),
  }));
  const opened = openVectors(aggregate, shares, play.parameters);
  const { shares: all } = stage.partial(secrets);
  const record = createRecord(play.manifest, header, aggregate, all, opened);
  const evidence = encodeEvidence({ pending: { record, aggregate, prepares, partials, shares } });
  try {
    stage.head(evidence);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
  }
  assert.equal(stage.kinds.includes("final"), false);
  assert.ok(equal(stage.member.head.hash, play.manifest.root));
});

Deno.test("a record that not all have signed is not adopted as head", () => {
  const stage = new Stage(44), { play } = stage;
  const { certified, bytes } = (() => {
    const other = new Play(44, { servers: 3, clients: 4 });
    const round = other.round();
    return { certified: round.certified, bytes: round.bytes };
  })();
  const two = { ...certified, certificate: certified.certificate.with(2, new Uint8Array(64)) };
  assert.throws(
    () => stage.head(encodeEvidence({ certified: two })),
    (error) => error instanceof ProtocolError && error.code === "signature",
  );
  assert.ok(equal(stage.member.head.hash, play.manifest.root));
  assert.ok(bytes.length > 0);
  stage.head(encodeEvidence({ certified }));
  assert.ok(equal(stage.member.head.hash, certified.record.hash), "what all signed is");
});

Deno.test("a snapshot made during a round holds the registrations that wait for its end", () => {
  const stage = new Stage(45), header = stage.open(), { seats } = strangers(stage);
  const seat = seats[1] as Extract<Command, { kind: "seat" }>;
  stage.apply({ kind: "register", registration: seat.registration });
  const copy = CommitteeState.restore(stage.host.snapshot(), stage.play.manifest, 0, {});
  const abandon = encodeCommand({ kind: "abandon", header: header.hash, reason: "test" });
  copy.apply(abandon);
  stage.host.apply([abandon]);
  assert.equal(stage.member.state.registry.size, 5);
  assert.equal(copy.registry.size, 5);
  assert.ok(equal(copy.snapshot(), stage.member.state.snapshot()));
});

Deno.test("places that do not exist, or twice, are refused with a typed error", () => {
  const stage = new Stage(46), { seats } = strangers(stage);
  for (const freeing of [[9_999], [1, 1]]) {
    const places: Command = { kind: "places", round: 0, size: 4, freeing };
    assert.throws(() => stage.host.restore(snapshot([places, ...seats.slice(1)])), ProtocolError);
  }
  const twice = snapshot([...seats.slice(0, 2), { ...seats[1], index: 3 } as Command]);
  stage.host.restore(twice);
  const { roster } = stage.member.state.registry;
  assert.deepEqual([roster.count, roster.at(3)], [1, undefined], "one client, one place");
});

Deno.test("a flood of VOIDs and PARTIALs on made-up headers does not crowd out the honest", () => {
  const stage = new Stage(47);
  for (let i = 0; i < 200; i++) {
    const header = stage.play.random.bytes(32), nonce = header, shares = header;
    stage.say(0, { kind: "void", header, nonce });
    stage.say(0, { kind: "partial", header, shares });
  }
  const header = stage.open(stage.header({ carry: false }));
  stage.round(header);
  assert.equal(stage.member.state.head.round, header.round);
});
