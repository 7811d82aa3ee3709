/**
 * Why an instance was not met: one line with what was looked for, what was seen in its place, and
 * what to do about it. Numbers and reasons come from this node alone; what peers say of themselves
 * (that they are servers, and of how many) is unproven and only counted.
 */
import { hex } from "../protocol/bytes.ts";
import type { Network } from "../universe/network.ts";

/** Bootstrap addresses that a diagnosis names; the others are counted. */
const MAX_NAMED = 2;
/** Characters of a reason that are shown. */
const MAX_REASON = 120;

/** What was looked for. */
export interface Sought {
  readonly network: Network;
  readonly instance: { readonly id: Uint8Array; readonly name: string };
  readonly universe: string;
  /** For how many milliseconds. */
  readonly timeout: number;
  /** The last peer of the instance that could not be asked, and why. */
  readonly unreached?: { readonly id: string; readonly reason: string };
}

/** The word in the entry of a server that waits for the first committee of its instance. */
export function formingTag(size: number): string {
  return `forming-${size}`;
}

/** What was looked for, what was seen, and what to do. */
export function diagnosis(sought: Sought): string {
  const { network, instance, universe, timeout } = sought;
  const seen = network.census();
  return `looked for ${instance.name} as ${hex(instance.id).slice(0, 16)} in ${universe} for ` +
    `${timeout} ms; saw ${
      count(seen.universe, "peer")
    } of this universe, ${seen.instance} of this ` +
    `instance; nearest announced names are not published by design; ${advice(sought)}`;
}

function advice(sought: Sought): string {
  const { universe, instance, bootstrap } = sought.network.census();
  if (instance > 0) return formation(sought);
  if (universe > 0 || bootstrap.answered > 0) {
    return `no server or aggregator of ${sought.instance.name} is known in ${sought.universe}: ` +
      "check the spelling of ZIPNET_INSTANCE, and that its committee is up";
  }
  if (bootstrap.tried === 0) {
    return "there was nowhere to begin: give ZIPNET_BOOTSTRAP an address of any peer of the " +
      "universe, or set ZIPNET_DHT=mainline, which finds one without";
  }
  const named = bootstrap.failures.slice(0, MAX_NAMED)
    .map(({ address, reason }) => `${address} (${short(reason)})`);
  const more = bootstrap.tried - named.length;
  return `no peer of ${sought.universe} answered at ${named.join(", ")}` +
    `${
      more > 0 ? ` and ${more} more` : ""
    }: check ZIPNET_BOOTSTRAP and ZIPNET_UNIVERSE, and that ` +
    "one of these peers is up";
}

/** Peers of the instance are known, and none told of a committee. */
function formation({ network, instance, unreached }: Sought): string {
  const servers = network.peers("server").length;
  const size = needed(network, instance.id);
  const told = unreached
    ? `, ${unreached.id.slice(0, 16)} could not be asked (${short(unreached.reason)})`
    : "";
  return `no committee of it answered: saw ${count(servers, "server")} of it, needed ` +
    `${
      size === undefined ? "as many as ZIPNET_COMMITTEE_SIZE at each of them says" : size
    }${told}: ` +
    "check that every server is up and can be reached, and what its log waits for";
}

/** How many servers make the first committee, by the word of those that wait for it: the most. */
function needed({ catalog }: Network, instance: Uint8Array): number | undefined {
  const ours = catalog.peers().filter((peer) => peer.instances.has(hex(instance)));
  const sizes = ours.flatMap(({ tags }) => [...tags])
    .flatMap((tag) => /^forming-([1-9]\d{0,2})$/.exec(tag)?.slice(1) ?? []).map(Number);
  return sizes.length > 0 ? Math.max(...sizes) : undefined;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

function short(reason: string): string {
  return reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON)}…` : reason;
}
