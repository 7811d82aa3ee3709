/**
 * The frames of the `aggregate` stream to whoever folds: u8 0 ‖ opened header; u8 1 ‖ the roster
 * that headers name. The other way go parts (`src/protocol/aggregate.ts`), or the header's hash
 * alone where there is nothing to hand over.
 */
import { Writer } from "../protocol/bytes.ts";
import { encodeOpened, type OpenedHeader } from "../protocol/opened.ts";
import type { Roster } from "../protocol/roster.ts";

/** First byte of a frame: an opened header, or the roster behind it. */
export const OPENED_FRAME = 0, ROSTER_FRAME = 1;

/** The frame of an opened header. */
export function openedFrame(opened: OpenedHeader): Uint8Array {
  return new Writer().u8(OPENED_FRAME).bytes(encodeOpened(opened)).end();
}

/** The frame of a roster. */
export function rosterFrame(roster: Roster): Uint8Array {
  return new Writer().u8(ROSTER_FRAME).bytes(roster.encode()).end();
}
