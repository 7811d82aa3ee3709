/** What a client shows, to whom, and when again. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { simulatedSource } from "../../src/attest/quote_source.ts";
import { decodeTicket, TICKET_MS } from "../../src/attest/ticket.ts";
import { type Attestation } from "../../src/roles/attestation.ts";
import { Enrolment, type EnrolmentOptions } from "../../src/roles/enrolment.ts";
import { ASK, decodeEvidence, encodeWanted, REGISTER } from "../../src/roles/evidence.ts";
import { CLIENT_REGISTRY } from "../../src/roles/streams.ts";
import { NOW, platform } from "../attest/stage.ts";
import { createManifest } from "../../src/protocol/manifest.ts";
import { Play } from "../protocol/play.ts";
import { peerOf, Wires } from "./wire.ts";

const WANTS = { ticket: true, token: false, collateral: false };
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A client at a server, with what it was told and what it sent. */
async function begin(options: Partial<EnrolmentOptions> = {}) {
  const play = new Play(301), wires = new Wires("client", play.clients[0].seed);
  wires.known.push(peerOf("server", play.servers[0].seed));
  const { signer, agreement: { key: agreement } } = play.clients[0], refused: string[] = [];
  const fingerprint = play.random.bytes(32),
    parameters = { ...play.parameters, anchor: fingerprint };
  const manifest = createManifest({ ...play.manifest, parameters });
  const attestation = {
    anchor: { fingerprint },
    source: simulatedSource(platform),
    collateral: { staples: () => [] },
  } as unknown as Attestation;
  const enrolment = new Enrolment({
    ...{ network: wires, environment: wires.environment, signer },
    manifest: () => manifest,
    session: () => ({ agreement, time: NOW }),
    owed: () => false,
    own: { attestation },
    refused: (error) => void refused.push(error.message),
    ...options,
  });
  await wires.pass(10);
  const [wire] = wires.to(CLIENT_REGISTRY);
  const freshness = play.random.bytes(40);
  return { enrolment, wires, wire, refused, freshness, play, own: attestation };
}

Deno.test("a client shows a ticket where one is wanted, over what the server said, and renews it", async () => {
  const { wires, wire, freshness, enrolment } = await begin();
  const [first] = wire.sent.splice(0);
  assert.deepEqual([first[0], first.length], [REGISTER, 169], "nothing that was not asked for");
  wire.frame(encodeWanted(WANTS, freshness));
  await settle();
  const [shown] = wire.sent.splice(0);
  const { ticket } = decodeEvidence(shown.subarray(169));
  assert.deepEqual(decodeTicket(ticket!).freshness, freshness);
  await wires.pass(TICKET_MS / 2 - 2_000);
  assert.deepEqual(wire.sent, []);
  await wires.pass(3_000);
  assert.deepEqual(wire.sent.map((bytes) => [...bytes]), [[ASK]]);
  enrolment.leave();
});

Deno.test("a server that is not trusted is shown nothing", async () => {
  const { wire, freshness } = await begin({ distrusts: () => "it is not attested" });
  wire.sent.length = 0;
  wire.frame(encodeWanted(WANTS, freshness));
  await settle();
  assert.deepEqual(wire.sent, []);
  assert.equal(wire.closed, "it is not attested");
});

Deno.test("a server that asks again and again is shown something once a second", async () => {
  const { wires, wire, freshness } = await begin();
  wire.sent.length = 0;
  for (let i = 0; i < 20; i++) {
    wire.frame(encodeWanted(WANTS, freshness));
    await settle();
  }
  assert.equal(wire.sent.length, 1);
  await wires.pass(1_100);
  await settle();
  assert.equal(wire.sent.length, 2);
});

Deno.test("a client that has no such thing ends, and says what to set", async () => {
  const { wire, freshness, refused } = await begin({ own: {} });
  wire.frame(encodeWanted(WANTS, freshness));
  await settle();
  assert.match(
    refused[0],
    /asks for an attested ticket; .* ZIPNET_ATTESTATION and ZIPNET_PLATFORM/,
  );
  wire.frame(encodeWanted({ ...WANTS, ticket: false, token: true }, freshness));
  await settle();
  assert.match(refused[1], /asks for a token; name it in ZIPNET_JWT/);
});

Deno.test("a quote that cannot be made now is tried again", async () => {
  let tries = 0;
  const source = { quote: () => Promise.reject(new Error(`the host is away, ${++tries}`)) };
  const { wires, wire, freshness, refused, own } = await begin({ owed: () => true });
  Object.assign(own, { source });
  wire.frame(encodeWanted(WANTS, freshness));
  await settle();
  assert.equal(tries, 1);
  assert.deepEqual(refused, []);
  assert.ok(wires.log.some(({ event }) => event === "no quote"));
  wire.sent.length = 0;
  await wires.pass(5_100);
  assert.equal(wire.sent[0][0], REGISTER, "it registers again, and will be asked again");
});

Deno.test("a ticket is shown neither where nobody is attested, nor under another anchor", async () => {
  const play = new Play(301), plain = await begin({ manifest: () => play.manifest });
  plain.wire.sent.length = 0;
  plain.wire.frame(encodeWanted(WANTS, plain.freshness));
  await settle();
  assert.deepEqual(plain.wire.sent, []);
  assert.match(plain.wire.closed!, /asks for a ticket, for no reason/);
  const other = await begin();
  Object.assign(other.own, { anchor: { fingerprint: new Uint8Array(32).fill(1) } });
  other.wire.frame(encodeWanted(WANTS, other.freshness));
  await settle();
  assert.match(other.refused[0], /under the anchor [0-9a-f]{64}, this client's is (01){32}/);
});
