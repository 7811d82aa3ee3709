/** Firmware images with TDX metadata, made for tests as the README of `src/attest/` lays them out. */
import { concat, u32, u64 } from "../../src/protocol/bytes.ts";
import { FOOTER_GUID, TDX_GUID } from "../../src/attest/tdvf.ts";
import { Random } from "../protocol/random.ts";

/** One section as it stands in a descriptor. */
export interface SectionFields {
  readonly offset: number;
  readonly raw: number;
  readonly address: number;
  readonly size: number;
  readonly attributes: number;
}
/** What an image has other than usual. */
export interface FirmwareChanges {
  readonly sections?: readonly SectionFields[];
  /** Fields of the descriptor. */
  readonly signature?: string;
  readonly length?: number;
  readonly version?: number;
  readonly count?: number;
  /** Data of the TDX entry in place of the distance. */
  readonly tdx?: Uint8Array;
  /** Entries of the table from its first on, in place of two others around the TDX entry. */
  readonly entries?: (tdx: Uint8Array) => readonly Uint8Array[];
  /** What the footer says of the table's length. */
  readonly tableLength?: number;
  readonly footer?: Uint8Array;
}

/** Bytes of an image: variables (one page), metadata (one page), code (two pages). */
export const IMAGE_BYTES = 0x4000;
/** Where the descriptor stands. */
export const DESCRIPTOR_AT = 0x1800;

/** Variables that are only added, code that is measured, memory of no bytes, memory added later. */
export const SECTIONS: readonly SectionFields[] = [
  { offset: 0x2000, raw: 0x2000, address: 0xffffe000, size: 0x2000, attributes: 1 },
  { offset: 0, raw: 0x1000, address: 0xffffc000, size: 0x1000, attributes: 0 },
  { offset: 0, raw: 0, address: 0x809000, size: 0x3000, attributes: 0 },
  { offset: 0, raw: 0, address: 0x1_0000_0000, size: 0x10000, attributes: 2 },
];

const OTHER_GUID = Uint8Array.fromHex("0102030405060708090a0b0c0d0e0f10");

/** An entry of the table. */
export function entry(guid: Uint8Array, data: Uint8Array): Uint8Array {
  const length = 18 + data.length;
  return concat(data, Uint8Array.of(length, length >>> 8), guid);
}

/** An image. */
export function firmware(changes: FirmwareChanges = {}): Uint8Array {
  const { sections = SECTIONS, signature = "TDVF", version = 1, count = sections.length } = changes;
  const image = new Random(90).bytes(IMAGE_BYTES);
  const descriptor = concat(
    new TextEncoder().encode(signature),
    u32(changes.length ?? 16 + 32 * sections.length),
    u32(version),
    u32(count),
    ...sections.map(({ offset, raw, address, size, attributes }, i) =>
      concat(u32(offset), u32(raw), u64(address), u64(size), u32(i), u32(attributes))
    ),
  );
  image.set(descriptor, DESCRIPTOR_AT);
  const tdx = entry(TDX_GUID, changes.tdx ?? u32(IMAGE_BYTES - DESCRIPTOR_AT));
  const entries = changes.entries?.(tdx) ??
    [entry(OTHER_GUID, new Uint8Array(9)), tdx, entry(OTHER_GUID, new Uint8Array(0))];
  const length = changes.tableLength ?? 18 + entries.reduce((sum, it) => sum + it.length, 0);
  const footer = concat(Uint8Array.of(length, length >>> 8), changes.footer ?? FOOTER_GUID);
  const table = concat(...entries, footer);
  image.set(table, IMAGE_BYTES - 32 - table.length);
  return image;
}
