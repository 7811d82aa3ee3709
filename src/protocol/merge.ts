/**
 * Several aggregates of one round made one: each client once, whichever of them took its envelope.
 * Aggregates that share a client cannot be taken apart again, so only one of these is taken.
 */
import { type Aggregate, participants, participates, sealAggregate } from "./aggregate.ts";
import { compare, xorInto } from "./bytes.ts";
import type { Signer } from "./keys.ts";
import { MerkleTree } from "./merkle.ts";

/** As much of an aggregate as the choice among several needs. */
export type Part = Pick<Aggregate, "bitmap" | "aggregator">;

/** Which parts of one round go together. */
export interface Choice<P extends Part = Part> {
  /** Parts that share no client, by their lowest index. */
  readonly taken: readonly P[];
  /** Parts that are left out, with the indices that larger parts taken name too. */
  readonly left: readonly { readonly part: P; readonly shared: readonly number[] }[];
  /** Clients of the parts taken. */
  readonly size: number;
}

/**
 * The parts that go together: from the one with the most clients down (the lower key first where
 * they are even), each that shares no client with those before. Parts of nobody are passed over.
 * The bitmaps are of one roster.
 */
export function choose<P extends Part>(parts: readonly P[]): Choice<P> {
  const sized = parts.map((part) => ({ part, indices: participants(part.bitmap) }))
    .filter(({ indices }) => indices.length > 0)
    .sort((a, b) =>
      b.indices.length - a.indices.length || compare(a.part.aggregator, b.part.aggregator)
    );
  const taken: typeof sized = [];
  const left: { part: P; shared: number[] }[] = [];
  for (const one of sized) {
    const shared = one.indices.filter((index) =>
      taken.some(({ part }) => participates(part.bitmap, index))
    );
    if (shared.length > 0) left.push({ part: one.part, shared });
    else taken.push(one);
  }
  taken.sort((a, b) => a.indices[0] - b.indices[0]);
  const size = taken.reduce((sum, { indices }) => sum + indices.length, 0);
  return { taken: taken.map(({ part }) => part), left, size };
}

/**
 * The aggregate of parts that `choose` took, at least one, signed anew: vectors are XORed, bitmaps
 * joined. Its root is that of a single part, or the Merkle root of the parts' roots by lowest index.
 */
export function merge(taken: readonly Aggregate[], signer: Signer): Aggregate {
  const [first, ...others] = taken;
  if (others.length === 0) return sealAggregate(first, signer);
  const bitmap = first.bitmap.slice(), schedule = first.schedule.slice();
  const messages = first.messages.slice();
  for (const other of others) {
    other.bitmap.forEach((byte, i) => bitmap[i] |= byte);
    xorInto(schedule, other.schedule);
    xorInto(messages, other.messages);
  }
  const root = new MerkleTree(taken.map((part) => part.root)).root;
  return sealAggregate({ header: first.header, bitmap, root, schedule, messages }, signer);
}
