/** Damaged and hostile frames where clients show evidence, and where tickets are handed on. */
import assert from "node:assert/strict";
import { AttestationError } from "../../src/attest/reasons.ts";
import { AttestedServers } from "../../src/roles/attested.ts";
import { encodeEvidence, REFUSED, TAKEN, WANTED } from "../../src/roles/evidence.ts";
import { TicketFeed } from "../../src/roles/ticket_feed.ts";
import { SERVER_TICKETS } from "../../src/roles/streams.ts";
import type { Attestation } from "../../src/roles/attestation.ts";
import { concat, equal, hex } from "../../src/protocol/bytes.ts";
import { Play } from "../protocol/play.ts";
import { fuzz } from "./fuzz.ts";
import { Podium } from "./podium.ts";
import { kinded, peerOf, Wires } from "./wire.ts";

const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

Deno.test("fuzz: a registration with what was asked for", async () => {
  const p = await new Podium(220, "the-token").begin();
  const register = (token: string) =>
    concat(p.registration("register", 1), encodeEvidence({ token }));
  p.registry.frame(p.registration("register", 1));
  assert.equal(p.registry.sent.pop()![0], WANTED, "without evidence it is asked for");
  await fuzz(
    {
      kind: "server: client-registry, with evidence",
      good: register("the-token"),
      feed: (bytes) => p.registry.events.frame(bytes),
      // A registration that is whole and shows nothing is answered, as one that shows too little is.
      // One that is whole and shows another token is judged, in its turn.
      fair: (bytes) =>
        bytes.length === 169 || bytes[0] === 2 ||
        equal(bytes.subarray(0, 169), p.registration("register", 1)),
      state: p.state,
      tidy: p.tidy,
      accepted: () => {},
    },
    31,
    4_000,
  );
  await settle();
  assert.equal(p.server.member.state.registry.size, 0, "one server vouches, the others do not");
});

Deno.test("who shows the wrong thing is told that it was refused, and nothing else", async () => {
  const p = await new Podium(221, "the-token").begin();
  p.registry.sent.length = 0;
  p.registry.frame(concat(p.registration("register", 1), encodeEvidence({ token: "wrong" })));
  await settle();
  const [answer] = p.registry.sent;
  assert.deepEqual([answer[0], new TextDecoder().decode(answer.subarray(1))], [REFUSED, "refused"]);
  const client = hex(p.play.clients[1].signer.key);
  assert.ok(p.wires.log.some((line) => JSON.stringify(line).includes("another token")), client);
  // It is refused unheard for a while, and heard after that.
  const good = concat(p.registration("register", 1), encodeEvidence({ token: "the-token" }));
  p.registry.frame(good);
  await settle();
  assert.equal(p.registry.sent.at(-1)![0], REFUSED);
  await p.wires.pass(6_000);
  p.registry.frame(good);
  await settle();
  assert.equal(p.registry.sent.at(-1)![0], TAKEN);
  assert.ok(p.server.member.state.vouches.of(0, p.play.clients[1].signer.key));
});

Deno.test("fuzz: what servers tell each other of clients", async () => {
  const p = await new Podium(222, "the-token").begin(), [wire] = p.peers;
  const client = p.play.clients[2].signer.key, WORD = 4;
  const judge = (token: string) =>
    kinded(WORD, Uint8Array.of(0), client, encodeEvidence({ token }));
  await fuzz(
    {
      kind: "server: a word to judge",
      good: judge("the-token"),
      feed: (bytes) => wire.events.frame(bytes),
      // Another kind of frame, or another client by the same token: a server may say so.
      fair: (bytes) =>
        bytes[0] !== WORD || bytes[1] !== 0 || bytes.length === judge("the-token").length,
      state: () => `${[...p.server.member.state.vouches.by(0)].length}`,
      tidy: p.tidy,
      accepted: () => {},
    },
    32,
    4_000,
  );
  await settle();
  assert.ok(
    p.server.member.state.vouches.of(0, client),
    "this server vouches by its own judgement",
  );
  p.registry.sent.length = 0;
  p.registry.frame(concat(p.registration("register", 1), encodeEvidence({ token: "the-token" })));
  await settle();
  assert.equal(p.registry.sent.pop()![0], TAKEN);
  await fuzz(
    {
      kind: "server: a word of refusal",
      good: kinded(WORD, Uint8Array.of(1), p.play.clients[1].signer.key, Uint8Array.of(0)),
      feed: (bytes) => wire.events.frame(bytes),
      fair: (bytes) => bytes[0] !== WORD || bytes[1] !== 1 || bytes.length === 35,
      state: p.state,
      tidy: p.tidy,
      accepted: () => assert.equal(p.registry.sent.at(-1)![0], REFUSED),
    },
    33,
    4_000,
  );
});

Deno.test("fuzz: tickets and collateral that are handed on", async () => {
  const play = new Play(223), wires = new Wires("server", play.servers[0].seed);
  wires.known.push(...play.servers.slice(1).map((s) => peerOf("server", s.seed)));
  const attestation = {
    anchor: { fingerprint: new Uint8Array(32) },
    collateral: {
      offer: () => Promise.reject(new AttestationError("collateral-malformed")),
      forQuote: () => {
        throw new AttestationError("quote-truncated");
      },
      onChange: () => () => {},
      staples: () => [],
    },
  } as unknown as Attestation;
  const { environment } = wires, wanted = () => true;
  const { instance } = play.manifest, common = { environment, attestation };
  const attested = new AttestedServers({ ...common, instance, wanted });
  const tickets = new TicketFeed({ ...common, network: wires, attested });
  tickets.followAny(() => false);
  await wires.pass(1);
  const [wire] = wires.to(SERVER_TICKETS), { key } = play.servers[1].signer;
  const layout = concat(
    Uint8Array.of(1),
    new Uint8Array(56),
    Uint8Array.of(4, 0, 0, 0, 1, 2, 3, 4),
  );
  const state = () => `${attested.tickets.length}`;
  const feed = (bytes: Uint8Array) => wire.events.frame(bytes);
  await fuzz(
    { kind: "tickets", good: kinded(0, key, layout), feed, state, accepted() {} },
    34,
    4_000,
  );
  const json = new TextEncoder().encode(`{"tcb_info":"{}"}`);
  await fuzz({ kind: "collateral", good: kinded(1, json), feed, state, accepted() {} }, 35, 4_000);
  await fuzz(
    { kind: "freshness", good: kinded(2, new Uint8Array(40)), feed, state, accepted() {} },
    36,
    4_000,
  );
  await settle();
  assert.equal(attested.tickets.length, 0);
  assert.equal(wire.closed !== undefined || wires.to(SERVER_TICKETS).length > 1, true, "left");
  tickets.stop();
});

Deno.test("of many servers' tickets only as many are kept as there may be servers", async () => {
  const play = new Play(224), wires = new Wires("reader", play.servers[0].seed);
  let judged = 0;
  const attested = new AttestedServers({
    environment: wires.environment,
    instance: play.manifest.instance,
    wanted: () => true,
    attestation: {
      collateral: {
        onChange: () => () => {},
        forQuote: () => {
          judged++;
          throw new AttestationError("mrtd");
        },
      },
    } as unknown as Attestation,
  });
  const ticket = concat(Uint8Array.of(1), new Uint8Array(56), Uint8Array.of(1, 0, 0, 0, 9));
  const all = Array.from({ length: 1_000 }, () => attested.offer(play.random.bytes(32), ticket));
  await Promise.all(all);
  assert.equal(judged, 256, "what waits is bounded");
  attested.stop();
});
