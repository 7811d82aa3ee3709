/**
 * RTMRs: four registers that a guest extends as it starts. Each is zero at first; with a digest it
 * becomes SHA-384 of itself and the digest. RTMR2 has the command line and the initrd, and with
 * them, where the initrd is all there is of an image, the program.
 *
 * The command line is measured as the kernel's EFI stub gets it: UTF-16LE with a zero at its end.
 * Started directly (QEMU's -kernel and -initrd), the firmware puts " initrd=initrd" behind it.
 */
import { createHash, hash } from "node:crypto";

/** Bytes of a register and of a digest. */
export const RTMR_BYTES = 48;
/** Longest command line in characters, with what the firmware adds: the kernel's own limit. */
export const MAX_COMMAND_LINE = 2_047;
/** What the firmware adds to a command line where it is handed an initrd. */
export const INITRD_SUFFIX = " initrd=initrd";

/** The register after a digest of 48 bytes. */
export function extend(rtmr: Uint8Array, digest: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha384").update(rtmr).update(digest).digest());
}

/** The register after these digests, from zero on. */
export function extended(digests: Iterable<Uint8Array>): Uint8Array {
  let rtmr = new Uint8Array(RTMR_BYTES);
  for (const digest of digests) rtmr = new Uint8Array(extend(rtmr, digest));
  return rtmr;
}

/** The bytes of a command line that are measured. Throws a `RangeError` if it cannot be one. */
export function measuredCommandLine(line: string): Uint8Array {
  if (!/^[ -~]*$/.test(line)) {
    throw new RangeError("the command line: expected printable ASCII on one line");
  }
  if (line.length > MAX_COMMAND_LINE) {
    throw new RangeError(
      `the command line: ${line.length} characters, a kernel takes ${MAX_COMMAND_LINE}`,
    );
  }
  const out = new Uint8Array(2 * line.length + 2);
  for (let i = 0; i < line.length; i++) out[2 * i] = line.charCodeAt(i);
  return out;
}

/**
 * RTMR2 of a guest that starts with this command line and initrd, 48 bytes. `direct` (the default)
 * adds what the firmware adds. Throws a `RangeError` for what cannot be a command line.
 *
 * @example
 * ```ts
 * import { predictRtmr2 } from "./rtmr.ts";
 * const initrd = new Uint8Array(1000);
 * const direct = predictRtmr2("console=ttyS0", initrd);
 * const same = predictRtmr2("console=ttyS0 initrd=initrd", initrd, { direct: false });
 * if (direct.toHex() !== same.toHex()) throw new Error("the suffix is not what it should be");
 * ```
 */
export function predictRtmr2(
  commandLine: string,
  initrd: Uint8Array,
  { direct = true }: { readonly direct?: boolean } = {},
): Uint8Array {
  const line = measuredCommandLine(direct ? commandLine + INITRD_SUFFIX : commandLine);
  const digests = [line, initrd].map((it) => new Uint8Array(hash("sha384", it, "buffer")));
  return extended(digests);
}
