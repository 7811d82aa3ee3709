/**
 * What a verified quote must show to be admitted. MRTD alone names only the firmware: kernel,
 * command line and initrd, and with them the program, are in RTMR1 and RTMR2.
 *
 * A policy has one encoding, and its hash is part of the instance's parameters, so that all who
 * take part enforce the same rules. Layout, integers little-endian:
 *
 * ```text
 * policy     u8 count ‖ statuses, u8 each, ascending ‖ u32 minimum evaluation number ‖ u8 debug
 *            ‖ for mrTd, rtmr0, rtmr1, rtmr2, mrSeam: u8 count (0: any) ‖ 48 bytes each, ascending
 * admission  u8 flags (1: listed key, 2: token, 4: quote; all of them must hold)
 *            ‖ SHA-256 of the token issuer's SPKI in DER (32), zero without flag 2
 * id         SHA-256(attestation-policy ‖ policy of servers, or u8 0 for none
 *            ‖ u8 1 ‖ policy of clients, or u8 0 for none ‖ admission, or nothing for open)
 * ```
 *
 * Each part tells where it ends: no policy begins with a count of 0, and an admission is the last.
 * Where there is no rule at all, the id is zero.
 */
import { createHash } from "node:crypto";
import { compare, equal, hex, isZero, Writer, ZERO32 } from "../protocol/bytes.ts";
import { AttestationError, demand } from "./reasons.ts";
import type { TdReport } from "./reports.ts";
import { TCB_STATUSES, type TcbStatus } from "./status.ts";

/** Values of one measurement that a policy may allow. */
export const MAX_ALLOWED = 64;
/** Bytes of a measurement. */
export const MEASUREMENT_BYTES = 48;
/** Statuses that are accepted unless a policy says otherwise. */
export const DEFAULT_STATUSES: readonly AcceptableStatus[] = ["UpToDate", "SWHardeningNeeded"];

const LABEL = new TextEncoder().encode("zipnet/1/attestation-policy\0");
const MEASURED = ["mrTd", "rtmr0", "rtmr1", "rtmr2", "mrSeam"] as const;
const CODES = {
  mrTd: "mrtd",
  rtmr0: "rtmr0",
  rtmr1: "rtmr1",
  rtmr2: "rtmr2",
  mrSeam: "mrseam",
} as const;

/** Attributes of a guest that are accepted beside SEPT_VE_DISABLE, by byte: PKS, KL; PERFMON. */
const ACCEPTED_ATTRIBUTES = Uint8Array.of(0x01, 0, 0, 0x10 | 0x40 | 0x80, 0, 0, 0, 0x80);
const SEPT_VE_DISABLE = 0x10;

/** A status that a policy may accept: never `Revoked`. */
export type AcceptableStatus = Exclude<TcbStatus, "Revoked">;

/** Allowed values by measurement, 48 bytes each; one that is left out may have any value. */
export type Allowed = { readonly [Name in (typeof MEASURED)[number]]?: readonly Uint8Array[] };

/** Rules for quotes. */
export interface Policy {
  readonly statuses: readonly AcceptableStatus[];
  /** Lowest evaluation number of collateral. */
  readonly minimumEvaluation: number;
  /** Whether a guest may be debugged; without effect under Intel's anchor. */
  readonly debug: boolean;
  readonly allowed: Allowed;
}

/** A policy of these rules. Throws a `RangeError` that says which rule cannot be one. */
export function createPolicy(rules: Partial<Policy>): Policy {
  const { statuses = DEFAULT_STATUSES, minimumEvaluation = 0, debug = false } = rules;
  const known = statuses.every((status) =>
    TCB_STATUSES.includes(status) && (status as TcbStatus) !== "Revoked"
  );
  if (!known || statuses.length === 0) {
    throw new RangeError(
      `accepted statuses: expected some of ${
        TCB_STATUSES.slice(0, -1).join(", ")
      }, got ${statuses}`,
    );
  }
  if (
    !Number.isInteger(minimumEvaluation) || minimumEvaluation < 0 || minimumEvaluation > 2 ** 31
  ) {
    throw new RangeError(`minimum evaluation number: expected 0..2^31, got ${minimumEvaluation}`);
  }
  const inOrder = TCB_STATUSES.filter((it): it is AcceptableStatus =>
    (statuses as readonly TcbStatus[]).includes(it)
  );
  return {
    statuses: inOrder,
    minimumEvaluation,
    debug,
    allowed: copyAllowed(rules.allowed ?? {}),
  };
}

