/**
 * The simulated authority and its machines as JSON, so that they outlive a process. An authority is
 * its keys and what its certificates say; these are issued anew when it is read, the same to the
 * byte, since its signatures are deterministic. A machine is what its quotes are made of; it holds
 * no key of the authority.
 */
import { hex } from "../protocol/bytes.ts";
import { MAX_CHAIN_BYTES } from "./pem.ts";
import { QE_REPORT_BYTES } from "./reports.ts";
import {
  type AuthorityChanges,
  type SimulatedAuthority,
  simulatedAuthority,
} from "./simulated_authority.ts";
import { simulatedKeyOf } from "./simulated_key.ts";
import type { QuotingPlatform } from "./simulated_platform.ts";

/** Characters of either, and of an image's label. */
export const MAX_SIMULATED_JSON = 1_048_576, MAX_IMAGE = 128;
/** Serial numbers that an authority may have revoked. */
export const MAX_REVOKED = 1_024;

const PARTS = ["root", "pckCa", "tcbSigner"] as const;

/** An authority, and the serial numbers of machines that it has revoked. */
export interface KeptAuthority {
  readonly authority: SimulatedAuthority;
  readonly revoked: readonly Uint8Array[];
}

/** A machine, and the label of the image that it started. */
export interface KeptPlatform {
  readonly platform: QuotingPlatform;
  readonly image: string;
}

/** JSON that is not what it should be; the message says what was expected. */
export class SimulatedJsonError extends Error {
  override readonly name = "SimulatedJsonError";
}

/** An authority as JSON. It holds all of its private keys. */
export function formatAuthority({ authority, revoked }: KeptAuthority): string {
  const parts = PARTS.map((name) => {
    const { key, serial, from, until } = authority[name];
    return [name, { secret: hex(key.secret), serial: hex(serial), from, until }];
  });
  const all = { ...Object.fromEntries(parts), revoked: revoked.map(hex) };
  return `${JSON.stringify(all, null, 2)}\n`;
}

/** Reads an authority; throws a `SimulatedJsonError`. */
export function parseAuthority(json: string): KeptAuthority {
  const fields = objectOf(json, "an authority");
  const changes = Object.fromEntries(PARTS.map((name) => {
    const part = record(fields[name], name);
    const time = (field: "from" | "until") => {
      const value = part[field];
      if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
      throw new SimulatedJsonError(`${name}.${field}: expected a time in Unix ms`);
    };
    return [name, {
      key: simulatedKeyOf(bytes(part.secret, `${name}.secret`, 32, 32)),
      serial: bytes(part.serial, `${name}.serial`, 1, 20),
      ...{ from: time("from"), until: time("until") },
    }];
  })) as AuthorityChanges;
  if (!Array.isArray(fields.revoked) || fields.revoked.length > MAX_REVOKED) {
    throw new SimulatedJsonError(`revoked: expected a list of at most ${MAX_REVOKED}`);
  }
  const nothing = (length: number) => new Uint8Array(length).fill(1);
  return {
    authority: simulatedAuthority(nothing, 0, changes),
    revoked: fields.revoked.map((it, i) => bytes(it, `revoked[${i}]`, 1, 20)),
  };
}

/** A machine as JSON. It holds its attestation key. */
export function formatPlatform({ platform, image }: KeptPlatform): string {
  const { chain, attestationKey, qeReport, qeSignature, qeAuthData } = platform;
  const fields = {
    image,
    attestation_key: hex(attestationKey.secret),
    ...{ qe_report: hex(qeReport), qe_signature: hex(qeSignature), qe_auth_data: hex(qeAuthData) },
    chain: chain.map(hex),
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

/** Reads a machine; throws a `SimulatedJsonError`. */
export function parsePlatform(json: string): KeptPlatform {
  const fields = objectOf(json, "a simulated platform"), { image, chain } = fields;
  if (typeof image !== "string" || image.length < 1 || image.length > MAX_IMAGE) {
    throw new SimulatedJsonError(`image: expected a text of 1 to ${MAX_IMAGE} characters`);
  }
  if (!Array.isArray(chain) || chain.length !== 3) {
    throw new SimulatedJsonError("chain: expected three certificates");
  }
  const platform = {
    attestationKey: simulatedKeyOf(bytes(fields.attestation_key, "attestation_key", 32, 32)),
    qeReport: bytes(fields.qe_report, "qe_report", QE_REPORT_BYTES, QE_REPORT_BYTES),
    qeSignature: bytes(fields.qe_signature, "qe_signature", 64, 64),
    qeAuthData: bytes(fields.qe_auth_data, "qe_auth_data", 32, 32),
    chain: chain.map((it, i) => bytes(it, `chain[${i}]`, 1, MAX_CHAIN_BYTES)),
  };
  return { platform, image };
}

function objectOf(json: string, what: string): Record<string, unknown> {
  if (json.length > MAX_SIMULATED_JSON) {
    throw new SimulatedJsonError(`${json.length} characters, at most ${MAX_SIMULATED_JSON}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new SimulatedJsonError(`expected ${what} as JSON`);
  }
  return record(value, what);
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new SimulatedJsonError(`${what}: expected an object`);
}

function bytes(value: unknown, what: string, least: number, most: number): Uint8Array {
  if (
    typeof value === "string" && value.length % 2 === 0 && /^[0-9a-f]*$/i.test(value) &&
    value.length >= 2 * least && value.length <= 2 * most
  ) return Uint8Array.fromHex(value);
  const length = least === most ? `${least}` : `${least} to ${most}`;
  throw new SimulatedJsonError(`${what}: expected ${length} bytes as hex digits`);
}
