/** DER as it is written, for the simulated platform: definite lengths, minimal integers. */
import { concat } from "../protocol/bytes.ts";
import { TAG } from "./der.ts";

/** One value of a tag around the parts. */
export function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const content = concat(...parts), { length } = content;
  const head = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : length < 0x10000
    ? [0x82, length >>> 8, length & 0xff]
    : [0x83, length >>> 16, (length >>> 8) & 0xff, length & 0xff];
  return concat(Uint8Array.of(tag, ...head), content);
}

/** A sequence. */
export function sequence(...parts: Uint8Array[]): Uint8Array {
  return der(TAG.sequence, ...parts);
}

/** An integer that is not negative, of big-endian bytes or of a number below 2^32. */
export function integer(value: Uint8Array | number, tag: number = TAG.integer): Uint8Array {
  const bytes = typeof value === "number"
    ? Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
    : value;
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const minimal = bytes.subarray(from);
  return der(tag, minimal[0] >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0), minimal);
}

/** A boolean. */
export function boolean(value: boolean): Uint8Array {
  return der(TAG.boolean, Uint8Array.of(value ? 0xff : 0));
}

/** An object identifier in dotted form. */
export function oid(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const bytes = [40 * first + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift(128 + left % 128);
    }
    return groups;
  });
  return der(TAG.oid, Uint8Array.from(bytes));
}

/** Octets. */
export function octets(bytes: Uint8Array): Uint8Array {
  return der(TAG.octets, bytes);
}

/** A bit string of whole bytes. */
export function wholeBits(bytes: Uint8Array): Uint8Array {
  return der(TAG.bits, Uint8Array.of(0), bytes);
}

/** Named bits, the first one highest; not all zero. */
export function namedBits(bits: number): Uint8Array {
  let unused = 0;
  while ((bits & (1 << unused)) === 0) unused++;
  return der(TAG.bits, Uint8Array.of(unused, bits));
}

/** Text. */
export function utf8(text: string): Uint8Array {
  return der(TAG.utf8, new TextEncoder().encode(text));
}

/** A time of Unix ms: UTCTime until 2049, GeneralizedTime from 2050. */
export function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, "") + "Z";
  const long = digits >= "2050";
  const text = new TextEncoder().encode(long ? digits : digits.slice(2));
  return der(long ? TAG.generalizedTime : TAG.utcTime, text);
}
