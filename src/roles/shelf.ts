/**
 * What a holder can serve: the newest records from memory, older ones from its archive where it
 * has one. It knows whether a record follows the one before, so that nothing is left out unsaid.
 */
import { equal, type RecordHash } from "../protocol/bytes.ts";
import { peekPlace } from "../protocol/header.ts";
import { type CertifiedRecord, encodeCertified } from "../protocol/record.ts";
import { type Kept, memoryArchive, type Records } from "./records.ts";

/** Records from a round on, and whether none that a subscriber wanted is missing before them. */
export interface Following {
  readonly records: readonly Kept[];
  readonly whole: boolean;
}

/** See the module comment. */
export class Shelf {
  /** The newest records; each follows the one before. */
  #recent = memoryArchive();
  #tip: RecordHash | undefined;

  /** `root` is what the first record of all follows. */
  constructor(readonly root: RecordHash, readonly history?: Records) {}

  /** Round of the newest record, 0 for none. */
  get newest(): number {
    return Math.max(this.#recent.newest, this.history?.newest ?? 0);
  }

  /** Keeps a record that was verified; false for one that is older than the newest. */
  add(certified: CertifiedRecord): boolean {
    const { header, hash } = certified.record;
    // A server's archive has the record already, or a later one where it was filled from others.
    if (header.round <= this.#recent.newest || header.round < this.newest) return false;
    if (this.#tip && !equal(header.previous, this.#tip)) this.#recent = memoryArchive();
    this.#recent.append(header.round, encodeCertified(certified));
    this.#tip = hash;
    return true;
  }

  /** The records from round `from` on that can be had at once. */
  from(from: number, count: number, maxBytes: number): Following {
    const { history } = this, recent = this.#recent;
    const inMemory = recent.newest > 0 &&
      (from >= recent.oldest || history === undefined || history.newest < Math.max(from, 1));
    const source = inMemory ? recent : history;
    const records = source?.read(from, count, maxBytes) ?? [];
    if (records.length === 0) return { records, whole: true };
    const [first] = records;
    const whole = first.round === from || source!.oldest < from ||
      equal(peekPlace(first.bytes).previous, this.root);
    return { records, whole };
  }
}
