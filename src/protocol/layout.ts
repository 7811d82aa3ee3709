/**
 * Which reservations of a record are granted, and where their slots lie in the next round. The
 * layout is a function of the record, so nobody sends it; the order depends on the opened vectors,
 * so nobody can grind for a place.
 */
import { compare, type HeaderHash, type RecordHash } from "./bytes.ts";
import { hash } from "./hash.ts";
import { type Parameters, unitsOf } from "./parameters.ts";
import { decodeSchedule } from "./schedule.ts";

/** A granted slot; offset and length are bytes within the message vector. */
export interface Grant {
  readonly commitment: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

/** The grants in slot order, and what a sender needs to know of the rest. */
export interface Layout {
  readonly grants: readonly Grant[];
  /** Bytes of the message vector. */
  readonly bytes: number;
  /** Whether the schedule decoded to its last entry. */
  readonly complete: boolean;
}

/** No grants: what follows genesis, and every header with carry 0. */
export const NO_GRANTS: Layout = { grants: [], bytes: 0, complete: true };

/** The layout that a record grants to the next round. */
export function layoutOf(
  record: {
    readonly hash: RecordHash;
    readonly schedule: Uint8Array;
    readonly header: { readonly hash: HeaderHash };
  },
  parameters: Parameters,
): Layout {
  const { entries, complete } = decodeSchedule(record.schedule, record.header.hash);
  const most = unitsOf(parameters.maxMessageBytes);
  const ordered = entries
    .filter((entry) => entry.flags === 0 && entry.units >= 1 && entry.units <= most)
    .map((entry) => ({ entry, key: hash("order", record.hash, entry.commitment) }))
    .sort((a, b) => compare(a.key, b.key));
  const grants: Grant[] = [];
  let bytes = 0;
  for (const { entry } of ordered) {
    const length = 64 * entry.units;
    if (grants.length === parameters.maxTalkers) break;
    if (bytes + length > parameters.maxVectorBytes) continue;
    grants.push({ commitment: entry.commitment, offset: bytes, length });
    bytes += length;
  }
  return { grants, bytes, complete };
}
