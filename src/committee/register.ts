/**
 * The sign-once register of a server in one epoch: what must survive a crash, as bytes. A server has
 * one for every epoch that it is or was in, and keeps them all: that of an old epoch says that it is
 * closed.
 *
 * Layout: u8 version = 2 ‖ server key (32) ‖ fingerprint (32) ‖ u64 head round ‖ head hash (32) ‖
 * u8 has attachment, then u32 length ‖ attachment ‖ u8 stage of the last opened header (0 none,
 * 1 opened, 2 prepared), then u64 round ‖ h (32) ‖ my nonce in it (32) ‖ u8 voided, then D (32) ‖
 * p (32) ‖ u8 count ‖ headers released on this head: h (32) ‖ my nonce in it (32) ‖ P (32) ‖
 * u8 closed, then fingerprint of the next epoch (32).
 */
import {
  equal,
  type Fingerprint,
  type HeaderHash,
  hex,
  Reader,
  type RecordHash,
  Writer,
} from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";

/** Most headers released on one head; a server that reached it waits for the next head. */
export const MAX_RELEASED_PER_HEAD = 64;

const VERSION = 2;
const NONE = 0, OPENED = 1, PREPARED = 2;

/** Whose register it is, in which epoch: another server's or committee's is not loaded. */
export interface Owner {
  readonly key: Uint8Array;
  readonly manifest: Fingerprint;
}

/** The header opened last. */
export interface Opened {
  readonly hash: HeaderHash;
  readonly round: number;
  readonly nonce: Uint8Array;
  readonly voided: boolean;
  /** D and p of my PREPARE for it. */
  readonly prepared?: { readonly digest: Uint8Array; readonly share: Uint8Array };
}

/** A header that extends the head and for which I signed PARTIAL. */
export interface Released {
  readonly header: HeaderHash;
  readonly nonce: Uint8Array;
  /** P. */
  readonly shares: Uint8Array;
}

/** All that is durable. */
export interface Register {
  readonly owner: Owner;
  readonly head: { readonly round: number; readonly hash: RecordHash };
  readonly attachment?: Uint8Array;
  readonly opened?: Opened;
  readonly released: readonly Released[];
  /** The next epoch, once I signed its manifest: this one is over. */
  readonly closed?: Fingerprint;
}

/** The layout of a register; throws a `ProtocolError` for what `decodeRegister` would not read. */
export function encodeRegister(
  { owner, head, attachment, opened, released, closed }: Register,
): Uint8Array {
  const out = new Writer().u8(VERSION).bytes(fixed(owner.key)).bytes(fixed(owner.manifest));
  out.u64(head.round).bytes(fixed(head.hash)).u8(attachment ? 1 : 0);
  if (attachment) out.vector(attachment);
  out.u8(opened === undefined ? NONE : opened.prepared === undefined ? OPENED : PREPARED);
  if (opened) {
    out.u64(opened.round).bytes(fixed(opened.hash)).bytes(fixed(opened.nonce));
    out.u8(opened.voided ? 1 : 0);
    const { prepared } = opened;
    if (prepared) out.bytes(fixed(prepared.digest)).bytes(fixed(prepared.share));
  }
  out.u8(released.length);
  for (const { header, nonce, shares } of released) {
    out.bytes(fixed(header)).bytes(fixed(nonce)).bytes(fixed(shares));
  }
  out.u8(closed ? 1 : 0);
  if (closed) out.bytes(fixed(closed));
  return out.end();
}

/** Reads a register of `owner`, strictly; a `ProtocolError` for one that is damaged or another's. */
export function decodeRegister(bytes: Uint8Array, owner: Owner): Register {
  const reader = new Reader(bytes.slice(), "register");
  const version = reader.u8();
  if (version !== VERSION) {
    const mend = "start the release that wrote it, or without this file as after a lost disk";
    reader.fail("range", `version ${version}, expected ${VERSION}: ${mend}`);
  }
  if (!equal(reader.bytes(32), owner.key)) {
    throw new ProtocolError("mismatch", "the register of another server");
  }
  if (!equal(reader.bytes(32), owner.manifest)) {
    throw new ProtocolError("mismatch", "the register of another committee");
  }
  const head = { round: reader.u64(), hash: reader.bytes(32) };
  const attachment = flag(reader) ? reader.bounded(0, bytes.length, "attachment") : undefined;
  const opened = readOpened(reader);
  const count = reader.u8();
  if (count > MAX_RELEASED_PER_HEAD) {
    reader.fail("range", `${count} released headers, expected at most ${MAX_RELEASED_PER_HEAD}`);
  }
  const released = Array.from({ length: count }, () => ({
    header: reader.bytes(32),
    nonce: reader.bytes(32),
    shares: reader.bytes(32),
  }));
  const closed = flag(reader) ? reader.bytes(32) : undefined;
  reader.end();
  if (new Set(released.map(({ header }) => hex(header))).size !== count) {
    reader.fail("encoding", "a header released twice");
  }
  return { owner, head, attachment, opened, released, closed };
}

function readOpened(reader: Reader): Opened | undefined {
  const stage = reader.u8();
  if (stage > PREPARED) reader.fail("range", `stage ${stage} of the last opened header`);
  if (stage === NONE) return undefined;
  const round = reader.u64(), hash = reader.bytes(32), nonce = reader.bytes(32);
  const voided = flag(reader);
  const prepared = stage === PREPARED
    ? { digest: reader.bytes(32), share: reader.bytes(32) }
    : undefined;
  return { hash, round, nonce, voided, prepared };
}

function flag(reader: Reader): boolean {
  const value = reader.u8();
  if (value > 1) reader.fail("encoding", `a flag of ${value}`);
  return value === 1;
}

function fixed(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 32) {
    throw new ProtocolError(
      "length",
      `a field of ${bytes.length} bytes in a register, expected 32`,
    );
  }
  return bytes;
}
