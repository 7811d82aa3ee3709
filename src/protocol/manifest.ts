/**
 * The committee manifest: who the servers are and what the instance agreed on. Its hash is the
 * fingerprint that a careful client pins; every member signs it.
 *
 * Layout: instance id (32) ‖ u32 epoch ‖ previous manifest hash (32) ‖ start record hash (32) ‖
 * u16 N ‖ N server keys ascending (32 each) ‖ parameters (101).
 */
import {
  compare,
  equal,
  type Fingerprint,
  isZero,
  Reader,
  type RecordHash,
  Writer,
} from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { hash } from "./hash.ts";
import { checkPublicKey, type Signer } from "./keys.ts";
import {
  encodeParameters,
  MAX_SERVERS,
  type Parameters,
  PARAMETERS_BYTES,
  readParameters,
} from "./parameters.ts";

/** What a manifest says. */
export interface ManifestFields {
  readonly instance: Uint8Array;
  readonly epoch: number;
  /** Hash of the manifest before this one; zero in epoch 0. */
  readonly previous: Uint8Array;
  /** Hash of the record this epoch starts from; zero in epoch 0. */
  readonly start: Uint8Array;
  /** Ed25519 keys, distinct and ascending. */
  readonly servers: readonly Uint8Array[];
  readonly parameters: Parameters;
}

/** A manifest that was checked, with its bytes and fingerprint. */
export interface Manifest extends ManifestFields {
  readonly bytes: Uint8Array;
  readonly fingerprint: Fingerprint;
  /** Hash of the record before the first round: genesis in epoch 0, else `start`. */
  readonly root: RecordHash;
}

/** Most bytes of an encoded manifest. */
export const MAX_MANIFEST_BYTES: number = 102 + 32 * MAX_SERVERS + PARAMETERS_BYTES;

/** Encodes and checks a manifest; the servers may come in any order. */
export function createManifest(fields: ManifestFields): Manifest {
  const servers = [...fields.servers].sort(compare);
  const out = new Writer().bytes(fields.instance).u32(fields.epoch).bytes(fields.previous).bytes(
    fields.start,
  );
  out.u16(servers.length);
  for (const key of servers) out.bytes(key);
  return decodeManifest(out.bytes(encodeParameters(fields.parameters)).end());
}

/** Reads a manifest, strictly. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const reader = new Reader(bytes, "manifest");
  const instance = reader.bytes(32),
    epoch = reader.u32(),
    previous = reader.bytes(32),
    start = reader.bytes(32);
  const count = reader.u16();
  if (count < 2 || count > MAX_SERVERS) {
    reader.fail("range", `${count} servers, expected 2..${MAX_SERVERS}`);
  }
  const servers: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    servers.push(checkPublicKey(reader.bytes(32)));
    if (i > 0 && compare(servers[i - 1], servers[i]) >= 0) {
      reader.fail("encoding", "server keys not distinct and ascending");
    }
  }
  const parameters = readParameters(reader);
  reader.end();
  const linked = epoch !== 0;
  if (isZero(previous) === linked || isZero(start) === linked) {
    reader.fail("encoding", `epoch ${epoch} with the wrong links to an earlier one`);
  }
  const fingerprint = hash("manifest", bytes);
  const root = epoch === 0 ? hash("genesis", fingerprint) : start;
  return { instance, epoch, previous, start, servers, parameters, bytes, fingerprint, root };
}

/** A member's signature over its manifest, 64 bytes. */
export function signManifest(signer: Signer, manifest: Manifest): Uint8Array {
  return signer.sign("sign-manifest", manifest.fingerprint);
}

/**
 * Throws unless `next` may follow `before`: the next epoch of the same instance with the same
 * parameters, which names it. What differs are the servers and the record it starts from.
 */
export function checkSuccession(before: Manifest, next: Manifest): void {
  const fail = (what: string): never => {
    throw new ProtocolError("chain", `a manifest of epoch ${next.epoch} ${what}`);
  };
  if (next.epoch !== before.epoch + 1) fail(`after epoch ${before.epoch}: epochs rise by one`);
  if (!equal(next.previous, before.fingerprint)) fail("that follows another than the one before");
  if (!equal(next.instance, before.instance)) fail("of another instance than the one before");
  if (!equal(encodeParameters(next.parameters), encodeParameters(before.parameters))) {
    fail("with other parameters: only servers change, other parameters are a new instance");
  }
}

/** Place of a server's key in the manifest, or −1. */
export function serverIndex(manifest: Manifest, key: Uint8Array): number {
  return manifest.servers.findIndex((server) => equal(server, key));
}
