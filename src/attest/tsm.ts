/**
 * Quotes of TDX through Linux's configfs-tsm: an item, a folder with a file for the report data, one
 * for the quote, and a count of writes. The kernel makes a quote when the second is read; a write
 * takes effect when the file is closed, and what becomes of it shows in the count alone. Whatever
 * goes wrong in between, a quote whose report data is what was asked for is the right one.
 *
 * Stock kernels take about a second for each. An item belongs to one process, and requests here wait
 * for each other: several on one item would starve each other.
 */
import { equal } from "../protocol/bytes.ts";
import { parseQuote, quoteLength } from "./quote.ts";
import { type QuoteSource, QuoteSourceError } from "./quote_source.ts";
import { AttestationError } from "./reasons.ts";

/** How often a quote is tried for, and how long it waits after the first failure, ms; it doubles. */
export const TSM_TRIES = 6, TSM_PAUSE_MS = 250;
/** Requests that may wait for the one in progress. */
export const MAX_REQUESTS = 16;
/** Bytes of report data. */
const REPORT_DATA_BYTES = 64;
/** What the item's `provider` must say. */
const PROVIDER = "tdx_guest";

/** One item, as a process sees it. */
export interface TsmItem {
  /** For people: where it is. */
  readonly path: string;
  /** Content of `provider`, without white space around it. */
  provider(): Promise<string>;
  /** The count of writes. */
  generation(): Promise<number>;
  /** Writes all bytes in one write and closes. */
  writeInblob(bytes: Uint8Array): Promise<void>;
  /** The quote, with what may be behind it. Rejects with `TsmBusy` where it may work later. */
  readOutblob(): Promise<Uint8Array>;
}

/** The host still works on an earlier request, or this one was interrupted. */
export class TsmBusy extends Error {
  override readonly name = "TsmBusy";
}

/** What it waits by. */
interface Timers {
  after(ms: number, task: () => void): () => void;
}

/** Quotes from an item. */
export function tsmSource(item: TsmItem, clock: Timers): QuoteSource {
  let tail: Promise<unknown> = Promise.resolve(), waiting = 0;
  return {
    quote(reportData) {
      if (reportData.length !== REPORT_DATA_BYTES) {
        throw new RangeError(`report data: expected 64 bytes, got ${reportData.length}`);
      }
      if (waiting >= MAX_REQUESTS) {
        return Promise.reject(
          new QuoteSourceError(`${waiting} other quotes are being made, at most that: ask later`),
        );
      }
      waiting++;
      const asked = reportData.slice(), made = tail.then(() => makeQuote(item, clock, asked));
      tail = made.catch(() => {}).then(() => void waiting--);
      return made;
    },
  };
}

async function makeQuote(item: TsmItem, clock: Timers, asked: Uint8Array): Promise<Uint8Array> {
  const provider = await item.provider();
  if (provider !== PROVIDER) {
    throw new QuoteSourceError(
      `${item.path}: its provider is ${provider.slice(0, 40)}, expected ${PROVIDER}: this is no ` +
        "TDX guest",
    );
  }
  let why = "";
  for (let tried = 0; tried < TSM_TRIES; tried++) {
    if (tried > 0) await pause(clock, TSM_PAUSE_MS * 2 ** (tried - 1));
    const result = await tryOnce(item, asked);
    if ("quote" in result) return result.quote;
    why = result.why;
  }
  throw new QuoteSourceError(`${item.path}: no quote after ${TSM_TRIES} tries: ${why}`);
}

/** One try: a quote, or why another may have more luck. */
async function tryOnce(
  item: TsmItem,
  asked: Uint8Array,
): Promise<{ readonly quote: Uint8Array } | { readonly why: string }> {
  let out: Uint8Array, before: number, after: number;
  try {
    before = await item.generation();
    await item.writeInblob(asked);
    out = await item.readOutblob();
    after = await item.generation();
  } catch (error) {
    if (!(error instanceof TsmBusy)) throw error;
    return { why: error.message };
  }
  // The host's service can fail and leave nothing, or half of it, without any error.
  if (out.length === 0) return { why: "it is empty: the host's quote service failed" };
  const cut = quoteIn(out);
  if ("why" in cut) return cut;
  if (equal(parseQuote(cut.quote).report.reportData, asked)) return cut;
  const writes = after === before + 1 ? "one write" : `${after - before} writes`;
  return { why: `it is of other report data, after ${writes}: another process uses this item` };
}

/** The quote without what is behind it. */
function quoteIn(out: Uint8Array): { readonly quote: Uint8Array } | { readonly why: string } {
  try {
    const quote = out.slice(0, quoteLength(out));
    parseQuote(quote);
    return { quote };
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    return { why: `it is no quote (${error.code}): the host's quote service failed` };
  }
}

function pause(clock: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}
