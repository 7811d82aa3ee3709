/**
 * Quotes and tickets in readable form, a line for each field; nothing is verified here. A quote
 * names its machine: by the serial number, the PPID and the times of the platform's certificate, by the
 * id of its quoting enclave and by the attestation key. These are left out unless they are asked for.
 */
import { createHash } from "node:crypto";
import { hex, isZero } from "../protocol/bytes.ts";
import { INTEL_FINGERPRINT } from "./anchor.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { isoTime } from "./chain.ts";
import { parseChain } from "./pem.ts";
import { parsePlatform, readPpid } from "./platform.ts";
import { parseQuote, type Quote, quoteLength } from "./quote.ts";
import { AttestationError } from "./reasons.ts";
import { decodeTicket, type Ticket } from "./ticket.ts";

/** One field: its name, and what it holds as text. */
export type Line = readonly [name: string, value: string];

/** What a file of evidence holds. */
export interface Evidence {
  /** Undefined where it is a quote alone. */
  readonly ticket?: Ticket;
  /** Of its declared length. */
  readonly quote: Uint8Array;
  /** Bytes behind the declared end of a quote, as platforms hand it out. */
  readonly padding: number;
}

/** What is shown of a quote. */
export interface Shown {
  /** Whether what names the machine is shown too. */
  readonly machine?: boolean;
}

/** Names of the bits of TDATTRIBUTES. */
const ATTRIBUTES: Readonly<Record<number, string>> = {
  ...{ 0: "DEBUG", 27: "LASS", 28: "SEPT_VE_DISABLE", 29: "MIGRATABLE", 30: "PKS", 31: "KL" },
  ...{ 62: "TPA", 63: "PERFMON" },
};
/** Bit of a quoting enclave's ATTRIBUTES that says that it can be debugged. */
const QE_DEBUG = 0x02;
/** First bytes of tickets: the roles. */
const TICKET_ROLES: readonly (number | undefined)[] = [1, 2];

/** Tells a ticket from a quote, and cuts what a platform put behind one. Refuses as both do. */
export function readEvidence(bytes: Uint8Array): Evidence {
  if (TICKET_ROLES.includes(bytes[0])) {
    const ticket = decodeTicket(bytes);
    return { ticket, quote: ticket.quote, padding: 0 };
  }
  const length = quoteLength(bytes);
  return { quote: bytes.subarray(0, length), padding: bytes.length - length };
}

/** A ticket's own fields. */
export function describeTicket(ticket: Ticket): Line[] {
  const { role, from, until, freshness } = ticket, minutes = Math.round((until - from) / 60_000);
  return [
    ["ticket", `of a ${role}`],
    ["from", isoTime(from)],
    ["until", `${isoTime(until)}, ${minutes} min`],
    ["freshness", hexOrZero(freshness)],
  ];
}

/**
 * A quote's fields. Refuses as `parseQuote` does; where its certificates cannot be read, one line
 * says so in place of what they hold.
 */
export async function describeQuote(bytes: Uint8Array, { machine = false }: Shown = {}) {
  const quote = parseQuote(bytes);
  return [
    ...describeReport(bytes.length, quote),
    ...describeEnclave(quote),
    ...await describeChain(quote, machine),
    ...machine
      ? [["QE id", hexOrZero(quote.userData)], ["attestation key", hex(quote.attestationKey)]]
      : [],
  ] as Line[];
}

