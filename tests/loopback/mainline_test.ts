/** A first peer through a Mainline DHT of our own, over real loopback. Needs `-P=tests`. */
import { deepEqual, equal, notDeepEqual, ok } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import Client from "bittorrent-dht";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import { infoHashOf, isPublic, Mainline, MAX_FOUND } from "../../src/universe/mainline.ts";
import type { NetworkOptions } from "../../src/universe/options.ts";
import { INSTANCE, secretOf, UNIVERSE } from "../universe/conformance.ts";
import { environmentOf, until } from "./loopback.ts";

const HOST = "127.0.0.1";
/** Nodes that find together. */
const NODES = 8;
const KEY = new Uint8Array(32).fill(7);

/** Nodes of a DHT that know each other; `routers` is where to begin. */
async function dht(count: number) {
  const nodes: (typeof Client)[] = [];
  const routers: string[] = [];
  for (let i = 0; i < count; i++) {
    const node = new Client({ bootstrap: i > 0 ? routers : false });
    nodes.push(node);
    await new Promise<void>((resolve) => node.listen(0, HOST, resolve));
    if (i === 0) routers.push(`${HOST}:${node.address().port}`);
  }
  await until("all know each other", () => nodes.every((it) => it.nodes.count() >= count - 1));
  return { nodes, routers, stop: () => nodes.forEach((node) => node.destroy()) };
}

function options(name: string, more: Partial<NetworkOptions>): NetworkOptions {
  return {
    environment: environmentOf(),
    secret: secretOf(name),
    universe: UNIVERSE,
    instance: INSTANCE,
    role: "server",
    listen: [`/ip4/${HOST}/tcp/0`],
    bootstrap: [],
    ...more,
  };
}

Deno.test("mainline: without any address a node finds its instance by universe and name", async () => {
  const { nodes, routers, stop } = await dht(4);
  const mainline = { routers, host: HOST };
  const other = new Uint8Array(32).fill(9);
  const networks = [
    libp2pNetwork(options("server", { mainline })),
    libp2pNetwork(options("client", { mainline, role: "client", listen: [] })),
    libp2pNetwork(options("stranger", { mainline, instance: other })),
    libp2pNetwork(options("deaf", {})),
  ];
  const [server, client, stranger, deaf] = networks;
  await Promise.all(networks.map((network) => network.start()));
  await until("client and server meet", () => client.peers().length + server.peers().length === 2);
  await until("the universe is found too", () => stranger.census().universe > 0);
  deepEqual(client.peers()[0].addresses, server.self.addresses);
  deepEqual([stranger.peers(), deaf.census().universe], [[], 0]);
  // The client was never announced: one port stands under the instance's hash.
  const found = new Set<number>();
  nodes[1].on("peer", ({ port }: { port: number }) => found.add(port));
  await new Promise((resolve) => nodes[1].lookup(Buffer.from(infoHashOf(INSTANCE)), resolve));
  deepEqual([...found].map(String), [server.self.addresses[0].split("/")[4]]);
  await Promise.all(networks.map((network) => network.stop()));
  stop();
});

Deno.test("mainline: nodes that start at one time, all without any address, become one universe", async () => {
  const { routers, stop } = await dht(4);
  const mainline = { routers, host: HOST };
  const networks = Array.from(
    { length: NODES },
    (_, i) => libp2pNetwork(options(`node ${i}`, { mainline })),
  );
  await Promise.all(networks.map((network) => network.start()));
  await until(
    "each knows all others",
    () => networks.every((network) => network.peers().length === NODES - 1),
  );
  await Promise.all(networks.map((network) => network.stop()));
  stop();
});

/** Bencode, as far as it is needed here. */
type Value = number | string | Uint8Array | Value[] | { [key: string]: Value };
function bencode(value: Value): Buffer {
  if (typeof value === "number") return Buffer.from(`i${value}e`);
  if (typeof value === "string") return bencode(Buffer.from(value));
  if (value instanceof Uint8Array) {
    return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  }
  if (Array.isArray(value)) {
    return Buffer.concat([Buffer.from("l"), ...value.map(bencode), Buffer.from("e")]);
  }
  const parts = Object.keys(value).sort().flatMap((key) => [bencode(key), bencode(value[key])]);
  return Buffer.concat([Buffer.from("d"), ...parts, Buffer.from("e")]);
}

