/**
 * Quotes of a TDX guest, as Linux hands them out (configfs-tsm, from Linux 6.7 on). An item is a
 * folder of attributes: what is written to `inblob` takes effect when the file is closed, and what
 * came of that is told nowhere but in `generation`; the first read of `outblob` then makes the
 * quote. One quote:
 *
 * ```text
 * provider     must be tdx_guest
 * generation   g
 * inblob       one write of the 64 bytes of report data
 * outblob      the quote, perhaps padded
 * generation   must be g + 1
 * ```
 *
 * Whoever else writes to the item meanwhile shows in the generation. Only the report data in the
 * quote proves that it is ours, and is compared always. A guest makes one quote at a time, in about
 * a second: callers wait in line, and each process has an item of its own.
 */
import { equal } from "../protocol/bytes.ts";
import { MAX_QUOTE_BYTES, parseQuote, quoteLength } from "./quote.ts";
import { type QuoteSource, QuoteSourceError } from "./quote_source.ts";
import { AttestationError } from "./reasons.ts";

/** Bytes of report data. */
export const REPORT_DATA_BYTES = 64;
/** Bytes of `outblob`: a quote with its padding. */
export const MAX_OUTBLOB_BYTES = MAX_QUOTE_BYTES;
/** Callers in line, the one that is served included. */
export const MAX_CALLERS = 16;
/** Attempts at one quote, and the pause before the second; each further one is twice as long, ms. */
export const MAX_ATTEMPTS = 8, BACKOFF_MS = 250;
/** How long a caller waits at most, ms; the kernel gives the host 30 s for one request. */
export const QUOTE_MS = 120_000;

const PROVIDER = "tdx_guest";
const HOST = "ask whoever runs the host whether its quote generation service (QGS) works";
const OWN_ITEM = "give each process an item of its own";

/** What can be wrong with an item, and what to do. */
export const TSM_FAULTS = {
  mount: "no TSM item is where ZIPNET_PLATFORM says: either this machine is no TDX guest (or its " +
    "kernel is older than 6.7), or the item is not mounted there",
  permission: "the TSM item may not be used",
  driver: "the guest's TDX driver is gone: load the kernel module tdx_guest",
  timeout: `the host did not answer in time: ${HOST}`,
  refused: `the host refused the request: ${HOST}`,
  io: "the TSM item cannot be read or written",
  busy: `the host is still busy with an earlier request: if that stays so, ${HOST}`,
  interrupted: "the request was interrupted",
  raced: `the item did not hold 64 bytes of report data: ${OWN_ITEM}`,
} as const;

/** One of them. */
export type TsmFault = keyof typeof TSM_FAULTS;

/** Faults that may pass by themselves. */
const PASSING: readonly TsmFault[] = ["busy", "interrupted", "raced"];

/** What an item throws. */
export class TsmError extends Error {
  override readonly name = "TsmError";
  constructor(readonly fault: TsmFault, detail?: string, options?: ErrorOptions) {
    super(`${TSM_FAULTS[fault]}${detail === undefined ? "" : `; ${detail}`}`, options);
  }
}

/** An item. Everything rejects with a `TsmError`. */
export interface TsmItem {
  /** The line in `provider`, without its end. */
  provider(): Promise<string>;
  generation(): Promise<number>;
  /** One write, then close. */
  writeInblob(bytes: Uint8Array): Promise<void>;
  /** At most `MAX_OUTBLOB_BYTES`. */
  readOutblob(): Promise<Uint8Array>;
}

/** Time and timers. */
export interface TsmClock {
  /** Unix ms. */
  now(): number;
  /** Runs `task` once, `ms` from now; the returned function cancels it. */
  after(ms: number, task: () => void): () => void;
}

