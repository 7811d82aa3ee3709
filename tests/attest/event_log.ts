/** Event logs made for tests, as the firmware of a TDX guest writes them. */
import { concat, u32 } from "../../src/protocol/bytes.ts";
import { NO_ACTION, SHA384, SPEC_ID } from "../../src/attest/event_log.ts";

/** Two bytes, little-endian. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8);
}

/** What the first event has other than usual. */
export interface SpecIdChanges {
  readonly index?: number;
  readonly type?: number;
  readonly name?: string;
  /** Algorithms and the bytes of their digests. */
  readonly algorithms?: readonly (readonly [algorithm: number, size: number])[];
  readonly count?: number;
  readonly vendor?: Uint8Array;
  /** What the event says of its own length, less what it is. */
  readonly more?: number;
}

/** A log's first event. */
export function specId(changes: SpecIdChanges = {}): Uint8Array {
  const { algorithms = [[SHA384, 48]], vendor = new Uint8Array(0), more = 0 } = changes;
  const event = concat(
    new TextEncoder().encode(changes.name ?? SPEC_ID),
    Uint8Array.of(0, 0, 0, 0, 0, 2, 0, 2),
    u32(changes.count ?? algorithms.length),
    ...algorithms.map(([algorithm, size]) => concat(u16(algorithm), u16(size))),
    Uint8Array.of(vendor.length),
    vendor,
  );
  const head = concat(u32(changes.index ?? 1), u32(changes.type ?? NO_ACTION), new Uint8Array(20));
  return concat(head, u32(event.length + more), event);
}

/** One event: its register as the log counts (RTMR0 is 1), its digest, and what is told of it. */
export function event(
  index: number,
  digest: Uint8Array,
  { type = 8, text = "told", more = [] as readonly Uint8Array[] } = {},
): Uint8Array {
  const digests = [concat(u16(SHA384), digest), ...more];
  const told = new TextEncoder().encode(text);
  const head = concat(u32(index), u32(type), u32(digests.length), ...digests);
  return concat(head, u32(told.length), told);
}
