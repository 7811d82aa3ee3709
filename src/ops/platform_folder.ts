/**
 * Folders of the simulated platform. That of an authority holds the development root's private keys,
 * and belongs to whoever runs the network; that of a machine holds what its quotes are made of, and
 * nothing of the authority's.
 *
 * ```text
 * authority   root.der (the anchor) · authority.json (0600: all private keys) · collateral.json
 * machine     root.der · platform.json (0600: the attestation key, the image) · collateral.json
 * ```
 */
import { formatCollateral } from "../attest/collateral_json.ts";
import { type QuoteSource, simulatedSource } from "../attest/quote_source.ts";
import { simulatedAuthority } from "../attest/simulated_authority.ts";
import { simulatedCollateral } from "../attest/simulated_collateral.ts";
import {
  formatAuthority,
  formatPlatform,
  type KeptAuthority,
  type KeptPlatform,
  MAX_IMAGE,
  MAX_REVOKED,
  parseAuthority,
  parsePlatform,
  SimulatedJsonError,
} from "../attest/simulated_json.ts";
import { simulatedPlatform } from "../attest/simulated_platform.ts";
import { readCertificate } from "../attest/certificate.ts";
import { equal } from "../protocol/bytes.ts";
import type { Random } from "../universe/environment.ts";
import { readIfPresent, replaceDurably, StoreError } from "./files.ts";

/** Files of both kinds of folder. */
export const PLATFORM_ROOT = "root.der";
export const PLATFORM_COLLATERAL = "collateral.json";
const AUTHORITY = "authority.json", PLATFORM = "platform.json";

/** Bits that a private file must not have: others could read it. */
const OTHERS = 0o077;
const PRIVATE = 0o600, PUBLIC = 0o644;

/** A folder that is not what it should be; the message says what was expected and what to do. */
export class PlatformError extends StoreError {
  constructor(message: string, code: "damaged" | "permission" = "damaged", options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** Makes the folder of a new authority. Refuses one that holds an authority already. */
export function createAuthority(folder: string, random: Random, now: number): KeptAuthority {
  if (readIfPresent(`${folder}/${AUTHORITY}`)) {
    throw new PlatformError(
      `${folder} holds an authority already: renew it, or name another folder`,
    );
  }
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const kept = { authority: simulatedAuthority(random, now), revoked: [] };
  write(folder, AUTHORITY, formatAuthority(kept), PRIVATE);
  replaceDurably(`${folder}/${PLATFORM_ROOT}`, [kept.authority.root.der], PUBLIC);
  writeCollateral(folder, kept, now);
  return kept;
}

/** The authority of a folder. Throws a `PlatformError`. */
export function openAuthority(folder: string): KeptAuthority {
  return readPrivate(folder, AUTHORITY, "root", parseAuthority);
}

/** Issues collateral anew, good for 30 days from `now`. */
export function renewCollateral(folder: string, now: number): KeptAuthority {
  const kept = openAuthority(folder);
  writeCollateral(folder, kept, now);
  return kept;
}

/** Revokes the machine of a folder, and issues collateral that says so. */
export function revokePlatform(folder: string, machine: string, now: number): KeptAuthority {
  const { authority, revoked } = openAuthority(folder);
  const [pck] = readPrivate(machine, PLATFORM, "node", parsePlatform).platform.chain;
  const serial = Uint8Array.fromHex(readCertificate(pck, "pck").serial);
  if (revoked.some((other) => equal(other, serial))) {
    throw new PlatformError(`the machine of ${machine} is revoked already`);
  }
  if (revoked.length >= MAX_REVOKED) {
    throw new PlatformError(`${folder} has revoked ${MAX_REVOKED} machines: make another root`);
  }
  const kept = { authority, revoked: [...revoked, serial] };
  write(folder, AUTHORITY, formatAuthority(kept), PRIVATE);
  writeCollateral(folder, kept, now);
  return kept;
}

/** Makes the folder of a new machine of an authority. Refuses one that holds a machine already. */
export function createPlatform(
  { folder, machine, image }: { folder: string; machine: string; image: string },
  random: Random,
  now: number,
): KeptPlatform {
  const { authority } = openAuthority(folder);
  if (image.length < 1 || image.length > MAX_IMAGE) {
    throw new PlatformError(`an image's label: expected 1 to ${MAX_IMAGE} characters`);
  }
  if (readIfPresent(`${machine}/${PLATFORM}`)) {
    throw new PlatformError(`${machine} holds a platform already: name another folder`);
  }
  Deno.mkdirSync(machine, { recursive: true, mode: 0o700 });
  const kept = { platform: simulatedPlatform(authority, random, now), image };
  write(machine, PLATFORM, formatPlatform(kept), PRIVATE);
  replaceDurably(`${machine}/${PLATFORM_ROOT}`, [authority.root.der], PUBLIC);
  const collateral = readIfPresent(`${folder}/${PLATFORM_COLLATERAL}`);
  if (collateral) replaceDurably(`${machine}/${PLATFORM_COLLATERAL}`, [collateral], PUBLIC);
  return kept;
}

/** The quotes of a machine's folder. Throws a `PlatformError`. */
export function openPlatform(folder: string): { readonly source: QuoteSource } & KeptPlatform {
  const kept = readPrivate(folder, PLATFORM, "node", parsePlatform);
  return { ...kept, source: simulatedSource(kept.platform, { image: kept.image }) };
}

function writeCollateral(folder: string, { authority, revoked }: KeptAuthority, now: number): void {
  const collateral = simulatedCollateral(authority, now, { pckCrl: { revoked } });
  write(folder, PLATFORM_COLLATERAL, formatCollateral(collateral), PUBLIC);
}

function write(folder: string, name: string, text: string, mode: number): void {
  replaceDurably(`${folder}/${name}`, [new TextEncoder().encode(text)], mode);
}

/** Reads a file that nobody else may read. `kind` is what the command calls such a folder. */
function readPrivate<T>(
  folder: string,
  name: string,
  kind: "root" | "node",
  parse: (json: string) => T,
): T {
  const path = `${folder}/${name}`;
  let bytes: Uint8Array | undefined, mode: number | null;
  try {
    bytes = readIfPresent(path);
    mode = bytes ? Deno.statSync(path).mode : null;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotCapable)) {
      const advice = "it must be a file that this user can read";
      throw new PlatformError(`${path} cannot be read: ${advice}`, "damaged", { cause });
    }
    const advice = `run with --allow-read=${folder} (beside -P it replaces the set's own folders)`;
    throw new PlatformError(`${path} may not be read: ${advice}`, "permission", { cause });
  }
  if (!bytes) {
    throw new PlatformError(`${folder} holds no ${name}: make it with deno task platform ${kind}`);
  }
  if (mode !== null && (mode & OTHERS) !== 0) {
    const found = (mode & 0o777).toString(8).padStart(4, "0");
    throw new PlatformError(
      `${path} may be read by others: expected mode 0600, it is ${found}; chmod 600 it, if no ` +
        "one has read it, or make another",
    );
  }
  try {
    return parse(new TextDecoder().decode(bytes));
  } catch (error) {
    if (!(error instanceof SimulatedJsonError)) throw error;
    throw new PlatformError(`${path} is damaged: ${error.message}`);
  }
}
