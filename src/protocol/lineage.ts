/**
 * A lineage: the manifests of successive epochs from some first one on, as a server hands them to
 * whoever asks. A change of servers is a new epoch, whose manifest names the one before and the
 * record it starts from. Each is signed by all its own members; the members of the epoch before who
 * left sign it too, and where one of them did not, only a new pin moves a client that knew better.
 *
 * Layout: u16 count ‖ of each epoch: u32 length ‖ manifest ‖ N signatures (64 each) in manifest
 * order, and after the first epoch ‖ u32 length ‖ bitmap over the members of the epoch before ‖ the
 * signatures (64 each) of those set. A member of both epochs stands among the N, never in the bitmap.
 */
import { participants, readBitmap } from "./aggregate.ts";
import { equal, type Fingerprint, hex, Reader, Writer } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { verify } from "./keys.ts";
import {
  checkSuccession,
  decodeManifest,
  type Manifest,
  MAX_MANIFEST_BYTES,
  serverIndex,
} from "./manifest.ts";
import { MAX_SERVERS } from "./parameters.ts";

/** Most epochs in a lineage; a server drops the oldest. */
export const MAX_EPOCHS = 256;

/** Most bytes of an encoded lineage. */
export const MAX_LINEAGE_BYTES: number = 2 +
  MAX_EPOCHS * (4 + MAX_MANIFEST_BYTES + 64 * MAX_SERVERS + 4 + MAX_SERVERS / 8 + 64 * MAX_SERVERS);

/** A manifest with signatures over it, 64 bytes each. */
export interface SignedManifest {
  readonly manifest: Manifest;
  /** Of its own members, in manifest order. */
  readonly signatures: readonly Uint8Array[];
  /**
   * Of the members of the epoch before who left, each at its place there; a hole where one has not
   * signed or is still a member. Of no meaning in the first epoch of a lineage.
   */
  readonly departed?: readonly (Uint8Array | undefined)[];
}

/** An epoch of a lineage that was read: all signatures in it are good. */
export interface Epoch extends SignedManifest {
  /** Keys of the members of the epoch before who have not signed; empty if the link is complete. */
  readonly missing: readonly Uint8Array[];
}

/** Successive epochs, at least one, oldest first. */
export type Lineage = readonly Epoch[];

/** What a client goes by: a pin on any epoch, the manifest it followed so far, or nothing yet. */
export type Trust = { readonly pin?: Fingerprint } | { readonly known: Manifest };

/**
 * Why a lineage is refused: the pinned manifest is not in it (`unpinned`); it ends before the known
 * epoch (`behind`), begins after it (`cut`), or has another manifest in its place (`forked`); an old
 * member has not signed a later epoch (`unsigned`).
 */
export type LineageRefusal = "unpinned" | "behind" | "cut" | "forked" | "unsigned";

/** The newest manifest that `trust` leads to, or why none and what to do, in one line. */
export type Acceptance =
  | { readonly accepted: Manifest }
  | {
    readonly refused: LineageRefusal;
    readonly message: string;
    /** The last manifest before the link that is not complete, of an `unsigned` lineage. */
    readonly reached?: Manifest;
  };

/** Puts together what was signed of a manifest; undefined while one of its own members is missing. */
export function gatherEpoch(
  manifest: Manifest,
  signatureOf: (server: Uint8Array) => Uint8Array | undefined,
  before?: Manifest,
): SignedManifest | undefined {
  const signatures = manifest.servers.map(signatureOf).filter((s) => s !== undefined);
  if (signatures.length !== manifest.servers.length) return undefined;
  const departed = before?.servers.map((server) =>
    serverIndex(manifest, server) < 0 ? signatureOf(server) : undefined
  );
  return { manifest, signatures, departed };
}

/** The layout of a lineage; a `ProtocolError` for none or more than `MAX_EPOCHS`. */
export function encodeLineage(epochs: readonly SignedManifest[]): Uint8Array {
  checkCount(epochs.length);
  const out = new Writer().u16(epochs.length);
  epochs.forEach(({ manifest, signatures, departed = [] }, i) => {
    out.vector(manifest.bytes);
    for (const signature of signatures) out.bytes(signature);
    if (i === 0) return;
    const bitmap = new Uint8Array(Math.ceil(epochs[i - 1].manifest.servers.length / 8));
    departed.forEach((signature, at) => {
      if (signature) bitmap[at >> 3] |= 1 << (at & 7);
    });
    out.vector(bitmap);
    for (const signature of departed) if (signature) out.bytes(signature);
  });
  return out.end();
}

/**
 * Reads a lineage of `instance` and checks every signature and link; a `ProtocolError` for one that
 * is malformed, false, or of another instance. A link may lack old members, but not all of them.
 */
