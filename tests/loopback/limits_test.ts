/** Who may connect over real libp2p on loopback. Needs `-P=tests`. */
import assert from "node:assert/strict";
import { multiaddr } from "@multiformats/multiaddr";
import { systemClock, systemRandom } from "../../src/ops/system.ts";
import { libp2pNetwork, libp2pTransport } from "../../src/universe/libp2p.ts";
import { hostOf, networkOf } from "../../src/universe/libp2p_door.ts";
import type { Limits } from "../../src/universe/limits.ts";
import { identity } from "../../src/universe/node.ts";
import { CHAT, secretOf, Subject, type World } from "../universe/conformance.ts";

/** How long a case may wait for one condition. */
const BOUND_MS = 20_000;

/** Loopback; `limits` are those of every node. */
function loopback(limits: Partial<Limits>): World {
  return {
    listen: "/ip4/127.0.0.1/tcp/0",
    environment: (_, observe) => ({ clock: systemClock, random: systemRandom, observe }),
    network: (options) => libp2pNetwork({ ...options, limits }),
    transport: libp2pTransport,
    settle: (promise) => promise,
    poke() {},
    async until(what, condition) {
      const end = systemClock.now() + BOUND_MS;
      while (!condition()) {
        assert(systemClock.now() < end, `within ${BOUND_MS} ms: ${what}`);
        await new Promise<void>((resolve) => void systemClock.after(20, resolve));
      }
    },
  };
}

async function comer(world: World, name: string): Promise<Subject> {
  return await new Subject(world, { name, role: "client", listen: [] }).start();
}

for (const limit of ["connections", "connectionsPerHost"] as const) {
  Deno.test(`libp2p: beyond ${limit} a stranger is refused and named, a member gets in`, async () => {
    const world = loopback({ [limit]: 2 });
    const b = await new Subject(world, { name: "b" }).listenTo().start();
    const [one, two, three, member] = await Promise.all(
      ["one", "two", "three", "member"].map((name) => comer(world, name)),
    );
    const { stream } = await one.open(b);
    await two.open(b);
    await assert.rejects(three.open(b));
    assert.equal(b.network.counts().connections, 2);
    assert(b.network.counts().refused[limit] > 0);
    assert(b.said("connection refused", three.network.self.id), "the stranger is named");
    b.network.favour(identity(secretOf("member")).id);
    await member.open(b);
    assert.equal(b.network.counts().connections, 3);
    assert(stream.send(new Uint8Array(1)), "those who are in stay");
    await Promise.all([b, one, two, three, member].map(({ network }) => network.stop()));
  });
}

Deno.test("libp2p: a connection without a stream gives way to whoever comes", async () => {
  const world = loopback({ connections: 1 });
  const b = await new Subject(world, { name: "b" }).listenTo().start();
  const environment = world.environment("idle", () => {});
  const idle = libp2pTransport({ environment, secret: secretOf("idle") });
  await idle.listen([]);
  const target = { addresses: [b.address] }, signal = AbortSignal.timeout(5_000);
  await assert.rejects(idle.open(target, "/nobody/answers/this", signal));
  const late = await comer(world, "late");
  let came = false;
  await world.until("it gets in", () => {
    if (!came) void late.open(b).then(() => came = true, () => {});
    return came;
  });
  assert(b.said("connection ended", identity(secretOf("idle")).id));
  await Promise.all([b.network.stop(), late.network.stop(), idle.stop()]);
});

Deno.test("libp2p: a peer has so many connections; its oldest is ended for one more", async () => {
  const world = loopback({ connectionsPerPeer: 2 });
  const b = await new Subject(world, { name: "b" }).listenTo(CHAT).start();
  const environment = world.environment("same", () => {});
  const same = await Promise.all([1, 2, 3].map(async () => {
    const transport = libp2pTransport({ environment, secret: secretOf("same") });
    await transport.listen([]);
    return transport;
  }));
  const signal = AbortSignal.timeout(5_000);
  for (const one of same) {
    await assert.rejects(one.open({ addresses: [b.address] }, "/nobody/answers/this", signal));
  }
  await world.until("the first is gone", () => b.network.counts().connections === 2);
  assert.equal(b.network.counts().refused.connectionsPerPeer, 1);
  await Promise.all([b.network.stop(), ...same.map((one) => one.stop())]);
});

Deno.test("libp2p: who opens streams that no handler of ours sees is barred and named", async () => {
  const world = loopback({ opensPerConnection: { perSecond: 1, burst: 20 } });
  const b = await new Subject(world, { name: "b" }).start();
  for (const protocol of ["/nobody/answers/this", "/ipfs/id/1.0.0"]) {
    const environment = world.environment(protocol, () => {}), secret = secretOf(protocol);
    const flood = libp2pTransport({ environment, secret });
    await flood.listen([]);
    const { id } = identity(secret), target = { addresses: [b.address] };
    let opened = 0;
    while (!b.said("peer barred", id)) {
      const signal = AbortSignal.timeout(5_000);
      await flood.open(target, protocol, signal).then((link) => link.abort(), () => {});
      assert(++opened < 40, protocol);
    }
    assert(b.said("connection ended", id));
    assert(b.network.counts().refused.opensPerConnection > 0);
    await flood.stop();
  }
  await b.network.stop();
});

Deno.test("libp2p: small messages cost their receiver no control frame each", async () => {
  const world = loopback({ controls: { perSecond: 1, burst: 40 } });
  const b = await new Subject(world, { name: "b" }).listenTo(CHAT).start();
  const a = await comer(world, "a");
  const { stream } = await a.open(b), count = 500;
  for (let i = 0; i < count; i++) assert(stream.send(new Uint8Array(900)));
  await world.until("all are heard", () => b.inbound[0].frames.length === count);
  assert(!b.said("connection ended"));
  await Promise.all([a.network.stop(), b.network.stop()]);
});

Deno.test("libp2p: a host is an IPv4 address, or a network of IPv6", () => {
  const host = (address: string) => hostOf({ remoteAddr: multiaddr(address) });
  assert.equal(host("/ip4/192.0.2.7/tcp/4400"), "192.0.2.7");
  assert.equal(host("/ip6/2001:db8:1:2:3:4:5:6/tcp/1"), "2001:db8:1:2::/64");
  assert.equal(host("/ip6/2001:db8:1:2:ffff::1/tcp/1"), host("/ip6/2001:db8:1:2::9/tcp/2"));
  assert.equal(networkOf("::1"), "0:0:0:0::/64");
  assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(networkOf("2001:0db8::"), "2001:db8:0:0::/64");
  // As a socket of both families names an IPv4 peer.
  assert.equal(networkOf("::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf("::ffff:c000:207"), "192.0.2.7");
});
