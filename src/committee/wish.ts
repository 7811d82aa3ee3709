/**
 * What an operator wants of its committee: the servers of the next epoch, and which members are
 * lost for good and will not sign it. Nothing changes before all other members want the same.
 *
 * Layout: fingerprint of the present manifest (32) ‖ u16 N ‖ N keys ascending (32 each) ‖ u16 M ‖
 * M keys of lost members ascending (32 each).
 */
import { compare, equal, type Fingerprint, hex, Reader, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { checkPublicKey } from "../protocol/keys.ts";
import { createManifest, type Manifest, serverIndex } from "../protocol/manifest.ts";
import { MAX_SERVERS } from "../protocol/parameters.ts";

/** Most bytes of an encoded wish. */
export const MAX_WISH_BYTES: number = 32 + 2 + 32 * MAX_SERVERS + 2 + 32 * MAX_SERVERS;

/** See the module comment. */
export interface Wish {
  /** The committee that it changes: a wish ends with its epoch. */
  readonly from: Fingerprint;
  /** Ed25519 keys, distinct and ascending. */
  readonly servers: readonly Uint8Array[];
  readonly lost: readonly Uint8Array[];
}

/** The layout of a wish; its keys may come in any order. */
export function encodeWish({ from, servers, lost }: Wish): Uint8Array {
  const out = new Writer().bytes(from);
  for (const keys of [servers, lost]) {
    out.u16(keys.length);
    for (const key of [...keys].sort(compare)) out.bytes(key);
  }
  return out.end();
}

/** Reads a wish, strictly. */
export function decodeWish(bytes: Uint8Array): Wish {
  const reader = new Reader(bytes, "wish");
  const from = reader.bytes(32).slice();
  const [servers, lost] = [2, 0].map((least) => {
    const count = reader.u16();
    if (count < least || count > MAX_SERVERS) {
      reader.fail("range", `${count} servers, expected ${least}..${MAX_SERVERS}`);
    }
    const keys = Array.from({ length: count }, () => checkPublicKey(reader.bytes(32)).slice());
    keys.forEach((key, i) => {
      if (i > 0 && compare(keys[i - 1], key) >= 0) {
        reader.fail("encoding", "server keys not distinct and ascending");
      }
    });
    return keys;
  });
  reader.end();
  return { from, servers, lost };
}

/** Throws a `ProtocolError` unless a wish can be one for the epoch after `current`. */
export function checkWish({ from, servers, lost }: Wish, current: Manifest): void {
  const fail = (what: string): never => {
    throw new ProtocolError("range", what);
  };
  if (!equal(from, current.fingerprint)) fail("it changes another committee than the present one");
  for (const key of lost) {
    const name = `server ${hex(key)}`;
    if (serverIndex(current, key) < 0) fail(`${name} is not a member: it cannot be lost`);
    if (servers.some((server) => equal(server, key))) fail(`${name} is lost and stays a member`);
  }
  if (lost.length === current.servers.length) fail("all members are lost: nobody could sign");
  const same = servers.length === current.servers.length &&
    servers.every((key, i) => equal(key, current.servers[i]));
  if (same) fail("the servers are the present ones: there is nothing to change");
}

/** The manifest that a wish asks for, starting after the record `start`. */
export function wishedManifest(wish: Wish, current: Manifest, start: Uint8Array): Manifest {
  const { instance, epoch, fingerprint: previous, parameters } = current;
  return createManifest({
    instance,
    epoch: epoch + 1,
    previous,
    start,
    servers: wish.servers,
    parameters,
  });
}
