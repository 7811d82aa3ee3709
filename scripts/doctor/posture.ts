/** How well a node is guarded: what an operator would regret after the fact. */
import type { RoleOptions } from "../../src/ops/role_options.ts";
import type { Role } from "../../src/universe/network.ts";
import type { Given } from "./inside.ts";
import type { Report } from "./report.ts";

/** Goes through the list. */
export function posture(options: RoleOptions[Role], report: Report, { environment }: Given): void {
  const check = (holds: boolean, what: string, not: string, mend: string) =>
    holds ? report.good("posture", what) : report.bad("posture", not, mend);
  const { attestation, metrics } = options;
  const bare = Object.keys(environment).filter((name) => /(SECRET|SECRET_OTHER|JWT)$/.test(name));
  check(
    bare.length === 0,
    "no secret stands in the environment",
    `${bare.join(", ")} stands in the environment, where /proc shows it`,
    "hand it over as a file: …_FILE",
  );
  check(
    !metrics || metrics.loopback,
    "metrics are this machine's alone",
    `metrics are served at ${metrics?.host}`,
    "serve them on loopback, or on a network of their own",
  );
  let root: boolean | undefined;
  try {
    root = Deno.uid() === 0;
  } catch { /* not permitted to tell */ }
  if (root !== undefined) {
    check(!root, "it does not run as root", "it runs as root", "give it a user: scripts/systemd");
  }
  check(
    attestation.evidence !== "none" || options.role === "reader" || options.role === "aggregator",
    "it shows quotes, or has none to show",
    "it shows no quote, so nobody can tell what it runs",
    "ZIPNET_ATTESTATION=tdx",
  );
  check(
    Object.values(attestation.servers).some((allowed) => allowed && allowed.length > 0),
    "measurements of the servers are named",
    "no measurement of the servers is named: whatever they run is trusted",
    "ZIPNET_MRTD, ZIPNET_RTMR1, ZIPNET_RTMR2",
  );
  check(
    attestation.anchor === undefined,
    "Intel's root is the anchor",
    `${attestation.anchor} is the anchor: a development root vouches for no hardware`,
    "leave ZIPNET_ANCHOR out",
  );
  if (options.role !== "server") {
    check(
      "committee" in options && options.committee !== undefined,
      "the committee is pinned",
      "no committee is pinned: the first one that answers is trusted",
      "ZIPNET_COMMITTEE",
    );
  }
  if (options.role === "server") {
    check(
      options.data !== undefined,
      "its state is durable",
      "it keeps no state",
      "leave --ephemeral out",
    );
    check(
      options.preset !== "dev",
      `preset ${options.preset}`,
      "preset dev is for trials",
      "ZIPNET_PRESET=interactive",
    );
    check(
      options.committeeSize >= 3,
      `a committee of ${options.committeeSize}`,
      "a committee of two rests on one honest operator of two",
      "three servers or more",
    );
  }
}
