/** The scenarios of typed streams over libp2p on real loopback. Needs `-P=tests`. */
import type { Environment } from "../../src/universe/environment.ts";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import { SCENARIOS } from "../universe/streams/scenarios.ts";
import type { StreamsWorld } from "../universe/streams/world.ts";

/** How long a scenario may wait for one condition, and how often it looks. */
const BOUND_MS = 20_000, LOOK_MS = 10;

const clock: Environment["clock"] = {
  now: () => Date.now(),
  wall: () => Date.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

function loopback(): StreamsWorld {
  return {
    listen: "/ip4/127.0.0.1/tcp/0",
    environment: (_, observe) => ({
      clock,
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      observe,
    }),
    network: libp2pNetwork,
    settle: (promise) => promise,
    work: (task) => task(),
    until(what, condition) {
      const end = clock.now() + BOUND_MS;
      return new Promise((resolve, reject) => {
        const look = () => {
          if (condition()) resolve();
          else if (clock.now() > end) reject(new Error(`within ${BOUND_MS} ms: ${what}`));
          else clock.after(LOOK_MS, look);
        };
        look();
      });
    },
  };
}

for (const [name, play] of SCENARIOS) {
  Deno.test(`libp2p: ${name}`, () => play(loopback()));
}
