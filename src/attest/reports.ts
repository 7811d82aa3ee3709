/**
 * The two reports in a quote, as fixed fields one after the other: the TD report, which speaks of
 * the guest, and the QE report, which speaks of the quoting enclave. Integers are little-endian.
 */

/** Fields of a TD report 1.0 and their bytes: 584 in all. */
const TD_1_0 = {
  ...{ teeTcbSvn: 16, mrSeam: 48, mrSignerSeam: 48, seamAttributes: 8, tdAttributes: 8, xfam: 8 },
  ...{ mrTd: 48, mrConfigId: 48, mrOwner: 48, mrOwnerConfig: 48 },
  ...{ rtmr0: 48, rtmr1: 48, rtmr2: 48, rtmr3: 48, reportData: 64 },
} as const;
/** What a TD report 1.5 has behind them: 64 more. */
const TD_1_5 = { teeTcbSvn2: 16, mrServiceTd: 48 } as const;
/** Fields of a QE report: 384 bytes. */
const QE = {
  ...{ cpuSvn: 16, miscSelect: 4, reserved1: 28, attributes: 16, mrEnclave: 32, reserved2: 32 },
  ...{ mrSigner: 32, reserved3: 96, isvProdId: 2, isvSvn: 2, reserved4: 60, reportData: 64 },
} as const;

type Fields<Layout> = { readonly [Name in keyof Layout]: Uint8Array };

/** What a TDX module says of a guest; the last two fields are there in a report 1.5. */
export type TdReport = Fields<typeof TD_1_0> & Partial<Fields<typeof TD_1_5>>;
/** What a processor says of the quoting enclave. */
export type QeReport = Fields<typeof QE>;

/** Bytes of a TD report 1.0 and 1.5, and of a QE report. */
export const TD_REPORT_1_0_BYTES = 584;
export const TD_REPORT_1_5_BYTES = 648;
export const QE_REPORT_BYTES = 384;

function read<Layout extends Record<string, number>>(
  layout: Layout,
  bytes: Uint8Array,
): Fields<Layout> {
  let at = 0;
  const entries = Object.entries(layout).map(([name, size]) => [
    name,
    bytes.subarray(at, at += size),
  ]);
  return Object.fromEntries(entries);
}

function write(layout: Record<string, number>, fields: Record<string, Uint8Array>): Uint8Array {
  const sizes = Object.entries(layout);
  const out = new Uint8Array(sizes.reduce((sum, [, size]) => sum + size, 0));
  let at = 0;
  for (const [name, size] of sizes) {
    if (fields[name].length !== size) {
      throw new RangeError(`${name} of ${fields[name].length} bytes, expected ${size}`);
    }
    out.set(fields[name], at);
    at += size;
  }
  return out;
}

/** The fields of a TD report, 584 or 648 bytes, as views. */
export function readTdReport(bytes: Uint8Array): TdReport {
  return bytes.length === TD_REPORT_1_5_BYTES
    ? read({ ...TD_1_0, ...TD_1_5 }, bytes)
    : read(TD_1_0, bytes);
}

/** A TD report as bytes. Throws a `RangeError` where a field has another length. */
export function writeTdReport(report: TdReport): Uint8Array {
  return write(report.mrServiceTd ? { ...TD_1_0, ...TD_1_5 } : TD_1_0, report);
}

/** The fields of a QE report, 384 bytes, as views. */
export function readQeReport(bytes: Uint8Array): QeReport {
  return read(QE, bytes);
}

/** A QE report as bytes. Throws a `RangeError` where a field has another length. */
export function writeQeReport(report: QeReport): Uint8Array {
  return write(QE, report);
}
