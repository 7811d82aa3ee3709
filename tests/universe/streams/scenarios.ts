/** All scenarios of typed streams, by name. */
import { smoke } from "./smoke.ts";
import type { Scenario } from "./world.ts";

const AREAS: Readonly<Record<string, Readonly<Record<string, Scenario>>>> = {
  "streams smoke": smoke,
};

/** Name and scenario. */
export const SCENARIOS: readonly (readonly [string, Scenario])[] = Object.entries(AREAS)
  .flatMap(([area, scenarios]) =>
    Object.entries(scenarios).map(([name, play]) => [`${area}: ${name}`, play] as const)
  );
