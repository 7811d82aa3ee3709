/**
 * Statuses of a trusted computing base, and how those of its parts make one. A status is a set of
 * things that are not in order; a whole has what any part has, and the worst of it names it.
 */

/** All statuses, as Intel writes them. */
export const TCB_STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const;

/** The state of a platform. */
export type TcbStatus = (typeof TCB_STATUSES)[number];

const HARDENING = 1, CONFIGURATION = 2, OUT_OF_DATE = 4, REVOKED = 8;
const FAULTS: Readonly<Record<TcbStatus, number>> = {
  UpToDate: 0,
  SWHardeningNeeded: HARDENING,
  ConfigurationNeeded: CONFIGURATION,
  ConfigurationAndSWHardeningNeeded: CONFIGURATION | HARDENING,
  OutOfDate: OUT_OF_DATE,
  OutOfDateConfigurationNeeded: OUT_OF_DATE | CONFIGURATION,
  Revoked: REVOKED,
};

/** The status of a whole. Out of date includes that software hardening may be needed. */
export function mergeStatuses(parts: readonly TcbStatus[]): TcbStatus {
  const faults = parts.reduce((all, status) => all | FAULTS[status], 0);
  if (faults & REVOKED) return "Revoked";
  const told = faults & OUT_OF_DATE ? faults & ~HARDENING : faults;
  return TCB_STATUSES.find((status) => FAULTS[status] === told)!;
}
