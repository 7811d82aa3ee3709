/**
 * The Merkle tree of rosters and envelopes: parent = `H(node ‖ left ‖ right)`, an odd last node
 * moves up unchanged, no leaf at all gives 32 zero bytes.
 */
import { equal, ZERO32 } from "./bytes.ts";
import { hash } from "./hash.ts";

/** A tree whose leaves can be changed one at a time at the cost of one path. */
export class MerkleTree {
  #levels: Uint8Array[][];

  constructor(leaves: readonly Uint8Array[] = []) {
    this.#levels = [[...leaves]];
    while (this.#levels.at(-1)!.length > 1) {
      const below = this.#levels.at(-1)!;
      this.#levels.push(
        Array.from({ length: Math.ceil(below.length / 2) }, (_, i) => parent(below, i)),
      );
    }
  }

  /** Number of leaves. */
  get size(): number {
    return this.#levels[0].length;
  }

  /** The root, 32 bytes. */
  get root(): Uint8Array {
    return this.#levels.at(-1)![0] ?? ZERO32;
  }

  /** A copy that later changes do not reach. */
  clone(): MerkleTree {
    const copy = new MerkleTree();
    copy.#levels = this.#levels.map((level) => [...level]);
    return copy;
  }

  /** Replaces leaf `index`, or appends one at `index === size`. */
  set(index: number, leaf: Uint8Array): void {
    this.#levels[0][index] = leaf;
    for (let level = 0; this.#levels[level].length > 1; level++) {
      index >>>= 1;
      (this.#levels[level + 1] ??= [])[index] = parent(this.#levels[level], index);
    }
  }

  /** The siblings from leaf `index` up; an odd last node has none on its level. */
  path(index: number): Uint8Array[] {
    const path: Uint8Array[] = [];
    for (const level of this.#levels.slice(0, -1)) {
      const sibling = level[index ^ 1];
      if (sibling !== undefined) path.push(sibling);
      index >>>= 1;
    }
    return path;
  }
}

function parent(below: readonly Uint8Array[], index: number): Uint8Array {
  const left = below[2 * index], right = below[2 * index + 1];
  return right === undefined ? left : hash("node", left, right);
}

/** Most siblings on a path among `size` leaves. */
export function maxPath(size: number): number {
  return Math.ceil(Math.log2(Math.max(1, size)));
}

/** Whether `leaf` stands at `index` among `size` leaves under `root`. */
export function verifyPath(
  root: Uint8Array,
  size: number,
  index: number,
  leaf: Uint8Array,
  path: readonly Uint8Array[],
): boolean {
  if (index < 0 || index >= size) return false;
  let node = leaf, used = 0;
  for (let width = size; width > 1; width = Math.ceil(width / 2), index >>>= 1) {
    if ((index ^ 1) >= width) continue;
    const sibling = path[used++];
    if (sibling === undefined) return false;
    node = index & 1 ? hash("node", sibling, node) : hash("node", node, sibling);
  }
  return used === path.length && equal(node, root);
}
