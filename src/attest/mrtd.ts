/**
 * MRTD: what the TDX module measures of a guest before it starts, which is its firmware. It is one
 * SHA-384 over records of what the host did, in the order in which it did it:
 *
 * ```text
 * a page is added      "MEM.PAGE.ADD" ‖ zeros to 16 ‖ u64 address ‖ zeros to 128
 * a chunk is measured  "MR.EXTEND" ‖ zeros to 16 ‖ u64 address ‖ zeros to 128 ‖ the chunk (256)
 * ```
 *
 * The order is the host's choice, not the firmware's: one file has two values, and which of them a
 * machine shows depends on its hypervisor.
 */
import { createHash, type Hash } from "node:crypto";
import { PAGE_BYTES, readTdvf, type Section } from "./tdvf.ts";

/**
 * How a host measures a section: `page`, each page added and then measured (KVM of Linux 6.16 and
 * QEMU from 9 on); `pass`, all pages added, then all measured (the patched QEMU 8 of
 * distributions).
 */
export const PAGE_ORDERS = ["page", "pass"] as const;
/** One of them. */
export type PageOrder = (typeof PAGE_ORDERS)[number];

const RECORD_BYTES = 128, CHUNK_BYTES = 256;

/** The MRTD of a firmware file, 48 bytes. Refuses as `firmware-malformed` and `firmware-range`. */
export function firmwareMrTd(file: Uint8Array, order: PageOrder): Uint8Array {
  const hash = createHash("sha384");
  for (const section of readTdvf(file)) {
    if (section.addedLater) continue;
    const pages = section.size / PAGE_BYTES;
    for (let page = 0; page < pages; page++) {
      addPage(hash, section, page);
      if (order === "page") measurePage(hash, section, page);
    }
    for (let page = 0; order === "pass" && page < pages; page++) measurePage(hash, section, page);
  }
  return new Uint8Array(hash.digest());
}

function addPage(hash: Hash, { address }: Section, page: number): void {
  hash.update(record("MEM.PAGE.ADD", address + page * PAGE_BYTES));
}

function measurePage(hash: Hash, { address, bytes, measured }: Section, page: number): void {
  if (!measured) return;
  for (let at = page * PAGE_BYTES; at < (page + 1) * PAGE_BYTES; at += CHUNK_BYTES) {
    hash.update(record("MR.EXTEND", address + at)).update(bytes.subarray(at, at + CHUNK_BYTES));
  }
}

function record(name: string, address: number): Uint8Array {
  const out = new Uint8Array(RECORD_BYTES);
  new TextEncoder().encodeInto(name, out);
  new DataView(out.buffer).setBigUint64(16, BigInt(address), true);
  return out;
}
