/**
 * A log that nobody outside can fill: lines about one peer, host or client, and lines of one event
 * about any of them, come at a bounded rate. The next line that is written says how many were not.
 * Errors, and lines about nobody, always come.
 */
import type { Clock, Fields, Observe } from "../universe/environment.ts";

/** Lines about one peer, and of one event about all of them. */
export const LINES_PER_PEER = { perSecond: 1, burst: 20 };
export const LINES_PER_EVENT = { perSecond: 50, burst: 4_096 };
/** Peers and events of which the rate is remembered. */
const MAX_TRACKED = 4_096;

/** The fields that name whoever a line is about, the first that is there. */
const NAMES = ["peer", "client", "host", "address"] as const;

interface Budget {
  left: number;
  at: number;
  suppressed: number;
}

/** Wraps an observer; see the module comment. */
export function calm(observe: Observe, clock: Pick<Clock, "now">): Observe {
  const peers = new Map<string, Budget>(), events = new Map<string, Budget>();
  return (level, event, fields = {}) => {
    const name = nameOf(fields);
    if (level === "error" || name === undefined) return observe(level, event, fields);
    const now = clock.now();
    const peer = budgetOf(peers, name, LINES_PER_PEER, now);
    const all = budgetOf(events, event, LINES_PER_EVENT, now);
    const spent = [peer, all].find(({ left }) => left < 1);
    if (spent !== undefined) {
      spent.suppressed++;
      return;
    }
    const suppressed = peer.suppressed + all.suppressed;
    for (const budget of [peer, all]) {
      budget.left--;
      budget.suppressed = 0;
    }
    observe(level, event, suppressed === 0 ? fields : { ...fields, suppressed });
  };
}

function nameOf(fields: Fields): string | undefined {
  for (const name of NAMES) {
    const value = fields[name];
    if (typeof value === "string") return `${name} ${value}`;
  }
}

function budgetOf(
  all: Map<string, Budget>,
  name: string,
  rate: { readonly perSecond: number; readonly burst: number },
  now: number,
): Budget {
  const found = all.get(name), budget = found ?? { left: rate.burst, at: now, suppressed: 0 };
  const passed = Math.max(0, now - budget.at) / 1_000;
  budget.left = Math.min(rate.burst, budget.left + passed * rate.perSecond);
  budget.at = now;
  // The map is in the order of use.
  all.delete(name);
  all.set(name, budget);
  if (all.size > MAX_TRACKED) all.delete(all.keys().next().value!);
  return budget;
}
