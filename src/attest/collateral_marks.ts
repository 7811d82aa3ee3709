/**
 * Marks: how new the newest part of collateral was that was ever verified, so that an older one,
 * though still in time and signed, is not believed instead. They outlive the collateral itself and
 * the process; their holder keeps them as bytes.
 *
 * Layout, integers little-endian:
 *
 * ```text
 * u8 version = 1 ‖ anchor fingerprint (32) ‖ u16 n ‖ n marks, ascending by their first 7 bytes
 * mark: u8 part (0 root CRL, 1 CRL of the platform CA, 2 CRL of the processor CA, 3 QE identity,
 *       4 TCB info) ‖ FMSPC (6; zero but for TCB info) ‖ u64 date (Unix ms) ‖ number (20, big-endian)
 * ```
 *
 * The date is issueDate or thisUpdate, the number the list's or the evaluation number.
 */
import { hex, isZero, Reader, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { VerifiedParts } from "./collateral.ts";
import { type Family, type PckCaKind, pckCaKind } from "./family.ts";
import { AttestationError } from "./reasons.ts";

/** Families of platforms that can be remembered; Intel's catalogue has some dozens for TDX. */
export const MAX_FAMILIES = 128;

const VERSION = 1, NUMBER_BYTES = 20;
const ROOT_CRL = 0, PCK_CRL: Record<PckCaKind, number> = { platform: 1, processor: 2 };
const QE_IDENTITY = 3, TCB_INFO = 4;
/** Most marks: one for each TCB info, and one each for the other four. */
const MAX_MARKS = MAX_FAMILIES + 4;

/** Names a part: its first 7 bytes, in hex. */
export type PartKey = string;

/** How new a part is. */
export interface Mark {
  /** Unix ms. */
  readonly date: number;
  /** 40 hex digits. */
  readonly number: string;
}

const partKey = (part: number, fmspc = "000000000000"): PartKey =>
  part.toString(16).padStart(2, "0") + fmspc;

/** The parts of collateral, and how they are named for a family. */
export const PART_KEYS = {
  rootCrl: () => partKey(ROOT_CRL),
  pckCrl: ({ ca }: Family) => partKey(PCK_CRL[ca]),
  tcbInfo: ({ fmspc }: Family) => partKey(TCB_INFO, fmspc),
  qeIdentity: () => partKey(QE_IDENTITY),
} as const;
/** A part of collateral. */
export type PartName = keyof typeof PART_KEYS;
/** All four. */
export const PART_NAMES = Object.keys(PART_KEYS) as PartName[];

/** Whether a mark is of TCB info, of which there is one for each family. */
export function isTcbInfo(key: PartKey): boolean {
  return key.startsWith(partKey(TCB_INFO, ""));
}

/** The family that verified parts are of. */
export function familyOfParts({ tcbInfo, pckCa }: VerifiedParts): Family {
  return { fmspc: tcbInfo.fmspc, ca: pckCaKind(pckCa) };
}

/** How new a part is. */
export function markOf(part: PartName, parts: VerifiedParts): Mark {
  const { from } = parts[part];
  const number = part === "rootCrl" || part === "pckCrl"
    ? parts[part].number
    : parts[part].evaluationNumber.toString(16);
  return { date: from, number: number.padStart(2 * NUMBER_BYTES, "0") };
}

/**
 * Above zero if `a` is newer than `b`, below if it is older. Documents go by their date, then by
 * their evaluation number. A list must not fall behind in either its number or its date.
 */
export function compareMarks(part: PartName, a: Mark, b: Mark): number {
  const byNumber = a.number < b.number ? -1 : a.number > b.number ? 1 : 0;
  const byDate = Math.sign(a.date - b.date);
  if (part === "tcbInfo" || part === "qeIdentity") return byDate || byNumber;
  return Math.min(byDate, byNumber) < 0 ? -1 : Math.max(byDate, byNumber);
}

/** Marks as bytes. */
export function encodeMarks(
  fingerprint: Uint8Array,
  marks: ReadonlyMap<PartKey, Mark>,
): Uint8Array {
  const writer = new Writer().u8(VERSION).bytes(fingerprint).u16(marks.size);
  for (const key of [...marks.keys()].sort()) {
    const { date, number } = marks.get(key)!;
    writer.bytes(Uint8Array.fromHex(key)).u64(date).bytes(Uint8Array.fromHex(number));
  }
  return writer.end();
}

/** Reads them. Refuses, as `marks-malformed`, what is not of this layout or of another anchor. */
export function decodeMarks(fingerprint: Uint8Array, bytes: Uint8Array): Map<PartKey, Mark> {
  try {
    return read(fingerprint, new Reader(bytes, "marks"));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new AttestationError("marks-malformed", error.message);
  }
}

function read(fingerprint: Uint8Array, reader: Reader): Map<PartKey, Mark> {
  const version = reader.u8();
  if (version !== VERSION) reader.fail("range", `version ${version}, expected ${VERSION}`);
  if (hex(reader.bytes(32)) !== hex(fingerprint)) reader.fail("range", "of another trust anchor");
  const count = reader.u16(), found = new Map<PartKey, Mark>();
  if (count > MAX_MARKS) reader.fail("range", `${count} marks, expected ${MAX_MARKS} at most`);
  let before = "";
  for (let i = 0; i < count; i++) {
    const part = reader.u8(), fmspc = reader.bytes(6);
    const known = part === TCB_INFO || (part < TCB_INFO && isZero(fmspc));
    if (!known) reader.fail("range", `a mark of part ${part}, ${hex(fmspc)}`);
    const key = partKey(part, hex(fmspc));
    if (key <= before) reader.fail("encoding", "marks that are not in order");
    before = key;
    found.set(key, { date: reader.u64(), number: hex(reader.bytes(NUMBER_BYTES)) });
  }
  reader.end();
  return found;
}
