/** Reads the records of an archive and verifies each, with nothing but the manifest. */
import { equal, hex } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { peekPlace } from "../protocol/header.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { Epochs } from "./epochs.ts";
import { Protocol } from "./errors.ts";
import { LEAD_ROUNDS, type Seen } from "./reader.ts";
import type { Kept, Records } from "./records.ts";

/** Records that are read at one time, and their bytes. */
const READ_RECORDS = 64, READ_BYTES = 8 * 2 ** 20;

/**
 * The records from round `from` on, 0 for all, in order, of successive epochs. Throws `Protocol`,
 * which names the round, at the first that does not verify, or where some are missing.
 */
export function* readArchived(
  records: Records,
  manifests: readonly Manifest[],
  from: number,
): Generator<Seen> {
  if (records.newest < Math.max(from, 1)) {
    throw new Protocol(
      `no record from round ${from} on: ` +
        (records.newest === 0 ? "the archive is empty" : `the newest is ${records.newest}`),
    );
  }
  const epochs = new Epochs(manifests), chain = epochs.chain();
  let last = 0;
  for (const kept of all(records, Math.max(0, from - LEAD_ROUNDS))) {
    const { round } = kept;
    try {
      if (last === 0 && (from === 0 || round > from)) begins(kept, epochs);
      const verified = chain.extend(kept.bytes);
      if (verified.record.header.round !== round) {
        throw new ProtocolError("mismatch", `it is the record of ${verified.record.header.round}`);
      }
      // What comes first may begin an epoch, and so be linked to what is not here.
      const linked = verified.linked && (last > 0 || isFirst(kept, epochs));
      const skipped = linked ? round - 1 - last : 0;
      last = round;
      if (round >= from) yield { ...verified, linked, skipped };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      throw new Protocol(`record ${round} does not verify: ${error.message}`);
    }
  }
}

/** Throws unless a record is the first of all: what was asked for lies before it. */
function begins(kept: Kept, epochs: Epochs): void {
  if (isFirst(kept, epochs)) return;
  const { round, bytes } = kept, { previous } = peekPlace(bytes);
  throw new ProtocolError(
    "chain",
    `it is the first here and follows ${hex(previous).slice(0, 16)}: the records before it are ` +
      `missing, --from=${round} reads from here on`,
  );
}

/** Whether a record is the first of all. */
function isFirst({ bytes }: Kept, { root }: Epochs): boolean {
  return equal(peekPlace(bytes).previous, root);
}

function* all(records: Records, from: number): Generator<Kept> {
  for (let next = from;;) {
    const some = records.read(next, READ_RECORDS, READ_BYTES);
    yield* some;
    if (some.length === 0) return;
    next = some.at(-1)!.round + 1;
  }
}

/** What was verified so far, and the one line that says so. */
export class Tally {
  #records = 0;
  #messages = 0;
  #first = 0;
  #last: Seen | undefined;

  /** Counts a record. */
  add(seen: Seen): void {
    this.#records++;
    this.#messages += seen.messages.length;
    this.#first ||= seen.record.header.round;
    this.#last = seen;
  }

  /** Round of the last record, 0 for none. */
  get last(): number {
    return this.#last?.record.header.round ?? 0;
  }

  /** The line, or as JSON one object. */
  line(json: boolean): string {
    const head = this.#last ? hex(this.#last.record.hash) : "";
    const from = this.#first, to = this.last;
    const sums = { records: this.#records, messages: this.#messages, from, to, head };
    if (json) return `${JSON.stringify({ verified: true, ...sums })}\n`;
    return `${sums.records} records, ${sums.messages} messages, rounds ${from} to ${to}, ` +
      `head ${head}: verified\n`;
  }
}
