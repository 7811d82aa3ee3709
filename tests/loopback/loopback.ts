/** Real loopback as a world for the suites of this folder. */
import type { Environment } from "../../src/universe/environment.ts";
import { libp2pNetwork, libp2pTransport } from "../../src/universe/libp2p.ts";
import type { World } from "../universe/conformance.ts";

/** How long a case may wait for one condition. */
const BOUND_MS = 20_000;

const clock: Environment["clock"] = {
  now: () => Date.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

/** A universe over loopback. */
export function loopback(): World {
  const waiting = new Set<() => void>();
  return {
    listen: "/ip4/127.0.0.1/tcp/0",
    environment: (_, observe) => ({
      clock,
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      observe,
    }),
    network: libp2pNetwork,
    transport: libp2pTransport,
    settle: (promise) => promise,
    poke() {
      // The condition may depend on what the caller does right after.
      for (const look of [...waiting]) queueMicrotask(look);
    },
    until(what, condition) {
      if (condition()) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const look = () => {
          if (!condition()) return;
          waiting.delete(look);
          cancel();
          resolve();
        };
        const cancel = clock.after(BOUND_MS, () => {
          waiting.delete(look);
          reject(new Error(`within ${BOUND_MS} ms: ${what}`));
        });
        waiting.add(look);
      });
    },
  };
}
