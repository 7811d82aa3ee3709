/**
 * What a server keeps of its committee, and in what two committees' options differ.
 *
 * Layout: u8 0 ‖ manifest that it signed; or u8 1 ‖ lineage, once the committee stands.
 */
import { concat, equal, hex } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { decodeLineage } from "../protocol/lineage.ts";
import { decodeManifest, type Manifest } from "../protocol/manifest.ts";
import type { Parameters } from "../protocol/parameters.ts";

const SIGNED = 0, FORMED = 1;

/** A manifest that a server signed; `lineage` ends with it, once all have. */
export interface Saved {
  readonly manifest: Manifest;
  readonly lineage?: Uint8Array;
}

/** The bytes to keep. */
export function encodeSaved({ manifest, lineage }: Saved): Uint8Array {
  return lineage
    ? concat(Uint8Array.of(FORMED), lineage)
    : concat(Uint8Array.of(SIGNED), manifest.bytes);
}

/** What was kept, checked; a `ProtocolError` for what is damaged or of another instance. */
export function decodeSaved(bytes: Uint8Array, instance: Uint8Array): Saved {
  const rest = bytes.slice(1);
  if (bytes[0] === FORMED) {
    return { manifest: decodeLineage(rest, instance).at(-1)!.manifest, lineage: rest };
  }
  if (bytes[0] !== SIGNED) throw new ProtocolError("range", "a kept manifest of no known kind");
  const manifest = decodeManifest(rest);
  if (!equal(manifest.instance, instance)) {
    throw new ProtocolError("mismatch", "a manifest of another instance");
  }
  return { manifest };
}

/** What a committee is made with. */
export interface Terms {
  readonly size: number;
  readonly parameters: Parameters;
}

/** Every term in which two committees differ, or undefined: `roundPeriod 1000 there, 300 here`. */
export function difference(there: Terms, here: Terms): string | undefined {
  const named = ({ size, parameters }: Terms): Record<string, unknown> => ({
    committeeSize: size,
    ...parameters,
  });
  const show = (value: unknown) => value instanceof Uint8Array ? hex(value).slice(0, 16) : value;
  const a = named(there), b = named(here);
  const lines = Object.keys(a).filter((name) => {
    const x = a[name], y = b[name];
    return x instanceof Uint8Array && y instanceof Uint8Array ? !equal(x, y) : x !== y;
  }).map((name) => `${name} ${show(a[name])} there, ${show(b[name])} here`);
  return lines.length > 0 ? lines.join("; ") : undefined;
}
