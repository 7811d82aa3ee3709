/** Who says how much when: calls that come at random, as many a second as asked for. */
import { Seeded } from "../../src/universe/seeded.ts";
import { drawSize, exponential, type Sizes } from "./sizes.ts";

/** One message to be sent. */
export interface Call {
  /** Milliseconds after the talk began. */
  readonly at: number;
  /** Which of the clients sends it. */
  readonly client: number;
  readonly payload: Uint8Array;
}

/** The calls of a run, in order of time and without end; the same seed gives the same ones. */
export function* talk(
  { seed, rate, sizes, clients }: {
    readonly seed: number;
    /** Messages a second, of all clients together. */
    readonly rate: number;
    readonly sizes: Sizes;
    readonly clients: number;
  },
): Generator<Call, never> {
  const random = new Seeded(seed, "load");
  for (let at = 0;;) {
    at += exponential(1_000 / rate, random.real());
    const client = Math.floor(random.real() * clients);
    yield { at, client, payload: random.bytes(drawSize(sizes, random.real())) };
  }
}
