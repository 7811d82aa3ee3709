/**
 * What shows when a ticket was made: the newest record that its maker knew, which nobody could know
 * before it was certified. Without it a host could set its guest's clock ahead and lay tickets in
 * stock.
 *
 * Freshness, 40 bytes: u64 round of that record ‖ hash of the record that it extends; zeros where
 * there is none. A verifier judges it by the records that it has.
 */
import { equal, Reader, Writer } from "../protocol/bytes.ts";
import { peekPlace, type Place, PLACE_BYTES } from "../protocol/header.ts";
import { FRESHNESS_BYTES, type Ticket } from "../attest/ticket.ts";
import type { Records } from "./records.ts";

/** How long after a ticket's record was the newest the ticket may begin: clocks differ, ms. */
export const FRESH_MS = 180_000;

/** What a maker knows that knows no record. */
export const NO_RECORD: Uint8Array = new Uint8Array(FRESHNESS_BYTES);

/** Whether a ticket was made when it says; `ahead`: it names a later record than is known here. */
export type Fresh = "fresh" | "stale" | "ahead";

/** The freshness of a ticket that is made now, by one who has these records. */
export function freshnessOf(records: Records): Uint8Array {
  const newest = placeAt(records, records.newest);
  return newest ? new Writer().u64(newest.round).bytes(newest.previous).end() : NO_RECORD;
}

/** Judges the freshness of a ticket by the records that are here. */
export function judgeFreshness(
  { freshness, from }: Pick<Ticket, "freshness" | "from">,
  records: Records,
): Fresh {
  const reader = new Reader(freshness, "freshness");
  const round = reader.u64(), previous = reader.bytes(32);
  if (round > records.newest) return "ahead";
  const named = placeAt(records, round);
  const known = round >= records.oldest && records.oldest > 0 && round > 0;
  if (known && !(named && equal(named.previous, previous))) return "stale";
  const next = placeAt(records, round + 1, true);
  return !next || from <= next.time + FRESH_MS ? "fresh" : "stale";
}

/** Places that were read last, by where from: tickets that are made at one time name the same. */
const MAX_PLACES = 16;
const places = new WeakMap<Records, Map<number, Place>>();

/** The place of the record of a round, or of the first one from it on. */
function placeAt(records: Records, round: number, orLater = false): Place | undefined {
  if (records.newest === 0 || round === 0 || round > records.newest) return undefined;
  const known = places.get(records) ?? new Map<number, Place>();
  places.set(records, known);
  // Records are only added, and rise: what was the first from a round on stays so.
  let place = known.get(round);
  if (!place) {
    const [first] = records.read(round, 1, 1);
    if (!first) return undefined;
    place = peekPlace(first.bytes.slice(0, PLACE_BYTES));
    if (known.size >= MAX_PLACES) known.delete(known.keys().next().value!);
    known.set(round, place);
  }
  return orLater || place.round === round ? place : undefined;
}
