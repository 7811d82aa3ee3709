/** A simulated authority and machine for tests, the same bytes at every run. */
import {
  type AuthorityChanges,
  type SimulatedAuthority,
  simulatedAuthority,
} from "../../src/attest/simulated_authority.ts";
import {
  type PlatformChanges,
  type SimulatedPlatform,
  simulatedPlatform,
} from "../../src/attest/simulated_platform.ts";
import { Random } from "../protocol/random.ts";

/** When it plays. */
export const NOW = Date.UTC(2026, 0, 1);
/** What the guests put into their quotes. */
export const REPORT_DATA = new Random(64).bytes(64);

/** Seeded bytes. */
export function seeded(seed: number): (length: number) => Uint8Array {
  const random = new Random(seed);
  return (length) => random.bytes(length);
}

export const authority: SimulatedAuthority = simulatedAuthority(seeded(1), NOW);
export const platform: SimulatedPlatform = simulatedPlatform(authority, seeded(2), NOW);

/** Another authority, which believes in itself. */
export function otherAuthority(changes?: AuthorityChanges): SimulatedAuthority {
  return simulatedAuthority(seeded(3), NOW, changes);
}

/** The machine again, with something changed. */
export function changedPlatform(changes: PlatformChanges): SimulatedPlatform {
  return simulatedPlatform(authority, seeded(2), NOW, changes);
}
