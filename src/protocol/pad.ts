/**
 * Pads: the keystreams that a client XORs into its vectors and that servers take out again. Suite
 * `xchacha20`: XChaCha20 under the pair key, nonce = first 24 bytes of the header hash, counter
 * from 0. XChaCha20 is ChaCha20 under a sub-key (HChaCha20 of key and first 16 nonce bytes, with
 * the last 8 as the rest of the nonce; draft-irtf-cfrg-xchacha-03). The sub-key comes from noble;
 * the stream from `node:crypto`, whose ChaCha20 is assembly, or, where the call costs more than
 * the work, from noble.
 */
import { createCipheriv } from "node:crypto";
import { chacha20, hchacha } from "@noble/ciphers/chacha.js";
import { ProtocolError } from "./errors.ts";
import type { HeaderHash } from "./bytes.ts";
import type { Suite } from "./parameters.ts";

/** Makes the pads of one suite. */
export interface PadCipher {
  readonly suite: Suite;
  /**
   * `bytes` ⊕ the pad of pair `key` under header `h`, from the pad's first byte. The result may
   * be a new array; the input is not changed.
   */
  apply(key: Uint8Array, h: HeaderHash, bytes: Uint8Array): Uint8Array;
}

/** Below this many bytes noble is faster than a call into `node:crypto` (`deno task bench`). */
export const NATIVE_FROM = 512;

const SIGMA = Uint32Array.from([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);

/** XChaCha20 over whichever implementation is faster at the size. */
export const xchacha20: PadCipher = {
  suite: "xchacha20",
  apply(key, h, bytes) {
    const subKey = new Uint32Array(8), pairKey = words(key, 8);
    hchacha(SIGMA, pairKey, words(h.subarray(0, 16), 4), subKey);
    pairKey.fill(0);
    const streamKey = new Uint8Array(subKey.buffer);
    const iv = new Uint8Array(16);
    iv.set(h.subarray(16, 24), 8);
    let out: Uint8Array;
    if (bytes.length < NATIVE_FROM) {
      out = chacha20(streamKey, iv.subarray(4), bytes);
    } else {
      const cipher = createCipheriv("chacha20", streamKey, iv);
      const sealed = cipher.update(bytes);
      cipher.final();
      out = new Uint8Array(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    }
    streamKey.fill(0);
    return out;
  },
};

function words(bytes: Uint8Array, count: number): Uint32Array {
  const copy = new Uint8Array(4 * count);
  copy.set(bytes.subarray(0, 4 * count));
  return new Uint32Array(copy.buffer);
}

/** The cipher of a suite, or a `ProtocolError` for one that this build does not have. */
export function padCipher(suite: Suite): PadCipher {
  if (suite !== "xchacha20") {
    throw new ProtocolError("range", `pad suite ${suite} is not in this build, expected xchacha20`);
  }
  return xchacha20;
}

/** `bytes` ⊕ the pads of all `keys` under `h`. */
export function applyPads(
  cipher: PadCipher,
  keys: readonly Uint8Array[],
  h: HeaderHash,
  bytes: Uint8Array,
): Uint8Array {
  let out = bytes;
  for (const key of keys) out = cipher.apply(key, h, out);
  return out;
}
