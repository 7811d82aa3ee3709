/** The libp2p column over IPv6 loopback. Needs `-P=tests`. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import type { NetworkOptions } from "../../src/universe/options.ts";
import { INSTANCE, secretOf, UNIVERSE } from "../universe/conformance.ts";
import { environmentOf, Peer, until } from "./loopback.ts";

const LISTEN = "/ip6/::1/tcp/0";
const missing = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return false;
  } catch {
    return true;
  }
})();

/** A test that needs ::1, whose name says so where the machine has none. */
function test(name: string, run: () => Promise<void>): void {
  const reason = missing ? " (skipped: this machine has no ::1)" : "";
  Deno.test({ name: `ipv6: ${name}${reason}`, ignore: missing, fn: run });
}

function node(name: string, more: Partial<NetworkOptions>) {
  return libp2pNetwork({
    environment: environmentOf(),
    secret: secretOf(name),
    universe: UNIVERSE,
    instance: INSTANCE,
    role: "server",
    listen: [LISTEN],
    bootstrap: [],
    ...more,
  });
}

test("what listens at ::1 tells that address, and is found and dialed there", async () => {
  const hub = node("hub", {});
  await hub.start();
  equal(hub.self.addresses.length, 1);
  match(hub.self.addresses[0], /^\/ip6\/::1\/tcp\/[1-9]\d*\/p2p\/12D3/);
  const bootstrap = [...hub.self.addresses];
  const other = node("other", { bootstrap });
  const client = node("client", { role: "client", listen: [], bootstrap });
  await Promise.all([other.start(), client.start()]);
  await until("all meet", () => client.peers("server").length === 2 && hub.peers().length === 2);
  const found = client.peers("server").find(({ id }) => id === other.self.id)!;
  deepEqual(found.addresses, other.self.addresses);
  await Promise.all([hub, other, client].map((network) => network.stop()));
});

test("a node of both kinds is reached by those that have one of them", async () => {
  const both = node("both", { listen: [LISTEN, "/ip4/127.0.0.1/tcp/0"] });
  await both.start();
  const of = (kind: string) => both.self.addresses.filter((it) => it.startsWith(`/${kind}/`));
  deepEqual([of("ip4").length, of("ip6").length], [1, 1]);
  for (const kind of ["ip4", "ip6"]) {
    const client = node(`client ${kind}`, { role: "client", listen: [], bootstrap: of(kind) });
    await client.start();
    await until(`they meet over ${kind}`, () => client.peers("server").length === 1);
    await client.stop();
  }
  await both.stop();
});

test("what is announced is told in place of what is listened at", async () => {
  const announce = ["/ip6/2001:db8::7/tcp/4400"];
  const hub = node("hub", { announce });
  await hub.start();
  deepEqual(hub.self.addresses, announce);
  await hub.stop();
});

test("gossip and the DHT go over it", async () => {
  const [a, b] = await Promise.all(
    ["a", "b"].map((name) => new Peer(name, { listen: [LISTEN] }).start()),
  );
  for (const peer of [a, b]) peer.join("/test/announce");
  await b.link(a);
  await until("they are neighbours", () => a.topic.neighbours + b.topic.neighbours === 2);
  const key = new Uint8Array(32).fill(7);
  a.transport.rendezvous![0].provide(key);
  let found: string[] = [], busy = false;
  await until("b finds what a provides", () => {
    if (!busy) {
      busy = true;
      b.transport.rendezvous![0].find(key, AbortSignal.timeout(5_000)).then((result) => {
        found = result;
        busy = false;
      });
    }
    return found.length > 0;
  });
  ok(found.every((address) => a.addresses.includes(address)), found.join(" "));
  await Promise.all([a.transport.stop(), b.transport.stop()]);
});
