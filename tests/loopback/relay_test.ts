/** Nodes behind a relay, over real loopback. Needs `-P=tests`. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import { identity } from "../../src/universe/node.ts";
import type { NetworkOptions } from "../../src/universe/options.ts";
import { INSTANCE, secretOf, UNIVERSE } from "../universe/conformance.ts";
import { environmentOf, Peer, until } from "./loopback.ts";

const key = (name: string) => identity(secretOf(name)).key;

/** Where a node listens through a relay. */
function through(relay: { readonly addresses: readonly string[] }): string[] {
  return [`${relay.addresses[0]}/p2p-circuit`];
}

async function stop(...peers: Peer[]): Promise<void> {
  await Promise.all(peers.map((peer) => peer.transport.stop()));
}

Deno.test("relay: who listens through one alone is dialed, and stays within reach", async () => {
  const relay = await new Peer("relay", { relay: [key("hidden")], kad: false }, 50).start();
  const options = { listen: through(relay), kad: false };
  const hidden = await new Peer("hidden", options, 50).start();
  equal(hidden.addresses.length, 1);
  match(hidden.addresses[0], /\/p2p-circuit\/p2p\/12D3/);
  const client = await new Peer("client", { listen: [], role: "client" }, 50).start();
  const first = await client.link(hidden);
  equal(first.id, identity(secretOf("hidden")).id);
  let over = false;
  // Ten times as long as a connection without a stream lives, with the stream and without it.
  environmentOf(50).clock.after(100_000, () => over = true);
  await until("the time is over", () => over);
  const heard: number[] = [];
  hidden.links[0].events = { ...hidden.links[0].events, frame: ({ length }) => heard.push(length) };
  first.send(new Uint8Array(1_000));
  await until("it is heard", () => heard.length > 0);
  first.close();
  over = false;
  environmentOf(50).clock.after(100_000, () => over = true);
  await until("the time is over again", () => over);
  await client.link(hidden);
  await stop(client, hidden, relay);
});

Deno.test("relay: more than libp2p's limits for relayed connections passes", async () => {
  const relay = await new Peer("relay", { relay: [key("hidden")] }).start();
  const hidden = await new Peer("hidden", { listen: through(relay) }).start();
  const client = await new Peer("client", { listen: [], role: "client" }).start();
  const link = await client.link(hidden);
  let heard = 0;
  hidden.links[0].limit = 2 ** 20;
  hidden.links[0].events = { ...hidden.links[0].events, frame: ({ length }) => heard += length };
  for (let i = 0; i < 8; i++) link.send(new Uint8Array(2 ** 20));
  await until("all of it is there", () => heard === 8 * 2 ** 20);
  await stop(client, hidden, relay);
});

Deno.test("relay: it serves nobody whom it was not told to serve", async () => {
  const relay = await new Peer("relay", { relay: [key("another")] }).start();
  const said: string[] = [];
  const environment = environmentOf(1, (_, event) => void said.push(event));
  const hidden = await new Peer("hidden", { environment, listen: through(relay) }).start();
  ok(said.includes("relay does not serve this node"), said.join());
  const client = await new Peer("client", { listen: [], role: "client" }).start();
  await rejects(client.link(hidden), /NetworkError/);
  await stop(client, hidden, relay);
});

Deno.test("relay: a node that names none is dialed through none, whatever a peer offers", async () => {
  const liar = await new Peer("relay", { relay: [key("client")] }).start();
  const client = await new Peer("client", { listen: [], role: "client" }).start();
  await client.link(liar);
  const dialer = await new Peer("dialer", { listen: [], role: "client" }).start();
  const target = { key: key("client"), addresses: through(liar) };
  const dial = () => dialer.transport.open(target, "/zipnet/test/talk", AbortSignal.timeout(3_000));
  await rejects(dial(), /NetworkError/);
  // What a relay opens when somebody asks for the client through it.
  const offer = await liar.transport.open(
    { key: key("client"), addresses: [] },
    "/libp2p/circuit/relay/0.2.0/stop",
    AbortSignal.timeout(3_000),
  );
  let reason = "";
  offer.limit = 100;
  offer.events = { frame: () => {}, oversize: () => {}, closed: (why) => reason = why };
  await until("the offer is refused", () => reason !== "");
  // Had the client taken it up, it would have a place at the relay by now.
  await rejects(dial(), /NetworkError/);
  await stop(client, liar, dialer);
});

Deno.test("relay: one that comes back serves again", async () => {
  const listen = await new Peer("relay").start();
  const [address] = listen.addresses;
  await stop(listen);
  const port = { listen: [address.replace(/\/p2p\/.*$/, "")], relay: [key("hidden")] };
  const hidden = await new Peer("hidden", { listen: [`${address}/p2p-circuit`] }, 20).start();
  const client = await new Peer("client", { listen: [], role: "client" }).start();
  const reaches = async () => {
    let there = false, busy = false;
    await until("the hidden node is reached", () => {
      if (!busy) {
        busy = true;
        client.link(hidden).then(() => there = true, () => {}).finally(() => busy = false);
      }
      return there;
    });
  };
  const first = await new Peer("relay", port).start();
  await reaches();
  await stop(first);
  const second = await new Peer("relay", port).start();
  await reaches();
  await stop(client, hidden, second);
});

Deno.test("relay: discovery finds who listens through one, under that address alone", async () => {
  const make = (name: string, more: Partial<NetworkOptions>) =>
    libp2pNetwork({
      environment: environmentOf(),
      secret: secretOf(name),
      universe: UNIVERSE,
      instance: INSTANCE,
      role: "server",
      listen: ["/ip4/127.0.0.1/tcp/0"],
      bootstrap: [],
      ...more,
    });
  const relay = make("relay", { relay: [key("hidden")] });
  await relay.start();
  const bootstrap = [...relay.self.addresses];
  const hidden = make("hidden", { listen: through(relay.self), bootstrap });
  const client = make("client", { role: "client", listen: [], bootstrap });
  await Promise.all([hidden.start(), client.start()]);
  await until("the client knows both", () => client.peers("server").length === 2);
  const found = client.peers("server").find(({ id }) => id === hidden.self.id)!;
  deepEqual(found.addresses, hidden.self.addresses);
  match(found.addresses.join(), /^[^,]*\/p2p-circuit\/p2p\/[^,]*$/);
  await Promise.all([relay, hidden, client].map((network) => network.stop()));
});
