/**
 * DER (X.690), as far as X.509 and its revocation lists need it, and nothing that has two readings:
 * tags of one byte, definite lengths in their shortest form, minimal integers, booleans 00 or FF,
 * no bytes left over. Every refusal carries the code of what is being read.
 *
 * A reader hands out views of its input. It does not descend by itself, so input cannot make it
 * recurse.
 */
import { AttestationError, type ReasonCode } from "./reasons.ts";

/** Tags in use. */
export const TAG = {
  ...{ boolean: 0x01, integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, enumerated: 0x0a },
  ...{ utf8: 0x0c, printable: 0x13, utcTime: 0x17, generalizedTime: 0x18 },
  ...{ sequence: 0x30, set: 0x31, explicit0: 0xa0, explicit3: 0xa3 },
} as const;

/** One value: its tag, its content, and both with the length between as they stand in the input. */
export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

/** Takes values off a run of DER. */
export class DerReader {
  #at = 0;
  constructor(readonly input: Uint8Array, readonly code: ReasonCode) {}

  /** Whether all was read. */
  get done(): boolean {
    return this.#at === this.input.length;
  }

  /** Throws an `AttestationError` with this reader's code. */
  fail(detail: string): never {
    throw new AttestationError(this.code, detail);
  }

  /** Whether the next value has this tag. */
  next(tag: number): boolean {
    return !this.done && this.input[this.#at] === tag;
  }

  /** The next value; of this tag, if one is given. */
  element(tag?: number): Element {
    const from = this.#at, input = this.input;
    if (input.length - from < 2) this.fail(`expected a value at byte ${from}, the input ends`);
    const found = input[from];
    if ((found & 0x1f) === 0x1f) this.fail(`a tag of more than one byte at byte ${from}`);
    if (tag !== undefined && found !== tag) {
      this.fail(`expected tag ${tag.toString(16)} at byte ${from}, got ${found.toString(16)}`);
    }
    let at = from + 2, length = input[from + 1];
    if (length >= 0x80) {
      const bytes = length - 0x80;
      if (bytes < 1 || bytes > 3) this.fail(`a length of ${bytes} bytes at byte ${from}`);
      if (input.length - at < bytes) this.fail(`the input ends within a length at byte ${from}`);
      length = 0;
      for (let i = 0; i < bytes; i++) length = length * 256 + input[at++];
      if (length < (bytes === 1 ? 0x80 : 256 ** (bytes - 1))) {
        this.fail(`a length that is not minimal at byte ${from}`);
      }
    }
    if (input.length - at < length) {
      this.fail(`${length} bytes announced at byte ${from}, ${input.length - at} are left`);
    }
    this.#at = at + length;
    return {
      tag: found,
      content: input.subarray(at, this.#at),
      whole: input.subarray(from, this.#at),
    };
  }

  /** The inside of the next value, which must have this tag. */
  inside(tag: number = TAG.sequence): DerReader {
    return new DerReader(this.element(tag).content, this.code);
  }

  /** Refuses what is left over. */
  end(): void {
    if (!this.done) this.fail(`${this.input.length - this.#at} bytes left over`);
  }

  /** An integer that is not negative, at most `most` bytes, without its sign byte. */
  unsigned(most: number, tag: number = TAG.integer): Uint8Array {
    const { content } = this.element(tag);
    if (content.length === 0 || content[0] >= 0x80) this.fail("an empty or negative integer");
    if (content.length > 1 && content[0] === 0 && content[1] < 0x80) {
      this.fail("an integer that is not minimal");
    }
    const bytes = content[0] === 0 && content.length > 1 ? content.subarray(1) : content;
    if (bytes.length > most) this.fail(`an integer of ${bytes.length} bytes, expected ${most}`);
    return bytes;
  }

  /** An integer of 0..`most`, which is below 2^32. */
  integer(most: number, tag?: number): number {
    const value = this.unsigned(4, tag).reduce((sum, byte) => sum * 256 + byte, 0);
    if (value > most) this.fail(`an integer of ${value}, expected ${most} at most`);
    return value;
  }

  /** A boolean. */
  boolean(): boolean {
    const { content } = this.element(TAG.boolean);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
      this.fail("a boolean other than 00 or FF");
    }
    return content[0] === 0xff;
  }

  /** A boolean that stands only where it is true, as DER wants of a default of false. */
  flag(): boolean {
    if (!this.next(TAG.boolean)) return false;
    return this.boolean() || this.fail("a default that is written out");
  }

  /** An object identifier, dotted. */
  oid(): string {
    const { content } = this.element(TAG.oid);
    if (content.length === 0 || content.length > 32 || content.at(-1)! >= 0x80) {
      this.fail("an object identifier of no or too many bytes, or cut");
    }
    const arcs: number[] = [];
    let arc = 0, first = true;
    for (const byte of content) {
      if (first && byte === 0x80) this.fail("an object identifier that is not minimal");
      arc = arc * 128 + (byte & 0x7f);
      if (arc > 0xffffffff) this.fail("an object identifier with an arc over 32 bits");
      first = byte < 0x80;
      if (first) {
        arcs.push(arc);
        arc = 0;
      }
    }
    const root = Math.min(2, Math.floor(arcs[0] / 40));
    return [root, arcs[0] - 40 * root, ...arcs.slice(1)].join(".");
  }

  /** A bit string of whole bytes. */
  wholeBits(): Uint8Array {
    const { content } = this.element(TAG.bits);
    if (content.length < 1 || content[0] !== 0) this.fail("a bit string that is not whole bytes");
    return content.subarray(1);
  }

  /** A bit string of named bits, 8 at most, the first one highest; unused bits are zero. */
  namedBits(): number {
    const { content } = this.element(TAG.bits);
    const [unused, bits] = content;
    if (content.length !== 2 || unused > 7) this.fail("named bits of other than one byte");
    // DER cuts trailing zero bits off a list of named bits.
    if ((bits & ((1 << unused) - 1)) !== 0 || (bits & (1 << unused)) === 0) {
      this.fail("named bits that are not minimal");
    }
    return bits;
  }

  /** A UTCTime until 2049 or a GeneralizedTime from 2050, to the second, UTC; as Unix ms. */
  time(): number {
    const { tag, content } = this.element();
    const text = String.fromCharCode(...content.subarray(0, 20));
    const digits = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
    const short = tag === TAG.utcTime && text.length === 13;
    const long = tag === TAG.generalizedTime && text.length === 15;
    if (!digits || !(short || long)) this.fail("a time that is not whole seconds of UTC");
    const [given, month, day, hour, minute, second] = digits.slice(1).map(Number);
    const year = long ? given : given + (given < 50 ? 2000 : 1900);
    if (long && year < 2050) this.fail("a GeneralizedTime before 2050");
    const ms = Date.UTC(year, month - 1, day, hour, minute, second);
    const back = new Date(ms).toISOString().replace(/[-:T]|\.000/g, "");
    if (back.slice(long ? 0 : 2) !== text) this.fail(`${text} is no date`);
    return ms;
  }
}
