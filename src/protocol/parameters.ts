/**
 * What an instance agrees on for good: sizes, limits, deadlines, and what admits its servers. They
 * are part of the manifest, so a change of one is another committee fingerprint.
 */
import { Reader, Writer, ZERO32 } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";

/** Pad suites by their byte on the wire. */
export const SUITES = ["xchacha20", "aes-128-ctr"] as const;

/** How pads are made. */
export type Suite = (typeof SUITES)[number];

/** The parameters of an instance. Sizes in bytes, times in milliseconds. */
export interface Parameters {
  readonly suite: Suite;
  readonly maxClients: number;
  readonly maxTalkers: number;
  readonly maxMessageBytes: number;
  readonly maxVectorBytes: number;
  readonly minParticipants: number;
  readonly leaseRounds: number;
  readonly roundPeriod: number;
  readonly foldDeadline: number;
  readonly roundDeadline: number;
  /** SHA-256 of the attestation root's DER; zero where nothing is attested. */
  readonly anchor: Uint8Array;
  /** Attestation policy id; zero for none. */
  readonly policy: Uint8Array;
}

/** The numbers among them. */
export type Limit = Exclude<keyof Parameters, "suite" | "anchor" | "policy">;

/** Smallest and largest value of each number; an exact order, the one on the wire. */
export const LIMITS: Readonly<Record<Limit, readonly [min: number, max: number]>> = {
  maxClients: [2, 65_536],
  maxTalkers: [1, 4_096],
  maxMessageBytes: [1, 1_048_576],
  maxVectorBytes: [64, 16_777_216],
  minParticipants: [2, 65_536],
  leaseRounds: [1, 1_048_576],
  roundPeriod: [1, 86_400_000],
  foldDeadline: [1, 86_400_000],
  roundDeadline: [1, 86_400_000],
};

/** Bytes of encoded parameters. */
export const PARAMETERS_BYTES: number = 1 + 4 * Object.keys(LIMITS).length + 64;

/** Most servers of a committee. */
export const MAX_SERVERS = 64;

const common = {
  suite: "xchacha20",
  minParticipants: 3,
  leaseRounds: 32,
  anchor: ZERO32,
  policy: ZERO32,
} as const;

/** The presets by name. */
export const PRESETS: Readonly<Record<"interactive" | "archival" | "dev", Parameters>> = {
  interactive: {
    ...common,
    maxClients: 1_024,
    maxTalkers: 64,
    maxMessageBytes: 4_096,
    maxVectorBytes: 65_536,
    roundPeriod: 1_000,
    foldDeadline: 400,
    roundDeadline: 5_000,
  },
  archival: {
    ...common,
    maxClients: 8_192,
    maxTalkers: 1_024,
    maxMessageBytes: 16_384,
    maxVectorBytes: 1_048_576,
    roundPeriod: 30_000,
    foldDeadline: 5_000,
    roundDeadline: 60_000,
  },
  dev: {
    ...common,
    maxClients: 1_024,
    maxTalkers: 64,
    maxMessageBytes: 4_096,
    maxVectorBytes: 65_536,
    roundPeriod: 300,
    foldDeadline: 120,
    roundDeadline: 3_000,
  },
};

/** The parameters themselves, if every rule between them holds; else a `ProtocolError`. */
export function checkParameters(p: Parameters): Parameters {
  for (const [name, [min, max]] of Object.entries(LIMITS) as [Limit, readonly [number, number]][]) {
    const value = p[name];
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new ProtocolError("range", `${name} is ${value}, expected ${min}..${max}`);
    }
  }
  if (p.maxVectorBytes < slotBytes(p.maxMessageBytes)) {
    throw new ProtocolError(
      "range",
      `maxVectorBytes is ${p.maxVectorBytes}, expected at least one slot of ${
        slotBytes(p.maxMessageBytes)
      }`,
    );
  }
  if (p.minParticipants > p.maxClients) {
    throw new ProtocolError(
      "range",
      `minParticipants ${p.minParticipants} over maxClients ${p.maxClients}`,
    );
  }
  if (p.foldDeadline >= p.roundDeadline) {
    throw new ProtocolError(
      "range",
      `foldDeadline ${p.foldDeadline} ms not below roundDeadline ${p.roundDeadline} ms`,
    );
  }
  return p;
}

/** Units of 64 bytes that a payload of `n` bytes takes. */
export function unitsOf(n: number): number {
  return Math.ceil((20 + n) / 64);
}

/** Bytes of the slot that holds a payload of `n` bytes. */
export function slotBytes(n: number): number {
  return 64 * unitsOf(n);
}

/** Cells in each of the schedule's four sub-tables. */
export function cellsPerTable(p: Parameters): number {
  const factor = p.maxTalkers < 256 ? 2 : 1.5;
  return Math.ceil(Math.max(64, factor * p.maxTalkers) / 4);
}

/** Bytes of the schedule vector. */
export function scheduleBytes(p: Parameters): number {
  return 4 * cellsPerTable(p) * 24;
}

/** The parameters as they stand in a manifest, 101 bytes. */
export function encodeParameters(p: Parameters): Uint8Array {
  const out = new Writer().u8(SUITES.indexOf(p.suite));
  for (const name of Object.keys(LIMITS) as Limit[]) out.u32(p[name]);
  return out.bytes(p.anchor).bytes(p.policy).end();
}

/** Reads and checks parameters off a layout. */
export function readParameters(reader: Reader): Parameters {
  const suite = SUITES[reader.u8()];
  if (suite === undefined) reader.fail("range", "an unknown pad suite");
  const numbers = {} as Record<Limit, number>;
  for (const name of Object.keys(LIMITS) as Limit[]) numbers[name] = reader.u32();
  return checkParameters({ suite, ...numbers, anchor: reader.bytes(32), policy: reader.bytes(32) });
}