/** What the TDX module says of the guest. */
function describeReport(length: number, { version, report }: Quote): Line[] {
  const { teeTcbSvn, teeTcbSvn2, mrServiceTd, tdAttributes } = report;
  const names = attributeNames(tdAttributes).join(" ") || "none";
  return [
    ["quote", `version ${version}, TDX, report ${mrServiceTd ? "1.5" : "1.0"}, ${length} bytes`],
    ["report data", hexOrZero(report.reportData)],
    ["MRTD", hexOrZero(report.mrTd)],
    ["RTMR0", hexOrZero(report.rtmr0)],
    ["RTMR1", hexOrZero(report.rtmr1)],
    ["RTMR2", hexOrZero(report.rtmr2)],
    ["RTMR3", hexOrZero(report.rtmr3)],
    ["MRCONFIGID", hexOrZero(report.mrConfigId)],
    ["MROWNER", hexOrZero(report.mrOwner)],
    ["MROWNERCONFIG", hexOrZero(report.mrOwnerConfig)],
    ["TDATTRIBUTES", `${hex(tdAttributes)}: ${names}`],
    ["XFAM", hex(report.xfam)],
    ["TDX module", `version ${teeTcbSvn[1]}, SVN ${teeTcbSvn[0]}`],
    ["MRSEAM", hexOrZero(report.mrSeam)],
    ["MRSIGNERSEAM", hexOrZero(report.mrSignerSeam)],
    ["SEAMATTRIBUTES", hexOrZero(report.seamAttributes)],
    ["TEE_TCB_SVN", svns(teeTcbSvn)],
    ...teeTcbSvn2 ? [["TEE_TCB_SVN2", svns(teeTcbSvn2)] as const] : [],
    ...mrServiceTd ? [["MRSERVICETD", hexOrZero(mrServiceTd)] as const] : [],
  ];
}

/** What the processor says of the quoting enclave. */
function describeEnclave({ qeReport }: Quote): Line[] {
  const { isvProdId, isvSvn, attributes } = qeReport;
  const u16 = (bytes: Uint8Array) => bytes[0] + 256 * bytes[1];
  const debug = attributes[0] & QE_DEBUG ? ", under debug" : "";
  return [
    ["QE", `product ${u16(isvProdId)}, SVN ${u16(isvSvn)}${debug}`],
    ["QE MRSIGNER", hexOrZero(qeReport.mrSigner)],
    ["QE MRENCLAVE", hexOrZero(qeReport.mrEnclave)],
    ["QE ATTRIBUTES", hex(attributes)],
    ["QE MISCSELECT", hexOrZero(qeReport.miscSelect)],
    ["CPUSVN", svns(qeReport.cpuSvn)],
  ];
}

/** What the certificates hold, or why they cannot be read. */
async function describeChain({ chain }: Quote, machine: boolean): Promise<Line[]> {
  try {
    const certificates: Certificate[] = [];
    for (const der of parseChain(chain, "pck")) {
      certificates.push(await parseCertificate(der, "pck"));
    }
    const [pck] = certificates, root = certificates.at(-1)!;
    const fingerprint = createHash("sha256").update(root.der).digest("hex");
    return [
      ...describePlatform(pck),
      ...certificates.map(({ commonName, from, until }, i): Line => {
        // Few machines have their certificate of the same second.
        const time = (ms: number) => i > 0 || machine ? isoTime(ms) : isoTime(ms).slice(0, 10);
        return ["certificate", `${commonName}, ${time(from)} to ${time(until)}`];
      }),
      ["root", `${fingerprint}, ${fingerprint === INTEL_FINGERPRINT ? "Intel's" : "not Intel's"}`],
      ...machine ? [["PCK serial", pck.serial] as const, ["PPID", readPpid(pck.sgx)] as const] : [],
    ];
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    return [["certificates", `cannot be read: ${error.message}`]];
  }
}

/** What a platform's certificate says of it that many machines have in common. */
function describePlatform({ sgx }: Certificate): Line[] {
  const { fmspc, pceId, pceSvn, components } = parsePlatform(sgx);
  return [
    ["FMSPC", fmspc],
    ["PCE", `id ${pceId}, SVN ${pceSvn}`],
    ["SGX components", components.join(" ")],
  ];
}

/** Names of the bits that are set. */
function attributeNames(attributes: Uint8Array): string[] {
  return Array.from({ length: 8 * attributes.length }, (_, bit) => bit)
    .filter((bit) => attributes[bit >> 3] & 1 << (bit & 7))
    .map((bit) => ATTRIBUTES[bit] ?? `bit ${bit}`);
}

function hexOrZero(bytes: Uint8Array): string {
  return isZero(bytes) ? "zero" : hex(bytes);
}

function svns(bytes: Uint8Array): string {
  return bytes.join(" ");
}

/** Lines as text, the values in one column. */
export function formatLines(lines: readonly Line[]): string {
  return lines.map(([name, value]) => `${name.padEnd(16)}${value}`).join("\n");
}
