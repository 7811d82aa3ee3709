/**
 * All collateral that a process believes, under one trust anchor. Whoever hands it in, it is
 * verified first; and of each part only the newest that was ever seen is believed, whichever set it
 * came in: both revocation lists, the TCB info of each family, the QE identity. So nobody brings
 * back an older list or level that is still in time, and a revocation holds for all families as
 * soon as it is known from one.
 *
 * The clock of a guest belongs to its host. It is not believed where it says less than a date that
 * the anchor's signers have written already, lest old collateral be revived by an old time.
 */
import { createHash } from "node:crypto";
import { hex } from "../protocol/bytes.ts";
import type { TrustAnchor } from "./anchor.ts";
import {
  checkDates,
  checkSigners,
  type Collateral,
  combine,
  copyCollateral,
  type VerifiedCollateral,
  type VerifiedParts,
  verifyCollateral,
} from "./collateral.ts";
import {
  compareMarks,
  decodeMarks,
  encodeMarks,
  familyOfParts,
  isTcbInfo,
  type Mark,
  markOf,
  MAX_FAMILIES,
  PART_KEYS,
  PART_NAMES,
  type PartKey,
  type PartName,
} from "./collateral_marks.ts";
import { type Family, familyName, familyOf } from "./family.ts";
import type { Quote } from "./quote.ts";
import { AttestationError, demand } from "./reasons.ts";

/** How long after a quote was last judged by it a family counts as in use, ms. */
export const IN_USE_MS = 86_400_000;

/** What a part is made of: its bytes, and what was read of them. */
const FIELDS: Readonly<Record<PartName, readonly (keyof Collateral)[]>> = {
  rootCrl: ["rootCrl"],
  pckCrl: ["pckCrlChain", "pckCrl"],
  tcbInfo: ["tcbInfoChain", "tcbInfo", "tcbInfoSignature"],
  qeIdentity: ["qeIdentityChain", "qeIdentity", "qeIdentitySignature"],
};
const READ: Readonly<Record<PartName, readonly (keyof VerifiedParts)[]>> = {
  rootCrl: ["rootCrl"],
  pckCrl: ["pckCa", "pckCrl"],
  tcbInfo: ["tcbSigner", "tcbInfo"],
  qeIdentity: ["qeSigner", "qeIdentity"],
};

/** A part that is believed. */
interface Held {
  readonly digest: string;
  readonly bytes: Partial<Collateral>;
  readonly read: Partial<VerifiedParts>;
}

/** What became of collateral that was handed in. */
export type Offered = "new" | "known" | "older";

/** When the collateral of a family should be renewed, and when it ends; Unix ms. */
export interface Lifetime {
  /** Half the life of its shortest-lived part before its end. */
  readonly refresh: number;
  /** A quarter of that life before its end. */
  readonly warn: number;
  /** The end of the first part that expires, included. */
  readonly until: number;
}

/** Collateral by family. */
export class CollateralBook {
  readonly #marks: Map<PartKey, Mark>;
  readonly #held = new Map<PartKey, Held>();
  readonly #families = new Map<string, { readonly family: Family; used: number }>();
  readonly #listeners = new Set<() => void>();
  #floor = 0;

