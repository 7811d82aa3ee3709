/**
 * What the aggregator hands to the committee: the XOR of all envelopes of a round and who is in it.
 *
 * Layout: h (32) ‖ u32 length ‖ participant bitmap ‖ root of the envelope hashes by index (32) ‖
 * u32 length ‖ schedule XOR ‖ u32 length ‖ message XOR ‖ aggregator key (32) ‖ signature (64) over D.
 */
import { equal, type HeaderHash, Reader, u32, Writer, xorInto } from "./bytes.ts";
import type { Envelope, Vectors } from "./envelope.ts";
import { ProtocolError } from "./errors.ts";
import { hash, hashVector } from "./hash.ts";
import { type Signer, verify } from "./keys.ts";
import { MerkleTree } from "./merkle.ts";
import { type Parameters, scheduleBytes } from "./parameters.ts";

/** What `D` is made of. */
export interface AggregateClaim {
  readonly header: HeaderHash;
  /** Client i: byte ⌊i / 8⌋, bit i mod 8 from the lowest. */
  readonly bitmap: Uint8Array;
  readonly root: Uint8Array;
  /** `H(sum ‖ schedule XOR ‖ message XOR)`. */
  readonly sum: Uint8Array;
}

/** An aggregate that was read. */
export interface Aggregate extends AggregateClaim, Vectors {
  /** `D`, 32 bytes. */
  readonly digest: Uint8Array;
  readonly aggregator: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Most bytes of an aggregate of an instance. */
export function maxAggregateBytes(p: Parameters): number {
  return 32 + 4 + Math.ceil(p.maxClients / 8) + 32 + 8 + scheduleBytes(p) + p.maxVectorBytes + 96;
}

/** `D = H(aggregate ‖ h ‖ bitmap ‖ root ‖ sum)`. */
export function aggregateDigest(claim: AggregateClaim): Uint8Array {
  const { header, bitmap, root, sum } = claim;
  return hash("aggregate", header, u32(bitmap.length), bitmap, root, sum);
}

/** `H(sum ‖ schedule XOR ‖ message XOR)`. */
export function sumHash({ schedule, messages }: Vectors): Uint8Array {
  return hashVector("sum", messages, u32(schedule.length), schedule);
}

/** Folds the envelopes of one round, each index once. */
export class Fold {
  readonly #schedule: Uint8Array;
  readonly #messages: Uint8Array;
  readonly #bitmap: Uint8Array;
  readonly #hashes = new Map<number, Uint8Array>();

  constructor(
    readonly header: {
      readonly hash: HeaderHash;
      readonly messageBytes: number;
      readonly rosterSize: number;
    },
    parameters: Parameters,
  ) {
    this.#schedule = new Uint8Array(scheduleBytes(parameters));
    this.#messages = new Uint8Array(header.messageBytes);
    this.#bitmap = new Uint8Array(Math.ceil(header.rosterSize / 8));
  }

  /** Envelopes folded. */
  get size(): number {
    return this.#hashes.size;
  }

  /** The hash folded for an index, if any. */
  folded(index: number): Uint8Array | undefined {
    return this.#hashes.get(index);
  }

  /** Adds an envelope that was decoded for this header and checked. */
  add(envelope: Envelope): void {
    if (!equal(envelope.header, this.header.hash)) {
      throw new ProtocolError("mismatch", "an envelope for another header");
    }
    if (this.#hashes.has(envelope.index)) {
      throw new ProtocolError(
        "encoding",
        `a second envelope of index ${envelope.index} under one header`,
      );
    }
    this.#hashes.set(envelope.index, envelope.hash);
    this.#bitmap[envelope.index >>> 3] |= 1 << (envelope.index & 7);
    xorInto(this.#schedule, envelope.schedule);
    xorInto(this.#messages, envelope.messages);
  }

  /** The participants so far. */
  get bitmap(): Uint8Array {
    return this.#bitmap;
  }

  /** The aggregate of what was folded. */
  seal(signer: Signer): Aggregate {
    const ordered = [...this.#hashes].sort(([a], [b]) => a - b).map(([, h]) => h);
    return sealAggregate({
      header: this.header.hash,
      bitmap: this.#bitmap.slice(),
      root: new MerkleTree(ordered).root,
      schedule: this.#schedule.slice(),
      messages: this.#messages.slice(),
    }, signer);
  }
}

/** The aggregate of these vectors and participants, signed. */
export function sealAggregate(
  { header, bitmap, root, schedule, messages }: Omit<AggregateClaim, "sum"> & Vectors,
  signer: Signer,
): Aggregate {
  const claim = { header, bitmap, root, sum: sumHash({ schedule, messages }) };
  const digest = aggregateDigest(claim);
  const bytes = new Writer().bytes(header).vector(bitmap).bytes(root)
    .vector(schedule).vector(messages)
    .bytes(signer.key).bytes(signer.sign("sign-aggregate", digest)).end();
  return { ...claim, schedule, messages, digest, aggregator: signer.key, bytes };
}

/** Reads and checks an aggregate for a live header. */
export function decodeAggregate(
  bytes: Uint8Array,
  live: { readonly hash: HeaderHash; readonly messageBytes: number; readonly rosterSize: number },
  p: Parameters,
): Aggregate {
  const reader = new Reader(bytes, "aggregate");
  const header = reader.bytes(32);
  if (!equal(header, live.hash)) {
    throw new ProtocolError("mismatch", "an aggregate for another header");
  }
  const bitmap = readBitmap(reader, live.rosterSize);
  const root = reader.bytes(32);
  const schedule = reader.vector(scheduleBytes(p), "schedule");
  const messages = reader.vector(live.messageBytes, "message vector");
  const aggregator = reader.bytes(32), signature = reader.bytes(64);
  reader.end();
  const claim = { header, bitmap, root, sum: sumHash({ schedule, messages }) };
  const digest = aggregateDigest(claim);
  if (!verify(aggregator, signature, "sign-aggregate", digest)) {
    throw new ProtocolError("signature", "an aggregate not signed by its aggregator");
  }
  return { ...claim, schedule, messages, digest, aggregator, bytes };
}

/** Takes the participant bitmap of a roster off a layout; bits past its end must be clear. */
export function readBitmap(reader: Reader, rosterSize: number): Uint8Array {
  const bitmap = reader.vector(Math.ceil(rosterSize / 8), "bitmap");
  const spare = 8 * bitmap.length - rosterSize;
  if (spare > 0 && bitmap[bitmap.length - 1] >>> (8 - spare) !== 0) {
    reader.fail("encoding", "a bitmap with bits past the roster");
  }
  return bitmap;
}

/** The indices set in a bitmap, ascending. */
export function participants(bitmap: Uint8Array): number[] {
  const out: number[] = [];
  for (let byte = 0; byte < bitmap.length; byte++) {
    for (let bits = bitmap[byte]; bits !== 0; bits &= bits - 1) {
      out.push(8 * byte + (31 - Math.clz32(bits & -bits)));
    }
  }
  return out;
}

/** Whether `index` is set. */
export function participates(bitmap: Uint8Array, index: number): boolean {
  return (bitmap[index >>> 3] & (1 << (index & 7))) !== 0;
}
