/** What is remembered of answers by multicast DNS; the network is in `tests/process/mdns_test.ts`. */
import { deepEqual, equal, notEqual } from "node:assert/strict";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { MAX_EACH, MAX_HEARD, Mdns, serviceTagOf } from "../../src/universe/libp2p_mdns.ts";

const UNIVERSE = new Uint8Array(32).fill(1);
const ID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const of = (...ports: number[]) => ({
  id: peerIdFromString(ID),
  multiaddrs: ports.map((port) => multiaddr(`/ip4/10.0.0.1/tcp/${port}`)),
});

Deno.test("mdns: addresses are few, of one answer too, and forgotten after a minute", async () => {
  let now = 0;
  const clock = { now: () => now, wall: () => now, after: () => () => {} };
  const environment = { clock, random: (n: number) => new Uint8Array(n), observe: () => {} };
  const mdns = new Mdns(environment, UNIVERSE);
  deepEqual(await mdns.find(), []);
  mdns.hear(of(...Array.from({ length: 100 }, (_, i) => i + 1)));
  equal((await mdns.find()).length, MAX_EACH);
  for (let port = 1; port <= 1_000; port++) mdns.hear(of(port));
  const found = await mdns.find();
  equal(found.length, MAX_HEARD);
  equal(found.at(-1), `/ip4/10.0.0.1/tcp/1000/p2p/${ID}`);
  now = 30_000;
  mdns.hear(of(1_000));
  now = 70_000;
  deepEqual(await mdns.find(), [`/ip4/10.0.0.1/tcp/1000/p2p/${ID}`]);
  now = 100_000;
  deepEqual(await mdns.find(), []);
});

Deno.test("mdns: each universe has a name of its own", () => {
  equal(serviceTagOf(UNIVERSE), "_zipnet-0101010101010101._udp.local");
  notEqual(serviceTagOf(UNIVERSE), serviceTagOf(new Uint8Array(32).fill(2)));
});
