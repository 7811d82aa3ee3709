/**
 * A server's key bundle: what clients derive pads from. It is new every boot and every key epoch,
 * so a server that forgets its state cannot be made to open an old round.
 *
 * Layout: boot nonce (32) ‖ u32 key epoch ‖ X25519 key (32) ‖ identity signature (64).
 */
import { Reader, Writer } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { checkAgreementKey, type Signer, verify } from "./keys.ts";
import type { Manifest } from "./manifest.ts";

/** Bytes of a bundle. */
export const BUNDLE_BYTES = 132;

/** A bundle as it stands in a header. */
export interface Bundle {
  readonly nonce: Uint8Array;
  readonly keyEpoch: number;
  readonly agreement: Uint8Array;
  readonly signature: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Makes and signs a server's bundle. */
export function createBundle(
  signer: Signer,
  manifest: Manifest,
  fields: { readonly nonce: Uint8Array; readonly keyEpoch: number; readonly agreement: Uint8Array },
): Bundle {
  const body = new Writer().bytes(fields.nonce).u32(fields.keyEpoch).bytes(fields.agreement).end();
  const signature = signer.sign(
    "sign-bundle",
    manifest.instance,
    manifest.fingerprint,
    signer.key,
    body,
  );
  return readBundle(new Reader(new Writer().bytes(body).bytes(signature).end(), "bundle"));
}

/** Takes one bundle off a layout; its signature is checked by `checkBundle`. */
export function readBundle(reader: Reader): Bundle {
  const bytes = reader.bytes(BUNDLE_BYTES);
  const fields = new Reader(bytes, "bundle");
  return {
    nonce: fields.bytes(32),
    keyEpoch: fields.u32(),
    agreement: fields.bytes(32),
    signature: fields.bytes(64),
    bytes,
  };
}

/** Reads one bundle that stands alone. */
export function decodeBundle(bytes: Uint8Array): Bundle {
  const reader = new Reader(bytes, "bundle");
  const bundle = readBundle(reader);
  reader.end();
  return bundle;
}

/** Throws unless the bundle is signed by the server at `index` and its key may be used. */
export function checkBundle(manifest: Manifest, index: number, bundle: Bundle): void {
  const body = bundle.bytes.subarray(0, 68);
  const server = manifest.servers[index];
  if (
    !verify(
      server,
      bundle.signature,
      "sign-bundle",
      manifest.instance,
      manifest.fingerprint,
      server,
      body,
    )
  ) {
    throw new ProtocolError("signature", `a bundle not signed by server ${index}`);
  }
  checkAgreementKey(bundle.agreement);
}
