/**
 * The status of a platform: its own level, that of its TDX module and that of its quoting enclave,
 * made into one.
 *
 * From major version 1 on a TDX module has an identity of its own with its own levels, and the
 * first two TDX components of a platform's levels, which speak of the module, no longer count.
 */
import { equal, isZero } from "../protocol/bytes.ts";
import type { Level } from "./document.ts";
import type { Platform } from "./platform.ts";
import { agree } from "./qe_identity.ts";
import { AttestationError, demand } from "./reasons.ts";
import type { TdReport } from "./reports.ts";
import { mergeStatuses, type TcbStatus } from "./status.ts";
import type { TcbInfo } from "./tcb_info.ts";

/** TDX components that speak of the module. */
const MODULE_COMPONENTS = 2;

/** What is known of a platform's state. */
export interface Tcb {
  readonly status: TcbStatus;
  /** Intel's advisories, each once. */
  readonly advisories: readonly string[];
  /** Date of the oldest level, Unix ms. */
  readonly date: number;
}

/** Refuses, as `module-…`, a TDX module that is not Intel's; answers its level from version 1 on. */
function moduleLevel(report: TdReport, info: TcbInfo): Level | undefined {
  const [svn, version] = report.teeTcbSvn;
  const id = `TDX_${version.toString(16).padStart(2, "0").toUpperCase()}`;
  const known = version === 0 ? undefined : info.modules.get(id);
  demand(version === 0 || known !== undefined, "module-unknown", `${id} is not in TCB info`);
  const { mrSigner, attributes, mask } = known ?? info.module;
  demand(equal(report.mrSignerSeam, mrSigner), "module-signer");
  const seam = report.seamAttributes;
  demand(agree(seam, attributes, mask) && isZero(seam), "module-attributes");
  const level = known?.levels.find(({ isvSvn }) => isvSvn <= svn);
  if (known && !level) throw new AttestationError("module-level", `${id} at version ${svn}`);
  return level;
}

/** The highest level that a platform reaches. Refuses one below all as `tcb-level`. */
function platformLevel(report: TdReport, platform: Platform, info: TcbInfo): Level {
  const from = report.teeTcbSvn[1] > 0 ? MODULE_COMPONENTS : 0;
  const level = info.levels.find(({ components, pceSvn, tdxComponents }) =>
    components.every((svn, i) => svn <= platform.components[i]) &&
    pceSvn <= platform.pceSvn &&
    tdxComponents.every((svn, i) => i < from || svn <= report.teeTcbSvn[i])
  );
  if (!level) throw new AttestationError("tcb-level", `family ${info.fmspc}`);
  return level;
}

/** The state of a platform. Refuses as `module-…`, `tcb-level` and, if it is revoked, `tcb-revoked`. */
export function judgeTcb(report: TdReport, platform: Platform, info: TcbInfo, qe: Level): Tcb {
  const module = moduleLevel(report, info);
  const levels = [platformLevel(report, platform, info), ...module ? [module] : [], qe];
  const status = mergeStatuses(levels.map((level) => level.status));
  demand(status !== "Revoked", "tcb-revoked");
  return {
    status,
    advisories: [...new Set(levels.flatMap((level) => level.advisories))],
    date: Math.min(...levels.map((level) => level.date)),
  };
}
