/** What one frame costs in the simulated universe, the sender's and the receiver's side included. */
import { MemoryUniverse } from "../../src/universe/memory.ts";
import type { Network, Stream } from "../../src/universe/network.ts";
import type { NetworkOptions } from "../../src/universe/node.ts";

const KIND = { name: "bench", maxFrame: 1_000, maxBuffered: 10_000_000, maxPerPeer: 10 };
const FRAMES = 1_000;

/** One hub and `count` clients with a stream each; `deliver` sends 1,000 frames and awaits them. */
async function star(count: number): Promise<() => Promise<void>> {
  const universe = new MemoryUniverse({ seed: 1, loss: 0.01 });
  let arrived = 0;
  const options = (i: number): NetworkOptions => ({
    environment: universe.environment(`n${i}`),
    secret: Uint8Array.of(i, i >> 8, ...new Uint8Array(30)),
    universe: new Uint8Array(32),
    instance: new Uint8Array(32),
    role: i === 0 ? "server" : "client",
    listen: i === 0 ? ["/memory/hub"] : [],
    bootstrap: i === 0 ? [] : ["/memory/hub"],
  });
  const hub = universe.network(options(0));
  hub.serve(KIND, () => ({ frame: () => void arrived++, closed() {} }));
  await hub.start();
  const clients: Network[] = [];
  for (let i = 1; i <= count; i++) clients.push(universe.network(options(i)));
  await Promise.all(clients.map((client) => client.start()));
  await universe.run(() => clients.every((client) => client.peers().length === 1), 60_000);
  const silent = { frame() {}, closed() {} };
  const opening = clients.map((client) => client.open(hub.self, KIND, () => silent));
  const streams: Stream[] = await universe.settle(Promise.all(opening));
  const frame = new Uint8Array(200);
  return async () => {
    const goal = arrived + FRAMES;
    for (let i = 0; i < FRAMES; i++) streams[i % count].send(frame);
    await universe.run(() => arrived === goal, 60_000);
  };
}

for (const count of [10, 1_000]) {
  const deliver = await star(count);
  Deno.bench(`1,000 frames from ${count} clients`, deliver);
}
