/**
 * The TDX metadata of a guest firmware (TDVF): which parts of the file the host puts where, and
 * which of them are measured before the guest starts. Every range is compared with what is there
 * before it is followed. Integers are little-endian; `end` is the end of the file.
 *
 * ```text
 * table        ends 32 bytes before `end`; read backwards, each entry: data ‖ u16 length ‖ GUID (16),
 *              the length over all three. Its last entry, the footer, has the table's length
 * TDX entry    data: u32, bytes from the descriptor to `end`
 * descriptor   "TDVF" ‖ u32 length ‖ u32 version (1) ‖ u32 count ‖ count sections
 * section      u32 offset ‖ u32 bytes in the file ‖ u64 address ‖ u64 bytes in memory ‖ u32 type
 *              ‖ u32 attributes (1: measured, 2: added after the start)
 * ```
 */
import { equal } from "../protocol/bytes.ts";
import { AttestationError, demand } from "./reasons.ts";

/** Bytes of a firmware file; OVMF has 2 or 4 MiB. */
export const MAX_FIRMWARE_BYTES = 67_108_864;
/** Sections of a firmware; OVMF has six. */
export const MAX_SECTIONS = 64;
/** Pages of all sections; those of OVMF have fewer than a thousand. */
export const MAX_PAGES = 65_536;
/** Bytes of a page. */
export const PAGE_BYTES = 4_096;

/** Bits of a section's attributes. */
export const SECTION = { measured: 1, addedLater: 2 } as const;
/** Identifiers of the table's last entry and of the TDX entry, as their bytes stand in a file. */
export const FOOTER_GUID: Uint8Array = guid("96b582de-1fb2-45f7-baea-a366c55a082d");
export const TDX_GUID: Uint8Array = guid("e47a6535-984a-4798-865e-4685a7bf8ec2");

const TABLE_FROM_END = 32, ENTRY_BYTES = 18;
const DESCRIPTOR_BYTES = 16, SECTION_BYTES = 32;
const SIGNATURE = 0x46564454, VERSION = 1;
/** Guest-physical addresses end here. */
const MAX_ADDRESS = 2 ** 52;

/** One part of a guest's first memory. */
export interface Section {
  /** What the file has of it; the rest of the memory is not of the file. */
  readonly bytes: Uint8Array;
  /** Guest-physical address and bytes, whole pages. */
  readonly address: number;
  readonly size: number;
  /** Whether its bytes are measured, and not only where it stands. */
  readonly measured: boolean;
  /** Whether it is added after the start, and so not measured at all. */
  readonly addedLater: boolean;
}

/**
 * The sections of a firmware file, in its order; views of the input. Refuses as
 * `firmware-malformed`, and as `firmware-range` where a section is not in the file.
 */
