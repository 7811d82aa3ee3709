/** Why rounds were void: told by servers, heard by a reader with a page. */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { concat, u64 } from "../../src/protocol/bytes.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { VOIDS } from "../../src/roles/streams.ts";
import {
  decodeVoid,
  encodeVoid,
  MAX_LISTENERS,
  MAX_VOIDS,
  VoidEar,
  VoidFeed,
} from "../../src/roles/void_feed.ts";
import type { StreamEvents } from "../../src/universe/network.ts";
import { Play } from "../protocol/play.ts";
import { Podium } from "./podium.ts";
import { peerOf, Wire, Wires } from "./wire.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

/** A peer that listens to a feed. */
function listens(feed: VoidFeed): Wire {
  const wire = new Wire(peerOf("reader", new Uint8Array(32).fill(7)), VOIDS.name);
  wire.events = feed.accept(wire) as StreamEvents;
  return wire;
}

/** An ear for a committee of three, with a stream to each. */
async function ear(seed: number) {
  const play = new Play(seed), { manifest } = play;
  const wires = new Wires("reader", play.random.bytes(32));
  wires.known.push(...play.servers.map((s) => peerOf("server", s.seed)));
  const hears = new VoidEar({
    network: wires,
    environment: wires.environment,
    epochs: new Epochs([manifest]),
  });
  await wires.pass(1);
  const of = (server: number) =>
    wires.to(VOIDS).find(({ peer }) => peer.id === peerOf("server", play.servers[server].seed).id)!;
  return { hears, wires, of };
}

Deno.test("a frame of a void round is read as it was written, and nothing else", () => {
  const told = { round: 2 ** 40, reason: "server 2 is away" };
  deepEqual(decodeVoid(encodeVoid(told)), told);
  equal(encodeVoid({ round: 1, reason: "a\u202eb\n" }).length, 8 + 4, "printable ASCII");
  for (const reason of ["\x1b[2J", "tab\t", "\x7f", "ÿ"]) {
    throws(() => decodeVoid(concat(u64(1), ascii(reason))), /ASCII/);
  }
  throws(() => decodeVoid(concat(u64(1), ascii("a".repeat(401)))), /401 bytes/);
  throws(() => decodeVoid(new Uint8Array(7)), /8 more bytes/);
});

Deno.test("a server tells who listens, and who comes later the last void rounds", async () => {
  const p = await new Podium(301).begin(), { wires } = p;
  const reader = peerOf("reader", new Uint8Array(32).fill(9));
  const early = wires.dial(reader, VOIDS);
  equal(early.sent.length, 0);
  for (const client of [0, 1, 2]) p.registry.frame(p.registration("register", client));
  // Nobody else opens the round.
  await wires.pass(4 * p.play.manifest.parameters.roundDeadline);
  const logged = wires.log.filter(({ event }) => event === "round void").map((it) => it.fields!);
  ok(logged.length > 0, "no round was void");
  deepEqual(early.sent.map(decodeVoid), logged.map(({ round, reason }) => ({ round, reason })));
  match(decodeVoid(early.sent[0]).reason, /server 1, 2/);
  deepEqual(wires.dial(reader, VOIDS).sent, early.sent);
  p.server.stop();
  match(early.closed!, /epoch is over/);
});

Deno.test("a server remembers so many, tells so many, and hears nothing", async () => {
  const feed = new VoidFeed(), first = listens(feed);
  for (let round = 1; round <= MAX_VOIDS + 3; round++) feed.tell({ round, reason: "no aggregate" });
  equal(first.sent.length, MAX_VOIDS + 3);
  const late = listens(feed);
  deepEqual(late.sent.map((frame) => decodeVoid(frame).round), [
    ...Array.from({ length: MAX_VOIDS }, (_, i) => i + 4),
  ]);
  late.frame(new Uint8Array(1));
  match(late.closed!, /over 0 bytes/);
  await Promise.resolve(); // its end is told after the turn
  for (let i = 1; i < MAX_LISTENERS; i++) listens(feed);
  throws(() => listens(feed), /already 256/);
  first.events.closed("gone");
  listens(feed);
  throws(() => listens(feed), /already 256/);
});

Deno.test("a reader hears each server, and names one that told", async () => {
  const { hears, of } = await ear(302);
  of(2).frame(encodeVoid({ round: 7, reason: "server 0 is away" }));
  of(1).frame(encodeVoid({ round: 7, reason: "no PREPARE of server 0" }));
  of(1).frame(encodeVoid({ round: 5, reason: "no aggregate" }));
  of(1).frame(encodeVoid({ round: 9, reason: "no aggregate" }));
  deepEqual(hears.between(4, 9), [
    { round: 5, reason: "no aggregate", server: 1 },
    { round: 7, reason: "no PREPARE of server 0", server: 1 },
  ]);
  deepEqual(hears.between(5, 7), []);
});

Deno.test("what a server makes up is bounded, and ends its stream where it is malformed", async () => {
  const { hears, of, wires } = await ear(303);
  for (let round = 1; round <= 2 * MAX_VOIDS; round++) {
    of(0).frame(encodeVoid({ round, reason: "no aggregate" }));
  }
  equal(hears.between(0, 2 ** 50).length, MAX_VOIDS);
  const stream = of(1);
  throws(() => stream.frame(concat(u64(1), ascii("\x1b"))), /ASCII/);
  ok(stream.closed);
  hears.close();
  await wires.pass(10_000);
  deepEqual(wires.to(VOIDS), []);
});

Deno.test("who is refused since too many listen leaves nothing behind", async () => {
  const p = await new Podium(302).begin(), { wires } = p;
  const reader = peerOf("reader", new Uint8Array(32).fill(9));
  for (let i = 0; i < MAX_LISTENERS; i++) wires.dial(reader, VOIDS);
  const refused = new Wire(reader, VOIDS.name);
  refused.events = { frame() {}, closed() {} };
  throws(() => wires.served.get(VOIDS.name)!(refused), /256 listen/);
  p.server.stop();
  equal(refused.closed, undefined, "the server still knows it");
});
