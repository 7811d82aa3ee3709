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
import type { Places } from "./records.ts";

/** How long after a ticket's record was the newest the ticket may begin: clocks differ, ms. */
export const FRESH_MS = 180_000;

/** What a maker knows that knows no record. */
export const NO_RECORD: Uint8Array = new Uint8Array(FRESHNESS_BYTES);

/** Whether a ticket was made when it says; `ahead`: it names a later record than is known here. */
export type Fresh = "fresh" | "stale" | "ahead";

/** The freshness of a ticket that is made now, by one who has these records. */
export function freshnessOf(records: Places): Uint8Array {
  const newest = placeAt(records, records.newest);
  return newest ? new Writer().u64(newest.round).bytes(newest.previous).end() : NO_RECORD;
}

/** Judges the freshness of a ticket by the records that are here. */
export function judgeFreshness(
  { freshness, from }: Pick<Ticket, "freshness" | "from">,
  records: Places,
): Fresh {
  const reader = new Reader(freshness, "freshness");
  const round = reader.u64(), previous = reader.bytes(32);
  if (round > records.newest) return "ahead";
  const named = placeAt(records, round), oldest = placeFrom(records, 1);
  const known = oldest !== undefined && round >= oldest.round;
  if (known && !(named && equal(named.previous, previous))) return "stale";
  const next = placeFrom(records, round + 1);
  return !next || from <= next.time + FRESH_MS ? "fresh" : "stale";
}

/** Places that were read last, by where from: tickets that are made at one time name the same. */
const MAX_READ_PLACES = 16;
const read = new WeakMap<Places, Map<number, Place>>();

/** The place of the record of a round. */
function placeAt(records: Places, round: number): Place | undefined {
  const place = round > 0 ? placeFrom(records, round) : undefined;
  return place?.round === round ? place : undefined;
}

/** The place of the first record from a round on. */
function placeFrom(records: Places, round: number): Place | undefined {
  if (round > records.newest) return undefined;
  const known = read.get(records) ?? new Map<number, Place>();
  read.set(records, known);
  // Records are only added, and rise: what was the first from a round on stays so, or is forgotten.
  let place = known.get(round);
  if (!place) {
    const first = records.place(round);
    if (!first) return undefined;
    place = peekPlace(first.bytes.slice(0, PLACE_BYTES));
    if (known.size >= MAX_READ_PLACES) known.delete(known.keys().next().value!);
    known.set(round, place);
  }
  return place;
}
