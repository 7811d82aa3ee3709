/**
 * `deno task status [options of a reader]`: an instance at a glance, as a reader sees and verifies it.
 * On a terminal it is drawn anew each second until Ctrl-C; elsewhere it is one page and an end.
 *
 * It may run with the variables of a reader that is a service: what only that one does is left out.
 */
import type { Verified } from "../src/protocol/chain.ts";
import { hex } from "../src/protocol/bytes.ts";
import { holders } from "../src/roles/committee.ts";
import { Follower } from "../src/roles/follower.ts";
import { type RoleProcess, runRole } from "../src/roles/process.ts";
import { NEWEST } from "../src/roles/window.ts";
import { reach } from "./reach.ts";
import { Glance } from "./status/glance.ts";

const HELP = `An instance at a glance, as a reader sees and verifies it.

  deno task status --instance NAME --bootstrap ADDR,...

It takes the options of a reader that say which instance, where to begin and what to trust
(deno task reader --help), as flags or variables. On a terminal it goes on until Ctrl-C.
`;
/** Variables of a reader that are nothing to it. */
const NOT_ITS = ["DATA", "METRICS", "PAGE", "LISTEN", "ANNOUNCE", "RELAY", "FROM", "JSON"];
/** Between two looks whether the servers answer. */
const LOOK_MS = 5_000;
/** Between two pictures; and rounds that are seen before the one page, or how long they are awaited. */
const REDRAW_MS = 1_000, ENOUGH_ROUNDS = 5, ENOUGH_MS = 15_000;

if (Deno.args.some((arg) => arg === "--help" || arg === "-h")) {
  console.log(HELP.trimEnd());
  Deno.exit(0);
}
for (const name of NOT_ITS) Deno.env.delete(`ZIPNET_${name}`);
Deno.env.set("ZIPNET_EPHEMERAL", "true");
if (Deno.env.get("ZIPNET_LOG") === undefined) Deno.env.set("ZIPNET_LOG", "error");

await runRole("reader", Deno.args, async (p) => {
  await p.up();
  const { epochs, tickets } = await p.meet();
  const { network, environment: { clock }, options: { instance } } = p;
  const glance = new Glance(instance);
  /** Keys of the servers that answered when they were asked last, as hex. */
  let reached: ReadonlySet<string> = new Set();
  const look = async () => {
    const { servers } = epochs.newest;
    const all = await Promise.all(servers.map((key) => reach(network, key)));
    reached = new Set(servers.filter((_, i) => "at" in all[i]).map((key) => hex(key)));
  };
  const follower = new Follower({
    ...{ network, environment: p.environment, epochs, from: NEWEST, live: false },
    candidates: () => holders(network, "aggregator", "server"),
    events: {
      record: (verified: Verified) => {
        glance.add(verified, clock.wall());
        if (!terminal && glance.rounds === ENOUGH_ROUNDS) void finish();
      },
      bad: () => true,
    },
  });
  const terminal = Deno.stdout.isTerminal();
  const draw = () =>
    glance.lines(clock.wall(), {
      epoch: epochs.newest,
      reached,
      aggregators: network.peers("aggregator").length,
      attested: tickets !== undefined,
    });
  let over = false;
  const finish = async () => {
    if (over) return;
    over = true;
    follower.close();
    await look();
    show(p, draw().join("\n") + "\n");
    p.stop();
  };
  if (!terminal) return void clock.after(ENOUGH_MS, () => void finish());
  const looking = () => void look().then(() => clock.after(LOOK_MS, looking));
  looking();
  const redraw = () => {
    // Home, each line to its end, and what is below: nothing flickers.
    show(p, `\x1b[H${draw().map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
    clock.after(REDRAW_MS, redraw);
  };
  show(p, "\x1b[2J");
  redraw();
});

function show(p: RoleProcess<"reader">, text: string): void {
  p.print(text);
}