/** The one router of a DHT, which answers each query as it is told to. */
async function router(answer: (query: Buffer) => Value[]) {
  const socket = createSocket("udp4");
  const heard: Buffer[] = [];
  socket.on("message", (query, { port, address }) => {
    heard.push(query);
    for (const value of answer(query)) socket.send(bencode(value), port, address);
  });
  socket.bind(0, HOST);
  await once(socket, "listening");
  const make = () =>
    new Mainline({
      environment: environmentOf(),
      routers: [`${HOST}:${socket.address().port}`],
      host: HOST,
    });
  return { heard, make, stop: () => void socket.close() };
}

/** The transaction of a query, two bytes behind `1:t`. */
function transaction(query: Buffer): Uint8Array {
  return query.subarray(query.indexOf("1:t2:") + 5).subarray(0, 2);
}

Deno.test("mainline: of thousands of addresses few are taken, by chance", async () => {
  const id = new Uint8Array(20).fill(1);
  const values = Array.from({ length: 200 }, (_, i) => Buffer.from([10, 0, 0, i, 1, i]));
  values.push(Buffer.from([10, 0, 0, 1, 0, 0]), Buffer.from("short"));
  const { make, stop } = await router((query) => [{
    t: transaction(query),
    y: "r",
    r: { id, token: "t", values },
  }]);
  const mainline = make();
  const [first, second] = [
    await mainline.find(KEY, AbortSignal.timeout(10_000)),
    await mainline.find(KEY, AbortSignal.timeout(10_000)),
  ];
  equal(first.length, MAX_FOUND);
  ok(first.every((it) => /^\/ip4\/10\.0\.0\.\d+\/tcp\/[1-9]\d*$/.test(it)), first.join(" "));
  notDeepEqual(first, second);
  mainline.stop();
  stop();
});

Deno.test("mainline: datagrams out of form do not stop it", async () => {
  const a = { id: new Uint8Array(20).fill(1) };
  const bad: Value[] = [
    "",
    [],
    { t: "xx", y: "q", q: "get_peers", a: { ...a, info_hash: 5 } },
    { t: "xx", y: "q", q: "find_node", a: { ...a, target: 5 } },
    { t: "xx", y: "q", q: "announce_peer", a: { ...a, info_hash: [], port: 1, token: "t" } },
    { t: "xx", y: "q", q: "put", a: { ...a, v: [], token: 7, k: 3 } },
    { t: "xx", y: "r", r: 1 },
    Buffer.alloc(4_000),
  ];
  const { heard, make, stop } = await router((query): Value[] => [
    ...bad,
    { t: transaction(query), y: "r", r: { id: 3, values: 7, nodes: [1] } },
    { t: transaction(query), y: "r", r: { ...a, token: "t", values: [Buffer.alloc(6, 1)] } },
  ]);
  const mainline = make();
  await mainline.find(KEY, AbortSignal.timeout(10_000));
  ok(heard.length > 0);
  mainline.start(4_400);
  const end = mainline.provide(KEY);
  const before = heard.length;
  await until("it announces all the same", () => heard.length > before);
  end();
  mainline.stop();
  stop();
});

Deno.test("mainline: a look ends with its signal, and a router that is silent is no error", async () => {
  const { make, stop } = await router(() => []);
  const mainline = make();
  const abort = new AbortController();
  const look = mainline.find(KEY, abort.signal);
  abort.abort();
  deepEqual(await look, []);
  mainline.stop();
  stop();
});

Deno.test("mainline: strangers of the public DHT cannot have addresses of our own networks dialed", () => {
  const own = ["10.1.2.3", "127.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.0.1", "100.64.0.1"];
  deepEqual([...own, "0.0.0.0", "224.0.0.1"].filter(isPublic), []);
  const others = ["203.0.113.7", "172.32.0.1", "100.128.0.1", "192.169.0.1"];
  deepEqual(others.filter(isPublic), others);
});

Deno.test("mainline: the hash of a key is no hash of anything else", () => {
  equal(infoHashOf(KEY).length, 20);
  notDeepEqual(infoHashOf(KEY), KEY.subarray(0, 20));
  notDeepEqual(infoHashOf(UNIVERSE), infoHashOf(INSTANCE));
});
