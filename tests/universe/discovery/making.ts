/** Entries and catalogs for tests of discovery. */
import { signer } from "../../../src/protocol/keys.ts";
import { Catalog, type CatalogOptions } from "../../../src/universe/discovery/catalog.ts";
import {
  type Departure,
  type Entry,
  signDeparture,
  signEntry,
  type Statement,
} from "../../../src/universe/discovery/entry.ts";

export const UNIVERSE = new Uint8Array(32).fill(0x11);
export const INSTANCE = new Uint8Array(32).fill(0x22);
export const START = 1_800_000_000_000;

/** The signer of node `n`. */
export function nodeOf(n: number) {
  return signer(Uint8Array.from({ length: 32 }, (_, i) => i < 4 ? n >> (8 * i) : 7));
}

/** An entry of node `n`, made at `START` but for what is said. */
export function entryOf(n: number, statement: Partial<Statement> = {}): Entry {
  return signEntry(nodeOf(n), statementOf(statement));
}

export function statementOf(statement: Partial<Statement> = {}): Statement {
  const started = statement.started ?? START;
  return {
    universe: UNIVERSE,
    updated: started,
    addresses: ["/memory/a"],
    tags: ["server"],
    streams: [],
    instances: [INSTANCE],
    tickets: [],
    ...statement,
    started,
  };
}

export function departureOf(n: number, started = START, updated = started): Departure {
  return signDeparture(nodeOf(n), { universe: UNIVERSE, started, updated });
}

/** A catalog over a clock of its own, and what it said. */
export function catalogOf(options: Partial<CatalogOptions> = {}) {
  const time = { now: START };
  const changes: string[] = [];
  const catalog = new Catalog({
    clock: { now: () => time.now, wall: () => time.now, after: () => () => {} },
    universe: UNIVERSE,
    self: "",
    instance: INSTANCE,
    kept: () => false,
    changed: (kind, peer) => void changes.push(`${kind} ${peer.id}`),
    own() {},
    ...options,
  });
  return { catalog, time, changes };
}
