/**
 * Follows the committee from epoch to epoch once it was met: its lineage comes again from whoever
 * serves it whenever it changed, and is taken where it leads on from the epoch that is known.
 *
 * A lineage that leads elsewhere may come from one holder that lies: others are asked. Where it
 * shares an epoch with what is known, a member of that one has signed what follows, perhaps a former
 * one: that is a claim, for as long as the known committee is not heard. Only where it falls silent
 * while a claim stands is this role's committee gone, as far as it can tell; then only a new pin
 * helps. Other lineages anyone can make up: they end nobody.
 */
import { hex } from "../protocol/bytes.ts";
import { acceptLineage, decodeLineage, type Lineage } from "../protocol/lineage.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer } from "../universe/network.ts";
import { type Committee, holders } from "./committee.ts";
import { Refused } from "./errors.ts";
import { feedHolders } from "./holders.ts";
import { Link } from "./link.ts";
import { SERVER_REGISTRY } from "./streams.ts";

/** Time for which a holder is passed over that had nothing to go on with, ms. */
export const PASS_OVER_MS = 10_000;

/** Holders that are passed over at one time; beyond, all are asked again. */
const MAX_PASSED = 1_024;

/** Other committees that are logged; whoever makes up more of them is not. */
const MAX_LOGGED = 64;

/** What a watch needs. */
export interface WatchOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly instance: { readonly id: Uint8Array; readonly name: string };
  /** As it was met; its epochs are added to. */
  readonly committee: Committee;
  /** Silence in ms, after a claim, after which it is believed; after half of it another holder is asked. */
  readonly timeout: number;
  /** The epochs were added to: this lineage says so. */
  readonly changed?: (lineage: Uint8Array) => void;
  /** The known committee is silent, and another claims to follow it; called once, the watch is over. */
  readonly refused: (error: Refused) => void;
}

/** A running watch. */
export interface Watch {
  /** The known committee shows that it is there: a verified record or opened header. */
  alive(): void;
  /** Ends the watch; the network is the caller's to stop. */
  stop(): void;
}

/** Begins to watch. */
export function watchCommittee(options: WatchOptions): Watch {
  const { network, environment: { clock, observe }, instance, timeout } = options;
  const { epochs } = options.committee;
  const reads = network.self.role === "reader";
  const passed = new Map<string, number>(), logged = new Set<string>();
  let claim: string | undefined;
  let since = clock.now(), cancel = () => {};

  const pass = ({ id }: Peer, reason: string): void => {
    if (passed.size >= MAX_PASSED) passed.clear();
    passed.set(id, clock.now() + PASS_OVER_MS);
    link.drop(reason);
  };

  const hear = (bytes: Uint8Array, peer: Peer): void => {
    const known = epochs.newest;
    let lineage: Lineage;
    try {
      lineage = decodeLineage(bytes, instance.id);
    } catch (error) {
      pass(peer, "a lineage that is none");
      throw error;
    }
    const answer = acceptLineage(lineage, { known });
    if ("refused" in answer) {
      pass(peer, answer.message);
      if (answer.refused === "behind") return;
      const fingerprint = hex(lineage[lineage.length - 1].manifest.fingerprint);
      if (!logged.has(fingerprint) && logged.size < MAX_LOGGED) {
        logged.add(fingerprint);
        observe("warn", "another committee", {
          peer: peer.id,
          fingerprint,
          reason: answer.message,
        });
      }
      if (!lineage.some(({ manifest }) => epochs.of(manifest.fingerprint))) return;
      const first = claim === undefined;
      // A member of the known epoch has signed that one; the others a former one may make up.
      if (first || answer.refused === "unsigned") claim = answer.message;
      if (first) {
        since = clock.now();
        cancel();
        look();
      }
      return;
    }
    if (answer.accepted.epoch === known.epoch) return;
    claim = undefined;
    since = clock.now();
    epochs.adopt(
      lineage.map(({ manifest }) => manifest).filter(({ epoch }) => epoch > known.epoch),
    );
    observe("info", "committee changed", {
      fingerprint: hex(answer.accepted.fingerprint),
      epoch: answer.accepted.epoch,
      servers: answer.accepted.servers.length,
    });
    options.changed?.(bytes);
  };

  const stop = (): void => {
    cancel();
    link.close();
  };

  const look = (): void => {
    const left = since + (claim === undefined ? timeout / 2 : timeout) - clock.now();
    if (left > 0) return void (cancel = clock.after(left, look));
    if (claim !== undefined) {
      stop();
      return options.refused(new Refused(`${instance.name}: ${claim}`));
    }
    // It may be this holder alone that has not heard of a change.
    link.drop("the committee is silent");
    cancel = clock.after(timeout / 2, look);
  };

  const link: Link = new Link({
    network,
    clock,
    kind: SERVER_REGISTRY,
    sparesServers: reads,
    candidates: () =>
      (reads ? feedHolders(network, "lineage") : holders(network, "server", "aggregator"))
        .filter(({ id }) => (passed.get(id) ?? 0) <= clock.now()),
    events: ({ peer }) => ({ frame: (bytes) => hear(bytes, peer), closed: () => {} }),
  });
  look();
  const alive = (): void => {
    since = clock.now();
    claim = undefined;
  };
  return { alive, stop };
}
