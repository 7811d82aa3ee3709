/**
 * TCB info, version 3 for TDX: which security versions of a family of platforms deserve which
 * status, the TDX modules that Intel knows, and from when until when all that holds.
 */
import { hex } from "../protocol/bytes.ts";
import { type Field, type Level, readLevel, readSvnLevels, type SvnLevel } from "./document.ts";
import { COMPONENTS } from "./platform.ts";
import { demand } from "./reasons.ts";

/** Levels of a family, and module versions. */
const MAX_LEVELS = 64, MAX_MODULES = 32;

/** What a TDX module must show. */
export interface ModuleIdentity {
  /** MRSIGNERSEAM, 48 bytes. */
  readonly mrSigner: Uint8Array;
  /** SEAMATTRIBUTES under a mask, 8 bytes each. */
  readonly attributes: Uint8Array;
  readonly mask: Uint8Array;
}

/** A level of platforms: the least of each security version. */
export interface PlatformLevel extends Level {
  readonly components: readonly number[];
  readonly pceSvn: number;
  readonly tdxComponents: readonly number[];
}

/** TCB info of a family. */
export interface TcbInfo {
  /** issueDate and nextUpdate, Unix ms, both included. */
  readonly from: number;
  readonly until: number;
  /** Family of platforms, 12 lower-case hex digits. */
  readonly fmspc: string;
  /** Provisioning enclave, 4 hex digits. */
  readonly pceId: string;
  readonly evaluationNumber: number;
  /** Modules of major version 0. */
  readonly module: ModuleIdentity;
  /** Modules of later versions by id, as `TDX_01`. */
  readonly modules: ReadonlyMap<string, ModuleIdentity & { readonly levels: readonly SvnLevel[] }>;
  /** The highest first. */
  readonly levels: readonly PlatformLevel[];
}

/** Reads it. Refuses as `tcb-info-kind` and `tcb-info-malformed`. */
export function readTcbInfo(document: Field): TcbInfo {
  const id = document.field("id").text(16), version = document.field("version").integer(999);
  const type = document.field("tcbType").integer(255);
  const right = id === "TDX" && version === 3 && type === 0;
  demand(right, "tcb-info-kind", `${id}, version ${version}, type ${type}`);
  const modules = document.optional("tdxModuleIdentities")?.list(0, MAX_MODULES) ?? [];
  return {
    from: document.field("issueDate").time(),
    until: document.field("nextUpdate").time(),
    fmspc: hex(document.field("fmspc").bytes(6)),
    pceId: hex(document.field("pceId").bytes(2)),
    evaluationNumber: document.field("tcbEvaluationDataNumber").integer(2 ** 31),
    module: readModule(document.field("tdxModule")),
    modules: new Map(modules.map((module) => [
      module.field("id").text(16).toUpperCase(),
      { ...readModule(module), levels: readSvnLevels(module.field("tcbLevels")) },
    ])),
    levels: document.field("tcbLevels").list(1, MAX_LEVELS).map(readPlatformLevel),
  };
}

function readModule(module: Field): ModuleIdentity {
  return {
    mrSigner: module.field("mrsigner").bytes(48),
    attributes: module.field("attributes").bytes(8),
    mask: module.field("attributesMask").bytes(8),
  };
}

function readPlatformLevel(level: Field): PlatformLevel {
  const tcb = level.field("tcb");
  const svns = (name: string) =>
    tcb.field(name).list(COMPONENTS, COMPONENTS).map((it) => it.field("svn").integer(255));
  return {
    ...readLevel(level),
    components: svns("sgxtcbcomponents"),
    pceSvn: tcb.field("pcesvn").integer(0xffff),
    tdxComponents: svns("tdxtcbcomponents"),
  };
}
