/** What a node is told at its start. */
import type { Environment } from "./environment.ts";
import type { Limits } from "./limits.ts";
import type { Role } from "./network.ts";

/** What a node is told at its start, in every column. */
export interface NetworkOptions {
  readonly environment: Environment;
  /** Ed25519 seed of the node identity, 32 bytes. */
  readonly secret: Uint8Array;
  /** Universe id, 32 bytes. */
  readonly universe: Uint8Array;
  /** Instance id, 32 bytes. */
  readonly instance: Uint8Array;
  readonly role: Role;
  /**
   * Addresses to listen at; none for those who only dial. One that ends in `/p2p/…/p2p-circuit` is
   * listened at through that relay.
   */
  readonly listen: readonly string[];
  /** Addresses to tell others, where they differ from those listened at. */
  readonly announce?: readonly string[];
  /** Addresses of peers of the universe, of whatever instance. */
  readonly bootstrap: readonly string[];
  /** libp2p: takes part in the universe's own DHT. Without it all but clients do. */
  readonly kad?: boolean;
  /**
   * Looks for a first peer in BitTorrent's Mainline DHT, and is found there where it publishes.
   * `routers` are `host:port` of nodes to begin at, its public ones unless given; `host` is the IPv4
   * address to send from, unless given that of `listen`, or any.
   */
  readonly mainline?: { readonly routers?: readonly string[]; readonly host?: string };
  /** Looks for peers on the local network by multicast DNS, and answers there if it publishes. */
  readonly mdns?: boolean;
  /** Keys of nodes, 32 bytes each, that others may reach through this one; none unless given. */
  readonly relay?: readonly Uint8Array[];
  /** Other limits than `LIMITS`; tests alone have reasons to set any. */
  readonly limits?: Partial<Limits>;
}
