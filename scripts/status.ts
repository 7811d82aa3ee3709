/**
 * `deno task status [options of a reader]`: an instance at a glance, as a reader sees and verifies it.
 * On a terminal it is drawn anew each second until Ctrl-C; elsewhere it is one page and an end.
 */
import type { Verified } from "../src/protocol/chain.ts";
import { hex } from "../src/protocol/bytes.ts";
import { holders } from "../src/roles/committee.ts";
import { Follower } from "../src/roles/follower.ts";
import { type RoleProcess, runRole } from "../src/roles/process.ts";
import { NEWEST } from "../src/roles/window.ts";
import type { Network } from "../src/universe/network.ts";
import { Glance } from "./status/glance.ts";

/** Between two pictures; and rounds that are seen before the one page, or how long they are awaited. */
const REDRAW_MS = 1_000, ENOUGH_ROUNDS = 5, ENOUGH_MS = 15_000;

await runRole("reader", ["--ephemeral", "--log=error", ...Deno.args], async (p) => {
  await p.up();
  const { epochs, tickets } = await p.meet();
  const { network, environment: { clock }, options: { instance } } = p;
  const glance = new Glance(instance);
  const follower = new Follower({
    ...{ network, environment: p.environment, epochs, from: NEWEST, live: false },
    candidates: () => holders(network, "aggregator", "server"),
    events: {
      record: (verified: Verified) => {
        glance.add(verified, clock.wall());
        if (!terminal && glance.rounds >= ENOUGH_ROUNDS) finish();
      },
      bad: () => true,
    },
  });
  const terminal = Deno.stdout.isTerminal();
  const draw = () =>
    glance.lines(clock.wall(), {
      epoch: epochs.newest,
      reached: new Set(reached(network)),
      aggregators: network.peers("aggregator").length,
      attested: tickets !== undefined,
    });
  const finish = () => {
    follower.close();
    show(p, draw().join("\n") + "\n");
    p.stop();
  };
  if (!terminal) return void clock.after(ENOUGH_MS, finish);
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

/** Keys of the servers that answer now, as hex. */
function reached(network: Network): string[] {
  return network.peers("server").map(({ key }) => hex(key));
}
