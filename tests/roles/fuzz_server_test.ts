/** Damaged frames at a server that orders commands: clients', servers' and aggregators'. */
import assert from "node:assert/strict";
import { concat, u64 } from "../../src/protocol/bytes.ts";
import { createBundle } from "../../src/protocol/bundle.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import type { Header } from "../../src/protocol/header.ts";
import { encodeSigned, type Statement, statementFields } from "../../src/protocol/statements.ts";
import { type Command, decodeCommand } from "../../src/committee/commands.ts";
import { createDecline } from "../../src/committee/decline.ts";
import { committeeStream } from "../../src/roles/streams.ts";
import type { Random } from "../protocol/random.ts";
import { changed, fuzz, type Target } from "./fuzz.ts";
import { Podium } from "./podium.ts";
import { joins, kinded, peerOf } from "./wire.ts";

const ZERO = new Uint8Array(32), FOUR = [0, 1, 2, 3];

/** A registration with a field out of range, signed. */
function badRegistration(p: Podium, kind: "register" | "leave", random: Random): Uint8Array {
  const { manifest, clients } = p.play, { signer, agreement } = clients[3];
  const [instance, key, session] = random.pick([
    [random.bytes(32), agreement.key, u64(p.wires.now)],
    [manifest.instance, ZERO, u64(p.wires.now)],
    [manifest.instance, agreement.key, random.bytes(8).with(7, 0xff)],
  ]);
  const signature = signer.sign(`sign-${kind}`, instance, signer.key, key, session);
  return kinded(kind === "register" ? 0 : 1, instance, signer.key, key, session, signature);
}

/** Frames of server 1 with a command. */
function command(p: Podium, good: Command, more: Partial<Target> = {}): Target {
  const [wire] = p.peers;
  return {
    kind: `server: committee, ${good.kind} ${"signed" in good ? good.signed.statement.kind : ""}`,
    good: p.proposal(good),
    feed: (bytes) => wire.events.frame(bytes),
    state: p.state,
    tidy: p.tidy,
    accepted: changed(p),
    // A damaged frame may ask for a blob, or be one: neither is believed.
    ...more,
  };
}

/** Whether a frame is another well-formed proposal for which `fair` holds. */
function proposes(p: Podium, fair: (command: Command) => boolean) {
  return (bytes: Uint8Array) => {
    if (bytes[0] !== 0 || bytes[1] !== 1) return false;
    try {
      return fair(decodeCommand(bytes.subarray(2), p.play.manifest));
    } catch {
      return false;
    }
  };
}

Deno.test("fuzz: registrations and leaves, of a client and through a server", async () => {
  const p = await new Podium(210).begin();
  for (const i of [0, 1]) p.registry.frame(p.registration("register", i));
  await p.wires.pass(400); // registrations are offered together, at most every 100 ms
  const target = (kind: "register" | "leave"): Target => ({
    kind: `server: client-registry, ${kind}`,
    good: p.registration(kind, 3),
    feed: (bytes) => p.registry.events.frame(bytes),
    state: p.state,
    tidy: p.tidy,
    forge: (random) => badRegistration(p, kind, random),
    accepted: changed(p),
  });
  await fuzz(target("register"), 11);
  await fuzz(target("leave"), 12);
  const { manifest, clients: [, , { signer, agreement }] } = p.play;
  const registration = createRegistration("register", signer, {
    instance: manifest.instance,
    agreement: agreement.key,
    session: p.wires.now,
  });
  await fuzz(
    command(p, { kind: "register", registration }, {
      forge: (random) =>
        kinded(0, Uint8Array.of(1, 1), badRegistration(p, "register", random).slice(1)),
    }),
    13,
  );
});

Deno.test("fuzz: a server's bundle", async () => {
  const p = new Podium(211), { play, wires } = p, [, second] = play.servers;
  p.server.start();
  const { instance } = play.manifest;
  const wire = joins(wires, peerOf("server", second.seed), committeeStream(0), instance);
  await wires.pass(1);
  wire.frame(Uint8Array.of(0, 0));
  p.peers.push(wire);
  const bundle = (keyEpoch: number, agreement: Uint8Array, of = second) =>
    createBundle(of.signer, play.manifest, { nonce: second.bundle.nonce, keyEpoch, agreement });
  await fuzz(
    command(p, { kind: "bundle", server: 1, bundle: second.bundle }, {
      forge: (random) =>
        p.proposal({
          kind: "bundle",
          server: 1,
          bundle: random.below(2)
            ? bundle(random.u32(), ZERO)
            : bundle(random.u32(), random.bytes(32), play.servers[2]),
        }),
    }),
    15,
  );
});

/** The five statements, each with its good command; forged ones have another label or signer. */
function said(p: Podium, statement: Statement): Target {
  const { servers, clients } = p.play, server = servers[1];
  const forge = (random: Random) => {
    const fields = statementFields(statement);
    const label = random.pick(
      (["open", "prepare", "partial", "void", "final"] as const).filter((l) =>
        l !== statement.kind
      ),
    );
    const [key, signature] = random.pick([
      [server.signer.key, server.signer.sign(label, fields)],
      [clients[0].signer.key, clients[0].signer.sign(statement.kind, fields)],
      [servers[2].signer.key, server.signer.sign(statement.kind, fields)],
    ]);
    return kinded(0, Uint8Array.of(1, 6), encodeSigned({ statement, server: key, signature }));
  };
  return command(p, p.statement(1, statement), { forge });
}

