/** Whether the servers of a committee answer now: what a directory knows of them may be old. */
import { SERVER_REGISTRY } from "../src/roles/streams.ts";
import { equal } from "../src/protocol/bytes.ts";
import type { Network, Peer } from "../src/universe/network.ts";

/** What came of asking one server for a stream. */
export type Reached = { readonly at: Peer } | { readonly failed: string };

/** Opens a stream to the server with that key, and closes it. Never rejects. */
export async function reach(network: Network, key: Uint8Array): Promise<Reached> {
  const peer = network.peers("server").find((it) => equal(it.key, key));
  if (!peer) return { failed: "nobody knows where it is" };
  try {
    (await network.open(peer, SERVER_REGISTRY, () => ({ frame() {}, closed() {} }))).close();
    return { at: peer };
  } catch (error) {
    return { failed: (error as Error).message };
  }
}
