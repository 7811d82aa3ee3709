/**
 * Whom a reader asks for the feeds, the lineage and the servers' tickets: aggregators and readers
 * that serve, in an order of its own, so that readers spread over them; servers last.
 *
 * Who serves itself follows aggregators first, and of the readers only those whose key is below its
 * own: so none is ever behind itself. Others it asks where nobody else is there; then two may
 * come to follow each other, until one is left for being behind (`lag.ts`).
 */
import { compare } from "../protocol/bytes.ts";
import { hash } from "../protocol/hash.ts";
import type { Network, Peer } from "../universe/network.ts";

/** Readers that come before servers: entries of readers that are none cost a few dials at most. */
export const MAX_MIRRORS = 4;

/** What is wanted of a holder: each has an order of its own, so that one shows where another lags. */
export type Wanted = "records" | "headers" | "lineage";

const SALTS: { readonly [wanted in Wanted]: number } = { records: 0, headers: 1, lineage: 2 };

/** Whether a peer is a reader that can be dialed: such a one serves. */
export function isMirror({ role, addresses }: Peer): boolean {
  return role === "reader" && addresses.length > 0;
}

/** The holders that a reader knows, best first: by `H(spread ‖ self ‖ holder ‖ wanted)`. */
export function feedHolders(network: Network, wanted: Wanted): readonly Peer[] {
  const { self } = network, salt = Uint8Array.of(SALTS[wanted]);
  const spread = (peers: readonly Peer[]) =>
    peers.map((peer) => ({ peer, place: hash("spread", self.key, peer.key, salt) }))
      .sort((a, b) => compare(a.place, b.place))
      .map(({ peer }) => peer);
  const aggregators = network.peers("aggregator"), servers = spread(network.peers("server"));
  const mirrors = spread(network.peers("reader").filter(isMirror));
  if (!isMirror(self)) {
    const first = spread([...aggregators, ...mirrors.slice(0, MAX_MIRRORS)]);
    return [...first, ...servers, ...mirrors.slice(MAX_MIRRORS)];
  }
  const below = mirrors.filter(({ key }) => compare(key, self.key) < 0).slice(0, MAX_MIRRORS);
  const rest = mirrors.filter((peer) => !below.includes(peer));
  return [...spread(aggregators), ...below, ...servers, ...rest];
}
