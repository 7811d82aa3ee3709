/**
 * The first frame on every stream, in both directions: which universe and instance the sender
 * serves, what it does there and where it can be dialed. Who the sender is needs no field, the
 * transport has proven it.
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 32 | universe id |
 * | 32 | 32 | instance id |
 * | 64 | 1 | role: 0 server, 1 aggregator, 2 client, 3 reader |
 * | 65 | 1 | number of addresses, 0–8 |
 * | 66 | … | each address: one length byte (1–255), then printable ASCII |
 */
import type { Role } from "./network.ts";

/** Stable reasons of a `FrameError`. */
export type FrameErrorCode =
  /** Too few bytes, bytes after the end, or more than the bound. */
  | "length"
  /** A field outside its range. */
  | "range"
  /** Not of the shape that is expected here. */
  | "shape";

/** A frame that breaks the layout of its kind. */
export class FrameError extends Error {
  override readonly name = "FrameError";
  constructor(readonly code: FrameErrorCode, message: string) {
    super(message);
  }
}

/** Addresses one peer may have. */
export const MAX_ADDRESSES = 8;
/** Characters of one address. */
export const MAX_ADDRESS = 255;
/** Bytes of the longest hello. */
export const MAX_HELLO = 66 + MAX_ADDRESSES * (1 + MAX_ADDRESS);

/** Roles in the order of their wire numbers. */
export const ROLES: readonly Role[] = ["server", "aggregator", "client", "reader"];

/** A decoded hello. */
export interface Hello {
  /** Universe id, 32 bytes. */
  readonly universe: Uint8Array;
  /** Instance id, 32 bytes. */
  readonly instance: Uint8Array;
  readonly role: Role;
  readonly addresses: readonly string[];
}

/** Whether the text has the form of an address; the transport decides whether it can be dialed. */
export function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS && /^\/[\x21-\x7e]+$/.test(text);
}

/** The frame of a hello. Addresses beyond the bound, or out of form, are a `FrameError`. */
export function encodeHello(hello: Hello): Uint8Array {
  if (hello.universe.length !== 32 || hello.instance.length !== 32) {
    throw new FrameError("length", "hello: universe and instance ids have 32 bytes");
  }
  if (hello.addresses.length > MAX_ADDRESSES || !hello.addresses.every(isAddress)) {
    throw new FrameError("range", `hello: at most ${MAX_ADDRESSES} addresses in ASCII`);
  }
  const length = hello.addresses.reduce((sum, address) => sum + 1 + address.length, 66);
  const out = new Uint8Array(length);
  out.set(hello.universe, 0);
  out.set(hello.instance, 32);
  out[64] = ROLES.indexOf(hello.role);
  out[65] = hello.addresses.length;
  let at = 66;
  for (const address of hello.addresses) {
    out[at++] = address.length;
    for (let i = 0; i < address.length; i++) out[at++] = address.charCodeAt(i);
  }
  return out;
}

/** Reads a hello strictly; throws a `FrameError`. */
export function decodeHello(frame: Uint8Array): Hello {
  if (frame.length < 66 || frame.length > MAX_HELLO) {
    throw new FrameError("length", `hello of ${frame.length} bytes, expected 66..${MAX_HELLO}`);
  }
  const role = ROLES[frame[64]];
  if (role === undefined) throw new FrameError("range", `hello: role ${frame[64]}`);
  const count = frame[65];
  if (count > MAX_ADDRESSES) throw new FrameError("range", `hello: ${count} addresses`);
  const addresses: string[] = [];
  let at = 66;
  for (let n = 0; n < count; n++) {
    const length = at < frame.length ? frame[at++] : 0;
    if (length === 0 || at + length > frame.length) {
      throw new FrameError("length", "hello: an address of no or too many bytes");
    }
    const address = String.fromCharCode(...frame.subarray(at, at + length));
    if (!isAddress(address)) throw new FrameError("range", "hello: an address out of form");
    addresses.push(address);
    at += length;
  }
  if (at !== frame.length) {
    throw new FrameError("length", `hello: ${frame.length - at} bytes after its end`);
  }
  return { universe: frame.slice(0, 32), instance: frame.slice(32, 64), role, addresses };
}
