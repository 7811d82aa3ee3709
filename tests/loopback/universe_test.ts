/** The libp2p column over real loopback. Needs `-P=tests`. */
import assert from "node:assert/strict";
import { libp2pTransport } from "../../src/universe/libp2p.ts";
import { conformance, secretOf, Subject } from "../universe/conformance.ts";
import { environmentOf, loopback } from "./loopback.ts";

conformance("libp2p", loopback);

Deno.test("libp2p: stop is quick, and frames sent before it arrive", async () => {
  const world = loopback();
  const b = await new Subject(world, { name: "b" }).listenTo().start();
  const a = await new Subject(world, { name: "a" }).start();
  const { stream } = await a.open(b);
  for (let i = 0; i < 3; i++) stream.send(new Uint8Array(100_000));
  const start = Date.now();
  await a.network.stop();
  assert(Date.now() - start < 2_000);
  await world.until("all three arrive", () => b.inbound[0].frames.length === 3);
  await b.network.stop();
});

Deno.test("libp2p: a node that is stopped as it starts listens nowhere afterwards", async () => {
  for (const turns of [0, 1, 2, 4, 8, 16]) {
    const environment = environmentOf(), listen = ["/ip4/127.0.0.1/tcp/0"];
    const transport = libp2pTransport({ environment, secret: secretOf("brief"), listen });
    const listening = transport.listen(listen);
    for (let turn = 0; turn < turns; turn++) await new Promise((next) => setTimeout(next, 0));
    await transport.stop();
    for (const address of await listening) {
      const port = Number(/\/tcp\/(\d+)/.exec(address)![1]);
      await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }), `${turns} turns`);
    }
  }
});

Deno.test("libp2p: a bootstrap address that leads back to the node itself is given up", async () => {
  const world = loopback();
  let port = 0;
  using detour = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `/ip4/127.0.0.1/tcp/${(detour.addr as Deno.NetAddr).port}`;
  const a = new Subject(world, { name: "a", bootstrap: [address] }).listenTo();
  const ways: Promise<unknown>[] = [];
  const served = (async () => {
    for await (const from of detour) {
      const to = await Deno.connect({ hostname: "127.0.0.1", port });
      const way = (a: Deno.TcpConn, b: Deno.TcpConn) =>
        a.readable.pipeTo(b.writable).catch(() => {});
      ways.push(way(from, to), way(to, from));
    }
  })();
  await a.start();
  port = Number(/\/tcp\/(\d+)/.exec(a.address)![1]);
  await world.until("it is given up", () => a.said("own address"));
  assert.equal(a.network.census().bootstrap.tried, 0);
  assert(!a.said("peer not reached"));
  await a.network.stop();
  detour.close();
  await Promise.all([served.catch(() => {}), ...ways]);
});

Deno.test("libp2p: a large stream flows as fast as its reader", async () => {
  const world = loopback();
  const kind = { name: "bulk", maxFrame: 4_000_000, maxBuffered: 40_000_000, maxPerPeer: 1 };
  const b = await new Subject(world, { name: "b" }).listenTo(kind).start();
  const a = await new Subject(world, { name: "a" }).start();
  const { stream } = await a.open(b, kind);
  for (let i = 0; i < 9; i++) assert(stream.send(new Uint8Array(4_000_000).fill(i)));
  await world.until("all arrive", () => b.inbound[0].frames.length === 9);
  b.inbound[0].frames.forEach((it, i) => assert(it.length === 4_000_000 && it[3_999_999] === i));
  await Promise.all([a.network.stop(), b.network.stop()]);
});