/** A server with a live round that all have opened, but for what a test does itself. */
async function live(seed: number, opened = true): Promise<{ p: Podium; header: Header }> {
  const p = await new Podium(seed).begin();
  for (const i of FOUR) p.registry.frame(p.registration("register", i));
  const header = await p.header();
  if (opened) {
    for (const i of [1, 2]) p.propose(p.statement(i, { kind: "open", header: header.hash }));
  }
  return { p, header };
}

Deno.test("fuzz: OPEN, and an aggregate", async () => {
  const { p, header } = await live(212, false), { play, wires } = p;
  await fuzz(said(p, { kind: "open", header: header.hash }), 16);
  p.propose(p.statement(2, { kind: "open", header: header.hash }));
  const wire = wires.dial(peerOf("aggregator", play.aggregator.seed), p.streams.aggregate);
  const { bytes, bitmap } = play.fold(header, FOUR.map((i) => play.envelope(i, header)));
  const { signer } = play.aggregator;
  await fuzz({
    kind: "server: aggregate",
    good: bytes,
    feed: (frame) => wire.events.frame(frame),
    state: p.state,
    tidy: p.tidy,
    forge(random) {
      const at = random.pick([36, 36 + bitmap.length + 32, bytes.length - 96]);
      const out = bytes.slice(0, -64);
      out.set(at === 36 ? [0x10 | bitmap[0]] : random.bytes(4), at);
      return concat(out, signer.sign("sign-aggregate", random.bytes(32)));
    },
    accepted: changed(p),
  }, 17);
});

Deno.test("fuzz: PREPARE, PARTIAL, VOID, FINAL and the leader's word", async () => {
  const { p, header } = await live(213), { play } = p, h = header.hash;
  const { bytes, digest } = play.fold(header, FOUR.map((i) => play.envelope(i, header)));
  p.peers[0].frame(kinded(2, digest, bytes));
  const here = (c: Command) => c.kind === "aggregate" && c.header.every((b, i) => b === h[i]);
  await fuzz(
    command(p, { kind: "aggregate", header: h, digest }, {
      fair: proposes(p, here),
      forge: (random) => p.proposal({ kind: "aggregate", header: random.bytes(32), digest }),
      silent: undefined,
    }),
    18,
  );
  const share = digest;
  await fuzz(said(p, { kind: "prepare", header: h, digest, share }), 19);
  await fuzz(said(p, { kind: "partial", header: h, shares: digest }), 20);
  await fuzz(said(p, { kind: "void", header: h, nonce: play.servers[1].bundle.nonce }), 21);
  await fuzz(said(p, { kind: "final", round: header.round, record: digest }), 22);
  const [, { signer }, other] = play.servers, decline = createDecline(signer, h, "away");
  await fuzz(
    command(p, { kind: "decline", server: 1, decline }, {
      forge: (random) =>
        p.proposal(random.pick<Command>([
          { kind: "decline", server: 2, decline },
          { kind: "decline", server: 1, decline: createDecline(other.signer, h, "away") },
          { kind: "decline", server: 1, decline: { ...decline, reason: "open-carry" } },
        ])),
    }),
    23,
  );
  const gone = (c: Command) => c.kind === "abandon" && c.header.every((b, i) => b === h[i]);
  await fuzz(
    command(p, { kind: "abandon", header: h, reason: "away" }, {
      fair: proposes(p, gone),
      forge: (random) => p.proposal({ kind: "abandon", header: random.bytes(32), reason: "away" }),
    }),
    24,
  );
  const next = p.server.member.state.round + 1, fresh = play.random.bytes(32);
  await fuzz(
    command(p, { kind: "propose", round: next, header: fresh }, {
      fair: proposes(
        p,
        (c) =>
          c.kind === "propose" && c.round === next || c.kind === "expire" || c.kind === "decline",
      ),
      forge: (random) =>
        p.proposal({
          kind: "propose",
          round: random.pick([0, header.round, next + 1, next + random.u32(), 2 ** 53 - 1]),
          header: fresh,
        }),
    }),
    25,
  );
});

Deno.test("fuzz: expiry, joining, and what servers ask each other for", async () => {
  const p = await new Podium(214).begin(), { clients } = p.play;
  for (const i of [0, 1]) p.registry.frame(p.registration("register", i));
  await p.wires.pass(400); // registrations are offered together, at most every 100 ms
  const client = clients[1].signer.key;
  const forge = (random: Random) =>
    p.proposal({ kind: "expire", index: random.pick([0, 2, 2 ** 32 - 1]), client });
  const proposed = proposes(p, (c) => c.kind === "propose");
  await fuzz(command(p, { kind: "expire", index: 1, client }, { forge, fair: proposed }), 26);
  const wire = p.peers[0], bundle = p.server.member.state.bundles[0]!;
  await fuzz({
    kind: "server: committee, want",
    good: kinded(1, bundle.nonce),
    feed: (bytes) => wire.events.frame(bytes),
    state: p.state,
    forge: (random) => kinded(4 + random.below(252), bundle.nonce),
    tidy: p.tidy,
    accepted: () => assert.equal(wire.closed, undefined),
  }, 27);
  await fuzz(
    {
      kind: "server: committee, join",
      good: Uint8Array.of(0, 0),
      feed(bytes) {
        wire.sent.length = 0;
        wire.events.frame(bytes);
      },
      state: p.state,
      accepted: () => assert.equal(wire.sent[0][1], 2, "a snapshot comes"),
    },
    28,
    2_000,
  );
});
