/**
 * Run with all permissions by `mdns_story.ts` on a host of its own: a node that was given no address.
 * Arguments: name, role, universe (a byte), address to listen at. Says in one line of JSON, each time
 * that changes, whom of its instance it knows; ends with its standard input.
 */
import { hex } from "../../src/protocol/bytes.ts";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import type { Role } from "../../src/universe/network.ts";
import { INSTANCE, secretOf } from "../universe/conformance.ts";
import { environmentOf } from "../loopback/loopback.ts";

const [name, role, universe, address] = Deno.args;
const network = libp2pNetwork({
  environment: environmentOf(),
  secret: secretOf(name),
  universe: new Uint8Array(32).fill(Number(universe)),
  instance: INSTANCE,
  role: role as Role,
  listen: role === "client" ? [] : [`/ip4/${address}/tcp/0`],
  bootstrap: [],
  kad: false,
  mdns: true,
});
const say = () =>
  console.log(JSON.stringify({
    self: hex(network.self.key),
    servers: network.peers("server").map(({ id }) => id),
    universe: network.census().universe,
  }));
await network.start();
say();
network.onPeer(say);
await Deno.stdin.readable.pipeTo(new WritableStream());
say();
await network.stop();
