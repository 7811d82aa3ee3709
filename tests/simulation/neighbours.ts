/** Three instances of one simulated universe, begun at one peer, each held to the rules of a trial. */
import { hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import { MemoryUniverse } from "../../src/universe/memory.ts";
import { Wiretap } from "./replayer.ts";
import { Trial } from "./trial.ts";

export const NAMES = ["one.mainnet", "two.mainnet", "three.mainnet"];
export const CLIENTS = 4, READERS = 2;
/** With three servers and an aggregator. */
export const NODES = CLIENTS + READERS + 4;

/** Rounds are seldom, so that a test may let much time pass. */
const parameters = { roundPeriod: 1_000 };

/** What a story is told of. */
export interface Shared {
  readonly universe: MemoryUniverse;
  readonly tap: Wiretap;
  readonly trials: readonly Trial[];
  /** A secret of the instance of this name. */
  readonly secret: (instance: string, who: string) => Uint8Array;
}

/**
 * Runs a story on three instances that begin at one server of the first. `shared` names those whose
 * secrets are the same in all of them.
 */
export async function together(
  seed: number,
  shared: RegExp | undefined,
  story: (it: Shared) => Promise<void>,
): Promise<void> {
  const tap = new Wiretap();
  const universe = new MemoryUniverse({ seed, delay: [1, 5], tap: tap.tap });
  const secret = (instance: string, who: string) =>
    universe.randomness(shared?.test(who) ? who : `${who} of ${instance}`).bytes(32);
  const bootstrap = [`/memory/${hex(signer(secret(NAMES[0], "server 0")).key)}`];
  const run = async (trials: readonly Trial[]): Promise<void> => {
    const instance = NAMES[trials.length];
    if (instance === undefined) return await story({ universe, tap, trials, secret });
    const secretOf = (who: string) => secret(instance, who);
    const options = { seed, universe, instance, bootstrap, secretOf, parameters };
    await Trial.run(
      { ...options, clients: CLIENTS, readers: READERS },
      (trial) => run([...trials, trial]),
    );
  };
  await run([]);
}

/** Everybody speaks, and some more rounds are certified everywhere. */
export async function rounds(trials: readonly Trial[], count: number): Promise<void> {
  for (const trial of trials) trial.everybodySpeaks();
  const until = trials.map(({ world }) => world.rounds + count);
  for (const [i, trial] of trials.entries()) {
    await trial.until(`${count} rounds`, () => trial.world.rounds >= until[i]);
  }
}