export function decodeLineage(bytes: Uint8Array, instance: Uint8Array): Lineage {
  const reader = new Reader(bytes, "lineage");
  const count = reader.u16();
  checkCount(count);
  const epochs: Epoch[] = [];
  for (let i = 0; i < count; i++) {
    const epoch = readEpoch(reader, epochs.at(-1)?.manifest);
    if (!equal(epoch.manifest.instance, instance)) {
      throw new ProtocolError("mismatch", "a manifest of another instance");
    }
    epochs.push(epoch);
  }
  reader.end();
  return epochs;
}

function checkCount(count: number): void {
  if (count < 1 || count > MAX_EPOCHS) {
    throw new ProtocolError("range", `lineage: ${count} epochs, expected 1..${MAX_EPOCHS}`);
  }
}

function readEpoch(reader: Reader, before: Manifest | undefined): Epoch {
  const manifest = decodeManifest(reader.bounded(1, MAX_MANIFEST_BYTES, "manifest"));
  if (before) checkSuccession(before, manifest);
  const signatures = manifest.servers.map((server) => readSignature(reader, manifest, server));
  if (!before) return { manifest, signatures, missing: [] };
  const signed = new Set(participants(readBitmap(reader, before.servers.length)));
  const missing: Uint8Array[] = [];
  const departed = before.servers.map((server, at) => {
    const stays = serverIndex(manifest, server) >= 0;
    if (stays && signed.has(at)) reader.fail("encoding", "a member of both epochs signs twice");
    if (signed.has(at)) return readSignature(reader, manifest, server);
    if (!stays) missing.push(server);
    return undefined;
  });
  if (missing.length === before.servers.length) {
    throw new ProtocolError(
      "signature",
      `a manifest of epoch ${manifest.epoch} that no server of epoch ${before.epoch} has signed`,
    );
  }
  return { manifest, signatures, departed, missing };
}

function readSignature(reader: Reader, manifest: Manifest, server: Uint8Array): Uint8Array {
  const signature = reader.bytes(64);
  if (!verify(server, signature, "sign-manifest", manifest.fingerprint)) {
    throw new ProtocolError(
      "signature",
      `a manifest of epoch ${manifest.epoch} without the signature of server ${name(server)}`,
    );
  }
  return signature;
}

/**
 * The newest manifest of a lineage that `trust` leads to. From the pinned or known epoch on every
 * link must be complete; what came before does not matter. With neither, the newest is trusted.
 */
export function acceptLineage(lineage: Lineage, trust: Trust): Acceptance {
  const newest = lineage[lineage.length - 1].manifest;
  const from = "known" in trust ? trust.known.fingerprint : trust.pin;
  if (from === undefined) return { accepted: newest };
  const at = lineage.findIndex(({ manifest }) => equal(manifest.fingerprint, from));
  if (at < 0) return "known" in trust ? unknown(lineage, trust.known) : unpinned(newest, from);
  for (let i = at + 1; i < lineage.length; i++) {
    const { manifest, missing } = lineage[i];
    if (missing.length === 0) continue;
    const servers = missing.map(name).join(", ");
    const message = `epoch ${manifest.epoch} lacks the signature of server ${servers} of epoch ` +
      `${manifest.epoch - 1}: if you trust it, pin ${hex(manifest.fingerprint)}`;
    return { refused: "unsigned", message, reached: lineage[i - 1].manifest };
  }
  return { accepted: newest };
}

function unpinned({ fingerprint, epoch }: Manifest, pin: Fingerprint): Acceptance {
  const message = `epoch ${epoch} is ${hex(fingerprint)}, expected the pinned ${hex(pin)} or one ` +
    "that follows it";
  return { refused: "unpinned", message };
}

function unknown(lineage: Lineage, { epoch, fingerprint }: Manifest): Acceptance {
  const first = lineage[0].manifest, last = lineage[lineage.length - 1].manifest;
  if (last.epoch < epoch) {
    const message = `the lineage ends with epoch ${last.epoch}, before the known epoch ${epoch}: ` +
      "ask another server";
    return { refused: "behind", message };
  }
  if (first.epoch > epoch) {
    const message = `the lineage begins with epoch ${first.epoch}, after the known epoch ` +
      `${epoch}: if you trust it, pin ${hex(last.fingerprint)}`;
    return { refused: "cut", message };
  }
  const other = lineage[epoch - first.epoch].manifest.fingerprint;
  const message = `epoch ${epoch} is ${hex(other)}, expected the known ${hex(fingerprint)}: two ` +
    "committees claim to be the next; ask the operators which to pin";
  return { refused: "forked", message };
}

function name(server: Uint8Array): string {
  return hex(server).slice(0, 16);
}
