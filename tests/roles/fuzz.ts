/** Damaged frames for the roles: what is fed, what may come of it, and what must not. */
import assert from "node:assert/strict";
import { concat, equal } from "../../src/protocol/bytes.ts";
import { aggregateDigest } from "../../src/protocol/aggregate.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { hash, hashVector } from "../../src/protocol/hash.ts";
import type { Record } from "../../src/protocol/record.ts";
import { u32, u64, Writer } from "../../src/protocol/bytes.ts";
import type { Play } from "../protocol/play.ts";
import { Random } from "../protocol/random.ts";

/** Frames of each kind. */
export const FRAMES = 10_000;

/** One kind of frame at one role. */
export interface Target {
  readonly kind: string;
  /** The frame as it should be. */
  readonly good: Uint8Array;
  /** Hands a frame to the role, as the network does. */
  readonly feed: (bytes: Uint8Array) => void;
  /** All of the role's state that a frame of this kind could change. */
  readonly state: () => Uint8Array | string;
  /** A frame of the right length, newly signed, with a field out of range. */
  readonly forge?: (random: Random) => Uint8Array;
  /** Whether a damaged frame is one that anybody there may send: not fed. */
  readonly fair?: (bytes: Uint8Array) => boolean;
  /** Throws unless the unchanged frame, fed last, was accepted. */
  readonly accepted: () => void;
  /** The role refuses by a line in its log, or ignores, and throws nothing. */
  readonly silent?: true;
  /** Drops what piled up. */
  readonly tidy?: () => void;
}

/** Cut, lengthened or flipped. */
export function damage(random: Random, bytes: Uint8Array): Uint8Array {
  const way = random.below(8);
  if (way === 0) return bytes.slice(0, random.below(bytes.length));
  if (way === 1) return concat(bytes, random.bytes(1 + random.below(40)));
  const out = bytes.slice();
  if (way === 2) {
    const at = random.below(out.length);
    out.set(random.bytes(Math.min(8, out.length - at)), at);
  } else out[random.below(out.length)] ^= 1 << random.below(8);
  return out;
}

/** Feeds `FRAMES` damaged frames, then the good one. */
export async function fuzz(target: Target, seed: number, frames = FRAMES): Promise<void> {
  const rejections: unknown[] = [];
  const hear = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    rejections.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", hear);
  try {
    const before = target.state();
    let refused = 0, fed = 0;
    for (let i = 0; fed < frames; i++) {
      const random = new Random(seed * 100_000 + i);
      const forged = target.forge !== undefined && i % 2 === 1;
      const bytes = forged ? target.forge!(random) : damage(random, target.good);
      if (equal(bytes, target.good) || target.fair?.(bytes)) continue;
      fed++;
      const where = () => `${target.kind}, ${forged ? "forged" : "damaged"}, seed ${random.seed}`;
      try {
        target.feed(bytes);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw new Error(where(), { cause: error });
        refused++;
      }
      if (!same(target.state(), before)) assert.fail(`${where()}: the state has changed`);
      if (i % 512 === 0) target.tidy?.();
    }
    assert.equal(refused > 0, !target.silent, `${target.kind}: ${refused} refused with an error`);
    target.feed(target.good);
    target.accepted();
    await new Promise<void>((resolve) => queueMicrotask(resolve));
    assert.deepEqual(rejections, [], target.kind);
  } finally {
    globalThis.removeEventListener("unhandledrejection", hear);
  }
}

function same(a: Uint8Array | string, b: Uint8Array | string): boolean {
  return typeof a === "string" || typeof b === "string" ? a === b : equal(a, b);
}

/** The state has become another. */
export function changed(target: Pick<Target, "state">): () => void {
  const before = target.state();
  return () => assert.ok(!same(target.state(), before), "the good frame was not accepted");
}

const OVER = new Uint8Array(8).fill(0xff);

/** A header with one field out of range. */
export function badHeader(random: Random, header: Uint8Array): Uint8Array {
  const out = header.slice();
  const put = (at: number, bytes: Uint8Array) => out.set(bytes, at);
  const ways = [
    () => put(random.below(64), random.bytes(1)),
    () => put(64, u64(0)),
    () => put(64, OVER),
    () => put(72, OVER),
    () => put(112, Uint8Array.of(2 + random.below(254))),
    () => put(113, u32(64 * (1 + random.below(2 ** 20)))),
    () => put(113, u32(1 + random.below(63))),
    () => put(117, u32(0xffffffff - random.below(1_000))),
  ];
  random.pick(ways)();
  return out;
}

/** An opened header, signed by all. */
export function openedBy(play: Play, header: Uint8Array): Uint8Array {
  const h = hash("header", header);
  return concat(header, ...play.servers.map((s) => s.signer.sign("open", h)));
}

/** The fields of a record after its header. */
type Body = Pick<Record, "bitmap" | "root" | "sum" | "shares" | "schedule" | "messages">;

/**
 * A certified record, signed by all, with a field out of range in its header or after it; `few`:
 * or with too few participants, which only those who follow the log look at.
 */
export function badRecord(random: Random, play: Play, record: Record, few = true): Uint8Array {
  const { bitmap, schedule } = record;
  const bodies: Partial<Body>[] = [
    { bitmap: Uint8Array.of(bitmap[0] | 0x80) },
    ...few ? [{ bitmap: Uint8Array.of(1 << random.below(3)) }, { bitmap: Uint8Array.of(3) }] : [],
    { bitmap: concat(bitmap, new Uint8Array(1)), schedule: schedule.subarray(1) },
    { schedule: schedule.subarray(4), messages: new Uint8Array(4) },
  ];
  const inHeader = random.below(2) === 0;
  const header = inHeader ? badHeader(random, record.header.bytes) : record.header.bytes;
  return certify(play, header, inHeader ? record : { ...record, ...random.pick(bodies) });
}

/** Encodes and signs whatever is given as a record. */
export function certify(play: Play, header: Uint8Array, body: Body): Uint8Array {
  const { bitmap, root, sum, shares, schedule, messages } = body;
  const h = hash("header", header), digest = aggregateDigest({ header: h, bitmap, root, sum });
  const vectors = [hashVector("schedule", schedule), hashVector("messages", messages)];
  const name = hash("record", h, digest, shares, ...vectors);
  const out = new Writer().bytes(header).vector(bitmap).bytes(root).bytes(sum).bytes(shares);
  out.vector(schedule).vector(messages);
  const round = header.subarray(64, 72);
  return concat(out.end(), ...play.servers.map((s) => s.signer.sign("final", round, name)));
}
