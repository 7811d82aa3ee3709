/** What befalls a run, drawn from its seed. */
import type { Seeded } from "../../../src/universe/seeded.ts";

/** How often what goes wrong. */
export interface Weather {
  /** Share of messages that are lost, and that come twice. */
  readonly loss: number;
  readonly twice: number;
  /** Share of messages of which a copy outlives its stream, by up to 10 s. */
  readonly late: number;
  /** Longest delay in ms; without an order messages overtake each other. */
  readonly delay: number;
  readonly ordered: boolean;
  /** Whether disks are lost, or put back to an older state. */
  readonly wipes: boolean;
  readonly putsBack: boolean;
  /** Commands that are offered at once. */
  readonly burst: number;
  /** Leaders die again and again, voters once they have voted, and what was sent outlives it. */
  readonly quarrel: boolean;
}

/** Draws it. */
export function forecast(draw: Seeded): Weather {
  const chance = (share: number) => draw.real() < share;
  const share = (most: number) => chance(0.5) ? draw.real() * most : 0;
  return {
    loss: share(0.3),
    twice: share(0.2),
    late: share(0.05),
    delay: 1 + Math.floor((chance(0.3) ? 400 : 60) * draw.real()),
    ordered: chance(0.3),
    wipes: chance(0.5),
    putsBack: chance(0.15),
    burst: chance(0.05) ? 30 : 1,
    quarrel: chance(0.08),
  };
}
