/** What the instance shows from outside: peers, the committee, its servers, its clock. */
import { holders, meetCommittee } from "../../src/roles/committee.ts";
import type { Epochs } from "../../src/roles/epochs.ts";
import { Follower } from "../../src/roles/follower.ts";
import { NEWEST } from "../../src/roles/window.ts";
import type { RoleOptions } from "../../src/ops/role_options.ts";
import { systemClock, systemRandom } from "../../src/ops/system.ts";
import { equal, hex } from "../../src/protocol/bytes.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import type { Environment } from "../../src/universe/environment.ts";
import type { Network, Role } from "../../src/universe/network.ts";
import { reach } from "../reach.ts";
import type { Known } from "./inside.ts";
import type { Report } from "./report.ts";

/** How long it looks for the instance. */
const LOOK_MS = 10_000;
/** How far clocks may be apart. */
const CLOCK_MS = 5_000;

/** Joins the instance as a reader for a moment. */
export async function outside(
  options: RoleOptions[Role],
  report: Report,
  known: Known,
): Promise<void> {
  const { bootstrap, universe, role } = options;
  if (bootstrap.length === 0) {
    if (role === "server") {
      return report.skip("instance", "no bootstrap peer is named: others come to it");
    }
    return report.bad("instance", "no bootstrap peer is named", "set ZIPNET_BOOTSTRAP");
  }
  const environment = { clock: systemClock, random: systemRandom, observe: () => {} };
  const id = universeId(universe);
  const instance = { id: instanceId(id, options.instance), name: options.instance };
  const network = libp2pNetwork({
    environment,
    secret: systemRandom(32),
    universe: id,
    instance: instance.id,
    role: "reader",
    listen: [],
    bootstrap: [...bootstrap],
  });
  try {
    await network.start();
    const { epochs } = await meetCommittee({
      ...{ network, environment, instance, universe, timeout: LOOK_MS },
      pin: "committee" in options ? options.committee : undefined,
    });
    const { newest } = epochs, fingerprint = hex(newest.fingerprint);
    report.good("instance", `${newest.servers.length} servers, epoch ${newest.epoch}`);
    const { committee } = known;
    if (committee && !equal(committee, newest.fingerprint)) {
      report.bad(
        "fingerprint",
        `the data folder has ${hex(committee)}, the instance ${fingerprint}`,
        "is this the right data folder? an old epoch's is replaced when the server meets the others",
      );
    } else report.good("fingerprint", fingerprint);
    for (const key of newest.servers) {
      const reached = await reach(network, key), name = hex(key).slice(0, 16);
      if ("at" in reached) {
        report.good("server", `${name} is reached at ${reached.at.addresses.join(" ")}`);
      } else report.bad("server", `${name} is not reached: ${reached.failed}`, "start it");
    }
    const gatherers = network.peers("aggregator").length;
    if (gatherers > 0) report.good("aggregator", `${gatherers} known`);
    else {report.bad(
        "aggregator",
        "none is known",
        "start one: without it no round has participants",
      );}
    await rounds(network, environment, epochs, report);
  } catch (error) {
    report.bad(
      "instance",
      (error as Error).message,
      "is the name right, and is the bootstrap peer up?",
    );
  } finally {
    await network.stop();
  }
}

/** Waits for a record that is made now, and compares its clock with this one. */
async function rounds(
  network: Network,
  environment: Environment,
  epochs: Epochs,
  report: Report,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // The next one may be given up, and then comes another.
  const { roundPeriod, roundDeadline } = epochs.newest.parameters;
  const patience = Math.max(LOOK_MS, 2 * roundPeriod + roundDeadline);
  const cancel = environment.clock.after(patience, () => {
    report.bad(
      "rounds",
      `no round in ${patience / 1_000} s`,
      "the servers' log line `waiting` says for what",
    );
    resolve();
  });
  let first: number | undefined, apart: number | undefined;
  const follower = new Follower({
    ...{ network, environment, epochs, from: NEWEST, live: true },
    candidates: () => holders(network, "aggregator", "server"),
    events: {
      bad: () => true,
      opened({ header: { time } }) {
        apart ??= first === undefined ? undefined : environment.clock.wall() - time;
      },
      record({ record: { header } }) {
        // The first is the newest that there was; the next one is made now.
        first ??= header.round;
        if (header.round === first) return;
        report.good("rounds", `round ${header.round} was certified just now`);
        const ms = apart ?? environment.clock.wall() - header.time;
        if (Math.abs(ms) <= CLOCK_MS) report.good("clock", `${ms} ms after the leader's`);
        else report.bad("clock", `${ms} ms apart from the leader's`, "set it, by NTP");
        resolve();
      },
    },
  });
  await promise;
  cancel();
  follower.close();
}
