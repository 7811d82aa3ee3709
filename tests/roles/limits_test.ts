/** What registrations and subscribers are held to. */
import { deepEqual, equal, match, throws } from "node:assert/strict";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { encodeEvidence, REFUSED, TAKEN, WANTED } from "../../src/roles/evidence.ts";
import { Feed } from "../../src/roles/feed.ts";
import { CLIENT_REGISTRY } from "../../src/roles/streams.ts";
import { Podium } from "./podium.ts";
import { kinded, peerOf, type Wire } from "./wire.ts";

const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** The stream of a client by itself. */
function own(p: Podium, client: number): Wire {
  return p.wires.dial(peerOf("client", p.play.clients[client].seed), CLIENT_REGISTRY);
}

function first(wire: Wire): number | undefined {
  return wire.sent.at(-1)?.[0];
}

Deno.test("a peer registers itself, and nobody else", async () => {
  const p = await new Podium(240, undefined, {}).begin(), wire = own(p, 0);
  wire.frame(p.registration("register", 0));
  equal(first(wire), TAKEN);
  for (const kind of ["register", "leave"] as const) {
    const other = own(p, 0);
    throws(() => other.frame(p.registration(kind, 1)), /ownKey/);
    match(other.closed!, /ownKey/);
  }
  equal(p.server.counts.refused.ownKey, 2);
});

Deno.test("a peer registers so often, and again after a while", async () => {
  const p = await new Podium(241, undefined, {
    registrationsPerPeer: { perSecond: 1, burst: 3 },
  }).begin();
  const wire = own(p, 0), register = () => p.registration("register", 0);
  for (let i = 0; i < 3; i++) wire.frame(register());
  // Another stream of the same peer is no help.
  for (const one of [wire, own(p, 0)]) throws(() => one.frame(register()), /registrationsPerPeer/);
  own(p, 1).frame(p.registration("register", 1));
  await p.wires.pass(1_500);
  own(p, 0).frame(register());
  equal(p.server.counts.refused.registrationsPerPeer, 2);
});

Deno.test("all peers together register so often; who is too much is told to come again", async () => {
  const p = await new Podium(242, undefined, { registrations: { perSecond: 1, burst: 2 } }).begin();
  const wires = [0, 1, 2].map((client) => own(p, client));
  wires.forEach((wire, client) => wire.frame(p.registration("register", client)));
  deepEqual(wires.map(first), [TAKEN, TAKEN, undefined]);
  match(wires[2].closed!, /too many/);
  const [line] = p.wires.log.filter(({ event }) => event === "server busy");
  equal(line.fields!.peer, hex(p.play.clients[2].signer.key), "the peer is named");
  equal(p.server.counts.refused.registrations, 1);
});

Deno.test("evidence is judged so often, of one peer and of all", async () => {
  const p = await new Podium(243, "the-token", {
    admissionsPerPeer: { perSecond: 1, burst: 2 },
    admissions: { perSecond: 1, burst: 3 },
  }).begin();
  const shows = (client: number) =>
    concat(p.registration("register", client), encodeEvidence({ token: "another" }));
  const wire = own(p, 0);
  for (let i = 0; i < 2; i++) {
    wire.frame(shows(0));
    await settle();
    equal(first(wire), REFUSED);
  }
  throws(() => wire.frame(shows(0)), /admissionsPerPeer/);
  const [second, third] = [own(p, 1), own(p, 2)];
  second.frame(shows(1));
  third.frame(shows(2));
  match(third.closed!, /too many/);
  // Who shows nothing is told what is wanted, whatever others show.
  const last = own(p, 3);
  last.frame(p.registration("register", 3));
  equal(first(last), WANTED);
  const { admissions, admissionsPerPeer } = p.server.counts.refused;
  deepEqual([admissions, admissionsPerPeer], [1, 1]);
});

Deno.test("a feed has so many subscribers, and room when one leaves", async () => {
  const p = await new Podium(244).begin(), { epochs } = p.server.options.archivist.options;
  const feed = new Feed(epochs.root, undefined, { subscribers: 2 });
  feed.serve(p.wires, epochs.parameters);
  for (const kind of [p.streams.liveRound, p.streams.broadcasts]) {
    const peer = (client: number) => peerOf("reader", p.play.clients[client].seed);
    const [one] = [0, 1].map((client) => p.wires.dial(peer(client), kind));
    throws(() => p.wires.dial(peer(2), kind), /2 subscribers/);
    one.events.closed("gone");
    p.wires.dial(peer(2), kind);
  }
  deepEqual(feed.counts, { live: 2, windows: 2, refusedSubscribers: 2 });
});

Deno.test("a stream that ended is forgotten, though what was shown on it is never judged", async () => {
  const p = await new Podium(245, "the-token", {}).begin();
  const shows = (client: number, token: string) =>
    concat(p.registration("register", client), encodeEvidence({ token }));
  const accept = p.wires.served.get(CLIENT_REGISTRY.name)!, wire = own(p, 0), second = own(p, 0);
  own(p, 1).frame(shows(1, "another")); // is judged first
  wire.frame(shows(0, "another"));
  wire.events.closed("gone");
  second.frame(shows(0, "the-token")); // takes the place of the one before
  await settle();
  deepEqual([first(wire), first(second)], [undefined, TAKEN]);
  const again = accept(wire)!;
  again.frame(shows(0, "the-token"));
  again.closed("gone");
  await settle();
  equal(first(wire), TAKEN);
  // Another server refuses it: the stream that is there is told.
  const { key } = p.play.clients[0].signer;
  p.peers[0].frame(kinded(4, Uint8Array.of(1), key, Uint8Array.of(0)));
  deepEqual([first(wire), first(second)], [TAKEN, REFUSED]);
});
