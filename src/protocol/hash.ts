/**
 * Hashes under labels. Every input starts with `zipnet/1/<label>` and a zero byte, so no value
 * made for one use stands for anything in another. SHA-256 is native; BLAKE3 names things only.
 */
import { createHash, hash as oneShot } from "node:crypto";
import { blake3 as nobleBlake3 } from "@noble/hashes/blake3.js";
import { u32 } from "./bytes.ts";

/** All labels of `zipnet/1`, none used twice. */
export const LABELS = [
  "instance",
  "derive",
  "pair",
  "aes",
  "message",
  "check",
  "cell",
  "order",
  "envelope",
  "sum",
  "aggregate",
  "share",
  "shares",
  "roster",
  "node",
  "schedule",
  "messages",
  "record",
  "header",
  "manifest",
  "genesis",
  "open",
  "prepare",
  "partial",
  "void",
  "final",
  "sign-manifest",
  "sign-bundle",
  "sign-register",
  "sign-leave",
  "sign-vouch",
  "sign-decline",
  "sign-entry",
  "sign-departure",
  "catalog",
  "sign-receipt",
  "sign-envelope",
  "sign-aggregate",
  "spread",
  "rendezvous",
] as const;

/** One of them. */
export type Label = (typeof LABELS)[number];

const PREFIX = new Map<Label, Uint8Array>(
  LABELS.map((label) => [label, new TextEncoder().encode(`zipnet/1/${label}\0`)]),
);

/** The label as it stands in front of a hash, KDF or signature input. */
export function prefix(label: Label): Uint8Array {
  return PREFIX.get(label)!;
}

/** Small inputs are gathered here and hashed in one native call, which costs half of two. */
const scratch = new Uint8Array(8192);

/** SHA-256 of the label and the parts, 32 bytes. */
export function hash(label: Label, ...parts: Uint8Array[]): Uint8Array {
  const head = prefix(label);
  let length = head.length;
  for (const part of parts) length += part.length;
  if (length <= scratch.length) {
    scratch.set(head, 0);
    let at = head.length;
    for (const part of parts) {
      scratch.set(part, at);
      at += part.length;
    }
    return plain(oneShot("sha256", scratch.subarray(0, length), "buffer"));
  }
  const state = createHash("sha256").update(head);
  for (const part of parts) state.update(part);
  return plain(state.digest());
}

/** `hash` of the parts followed by one variable field behind its u32 length. */
export function hashVector(label: Label, vector: Uint8Array, ...before: Uint8Array[]): Uint8Array {
  return hash(label, ...before, u32(vector.length), vector);
}

/** BLAKE3-256 without a label, 32 bytes: for names and node identities. */
export function blake3(input: Uint8Array): Uint8Array {
  return nobleBlake3(input);
}

function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
