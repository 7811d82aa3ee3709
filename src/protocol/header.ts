/**
 * The header of a round: what every pad of the round is bound to.
 *
 * Layout, 153 + 132 N bytes: instance id (32) ‖ manifest hash (32) ‖ u64 round ‖ u64 time (Unix ms)
 * ‖ previous record hash (32) ‖ u8 carry ‖ u32 message bytes ‖ u32 roster size ‖ roster root (32)
 * ‖ N bundles (132 each) in manifest order.
 */
import { type Bundle, BUNDLE_BYTES, checkBundle, readBundle } from "./bundle.ts";
import { equal, type HeaderHash, hex, Reader, type RecordHash, Writer } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { hash } from "./hash.ts";
import type { Manifest } from "./manifest.ts";

/** What a header says beside its instance and manifest. */
export interface HeaderFields {
  readonly round: number;
  /** Unix ms at the leader. */
  readonly time: number;
  readonly previous: RecordHash;
  /** Whether the grants of the previous record stand. */
  readonly carry: boolean;
  /** Bytes of the message vector: the sum of the layout, 0 with carry 0. */
  readonly messageBytes: number;
  readonly rosterSize: number;
  readonly rosterRoot: Uint8Array;
  readonly bundles: readonly Bundle[];
}

/** A header that was read, with its bytes and hash. */
export interface Header extends HeaderFields {
  readonly bytes: Uint8Array;
  readonly hash: HeaderHash;
}

/** Bytes of a header of N servers. */
export function headerBytes(servers: number): number {
  return 153 + BUNDLE_BYTES * servers;
}

/** Bytes at the begin of a header that say its place. */
export const PLACE_BYTES = 112;

/** What a header says of its place in the log; nothing of it is checked. */
export interface Place {
  /** Fingerprint of its manifest. */
  readonly committee: Uint8Array;
  readonly round: number;
  /** Unix ms at the leader. */
  readonly time: number;
  readonly previous: RecordHash;
}

/**
 * Reads the place of a header, or of what begins with one (a record, an opened header), before it
 * is known whose it is; a `ProtocolError` for too few bytes.
 */
export function peekPlace(bytes: Uint8Array): Place {
  const reader = new Reader(bytes, "header");
  reader.bytes(32);
  const committee = reader.bytes(32), round = reader.u64(), time = reader.u64();
  return { committee, round, time, previous: reader.bytes(32) };
}

/** Encodes a header of `manifest`. */
export function createHeader(manifest: Manifest, fields: HeaderFields): Header {
  const out = new Writer().bytes(manifest.instance).bytes(manifest.fingerprint);
  out.u64(fields.round).u64(fields.time).bytes(fields.previous).u8(fields.carry ? 1 : 0);
  out.u32(fields.messageBytes).u32(fields.rosterSize).bytes(fields.rosterRoot);
  for (const bundle of fields.bundles) out.bytes(bundle.bytes);
  return decodeHeader(out.end(), manifest);
}

/** Reads a header of `manifest`: layout, ranges, instance and committee. */
export function decodeHeader(bytes: Uint8Array, manifest: Manifest): Header {
  const { parameters } = manifest;
  const reader = new Reader(bytes, "header");
  const instance = reader.bytes(32), committee = reader.bytes(32);
  const round = reader.u64(), time = reader.u64(), previous = reader.bytes(32);
  const carry = reader.u8(), messageBytes = reader.u32(), rosterSize = reader.u32();
  const rosterRoot = reader.bytes(32);
  const bundles = manifest.servers.map(() => readBundle(reader));
  reader.end();
  if (!equal(instance, manifest.instance)) {
    throw new ProtocolError("mismatch", "a header of another instance");
  }
  if (!equal(committee, manifest.fingerprint)) {
    throw new ProtocolError("mismatch", "a header of another committee");
  }
  if (round === 0) reader.fail("range", "round 0 is genesis");
  if (carry > 1) reader.fail("encoding", `carry ${carry}, expected 0 or 1`);
  if (carry === 0 && messageBytes !== 0) reader.fail("encoding", "message bytes with carry 0");
  if (messageBytes > parameters.maxVectorBytes || messageBytes % 64 !== 0) {
    reader.fail(
      "range",
      `${messageBytes} message bytes, expected whole slots up to ${parameters.maxVectorBytes}`,
    );
  }
  if (rosterSize > parameters.maxClients) {
    reader.fail("range", `a roster of ${rosterSize}, expected at most ${parameters.maxClients}`);
  }
  return {
    round,
    time,
    previous,
    carry: carry === 1,
    messageBytes,
    rosterSize,
    rosterRoot,
    bundles,
    bytes,
    hash: hash("header", bytes),
  };
}

/**
 * Throws unless every bundle is signed by its server and no X25519 key stands twice. `known` holds
 * the bundles that were checked before, by hex; it is kept at one committee's size.
 */
export function checkBundles(
  manifest: Manifest,
  header: Header,
  known: Map<number, Uint8Array> = new Map(),
): void {
  const keys = new Set<string>();
  header.bundles.forEach((bundle, index) => {
    keys.add(hex(bundle.agreement));
    const before = known.get(index);
    if (before !== undefined && equal(before, bundle.bytes)) return;
    checkBundle(manifest, index, bundle);
    known.set(index, bundle.bytes);
  });
  if (keys.size !== header.bundles.length) {
    throw new ProtocolError("key", "an X25519 key twice in a header");
  }
}
