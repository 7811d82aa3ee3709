/**
 * TDX quotes of version 4 and 5 as bytes. Every length is compared with what is there before it is
 * followed, every part fills its place exactly, and nothing may stand behind the end: a quote has
 * one form. README.md has the layout. Nothing is verified here; parsing costs microseconds.
 */
import { equal } from "../protocol/bytes.ts";
import { demand, type ReasonCode } from "./reasons.ts";
import {
  QE_REPORT_BYTES,
  type QeReport,
  readQeReport,
  readTdReport,
  TD_REPORT_1_0_BYTES,
  TD_REPORT_1_5_BYTES,
  type TdReport,
} from "./reports.ts";

/** Bytes of a quote; real ones have 5 KB. */
export const MAX_QUOTE_BYTES = 65_536;
/** Bytes that the quoting enclave may add to its report; real ones have 32. */
export const MAX_QE_AUTH_BYTES = 1_024;
/** Bytes of the header. */
export const HEADER_BYTES = 48;

/** Numbers that a quote must show. */
export const QUOTE = {
  ...{ keyType: 2, teeType: 0x81, td10: 2, td15: 3, qeReportCertification: 6, pckChain: 5 },
} as const;
/** The vendor of the quoting enclave: Intel. */
export const VENDOR: Uint8Array = Uint8Array.fromHex("939a7233f79c4ca9940a0db3957f0607");

/** A quote as it was read; its fields are views of a copy of the input. */
export interface Quote {
  readonly version: 4 | 5;
  /** 20 bytes of the header; the first 16 name the quoting enclave. */
  readonly userData: Uint8Array;
  /** Header and body: what the attestation key signs. */
  readonly signed: Uint8Array;
  readonly report: TdReport;
  /** r ‖ s. */
  readonly signature: Uint8Array;
  /** x ‖ y. */
  readonly attestationKey: Uint8Array;
  /** The QE report as bytes: what the platform's key signs. */
  readonly qeReportBytes: Uint8Array;
  readonly qeReport: QeReport;
  readonly qeSignature: Uint8Array;
  readonly qeAuthData: Uint8Array;
  /** The platform's certificate, its CA and the root, as PEM. */
  readonly chain: Uint8Array;
}

/** Walks the input; whatever does not fit is refused under the code of its place. */
class Cursor {
  at = 0;
  readonly #view: DataView;
  constructor(readonly input: Uint8Array, readonly short: ReasonCode) {
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  }
  bytes(length: number): Uint8Array {
    const left = this.input.length - this.at;
    demand(length <= left, this.short, `expected ${length} bytes at ${this.at}, ${left} are left`);
    return this.input.subarray(this.at, this.at += length);
  }
  u16(): number {
    this.bytes(2);
    return this.#view.getUint16(this.at - 2, true);
  }
  u32(): number {
    this.bytes(4);
    return this.#view.getUint32(this.at - 4, true);
  }
}

/** Header and body, up to the length of what follows. */
function readHead(cursor: Cursor) {
  const version = cursor.u16();
  demand(version === 4 || version === 5, "quote-version", `version ${version}`);
  const keyType = cursor.u16();
  demand(keyType === QUOTE.keyType, "quote-key-type", `type ${keyType}`);
  const teeType = cursor.u32();
  demand(teeType === QUOTE.teeType, "quote-tee", `type ${teeType.toString(16)}`);
  cursor.bytes(4);
  demand(equal(cursor.bytes(16), VENDOR), "quote-vendor");
  const userData = cursor.bytes(20);
  const type = version === 4 ? QUOTE.td10 : cursor.u16();
  const size = type === QUOTE.td10 ? TD_REPORT_1_0_BYTES : TD_REPORT_1_5_BYTES;
  demand(type === QUOTE.td10 || type === QUOTE.td15, "quote-body", `type ${type}`);
  if (version === 5) {
    const said = cursor.u32();
    demand(said === size, "quote-body", `${said} bytes, expected ${size}`);
  }
  const report = readTdReport(cursor.bytes(size));
  const signed = cursor.input.subarray(0, cursor.at);
  return { version, userData, report, signed, rest: cursor.u32() } as const;
}

/**
 * Bytes of the quote that `input` begins with, as it declares them: a platform may hand quotes out
 * padded. Refuses as `parseQuote` does.
 */
export function quoteLength(input: Uint8Array): number {
  const cursor = new Cursor(input, "quote-truncated");
  const { rest } = readHead(cursor);
  const length = cursor.at + rest;
  demand(length <= MAX_QUOTE_BYTES, "quote-size", `${length} bytes declared`);
  demand(length <= input.length, "quote-truncated", `${length} bytes declared`);
  return length;
}

/** Reads a quote. Refuses as `quote-…`. */
export function parseQuote(input: Uint8Array): Quote {
  demand(input.length <= MAX_QUOTE_BYTES, "quote-size", `${input.length} bytes`);
  const length = quoteLength(input);
  demand(input.length === length, "quote-trailing", `${input.length} bytes, ${length} declared`);
  const whole = new Cursor(input.slice(), "quote-truncated");
  const { rest, ...head } = readHead(whole);
  const cursor = new Cursor(whole.bytes(rest), "quote-certification");
  const signature = cursor.bytes(64), attestationKey = cursor.bytes(64);
  readPart(cursor, QUOTE.qeReportCertification);
  const qeReportBytes = cursor.bytes(QE_REPORT_BYTES), qeSignature = cursor.bytes(64);
  const authBytes = cursor.u16();
  demand(authBytes <= MAX_QE_AUTH_BYTES, "quote-certification", `${authBytes} bytes of QE data`);
  const qeAuthData = cursor.bytes(authBytes);
  readPart(cursor, QUOTE.pckChain);
  const chain = cursor.input.subarray(cursor.at);
  const qeReport = readQeReport(qeReportBytes);
  return {
    ...head,
    ...{ signature, attestationKey, qeReportBytes, qeReport, qeSignature, qeAuthData, chain },
  };
}

/** Type and size of a part that fills the rest of the quote. */
function readPart(cursor: Cursor, expected: number): void {
  const type = cursor.u16();
  demand(type === expected, "quote-certification", `type ${type}, expected ${expected}`);
  const size = cursor.u32(), left = cursor.input.length - cursor.at;
  demand(size <= left, "quote-certification", `a part of ${size} bytes, ${left} are left`);
  demand(size === left, "quote-trailing", `a part of ${size} bytes in a place of ${left}`);
}
