/** What a running node says of itself, at its `ZIPNET_METRICS`. */
import type { Role } from "../../src/universe/network.ts";
import type { Report } from "./report.ts";

/** Between two looks at what should have moved. */
const PAUSE_MS = 3_000;
const TIMEOUT_MS = 5_000;
/** Memory that a node should stay below. */
const MEMORY = 400e6;

async function get(url: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return { status: answer.status, text: await answer.text() };
}

/** Sums of the metrics by name, without labels. */
async function read(base: string): Promise<Map<string, number>> {
  const { text } = await get(`${base}/metrics`);
  const found = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/^zipnet_(\w+)\{.*\} (\S+)$/gm)) {
    found.set(name, (found.get(name) ?? 0) + Number(value));
  }
  return found;
}

/** Asks it. */
export async function node(url: string, role: Role, report: Report): Promise<void> {
  const base = url.replace(/\/$/, "");
  let first: Map<string, number>;
  try {
    const { status, text } = await get(`${base}/readyz`);
    if (status === 200) report.good("node", "it does its work");
    else report.bad("node", `it does not do its work: ${text.trim()}`, "its log says more");
    first = await read(base);
  } catch (error) {
    return report.bad(
      "node",
      `${base} does not answer: ${(error as Error).message}`,
      "is it up, with ZIPNET_METRICS?",
    );
  }
  const memory = first.get("resident_bytes") ?? 0, shown = `${(memory / 1e6).toFixed(0)} MB`;
  if (memory < MEMORY) report.good("memory", shown);
  else report.doubt("memory", shown, "watch it");
  expiry(first.get("quote_expiry_seconds"), "ticket", 900, report);
  expiry(first.get("collateral_expiry_seconds"), "collateral", 7.5 * 86_400, report);
  if (role === "server") {
    const bonds = first.get("bonds") ?? 0, others = (first.get("server_registry_size") ?? 1) - 1;
    if (bonds === others) report.good("bonds", `to all ${others} other servers`);
    else {report.bad(
        "bonds",
        `to ${bonds} of ${others} other servers`,
        "start them, or mend the network",
      );}
  }
  if (role === "client") return;
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  const round = (it: Map<string, number>) => it.get("round") ?? 0, second = await read(base);
  if (round(second) > round(first)) {
    report.good("rounds here", `${round(first)} to ${round(second)} in ${PAUSE_MS / 1_000} s`);
  } else {
    report.doubt(
      "rounds here",
      `still ${round(first)} after ${PAUSE_MS / 1_000} s`,
      "the round period may be longer",
    );
  }
}

function expiry(seconds: number | undefined, what: string, least: number, report: Report): void {
  if (seconds === undefined) return;
  const left = seconds > 86_400
    ? `${(seconds / 86_400).toFixed(1)} days`
    : `${Math.round(seconds)} s`;
  if (seconds >= least) report.good(`${what} here`, `good for ${left}`);
  else {report.bad(
      `${what} here`,
      `ends in ${left}`,
      "it should have been renewed: see the node's log",
    );}
}
