/** Gossip of the libp2p column, over real loopback. Needs `-P=tests`. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { Faults, MAX_GOSSIP } from "../../src/universe/libp2p_gossip.ts";
import { clockOf, environmentOf, Peer, until } from "./loopback.ts";

const TOPIC = "/test/announce";

/** Peers in a row, each linked with the next; without the DHT, which would link others. */
async function row(...names: string[]): Promise<Peer[]> {
  const peers = await Promise.all(names.map((name) => new Peer(name, { kad: false }).start()));
  for (const peer of peers) peer.join(TOPIC);
  for (const [i, peer] of peers.slice(1).entries()) await peer.link(peers[i]);
  await until(
    "all hear of their neighbours",
    () =>
      peers.every((peer, i) =>
        peer.topic.neighbours === (i === 0 || i === peers.length - 1 ? 1 : 2)
      ),
  );
  return peers;
}

async function stop(peers: Peer[]): Promise<void> {
  await Promise.all(peers.map((peer) => peer.transport.stop()));
}

Deno.test("gossip: what one accepts reaches those behind it, once", async () => {
  const peers = await row("a", "b", "c");
  const [a, b, c] = peers;
  equal(b.met.length, 2);
  a.say("hello");
  await until("c hears it", () => c.heard.length > 0);
  a.say("hello");
  a.say("more");
  await until("c hears more", () => c.heard.includes("more"));
  deepEqual([a.heard, b.heard, c.heard], [[], ["hello", "more"], ["hello", "more"]]);
  ok(b.plain && c.plain, "what is heard is a view of what libp2p holds");
  await stop(peers);
});

Deno.test("gossip: what one ignores goes no further, and its sender is still heard", async () => {
  const peers = await row("a", "b", "c");
  const [a, b, c] = peers;
  b.verdict = "ignore";
  for (const text of ["1", "2", "3", "4", "5"]) a.say(text);
  await until("b hears them", () => b.heard.length === 5);
  b.verdict = "accept";
  a.say("6");
  await until("c hears the last", () => c.heard.length > 0);
  deepEqual(c.heard, ["6"]);
  await stop(peers);
});

Deno.test("gossip: whoever sends what is rejected is not heard any more", async () => {
  const peers = await row("a", "b", "c");
  const [a, b, c] = peers;
  b.verdict = "reject";
  // One at a time, so that each finds the score that the last one left.
  for (let i = 0; b.heard.length < 3; i++) {
    a.say(`bad ${i}`);
    await until("b hears it", () => b.heard.length > i);
  }
  b.verdict = "accept";
  // A peer in good standing is not looked at again for a second; then it is out.
  const before = b.heard.length;
  let said = 0, silent = 0, seen = 0;
  await until("a is silenced", () => {
    silent = seen === b.heard.length ? silent + 1 : 0;
    seen = b.heard.length;
    a.say(`late ${said++}`);
    return silent > 20;
  });
  const late = b.heard.length;
  c.say("from c");
  await until("b still hears c", () => b.heard.includes("from c"));
  a.say("never");
  c.say("from c again");
  await until("b hears c again", () => b.heard.includes("from c again"));
  equal(b.heard.includes("never"), false, b.heard.slice(-30).join(" "));
  equal(b.heard.length, late + 2, `${late - before} were heard before the silence`);
  await stop(peers);
});

Deno.test("gossip: a message over the bound is never sent", async () => {
  const peers = await row("a", "b");
  const [a, b] = peers;
  a.say("x".repeat(MAX_GOSSIP + 1));
  a.say("y".repeat(MAX_GOSSIP));
  await until("b hears the other", () => b.heard.length > 0);
  deepEqual(b.heard, ["y".repeat(MAX_GOSSIP)]);
  await stop(peers);
});

Deno.test("gossip: neighbours stay connected when their last stream has ended", async () => {
  const peers = await Promise.all(["a", "b"].map((name) => new Peer(name, {}, 50).start()));
  const [a, b] = peers.map((peer) => peer.join(TOPIC));
  const link = await a.link(b);
  await until("they are neighbours", () => a.topic.neighbours + b.topic.neighbours === 2);
  link.close();
  // Ten times as long as a connection without a stream lives.
  let over = false;
  clockOf(50).after(100_000, () => over = true);
  await until("the time is over", () => over);
  deepEqual([a.topic.neighbours, b.topic.neighbours], [1, 1]);
  a.say("still here");
  await until("b hears a", () => b.heard.includes("still here"));
  b.topic.leave();
  await until("who left is no neighbour", () => a.topic.neighbours === 0);
  await stop(peers);
});

Deno.test("gossip: who listens at nothing is alone on a topic", async () => {
  const a = await new Peer("a").start();
  const client = await new Peer("client", { listen: [], role: "client" }).start();
  a.join(TOPIC);
  client.join(TOPIC);
  await client.link(a);
  a.say("hello");
  client.say("hello");
  deepEqual([client.topic.neighbours, client.heard, a.heard], [0, [], []]);
  await stop([a, client]);
});

Deno.test("gossip: faults fade, and those of the one least lately at fault make room", () => {
  let now = 0;
  const faults = new Faults({ now: () => now, wall: () => now, after: () => () => {} });
  faults.add("a");
  faults.add("a");
  equal(faults.of("a"), 2);
  now = 60_000;
  equal(faults.of("a"), 1);
  now = 180_000;
  equal(faults.of("a"), 0);
  for (let i = 0; i < 1_024; i++) faults.add(`b${i}`);
  equal(faults.of("b0"), 1);
  faults.add("c");
  deepEqual([faults.of("b0"), faults.of("b1"), faults.of("c")], [0, 1, 1]);
});

Deno.test("gossip: who sends more than any peer may is cut and named", async () => {
  const seen: string[] = [];
  const environment = environmentOf(1, (_, event, fields) => {
    if (event === "peer barred") seen.push(`${fields?.limit}`);
  });
  const limits = { framesPerPeer: { perSecond: 1, burst: 50 } };
  const a = await new Peer("a").start();
  const b = await new Peer("b", { environment, limits }).start();
  a.join(TOPIC);
  b.join(TOPIC);
  await a.link(b);
  await until("they are neighbours", () => a.topic.neighbours + b.topic.neighbours === 2);
  let said = 0;
  await until("a is barred", () => {
    a.say(`${said++}`);
    return seen.length > 0;
  });
  deepEqual(seen, ["framesPerPeer"]);
  const heard = b.heard.length;
  for (let i = 0; i < 10; i++) a.say(`late ${i}`);
  await a.link(b);
  ok(heard <= 50 && b.heard.length === heard, `${heard}, then ${b.heard.length} were heard`);
  await stop([a, b]);
});