/** The values in order, each once, as copies. */
function copyAllowed(given: Allowed): Allowed {
  const allowed: Record<string, Uint8Array[]> = {};
  for (const name of MEASURED) {
    const values = given[name];
    if (!values) continue;
    if (values.length < 1 || values.length > MAX_ALLOWED) {
      throw new RangeError(
        `${CODES[name]}: expected 1..${MAX_ALLOWED} values, got ${values.length}`,
      );
    }
    if (!values.every((value) => value.length === MEASUREMENT_BYTES)) {
      throw new RangeError(`${CODES[name]}: expected values of ${MEASUREMENT_BYTES} bytes`);
    }
    const sorted = values.map((value) => value.slice()).sort(compare);
    allowed[name] = sorted.filter((value, i) => i === 0 || !equal(value, sorted[i - 1]));
  }
  return allowed;
}

/** Refuses a report that a policy does not allow. Costs microseconds; judges no signature. */
export function checkReport(report: TdReport, policy: Policy, simulated: boolean): void {
  const { tdAttributes, mrServiceTd } = report;
  const debug = policy.debug && simulated ? 0x01 : 0x00;
  demand((tdAttributes[0] & ~debug) === 0, "td-debug", `TDATTRIBUTES ${hex(tdAttributes)}`);
  const unknown = tdAttributes.some((byte, i) => (byte & ~ACCEPTED_ATTRIBUTES[i]) !== 0);
  demand(!unknown, "td-attributes", `TDATTRIBUTES ${hex(tdAttributes)}`);
  demand((tdAttributes[3] & SEPT_VE_DISABLE) !== 0, "td-sept-ve");
  demand(mrServiceTd === undefined || isZero(mrServiceTd), "td-service");
  for (const name of MEASURED) {
    const values = policy.allowed[name];
    const found = !values || values.some((value) => equal(value, report[name]));
    if (!found) throw new AttestationError(CODES[name], `it is ${hex(report[name])}`);
  }
}

/** Refuses a status that a policy does not accept. */
export function checkStatus(
  status: TcbStatus,
  advisories: readonly string[],
  policy: Policy,
): void {
  const accepted = (policy.statuses as readonly TcbStatus[]).includes(status);
  demand(accepted, "tcb-status", `${status}${advisories.map((it) => ` ${it}`).join("")}`);
}

/** What is worth a warning at every start: one line each. */
export function policyWarnings(policy: Policy): string[] {
  const missing = (["mrTd", "rtmr1", "rtmr2"] as const).filter((name) => !policy.allowed[name]);
  const what = missing.map((name) => CODES[name].toUpperCase()).join(", ");
  return [
    ...missing.length > 0
      ? [`the policy requires no ${what}: without them it does not say which program runs`]
      : [],
    ...policy.debug ? ["the policy accepts guests that can be debugged"] : [],
  ];
}

function encode(policy: Policy, to: Writer): void {
  to.u8(policy.statuses.length);
  for (const status of policy.statuses) to.u8(TCB_STATUSES.indexOf(status));
  to.u32(policy.minimumEvaluation).u8(policy.debug ? 1 : 0);
  for (const name of MEASURED) {
    const values = policy.allowed[name] ?? [];
    to.u8(values.length);
    for (const value of values) to.bytes(value);
  }
}

/** What a client needs to be admitted, as far as members must agree on it: each holds to it by itself. */
export interface AdmissionTerms {
  /** Its key is on the list. The lists themselves are the servers' own. */
  readonly list: boolean;
  /** A token of the issuer. Its keys are the servers' own too, so that they can be changed. */
  readonly jwt: boolean;
  /** A quote that the policy of clients accepts. */
  readonly attested: boolean;
}

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/**
 * The policy id of an instance, 32 bytes: its rules for servers and for clients, as far as it has
 * any, and what else admits clients. Zero where it has none and is open.
 */
export function policyId(
  servers?: Policy,
  clients?: Policy,
  admission: AdmissionTerms = { list: false, jwt: false, attested: false },
): Uint8Array {
  const { list, jwt, attested } = admission, open = !list && !jwt && !attested;
  if (!servers && !clients && open) return ZERO32;
  const fields = new Writer();
  if (servers) encode(servers, fields);
  else fields.u8(0);
  fields.u8(clients ? 1 : 0);
  if (clients) encode(clients, fields);
  if (!open) fields.u8((list ? 1 : 0) | (jwt ? 2 : 0) | (attested ? 4 : 0));
  return sha256(LABEL, fields.end());
}
