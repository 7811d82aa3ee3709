/** Which aggregator a client goes to, and when it leaves one. */
import assert from "node:assert/strict";
import { PRESETS } from "../../src/protocol/parameters.ts";
import { Choice } from "../../src/roles/choice.ts";
import { Link } from "../../src/roles/link.ts";
import { Random } from "../protocol/random.ts";
import { Sender } from "./sender.ts";
import { peerOf, Wires } from "./wire.ts";

const KIND = { name: "submit", maxFrame: 100, maxBuffered: 100, maxPerPeer: 2 };

/** A client's choice among aggregators, and what it was told to do. */
function choosing(client: Uint8Array, aggregators: number) {
  const wires = new Wires("client", new Uint8Array(32).fill(9));
  const moves: string[] = [];
  for (let i = 0; i < aggregators; i++) {
    wires.known.push(peerOf("aggregator", new Uint8Array(32).fill(60 + i)));
  }
  const choice = new Choice({
    network: wires,
    environment: wires.environment,
    client,
    parameters: PRESETS.dev,
    present: () => undefined,
    move: (reason) => void moves.push(reason),
  });
  choice.start();
  return { wires, choice, moves };
}

Deno.test("each client has an order of its own, the same every time, and all aggregators come first for some", () => {
  const random = new Random(70), first = new Map<string, number>();
  for (let i = 0; i < 300; i++) {
    const client = random.bytes(32),
      ids = choosing(client, 3).choice.candidates.map(({ id }) => id);
    assert.deepEqual(choosing(client, 3).choice.candidates.map(({ id }) => id), ids);
    assert.equal(new Set(ids).size, 3);
    first.set(ids[0], (first.get(ids[0]) ?? 0) + 1);
  }
  assert.equal(first.size, 3);
  for (const share of first.values()) assert.ok(share > 70 && share < 130, `${share} of 300`);
});

Deno.test("without a new header it moves, later each time; a header begins anew; one alone stays", async () => {
  const { wires, choice, moves } = choosing(new Uint8Array(32), 2);
  const silence = 2 * (PRESETS.dev.roundDeadline + PRESETS.dev.roundPeriod);
  await wires.pass(silence - 1);
  choice.alive();
  await wires.pass(silence - 1);
  assert.deepEqual(moves, []);
  await wires.pass(1);
  assert.deepEqual(moves, ["silent"]);
  await wires.pass(2 * silence - 1);
  assert.equal(moves.length, 1);
  await wires.pass(1);
  assert.equal(moves.length, 2);
  await wires.pass(1_000 * silence);
  const most = moves.length;
  assert.ok(most > 40 && most < 70, `${most}: the wait stops doubling at 16`);
  choice.close();
  await wires.pass(1_000 * silence);
  assert.equal(moves.length, most);
  const alone = choosing(new Uint8Array(32), 1);
  await alone.wires.pass(100 * silence);
  assert.deepEqual(alone.moves, []);
});

Deno.test("a link tries all that would do before it tries one again", async () => {
  const wires = new Wires("client", new Uint8Array(32).fill(9)), tried: string[] = [];
  const peers = [1, 2, 3].map((i) => peerOf("aggregator", new Uint8Array(32).fill(i)));
  wires.open = (peer) => {
    tried.push(peer.id);
    return Promise.reject(new Error("not there"));
  };
  const link = new Link({
    network: wires,
    clock: wires.environment.clock,
    kind: KIND,
    candidates: () => peers,
    events: () => ({ frame() {}, closed() {} }),
  });
  await wires.pass(60_000);
  link.close();
  const [a, b, c] = peers.map(({ id }) => id);
  assert.deepEqual(tried.slice(0, 6), [a, b, c, a, b, c]);
});

Deno.test("left out of three records in a row, a client goes to another aggregator, and follows there", async () => {
  const s = await new Sender(560).begin();
  const at = () => s.wires.to(s.streams.submit)[0].peer.id;
  const first = at();
  assert.equal(s.live.peer.id, first, "headers come from where envelopes go");
  for (let i = 0; i < 3; i++) {
    assert.equal(at(), first, `after ${i} records`);
    assert.ok(s.show(), "it sends");
    s.broadcasts.frame(s.record());
    await s.wires.pass(300);
  }
  assert.notEqual(at(), first);
  assert.equal(s.live.peer.id, at());
  assert.equal(s.broadcasts.peer.id, at());
  const [line] = s.wires.log.filter(({ event }) => event === "left out three times in a row");
  assert.equal(line.fields!.aggregator, first);
  assert.ok(s.show(), "it goes on sending");
});

Deno.test("a header that comes between two aggregators is answered once the next is there", async () => {
  const s = await new Sender(561).begin();
  const [submit] = s.wires.to(s.streams.submit), before = s.envelopes;
  submit.close("gone");
  await s.wires.pass(1);
  s.live.frame(s.frame(s.play.header()));
  assert.equal(s.envelopes, before);
  await s.wires.pass(300);
  assert.equal(s.envelopes, 1);
  assert.notEqual(s.wires.to(s.streams.submit)[0].peer.id, submit.peer.id);
  s.live.frame(s.frame(s.play.header()));
  assert.equal(s.envelopes, 1, "and never twice");
});