  /** `marks` are those that `marks()` gave before; refused as `marks-malformed`. */
  constructor(readonly anchor: TrustAnchor, { marks }: { readonly marks?: Uint8Array } = {}) {
    this.#marks = marks ? decodeMarks(anchor.fingerprint, marks) : new Map();
    for (const { date } of this.#marks.values()) this.#floor = Math.max(this.#floor, date);
  }

  /**
   * Verifies collateral and believes what is newer in it. `known`: the same bytes are believed
   * already, and nothing was verified. `older`: nothing in it is newer, and what is believed
   * stays. Throws an `AttestationError`: a reason of `verifyCollateral`; `clock-behind`;
   * `collateral-older` if a part is older than one seen before which is not here any more (nothing
   * of the set is believed then); `collateral-full`.
   */
  async offer(given: Collateral, now: number): Promise<Offered> {
    this.checkClock(now);
    const collateral = copyCollateral(given);
    const digests = digestsOf(collateral);
    if (this.#knows(digests)) return "known";
    const verified = await verifyCollateral(collateral, this.anchor, now);
    return this.#take(collateral, digests, verified, now);
  }

  /** Whether every part is believed, to the byte, for a family that is known. */
  #knows(digests: Readonly<Record<PartName, string>>): boolean {
    return [...this.#families.values()].some(({ family }) =>
      PART_NAMES.every((part) => this.#held.get(PART_KEYS[part](family))?.digest === digests[part])
    );
  }

  /** Compares marks and believes what is newer, in one turn. */
  #take(
    collateral: Collateral,
    digests: Readonly<Record<PartName, string>>,
    verified: VerifiedCollateral,
    now: number,
  ): Offered {
    const family = familyOfParts(verified), name = familyName(family);
    const newest = this.#held.get(PART_KEYS.rootCrl())?.read.rootCrl;
    if (newest) checkSigners(verified, newest);
    const judged = PART_NAMES.map((part) => {
      const key = PART_KEYS[part](family), mark = markOf(part, verified);
      const seen = this.#marks.get(key), held = this.#held.has(key);
      const order = seen ? compareMarks(part, mark, seen) : 1;
      demand(order >= 0 || held, "collateral-older", `${part} of ${iso(mark)}, seen: ${iso(seen)}`);
      return { part, key, mark, older: order < 0, taken: order > 0 || !held };
    });
    const room = this.#marks.has(PART_KEYS.tcbInfo(family)) ||
      [...this.#marks.keys()].filter(isTcbInfo).length < MAX_FAMILIES;
    demand(room, "collateral-full", `${name} would be one more than ${MAX_FAMILIES}`);

    for (const { part, key, mark, taken } of judged) {
      if (!taken) continue;
      this.#marks.set(key, mark);
      this.#floor = Math.max(this.#floor, mark.date);
      this.#held.set(key, {
        digest: digests[part],
        bytes: pick(collateral, FIELDS[part]),
        read: pick<VerifiedParts>(verified, READ[part]),
      });
    }
    const added = !this.#families.has(name);
    if (added) this.#families.set(name, { family, used: now });
    if (added || judged.some(({ taken }) => taken)) {
      for (const listener of [...this.#listeners]) listener();
      return "new";
    }
    return judged.some(({ older }) => older) ? "older" : "known";
  }

  /** Refuses, as `clock-behind`, a time before the newest date that was ever verified. */
  checkClock(now: number): void {
    const text = `it says ${iso({ date: now })}, expected ${iso({ date: this.#floor })} or later`;
    demand(now >= this.#floor, "clock-behind", text);
  }

  /**
   * What a quote is to be judged by. Throws an `AttestationError`: `collateral-missing`,
   * `clock-behind`, `…-expired` and `…-revoked` of a part of it, or what `familyOf` throws.
   */
  forQuote(quote: Uint8Array | Quote, now: number): VerifiedCollateral {
    return this.forFamily(familyOf(quote), now);
  }

  /** As `forQuote`, for quotes of a family. */
  forFamily(family: Family, now: number): VerifiedCollateral {
    this.checkClock(now);
    const parts = this.#parts(family), name = familyName(family);
    if (!parts) throw new AttestationError("collateral-missing", `it is ${name}`);
    const verified = combine(parts, this.anchor);
    checkDates(verified, now);
    this.#families.get(name)!.used = now;
    return verified;
  }

  /** What is believed for a family that is known. */
  #parts(family: Family): VerifiedParts | undefined {
    if (!this.#families.has(familyName(family))) return undefined;
    const parts = PART_NAMES.map((part) => this.#held.get(PART_KEYS[part](family))!.read);
    return Object.assign({}, ...parts);
  }

  /** Families that there is collateral for, be it expired. */
  families(): readonly Family[] {
    return [...this.#families.values()].map(({ family }) => family);
  }

  /** Those by which a quote was judged, or that came in, within `IN_USE_MS`. */
  inUse(now: number): readonly Family[] {
    const used = [...this.#families.values()].filter(({ used }) => now - used <= IN_USE_MS);
    return used.map(({ family }) => family);
  }

  /** When a family's collateral should be renewed, and when it ends; undefined if there is none. */
  lifetime(family: Family): Lifetime | undefined {
    const parts = this.#parts(family);
    if (!parts) return undefined;
    const until = Math.min(
      ...[this.anchor.certificate, ...Object.values(parts)].map((it) => it.until),
    );
    const life = Math.min(...PART_NAMES.map((part) => parts[part].until - parts[part].from));
    return { refresh: until - life / 2, warn: until - life / 4, until };
  }

  /** When the first collateral in use ends, Unix ms; undefined if none is in use. */
  until(now: number): number | undefined {
    const ends = this.inUse(now).map((family) => this.lifetime(family)!.until);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  /** A family's collateral as bytes, to hand on. */
  staple(family: Family): Collateral | undefined {
    if (!this.#families.has(familyName(family))) return undefined;
    const parts = PART_NAMES.map((part) => this.#held.get(PART_KEYS[part](family))!.bytes);
    return copyCollateral(Object.assign({}, ...parts));
  }

  /** All of it as bytes, one set for each family. */
  staples(): readonly Collateral[] {
    return this.families().map((family) => this.staple(family)!);
  }

  /** How new the newest parts were, to be kept over restarts; `collateral_marks.ts` has the layout. */
  marks(): Uint8Array {
    return encodeMarks(this.anchor.fingerprint, this.#marks);
  }

  /**
   * Calls `listener`, which must not throw, whenever something newer is believed: those who were
   * admitted before are to be judged again. The returned function ends that.
   */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** SHA-256 of each part's bytes; a length before each field. */
function digestsOf(collateral: Collateral): Record<PartName, string> {
  return Object.fromEntries(PART_NAMES.map((part) => {
    const hash = createHash("sha256");
    for (const field of FIELDS[part]) {
      hash.update(`${collateral[field].length}:`).update(collateral[field]);
    }
    return [part, hex(hash.digest())];
  })) as Record<PartName, string>;
}

function pick<T extends object>(from: T, names: readonly (keyof T)[]): Partial<T> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Partial<T>;
}

/** A mark's date as text; a time from a caller may be none. */
function iso(mark: Pick<Mark, "date"> | undefined): string {
  const ms = mark?.date ?? NaN;
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`;
}