export function readTdvf(file: Uint8Array): Section[] {
  const most = MAX_FIRMWARE_BYTES;
  demand(file.length <= most, "firmware-malformed", `${file.length} bytes, at most ${most}`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const at = descriptorIn(file, view);
  demand(view.getUint32(at, true) === SIGNATURE, "firmware-malformed", "no TDVF descriptor");
  const length = view.getUint32(at + 4, true), version = view.getUint32(at + 8, true);
  demand(version === VERSION, "firmware-malformed", `a descriptor of version ${version}`);
  const count = view.getUint32(at + 12, true);
  const some = count >= 1 && count <= MAX_SECTIONS;
  demand(some, "firmware-malformed", `${count} sections, expected 1..${MAX_SECTIONS}`);
  const expected = DESCRIPTOR_BYTES + SECTION_BYTES * count;
  demand(
    length === expected && length <= file.length - at,
    "firmware-malformed",
    `a descriptor of ${length} bytes for ${count} sections, expected ${expected}`,
  );
  const sections = Array.from(
    { length: count },
    (_, i) => readSection(file, view, at + DESCRIPTOR_BYTES + SECTION_BYTES * i, i),
  );
  checkPlaces(sections);
  return sections;
}

/** Where the descriptor stands, with room for its fixed part. */
function descriptorIn(file: Uint8Array, view: DataView): number {
  const fromEnd = view.byteLength - TABLE_FROM_END;
  const tdx = tableEntry(file, view, fromEnd);
  demand(tdx !== undefined, "firmware-malformed", "it has no TDX entry: it is not built for TDX");
  demand(tdx.length === 4, "firmware-malformed", `a TDX entry of ${tdx.length} bytes of data`);
  const distance = view.getUint32(tdx.at, true);
  const inside = distance >= DESCRIPTOR_BYTES && distance <= file.length;
  demand(inside, "firmware-malformed", `a descriptor ${distance} bytes before the end`);
  return file.length - distance;
}

/** Data of the table's TDX entry; undefined where there is none. */
function tableEntry(
  file: Uint8Array,
  view: DataView,
  end: number,
): { at: number; length: number } | undefined {
  const footed = end >= ENTRY_BYTES && equal(file.subarray(end - 16, end), FOOTER_GUID);
  demand(footed, "firmware-malformed", "no table of GUIDs 32 bytes before its end");
  const size = view.getUint16(end - ENTRY_BYTES, true), start = end - size;
  demand(size >= ENTRY_BYTES && start >= 0, "firmware-malformed", `a table of ${size} bytes`);
  let found: { at: number; length: number } | undefined;
  for (let at = end - ENTRY_BYTES; at > start;) {
    const length = at - start >= ENTRY_BYTES ? view.getUint16(at - ENTRY_BYTES, true) : 0;
    const fits = length >= ENTRY_BYTES && length <= at - start;
    demand(fits, "firmware-malformed", `an entry of ${length} bytes where ${at - start} are left`);
    if (equal(file.subarray(at - 16, at), TDX_GUID)) {
      demand(found === undefined, "firmware-malformed", "two TDX entries");
      found = { at: at - length, length: length - ENTRY_BYTES };
    }
    at -= length;
  }
  return found;
}

function readSection(file: Uint8Array, view: DataView, at: number, index: number): Section {
  const fail = (detail: string): never => {
    throw new AttestationError("firmware-malformed", `section ${index}: ${detail}`);
  };
  const u64 = (from: number) =>
    view.getUint32(from, true) + 2 ** 32 * view.getUint32(from + 4, true);
  const offset = view.getUint32(at, true), raw = view.getUint32(at + 4, true);
  const address = u64(at + 8), size = u64(at + 16), attributes = view.getUint32(at + 28, true);
  if (address % PAGE_BYTES !== 0 || size % PAGE_BYTES !== 0) fail("not of whole pages");
  if (size === 0 || address + size > MAX_ADDRESS) fail(`${size} bytes at ${address}`);
  if (raw > size) fail(`${raw} bytes in a place of ${size}`);
  const measured = (attributes & SECTION.measured) !== 0;
  const addedLater = (attributes & SECTION.addedLater) !== 0;
  if ((attributes & ~(SECTION.measured | SECTION.addedLater)) !== 0) {
    fail(`unknown attributes ${attributes.toString(16)}`);
  }
  if (measured && addedLater) fail("measured, and added after the start");
  if (measured && raw !== size) fail(`${size} bytes are measured, the file has ${raw} of them`);
  demand(
    raw === 0 || offset + raw <= file.length,
    "firmware-range",
    `section ${index} is at bytes ${offset} to ${offset + raw}, the file has ${file.length}`,
  );
  return { bytes: file.subarray(offset, offset + raw), address, size, measured, addedLater };
}

/** Refuses sections that share a page, which no TDX module would add twice, and too many pages. */
function checkPlaces(sections: readonly Section[]): void {
  const pages = sections.reduce((sum, { size }) => sum + size / PAGE_BYTES, 0);
  demand(pages <= MAX_PAGES, "firmware-malformed", `${pages} pages, at most ${MAX_PAGES}`);
  const inOrder = [...sections].sort((a, b) => a.address - b.address);
  inOrder.forEach(({ address }, i) => {
    const before = inOrder[i - 1];
    const apart = before === undefined || before.address + before.size <= address;
    demand(apart, "firmware-malformed", `two sections at address ${address}`);
  });
}

/** A GUID as UEFI lays it out: the first three fields little-endian. */
function guid(text: string): Uint8Array {
  const bytes = Uint8Array.fromHex(text.replaceAll("-", ""));
  for (const [from, to] of [[0, 4], [4, 6], [6, 8]]) bytes.subarray(from, to).reverse();
  return bytes;
}
