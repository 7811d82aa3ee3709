/**
 * Frames of a typed stream, after the hello of the `Network`. The consumer opens the stream; data
 * flow from the producer to it. Integers are u32, little-endian; every frame starts with its type.
 *
 * | type | name | from | then |
 * |---|---|---|---|
 * | 0 | subscribe | consumer | u8 version = 1 ‖ items ‖ bytes of its window ‖ criteria (empty: everything) |
 * | 1 | accepted | producer | u8 version = 1 ‖ items ‖ bytes of the window that holds, each at most as asked |
 * | 2 | datum | producer | its bytes, as the stream's codec has them |
 * | 3 | beat | both | nothing: the sender lives |
 * | 4 | close | both | u8 reason; the last frame |
 * | 5 | credit | consumer | items ‖ bytes that left its queue, and may be sent anew |
 *
 * Subscribe is the first frame of the consumer, accepted or close the first of the producer. Data
 * that were sent and not credited never exceed the window.
 */
import { FrameError } from "../hello.ts";

/** The version of this layout. */
export const STREAMS_VERSION = 1;
/** Bytes of a datum's frame beside the datum. */
export const DATUM_HEADER = 1;
/** Bytes of the longest frame that carries no datum. */
export const MAX_CONTROL = 10;

/** Why one side of a typed stream ends it, in the order of the wire numbers. */
export const CLOSE_REASONS = [
  /** The consumer wants no more. */
  "Cancelled",
  /** A predicate or a ticket validator refuses the other side. */
  "NotAllowed",
  /** Nothing is produced under this name here. */
  "NotFound",
  /** The producer has as many consumers as it takes. */
  "NoCapacity",
  /** The consumer did not keep up. */
  "TooSlow",
  /** The producer ends. */
  "Shutdown",
  /** The other side broke the layout, the window or the codec. */
  "Violation",
  /** The other side is of another universe or instance. */
  "OtherUniverse",
  /** The other side's tickets hold no more. */
  "Expired",
  /** The producer does not know the consumer's entry, or cannot get its tickets. */
  "Unknown",
] as const;

/** One of them. */
export type CloseReason = typeof CLOSE_REASONS[number];

/** How much may be under way: data, and their bytes. */
export interface Window {
  readonly items: number;
  readonly bytes: number;
}

/** A decoded frame. */
export type Frame =
  | { readonly type: "subscribe"; readonly window: Window }
  | { readonly type: "accepted"; readonly window: Window }
  | { readonly type: "datum"; readonly bytes: Uint8Array }
  | { readonly type: "beat" }
  | { readonly type: "close"; readonly reason: CloseReason }
  | { readonly type: "credit"; readonly window: Window };

const SUBSCRIBE = 0, ACCEPTED = 1, DATUM = 2, BEAT = 3, CLOSE = 4, CREDIT = 5;

/** The frame of a beat. */
export const BEAT_FRAME: Uint8Array = Uint8Array.of(BEAT);

/** The first frame of a consumer. */
export function subscribeFrame(window: Window): Uint8Array {
  return windowFrame([SUBSCRIBE, STREAMS_VERSION], window);
}

/** The first frame of a producer that admits. */
export function acceptedFrame(window: Window): Uint8Array {
  return windowFrame([ACCEPTED, STREAMS_VERSION], window);
}

/** What left the consumer's queue. */
export function creditFrame(window: Window): Uint8Array {
  return windowFrame([CREDIT], window);
}

/** The frame of a datum, with a copy of its bytes. */
export function datumFrame(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(DATUM_HEADER + bytes.length);
  out[0] = DATUM;
  out.set(bytes, DATUM_HEADER);
  return out;
}

/** The last frame of a side. */
export function closeFrame(reason: CloseReason): Uint8Array {
  return Uint8Array.of(CLOSE, CLOSE_REASONS.indexOf(reason));
}

/** Reads a frame strictly; a datum's bytes are a view of it. Throws a `FrameError`. */
export function decodeFrame(frame: Uint8Array): Frame {
  switch (frame[0]) {
    case SUBSCRIBE:
      return { type: "subscribe", window: versioned(frame, "subscribe") };
    case ACCEPTED:
      return { type: "accepted", window: versioned(frame, "accepted") };
    case DATUM:
      return { type: "datum", bytes: frame.subarray(DATUM_HEADER) };
    case BEAT:
      exactly(frame, 1, "beat");
      return { type: "beat" };
    case CLOSE: {
      exactly(frame, 2, "close");
      const reason = CLOSE_REASONS[frame[1]];
      if (reason === undefined) throw new FrameError("range", `close: reason ${frame[1]}`);
      return { type: "close", reason };
    }
    case CREDIT:
      exactly(frame, 9, "credit");
      return { type: "credit", window: windowAt(frame, 1) };
    case undefined:
      throw new FrameError("length", "a typed stream's frame without a type");
    default:
      throw new FrameError("range", `a typed stream's frame of type ${frame[0]}, expected 0..5`);
  }
}

function versioned(frame: Uint8Array, what: string): Window {
  exactly(frame, 10, what);
  if (frame[1] !== STREAMS_VERSION) {
    throw new FrameError("range", `${what}: version ${frame[1]}, expected ${STREAMS_VERSION}`);
  }
  return windowAt(frame, 2);
}

function exactly(frame: Uint8Array, length: number, what: string): void {
  if (frame.length !== length) {
    throw new FrameError("length", `${what} of ${frame.length} bytes, expected ${length}`);
  }
}

function windowAt(frame: Uint8Array, at: number): Window {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return { items: view.getUint32(at, true), bytes: view.getUint32(at + 4, true) };
}

function windowFrame(head: readonly number[], { items, bytes }: Window): Uint8Array {
  const out = new Uint8Array(head.length + 8);
  out.set(head);
  const view = new DataView(out.buffer);
  view.setUint32(head.length, items, true);
  view.setUint32(head.length + 4, bytes, true);
  return out;
}
