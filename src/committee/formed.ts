/**
 * A committee that stands: its lineage, and the record that its epoch starts from. This is what
 * servers hand each other and what each keeps on disk; and in what two committees' options differ.
 *
 * Layout: u32 length ‖ certified start record, empty where no record came before ‖ lineage. On
 * disk: u8 0 ‖ manifest that the server signed for epoch 0; or u8 1 ‖ committee that stands.
 */
import { concat, equal, hex, Reader, type RecordHash, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { peekPlace } from "../protocol/header.ts";
import { decodeLineage, type Lineage, MAX_LINEAGE_BYTES } from "../protocol/lineage.ts";
import { decodeManifest, type Manifest } from "../protocol/manifest.ts";
import { MAX_SERVERS, type Parameters } from "../protocol/parameters.ts";
import { checkCertificate, decodeCertified, maxRecordBytes } from "../protocol/record.ts";

const SIGNED = 0, FORMED = 1;

/** What the rounds of an epoch come after. */
export interface Start {
  /** 0 where no record came before. */
  readonly round: number;
  readonly hash: RecordHash;
}

/** See the module comment; all in it was checked. */
export interface Formed {
  /** The newest of the lineage. */
  readonly manifest: Manifest;
  readonly epochs: Lineage;
  readonly start: Start;
  /** The certified record that the epoch starts from, if there is one. */
  readonly record: Uint8Array;
  /** The lineage as it is handed out. */
  readonly lineage: Uint8Array;
}

/** Most bytes of an encoded committee. */
export function maxFormedBytes(parameters: Parameters): number {
  return 4 + maxRecordBytes(parameters, MAX_SERVERS) + MAX_LINEAGE_BYTES;
}

/** The layout of a committee. */
export function encodeFormed({ record, lineage }: Pick<Formed, "record" | "lineage">): Uint8Array {
  return new Writer().vector(record).bytes(lineage).end();
}

/** Reads a committee of `instance` and checks all of it; a `ProtocolError` for a false one. */
export function decodeFormed(bytes: Uint8Array, instance: Uint8Array): Formed {
  const reader = new Reader(bytes, "committee");
  const record = reader.bounded(0, bytes.length, "start record").slice();
  const lineage = reader.bytes(reader.left).slice();
  const epochs = decodeLineage(lineage, instance);
  const { manifest } = epochs[epochs.length - 1];
  return { manifest, epochs, start: checkStart(manifest, epochs, record), record, lineage };
}

/**
 * What the epoch of `manifest` starts from, proven by a certified record of one of `epochs`, or by
 * none where no record came before; a `ProtocolError` for anything else.
 */
export function checkStart(manifest: Manifest, epochs: Lineage, record: Uint8Array): Start {
  const { root: hash, epoch } = manifest, fresh = equal(hash, epochs[0].manifest.root);
  if (record.length === 0 && fresh) return { round: 0, hash };
  const fail = (what: string): never => {
    throw new ProtocolError("chain", `the start of epoch ${epoch} ${what}`);
  };
  if (record.length === 0) fail("is not proven: its record is missing");
  const { committee } = peekPlace(record);
  const signer = epochs.find((it) => equal(it.manifest.fingerprint, committee))?.manifest;
  if (!signer) return fail("is proven by a record of another committee");
  const certified = decodeCertified(record, signer);
  if (!equal(certified.record.hash, hash)) fail("is proven by another record");
  checkCertificate(signer, certified);
  return { round: certified.record.header.round, hash };
}

/** What a server keeps: the manifest that it signed for epoch 0, or the committee that stands. */
export type Saved = { readonly signed: Manifest } | { readonly formed: Formed };

/** The bytes to keep. */
export function encodeSaved(saved: Saved): Uint8Array {
  return "formed" in saved
    ? concat(Uint8Array.of(FORMED), encodeFormed(saved.formed))
    : concat(Uint8Array.of(SIGNED), saved.signed.bytes);
}

/** What was kept, checked; a `ProtocolError` for what is damaged or of another instance. */
export function decodeSaved(bytes: Uint8Array, instance: Uint8Array): Saved {
  const rest = bytes.slice(1);
  if (bytes[0] === FORMED) return { formed: decodeFormed(rest, instance) };
  if (bytes[0] !== SIGNED) throw new ProtocolError("range", "a kept manifest of no known kind");
  const signed = decodeManifest(rest);
  if (!equal(signed.instance, instance)) {
    throw new ProtocolError("mismatch", "a manifest of another instance");
  }
  return { signed };
}

/** The instance of what was kept, for those who are not told which one it is. */
export function savedInstance(bytes: Uint8Array): Uint8Array {
  const reader = new Reader(bytes, "committee");
  if (reader.u8() === FORMED) {
    reader.bounded(0, bytes.length, "start record");
    reader.u16();
    reader.u32();
  }
  return reader.bytes(32);
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
