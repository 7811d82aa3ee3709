/**
 * Repeatable randomness for the simulated universe: sfc32 (Chris Doty-Humphrey, PractRand), with
 * one independent stream per label. Never for anything secret outside a simulation.
 */
import type { Random } from "./environment.ts";

/** A seeded generator. */
export class Seeded {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  /** The stream of a label under a seed. */
  constructor(readonly seed: number | string, label = "") {
    const text = `${seed}\u0000${label}`;
    this.#a = fnv(text, 0x811c9dc5);
    this.#b = fnv(text, 0x9e3779b9);
    this.#c = fnv(text, 0x243f6a88);
    for (let i = 0; i < 15; i++) this.u32();
  }

  /** A number in 0..2^32 − 1. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21 | this.#c >>> 11) + sum) | 0;
    return sum >>> 0;
  }

  /** A number in [0, 1). */
  real(): number {
    return this.u32() / 2 ** 32;
  }

  /** Bytes of this stream. */
  readonly bytes: Random = (length) => {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.u32();
      for (let j = i; j < i + 4 && j < length; j++) out[j] = word >>> (8 * (j - i));
    }
    return out;
  };
}

/** FNV-1a with a final mix (Murmur3's). */
function fnv(text: string, basis: number): number {
  let h = basis | 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}
