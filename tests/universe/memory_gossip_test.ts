import assert from "node:assert/strict";
import { MAX_SEEN } from "../../src/universe/memory_gossip.ts";
import { MemoryUniverse } from "../../src/universe/memory.ts";
import type { Gossip, Transport, Verdict } from "../../src/universe/transport.ts";
import { secretOf } from "./conformance.ts";

const OPEN = new AbortController().signal;

/** A chain of nodes on one topic, each linked with the next, and what each heard. */
async function chain(universe: MemoryUniverse, length: number, verdict: Verdict = "accept") {
  const nodes: { transport: Transport; gossip: Gossip; heard: string[]; met: string[] }[] = [];
  for (let n = 0; n < length; n++) {
    const environment = universe.environment(`n${n}`);
    const transport = universe.transport({ environment, secret: secretOf(`n${n}`) });
    transport.handle("/x", 9, () => {});
    await transport.listen([`/memory/n${n}`]);
    const heard: string[] = [], met: string[] = [];
    const gossip = transport.gossip!("topic", {
      message(bytes) {
        heard.push(new TextDecoder().decode(bytes));
        return verdict;
      },
      neighbour: (id) => void met.push(id),
    });
    nodes.push({ transport, gossip, heard, met });
    if (n > 0) await transport.open({ addresses: [`/memory/n${n - 1}`] }, "/x", OPEN);
  }
  await universe.advance(100);
  return nodes;
}

const say = (gossip: Gossip, text: string) => gossip.publish(new TextEncoder().encode(text));

Deno.test("memory gossip: all hear a message once, and not what they said", async () => {
  const universe = new MemoryUniverse({ seed: 1 });
  const nodes = await chain(universe, 5);
  assert.deepEqual(nodes.map((it) => [it.gossip.neighbours, it.met.length]), [
    [1, 1],
    [2, 2],
    [2, 2],
    [2, 2],
    [1, 1],
  ]);
  await nodes[0].transport.open({ addresses: ["/memory/n4"] }, "/x", OPEN); // a ring
  await nodes[0].transport.open({ addresses: ["/memory/n4"] }, "/x", OPEN);
  say(nodes[2].gossip, "a");
  await universe.advance(1_000);
  assert.deepEqual(nodes.map((it) => it.heard.join()), ["a", "a", "", "a", "a"]);
  assert.deepEqual([nodes[0].met.length, nodes[4].met.length], [2, 2], "told of once");
});

Deno.test("memory gossip: what is not accepted goes no further", async () => {
  for (const verdict of ["ignore", "reject"] as const) {
    const universe = new MemoryUniverse({ seed: 2 });
    const nodes = await chain(universe, 4, verdict);
    say(nodes[0].gossip, "a");
    await universe.advance(1_000);
    assert.deepEqual(nodes.map((it) => it.heard.length), [0, 1, 0, 0]);
  }
});

Deno.test("memory gossip: it is lost over a partition, to those who left, and alone", async () => {
  const universe = new MemoryUniverse({ seed: 3 });
  const nodes = await chain(universe, 3);
  say(nodes[0].gossip, "under way");
  universe.partition([[nodes[0].transport, nodes[1].transport].map(idOf), [
    idOf(nodes[2].transport),
  ]]);
  await universe.advance(1_000);
  assert.deepEqual(nodes.map((it) => it.heard.length), [0, 1, 0]);
  assert.equal(nodes[2].gossip.neighbours, 0);
  nodes[1].gossip.leave();
  nodes[1].gossip.leave();
  say(nodes[0].gossip, "b");
  say(nodes[1].gossip, "c");
  await universe.advance(1_000);
  assert.deepEqual(nodes.map((it) => it.heard.length), [0, 1, 0]);
});

Deno.test("memory gossip: it remembers so many messages", async () => {
  const universe = new MemoryUniverse({ seed: 4, delay: [1, 1] });
  const nodes = await chain(universe, 2);
  for (let n = 0; n <= MAX_SEEN; n++) say(nodes[0].gossip, `${n}`);
  await universe.advance(1_000);
  say(nodes[0].gossip, "1");
  say(nodes[0].gossip, `${MAX_SEEN}`);
  await universe.advance(1_000);
  assert.equal(nodes[1].heard.length, MAX_SEEN + 1);
  say(nodes[0].gossip, "0");
  await universe.advance(1_000);
  assert.equal(nodes[1].heard.length, MAX_SEEN + 2, "the first is forgotten");
});

function idOf(transport: Transport): string {
  return (transport as unknown as { id: string }).id;
}
