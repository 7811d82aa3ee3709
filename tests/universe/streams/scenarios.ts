/** All scenarios of typed streams, by name. */
import { consumerAuth, producerAuth } from "./auth.ts";
import { declared } from "./declared.ts";
import { smoke } from "./smoke.ts";
import { tickets } from "./tickets.ts";
import { consumerWhen, producerLimits, producerWhen, stats } from "./when.ts";
import type { Scenario } from "./world.ts";

const AREAS: Readonly<Record<string, Readonly<Record<string, Scenario>>>> = {
  "streams smoke": smoke,
  "streams consumer/auth": consumerAuth,
  "streams consumer/when": consumerWhen,
  "streams producer/auth": producerAuth,
  "streams producer/limits": producerLimits,
  "streams producer/when": producerWhen,
  "streams stats": stats,
  "streams declare": declared,
  "tickets jwt": tickets,
};

/** Name and scenario. */
export const SCENARIOS: readonly (readonly [string, Scenario])[] = Object.entries(AREAS)
  .flatMap(([area, scenarios]) =>
    Object.entries(scenarios).map(([name, play]) => [`${area}: ${name}`, play] as const)
  );
