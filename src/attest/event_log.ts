/**
 * The event log of a TDX guest (CCEL): what its firmware and kernel extended into the RTMRs, in
 * order. Replayed, it must give the RTMRs of the guest's quote; then each of its digests is vouched
 * for by the quote. The descriptions beside the digests are vouched for by nothing.
 *
 * Layout, integers little-endian; the first event names the algorithms of all others. Behind the
 * last one the table may go on with bytes that are all 0xff or all zero.
 *
 * ```text
 * first   u32 index ‖ u32 type (3) ‖ digest (20) ‖ u32 n ‖ n bytes:
 *           "Spec ID Event03\0" ‖ u32 platform class ‖ u8 minor ‖ u8 major ‖ u8 errata ‖ u8 size
 *           ‖ u32 count ‖ count of: u16 algorithm ‖ u16 bytes of its digest
 *           ‖ u8 n ‖ n bytes of the vendor
 * others  u32 index (1..4: RTMR0..3) ‖ u32 type ‖ u32 count ‖ count of: u16 algorithm ‖ digest
 *           ‖ u32 n ‖ n bytes
 * ```
 */
import { Reader } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { AttestationError } from "./reasons.ts";
import { extended, RTMR_BYTES } from "./rtmr.ts";

/** Bytes of a log with what follows it; tables have 64 KiB. */
export const MAX_EVENT_LOG_BYTES = 4_194_304;
/** Events of a log; a start of Linux makes fewer than a hundred. */
export const MAX_EVENTS = 4_096;
/** Algorithms of a log; TDX has one. */
export const MAX_ALGORITHMS = 8;
/** Bytes of a digest of any algorithm. */
const MAX_DIGEST_BYTES = 64;

/** TCG's number for SHA-384. */
export const SHA384 = 0x000c;
/** Type of an event that extends nothing. */
export const NO_ACTION = 3;
/** What the first event begins with. */
export const SPEC_ID = "Spec ID Event03\0";
const SHA1_BYTES = 20, REGISTERS = 4;

/** One event. */
export interface LoggedEvent {
  /** 0..3; undefined where it extends nothing. */
  readonly rtmr?: number;
  /** TCG's number of its type. */
  readonly type: number;
  /** SHA-384, 48 bytes. */
  readonly digest: Uint8Array;
  /** What the writer tells of it; not vouched for. */
  readonly data: Uint8Array;
}

/** The events of a log after the first, as views. Refuses as `event-log-malformed`. */
export function parseEventLog(bytes: Uint8Array): LoggedEvent[] {
  try {
    const reader = new Reader(bytes, "event log");
    if (bytes.length > MAX_EVENT_LOG_BYTES) reader.fail("range", `of ${bytes.length} bytes`);
    const sizes = readSpecId(reader), events: LoggedEvent[] = [];
    while (!padded(bytes, reader)) {
      if (events.length === MAX_EVENTS) reader.fail("range", `of over ${MAX_EVENTS} events`);
      events.push(readEvent(reader, sizes));
    }
    return events;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new AttestationError("event-log-malformed", error.message);
  }
}

/** Whether nothing but filling is left. */
function padded(bytes: Uint8Array, { left }: Reader): boolean {
  const rest = bytes.subarray(bytes.length - left), [first] = rest;
  return left === 0 || (first === 0 || first === 0xff) && rest.every((byte) => byte === first);
}

/** The first event: bytes of a digest by algorithm. */
function readSpecId(reader: Reader): ReadonlyMap<number, number> {
  if (reader.u32() > REGISTERS) reader.fail("range", "a first event of no register");
  const type = reader.u32();
  if (type !== NO_ACTION) reader.fail("range", `a first event of type ${type}, expected 3`);
  reader.bytes(SHA1_BYTES);
  const event = new Reader(reader.bytes(reader.u32()), "event log, first event");
  const name = String.fromCharCode(...event.bytes(SPEC_ID.length));
  if (name !== SPEC_ID) event.fail("encoding", `expected "${SPEC_ID.slice(0, -1)}"`);
  event.bytes(8);
  const count = event.u32(), sizes = new Map<number, number>();
  if (count > MAX_ALGORITHMS) event.fail("range", `${count} algorithms, at most ${MAX_ALGORITHMS}`);
  for (let i = 0; i < count; i++) {
    const algorithm = event.u16(), size = event.u16();
    if (sizes.has(algorithm)) event.fail("encoding", `algorithm ${algorithm} stands twice`);
    if (size > MAX_DIGEST_BYTES) event.fail("range", `a digest of ${size} bytes`);
    sizes.set(algorithm, size);
  }
  event.bytes(event.u8());
  event.end();
  if (sizes.get(SHA384) !== RTMR_BYTES) event.fail("range", "no SHA-384 of 48 bytes");
  return sizes;
}

function readEvent(reader: Reader, sizes: ReadonlyMap<number, number>): LoggedEvent {
  const index = reader.u32(), type = reader.u32(), recorded = type !== NO_ACTION;
  if (index > REGISTERS || (index === 0 && recorded)) {
    reader.fail("range", `an event of register ${index}, expected 1..${REGISTERS}`);
  }
  const digests = new Map<number, Uint8Array>(), count = reader.u32();
  if (count > sizes.size) reader.fail("range", `${count} digests, expected ${sizes.size} at most`);
  for (let i = 0; i < count; i++) {
    const algorithm = reader.u16(), size = sizes.get(algorithm);
    if (size === undefined || digests.has(algorithm)) {
      reader.fail("encoding", `a digest of algorithm ${algorithm}, unknown or twice`);
    }
    digests.set(algorithm, reader.bytes(size));
  }
  const digest = digests.get(SHA384);
  if (digest === undefined) reader.fail("encoding", "an event without SHA-384");
  const data = reader.bytes(reader.u32());
  return { ...recorded ? { rtmr: index - 1 } : {}, type, digest, data };
}

/** RTMR0..3 after these events, 48 bytes each. */
export function replayEvents(events: readonly LoggedEvent[]): Uint8Array[] {
  return Array.from(
    { length: REGISTERS },
    (_, i) => extended(events.filter(({ rtmr }) => rtmr === i).map(({ digest }) => digest)),
  );
}
