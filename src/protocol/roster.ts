/**
 * The roster: which client stands at which index under a header. A header holds its size and
 * Merkle root; whoever folds envelopes holds all of it, and a client its own path.
 *
 * Layout: u32 size ‖ size × (client Ed25519 (32) ‖ client X25519 (32)), zeros where nobody stands.
 */
import { concat, hex, isZero, Reader, u32, Writer, ZERO32 } from "./bytes.ts";
import { hash } from "./hash.ts";
import { checkPublicKey } from "./keys.ts";
import { maxPath, MerkleTree, verifyPath } from "./merkle.ts";

/** A client's place: its identity and its session's X25519 key, 32 bytes each. */
export interface RosterEntry {
  readonly client: Uint8Array;
  readonly agreement: Uint8Array;
}

/** The leaf of an index. */
export function rosterLeaf(index: number, entry: RosterEntry | undefined): Uint8Array {
  return hash("roster", u32(index), entry?.client ?? ZERO32, entry?.agreement ?? ZERO32);
}

/** Clients by index, with the Merkle tree kept up to date. */
export class Roster {
  readonly #entries: (RosterEntry | undefined)[] = [];
  #tree = new MerkleTree();
  readonly #byClient = new Map<string, number>();

  /** Indices in use or used before: the size that stands in a header. */
  get size(): number {
    return this.#entries.length;
  }
  /** Clients that stand in it. */
  get count(): number {
    return this.#byClient.size;
  }
  /** Its Merkle root, 32 bytes. */
  get root(): Uint8Array {
    return this.#tree.root;
  }
  /** Who stands at `index`. */
  at(index: number): RosterEntry | undefined {
    return this.#entries[index];
  }
  /** Where a client stands. */
  indexOf(client: Uint8Array): number | undefined {
    return this.#byClient.get(hex(client));
  }
  /** Puts a client, or nobody, at an index of at most `size`. */
  set(index: number, entry: RosterEntry | undefined): void {
    const before = this.#entries[index];
    if (before) this.#byClient.delete(hex(before.client));
    this.#entries[index] = entry;
    if (entry) this.#byClient.set(hex(entry.client), index);
    this.#tree.set(index, rosterLeaf(index, entry));
  }
  /** The Merkle path of an index. */
  path(index: number): Uint8Array[] {
    return this.#tree.path(index);
  }
  /** All entries with their indices. */
  *clients(): Generator<[index: number, entry: RosterEntry]> {
    for (const [index, entry] of this.#entries.entries()) if (entry) yield [index, entry];
  }
  /** A copy that later changes do not reach. */
  clone(): Roster {
    const copy = new Roster();
    for (const entry of this.#entries) copy.#entries.push(entry);
    for (const [client, index] of this.#byClient) copy.#byClient.set(client, index);
    copy.#tree = this.#tree.clone();
    return copy;
  }
  /** Its layout. */
  encode(): Uint8Array {
    const out = new Writer().u32(this.size);
    for (const entry of this.#entries) {
      out.bytes(entry?.client ?? ZERO32).bytes(entry?.agreement ?? ZERO32);
    }
    return out.end();
  }
  /** Reads a roster of at most `maxClients`. */
  static decode(bytes: Uint8Array, maxClients: number): Roster {
    const reader = new Reader(bytes, "roster");
    const size = reader.u32();
    if (size > maxClients) reader.fail("range", `${size} places, expected at most ${maxClients}`);
    const roster = new Roster(), leaves: Uint8Array[] = [];
    const agreements = new Set<string>();
    for (let index = 0; index < size; index++) {
      const client = reader.bytes(32), agreement = reader.bytes(32);
      if (isZero(client) !== isZero(agreement)) {
        reader.fail("encoding", `place ${index} is half empty`);
      }
      if (isZero(client)) {
        roster.#entries.push(undefined);
        leaves.push(rosterLeaf(index, undefined));
        continue;
      }
      checkPublicKey(client);
      if (roster.indexOf(client) !== undefined || agreements.has(hex(agreement))) {
        reader.fail("encoding", `place ${index} repeats a key`);
      }
      agreements.add(hex(agreement));
      const entry = { client, agreement };
      roster.#entries.push(entry);
      roster.#byClient.set(hex(client), index);
      leaves.push(rosterLeaf(index, entry));
    }
    reader.end();
    roster.#tree = new MerkleTree(leaves);
    return roster;
  }
}

/** A client's proof of its own place. Layout: u32 index ‖ u8 siblings ‖ siblings (32 each). */
export interface RosterProof {
  readonly index: number;
  readonly path: readonly Uint8Array[];
}

/** The layout of a proof. */
export function encodeProof(proof: RosterProof): Uint8Array {
  return new Writer().u32(proof.index).u8(proof.path.length).bytes(concat(...proof.path)).end();
}

/** Reads a proof. */
export function decodeProof(bytes: Uint8Array): RosterProof {
  const reader = new Reader(bytes, "roster proof");
  const index = reader.u32(), length = reader.u8();
  if (index >= 65_536) reader.fail("range", `index ${index}`);
  if (length > maxPath(65_536)) reader.fail("range", `a path of ${length}`);
  const path = Array.from({ length }, () => reader.bytes(32));
  reader.end();
  return { index, path };
}

/** Whether the proof puts `entry` in the roster that a header names. */
export function verifyProof(
  header: { readonly rosterRoot: Uint8Array; readonly rosterSize: number },
  entry: RosterEntry,
  proof: RosterProof,
): boolean {
  const leaf = rosterLeaf(proof.index, entry);
  return verifyPath(header.rosterRoot, header.rosterSize, proof.index, leaf, proof.path);
}
