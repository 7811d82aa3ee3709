/**
 * Byte layouts are read and written here and nowhere else: little-endian integers, fixed fields,
 * and variable fields behind their u32 length. A `Reader` refuses what is short, long or out of
 * range, so that every value has one encoding and a decoder never looks past its input.
 */
import { ProtocolError } from "./errors.ts";

/** A `Uint8Array` that went through the check its name stands for. */
export type Branded<Name extends string> = Uint8Array & { readonly __is?: Name };

/** `H(header)`, 32 bytes: names a header and binds the pads made under it. */
export type HeaderHash = Branded<"HeaderHash">;
/** Hash of a record, 32 bytes: the link of the chain. */
export type RecordHash = Branded<"RecordHash">;
/** Hash of a committee manifest, 32 bytes: what a careful client pins. */
export type Fingerprint = Branded<"Fingerprint">;

/** 32 zero bytes. Never written to. */
export const ZERO32: Uint8Array = new Uint8Array(32);

/** The parts one after the other, in a new array. */
export function concat(...parts: Uint8Array[]): Uint8Array {
  return join(parts);
}

/** As `concat`; a full roster has more parts than a call may have arguments. */
function join(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Equality of two byte strings, looking at every byte whatever the first ones are. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}

/** Bytewise order: negative, zero or positive, as `Array.sort` wants it. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** True if every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  let any = 0;
  for (let i = 0; i < bytes.length; i++) any |= bytes[i];
  return any === 0;
}

/** `target[i] ^= source[i]`, a word at a time where both are aligned. Lengths must be equal. */
export function xorInto(target: Uint8Array, source: Uint8Array): void {
  if (target.length !== source.length) {
    throw new ProtocolError("length", `xor of ${source.length} bytes into ${target.length}`);
  }
  let i = 0;
  if (((target.byteOffset | source.byteOffset) & 3) === 0) {
    const words = target.length >>> 2;
    const t = new Int32Array(target.buffer, target.byteOffset, words);
    const s = new Int32Array(source.buffer, source.byteOffset, words);
    for (let w = 0; w < words; w++) t[w] ^= s[w];
    i = words << 2;
  }
  for (; i < target.length; i++) target[i] ^= source[i];
}

const DIGITS = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

/** Lower-case hexadecimal. */
export function hex(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i++) out += DIGITS[bytes[i]];
  return out;
}

/** Bytes of `text`, which must be `length` bytes as hex digits; else a `ProtocolError`. */
export function unhex(text: string, length: number): Uint8Array {
  if (text.length !== 2 * length || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new ProtocolError(
      "length",
      `expected ${2 * length} hex digits, got ${text.length} characters`,
    );
  }
  return Uint8Array.from({ length }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

/** Four bytes, little-endian. */
export function u32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  out[0] = value;
  out[1] = value >>> 8;
  out[2] = value >>> 16;
  out[3] = value >>> 24;
  return out;
}

/** Eight bytes, little-endian. */
export function u64(value: number): Uint8Array {
  return concat(u32(value >>> 0), u32(Math.floor(value / 2 ** 32)));
}

/** Appends fields to a growing layout. */
export class Writer {
  readonly #parts: Uint8Array[] = [];
  /** One byte. */
  u8(value: number): this {
    return this.bytes(Uint8Array.of(value));
  }
  /** Two bytes, little-endian. */
  u16(value: number): this {
    return this.bytes(Uint8Array.of(value, value >>> 8));
  }
  /** Four bytes, little-endian. */
  u32(value: number): this {
    return this.bytes(u32(value));
  }
  /** Eight bytes, little-endian; values are whole and at most 2^53 − 1. */
  u64(value: number): this {
    return this.bytes(u64(value));
  }
  /** A fixed field. */
  bytes(value: Uint8Array): this {
    this.#parts.push(value);
    return this;
  }
  /** A variable field behind its u32 length. */
  vector(value: Uint8Array): this {
    return this.u32(value.length).bytes(value);
  }
  /** The whole layout, in a new array. */
  end(): Uint8Array {
    return join(this.#parts);
  }
}

/** Takes fields off a layout, strictly. Fields are views of the input, not copies. */
export class Reader {
  #at = 0;
  readonly #view: DataView;
  constructor(readonly input: Uint8Array, readonly what: string) {
    if (!(input instanceof Uint8Array)) {
      throw new ProtocolError("type", `${what}: expected bytes, got ${typeof input}`);
    }
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  }
  /** Bytes not read yet. */
  get left(): number {
    return this.input.length - this.#at;
  }
  #take(length: number): number {
    if (length > this.left) {
      throw new ProtocolError(
        "length",
        `${this.what}: expected ${length} more bytes at offset ${this.#at}, ${this.left} are left`,
      );
    }
    const at = this.#at;
    this.#at += length;
    return at;
  }
  /** One byte. */
  u8(): number {
    return this.input[this.#take(1)];
  }
  /** Two bytes, little-endian. */
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  /** Four bytes, little-endian. */
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  /** Eight bytes, little-endian; over 2^53 − 1 is out of range. */
  u64(): number {
    const at = this.#take(8);
    const high = this.#view.getUint32(at + 4, true);
    if (high > 0x1fffff) this.fail("range", "an integer over 2^53 − 1");
    return high * 2 ** 32 + this.#view.getUint32(at, true);
  }
  /** A fixed field of `length` bytes. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.input.subarray(at, at + length);
  }
  /** A variable field of exactly `length` bytes, behind its u32 length. */
  vector(length: number, field: string): Uint8Array {
    const said = this.u32();
    if (said !== length) this.fail("range", `${field} of ${said} bytes, expected ${length}`);
    return this.bytes(length);
  }
  /** A variable field of `min`..`max` bytes, behind its u32 length. */
  bounded(min: number, max: number, field: string): Uint8Array {
    const said = this.u32();
    if (said < min || said > max) {
      this.fail("range", `${field} of ${said} bytes, expected ${min}..${max}`);
    }
    return this.bytes(said);
  }
  /** Refuses bytes that are left over. */
  end(): void {
    if (this.left !== 0) this.fail("trailing", `${this.left} bytes after its end`);
  }
  /** Throws a `ProtocolError` that names the layout. */
  fail(code: "range" | "trailing" | "encoding", message: string): never {
    throw new ProtocolError(code, `${this.what}: ${message}`);
  }
}
