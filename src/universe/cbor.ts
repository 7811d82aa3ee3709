/**
 * CBOR for small messages of this floor, through cbor-x in its pure JavaScript form (the native
 * addon kills Deno). cbor-x trusts claimed lengths (five bytes make it reserve an array of 2^28
 * places), so a message is walked first: definite lengths, no tags, bounded depth, nothing claimed
 * that is not there, nothing after the end.
 */
import { Decoder, Encoder } from "cbor-x/index-no-eval";
import { FrameError } from "./hello.ts";

/** Levels of nesting a message may have. */
const MAX_DEPTH = 8;

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

/** The message of a value made of arrays, plain objects, byte strings, text, numbers, booleans. */
export function encodeCbor(value: unknown): Uint8Array {
  return new Uint8Array(encoder.encode(value));
}

/** The value of a message of at most `maxBytes`; throws a `FrameError`. */
export function decodeCbor(bytes: Uint8Array, maxBytes: number): unknown {
  if (bytes.length > maxBytes) {
    throw new FrameError("length", `message of ${bytes.length} bytes, at most ${maxBytes}`);
  }
  if (walk(bytes, 0, MAX_DEPTH) !== bytes.length) {
    throw new FrameError("length", "message: bytes after its end");
  }
  try {
    return decoder.decode(bytes);
  } catch {
    throw new FrameError("shape", "message: not CBOR");
  }
}

/** Offset after the item at `at`. */
function walk(bytes: Uint8Array, at: number, depth: number): number {
  if (at >= bytes.length) throw new FrameError("length", "message: ends inside an item");
  const major = bytes[at] >> 5;
  const short = bytes[at++] & 31;
  if (major === 7) return simple(bytes, at, short);
  if (short > 27 || major === 6) throw new FrameError("shape", "message: a tag or open length");
  const width = short < 24 ? 0 : 1 << (short - 24);
  if (at + width > bytes.length) throw new FrameError("length", "message: ends inside an item");
  let value = short;
  if (width > 0) value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + bytes[at++];
  if (major < 2) return at;
  if (value > bytes.length - at) throw new FrameError("length", "message: claims too many bytes");
  if (major < 4) return at + value;
  if (depth === 0) throw new FrameError("shape", "message: nested too deep");
  for (let i = 0; i < value; i++) {
    if (major === 5) {
      if (bytes[at] >> 5 !== 3) throw new FrameError("shape", "message: a key that is not text");
      at = walk(bytes, at, 0);
    }
    at = walk(bytes, at, depth - 1);
  }
  return at;
}

/** false, true, null and float64. */
function simple(bytes: Uint8Array, at: number, short: number): number {
  if (short >= 20 && short <= 22) return at;
  if (short === 27 && at + 8 <= bytes.length) return at + 8;
  throw new FrameError("shape", "message: a simple value that is not used here");
}
