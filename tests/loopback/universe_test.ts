/** The libp2p column over real loopback. Needs `-P=tests`. */
import assert from "node:assert/strict";
import { conformance, Subject } from "../universe/conformance.ts";
import { loopback } from "./loopback.ts";

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