/** Quotes of the guest that the item belongs to. */
export function tsmSource(item: TsmItem, clock: TsmClock): QuoteSource {
  const pause = (ms: number) => new Promise<void>((done) => void clock.after(ms, done));
  let line = Promise.resolve(), callers = 0, stuckSince: number | undefined;

  function quote(reportData: Uint8Array): Promise<Uint8Array> {
    checkCall(reportData);
    const asked = reportData.slice();
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    let over = false, served = false;
    const cancel = clock.after(QUOTE_MS, () => {
      over = true;
      // Whatever still waits for the item holds the line until it answers.
      if (served) stuckSince = clock.now();
      reject(failed(`no answer within ${QUOTE_MS / 1000} s: ${HOST}`));
    });
    const serve = async () => {
      served = true;
      try {
        resolve(await makeQuote(item, asked, { pause, isOver: () => over }));
      } catch (error) {
        reject(error instanceof TsmError ? failed(error.message, error) : error);
      } finally {
        cancel();
        callers--;
        stuckSince = undefined;
      }
    };
    callers++;
    line = line.then(serve);
    return promise;
  }

  function checkCall({ length }: Uint8Array): void {
    if (length !== REPORT_DATA_BYTES) {
      throw new RangeError(`report data of ${length} bytes, expected ${REPORT_DATA_BYTES}`);
    }
    if (stuckSince !== undefined) {
      const seconds = QUOTE_MS / 1000 + Math.round((clock.now() - stuckSince) / 1000);
      throw failed(`an earlier request has had no answer for ${seconds} s: ${HOST}`);
    }
    if (callers >= MAX_CALLERS) {
      throw failed(`${callers} callers wait already, ${MAX_CALLERS} may: ask again in a minute`);
    }
  }

  // A call that is refused rejects; it never throws.
  return { quote: (reportData) => Promise.try(quote, reportData) };
}

interface Patience {
  pause(ms: number): Promise<void>;
  /** Whether the caller has stopped waiting. */
  isOver(): boolean;
}

/** Attempts until one makes the quote. */
async function makeQuote(
  item: TsmItem,
  reportData: Uint8Array,
  { pause, isOver }: Patience,
): Promise<Uint8Array> {
  let why = "";
  for (let attempt = 0; attempt < MAX_ATTEMPTS && !isOver(); attempt++) {
    const made = await tryOnce(item, reportData);
    if (typeof made !== "string") return made;
    why = made;
    if (attempt + 1 < MAX_ATTEMPTS) await pause(BACKOFF_MS * 2 ** attempt);
  }
  throw failed(`${MAX_ATTEMPTS} attempts, the last: ${why}`);
}

/** The quote, or why it is worth another attempt. */
async function tryOnce(item: TsmItem, reportData: Uint8Array): Promise<Uint8Array | string> {
  try {
    const provider = await item.provider();
    if (provider !== PROVIDER) {
      throw failed(
        `the TSM item's provider is ${JSON.stringify(provider.slice(0, 32))}, expected ` +
          `"${PROVIDER}": this machine is no TDX guest, or another item is mounted`,
      );
    }
    const before = await item.generation();
    await item.writeInblob(reportData);
    const outblob = await item.readOutblob();
    const after = await item.generation();
    if (after === before) return "the item did not take the report data";
    if (after !== before + 1) {
      return `the item's generation went from ${before} to ${after}: ${OWN_ITEM}`;
    }
    if (outblob.length === 0) throw failed(`the host gave an empty answer: ${HOST}`);
    const quote = outblob.slice(0, quoteLength(outblob));
    return equal(parseQuote(quote).report.reportData, reportData)
      ? quote
      : `the quote is over other report data: ${OWN_ITEM}`;
  } catch (error) {
    if (error instanceof TsmError && PASSING.includes(error.fault)) return error.message;
    if (!(error instanceof AttestationError)) throw error;
    throw failed(`the host's answer is no quote (${error.message}): ${HOST}`, error);
  }
}

function failed(why: string, cause?: unknown): QuoteSourceError {
  return new QuoteSourceError(`no quote: ${why}`, { cause });
}
