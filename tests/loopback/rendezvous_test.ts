/** Rendezvous through the nodes of a universe, over real loopback. Needs `-P=tests`. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { Key } from "interface-datastore/key";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import { BoundedStore, MAX_PROVIDED, MAX_PROVIDED_EACH } from "../../src/universe/libp2p_store.ts";
import type { NetworkOptions } from "../../src/universe/node.ts";
import { INSTANCE, secretOf, UNIVERSE } from "../universe/conformance.ts";
import { environmentOf, Peer, until } from "./loopback.ts";

const KEY = new Uint8Array(32).fill(7);
const OTHER = new Uint8Array(32).fill(8);

/** What is found under a key, as soon as anything is. */
async function find(peer: Peer, key: Uint8Array): Promise<string[]> {
  let found: string[] = [], busy = false;
  await until("something is found", () => {
    if (!busy) {
      busy = true;
      peer.transport.rendezvous![0].find(key, AbortSignal.timeout(5_000)).then((result) => {
        found = result;
        busy = false;
      });
    }
    return found.length > 0;
  });
  return found;
}

Deno.test("kad: who knows one node of the universe finds who provides a key", async () => {
  const peers = await Promise.all(["hub", "a"].map((name) => new Peer(name).start()));
  const seeker = await new Peer("seeker", { listen: [], role: "reader" }).start();
  const [hub, a] = peers;
  await a.link(hub);
  await seeker.link(hub);
  const end = a.transport.rendezvous![0].provide(KEY);
  deepEqual(await find(seeker, KEY), a.addresses);
  deepEqual(await seeker.transport.rendezvous![0].find(OTHER, AbortSignal.timeout(2_000)), []);
  end();
  await Promise.all([...peers, seeker].map((peer) => peer.transport.stop()));
});

Deno.test("kad: another universe answers nothing", async () => {
  const a = await new Peer("a").start();
  const b = await new Peer("b", { universe: OTHER }).start();
  const c = await new Peer("c").start();
  await b.link(a);
  await c.link(a);
  a.transport.rendezvous![0].provide(KEY);
  deepEqual(await find(c, KEY), a.addresses);
  deepEqual(await b.transport.rendezvous![0].find(KEY, AbortSignal.timeout(2_000)), []);
  await Promise.all([a, b, c].map((peer) => peer.transport.stop()));
});

Deno.test("kad: clients have no part in it unless they ask", async () => {
  const node = (options: Partial<NetworkOptions>) => new Peer("a", options).transport.rendezvous;
  equal(node({ role: "client", listen: [] })!.length, 0);
  equal(node({ role: "client", listen: [], kad: true })!.length, 1);
  equal(node({ role: "server", kad: false })!.length, 0);
  equal(node({ role: "reader", listen: [] })!.length, 1);
  await Promise.resolve();
});

Deno.test("kad: a bootstrap address of another instance leads to one's own", async () => {
  const options = (name: string, instance: Uint8Array, bootstrap: string[]): NetworkOptions => ({
    environment: environmentOf(),
    secret: secretOf(name),
    universe: UNIVERSE,
    instance,
    role: "server",
    listen: ["/ip4/127.0.0.1/tcp/0"],
    bootstrap,
  });
  const hub = libp2pNetwork(options("hub", OTHER, []));
  await hub.start();
  const { addresses } = hub.self;
  const [a, b] = ["a", "b"].map((name) => libp2pNetwork(options(name, INSTANCE, [...addresses])));
  await Promise.all([a.start(), b.start()]);
  await until("a and b meet", () => a.peers().length === 1 && b.peers().length === 1);
  equal(hub.peers().length, 0);
  await Promise.all([hub, a, b].map((network) => network.stop()));
});

Deno.test("the store forgets the oldest, and of one provider its own oldest", () => {
  const store = new BoundedStore();
  const provided = (key: number, peer: string) => new Key(`/dht/provider/${key}/${peer}`);
  const count = (prefix: string) => [...store._all({ prefix })].length;
  const one = new Uint8Array(1);
  store.put(provided(0, "honest"), one);
  for (let i = 0; i < 10_000; i++) store.put(provided(i, "greedy"), one);
  equal(count("/dht/provider/"), 1 + MAX_PROVIDED_EACH);
  ok(store.has(provided(0, "honest")) && store.has(provided(9_999, "greedy")));
  for (let i = 0; i < 10_000; i++) store.put(provided(0, `peer${i}`), one);
  equal(count("/dht/provider/"), MAX_PROVIDED);
  equal(store.has(provided(0, "honest")), false);
  for (let i = 0; i < 1_000; i++) store.put(new Key(`/dht/record/${i}`), one);
  equal(count("/dht/record/"), 256);
  store.delete(new Key("/dht/record/999"));
  equal(count("/dht/record/"), 255);
  equal(count(""), MAX_PROVIDED + 255);
});
