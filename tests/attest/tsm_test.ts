/** Quotes through an item of configfs-tsm, as the kernel has it: with all that goes wrong there. */
import assert from "node:assert/strict";
import { parseQuote } from "../../src/attest/quote.ts";
import { QuoteSourceError } from "../../src/attest/quote_source.ts";
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { MAX_REQUESTS, TSM_TRIES, TsmBusy, type TsmItem, tsmSource } from "../../src/attest/tsm.ts";
import { platform, seeded } from "./stage.ts";

const random = seeded(77);

/** An item in memory: a write counts at close, and the first read after it makes the quote. */
class Item implements TsmItem {
  readonly path = "/run/tsm";
  writes = 7;
  made = 0;
  #inblob = new Uint8Array(0);
  #cached: Uint8Array | undefined;
  named = "tdx_guest";
  /** What becomes of the nth quote, from 1. */
  outcome: (made: number, quote: Uint8Array) => Uint8Array = (_, quote) => quote;
  /** Runs between the write and the read. */
  between: () => void = () => {};

  provider = () => Promise.resolve(this.named);
  generation = () => Promise.resolve(this.writes);
  writeInblob(bytes: Uint8Array): Promise<void> {
    this.write(bytes);
    return Promise.resolve();
  }
  write(bytes: Uint8Array): void {
    this.writes++;
    this.#inblob = bytes.slice();
    this.#cached = undefined;
  }
  readOutblob(): Promise<Uint8Array> {
    this.between();
    try {
      this.#cached ??= this.outcome(++this.made, simulatedQuote(platform, this.#inblob));
      return Promise.resolve(this.#cached);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

/** A source on an item, whose pauses end at once and are noted. */
function source(change: (item: Item) => void = () => {}) {
  const item = new Item(), pauses: number[] = [];
  change(item);
  const clock = {
    after(ms: number, task: () => void) {
      pauses.push(ms);
      queueMicrotask(task);
      return () => {};
    },
  };
  return { item, pauses, source: tsmSource(item, clock) };
}

const dataOf = (quote: Uint8Array) => parseQuote(quote).report.reportData;

Deno.test("tsm: a quote over what was asked, without the padding behind it", async () => {
  const data = random(64),
    padded = source((item) => {
      item.outcome = (_, quote) => Uint8Array.of(...quote, ...new Uint8Array(3_000));
    });
  assert.deepEqual(dataOf(await padded.source.quote(data)), data);
  assert.deepEqual(padded.pauses, []);
  await assert.rejects(
    async () => await padded.source.quote(new Uint8Array(63)),
    /expected 64 bytes/,
  );
});

Deno.test("tsm: callers at once all get their own quote; beyond a bound they are told", async () => {
  const { source: it, item } = source();
  const asked = Array.from({ length: MAX_REQUESTS + 2 }, () => random(64));
  const made = await Promise.allSettled(asked.map((data) => it.quote(data)));
  for (const [i, result] of made.entries()) {
    if (i >= MAX_REQUESTS) {
      assert.match(String((result as PromiseRejectedResult).reason), /ask later/);
    } else assert.deepEqual(dataOf((result as PromiseFulfilledResult<Uint8Array>).value), asked[i]);
  }
  assert.equal(item.made, MAX_REQUESTS);
  assert.deepEqual(dataOf(await it.quote(asked[0])), asked[0], "and later there is room again");
});

Deno.test("tsm: a host that is busy is asked again, more and more slowly, and not for ever", async () => {
  const busy = (until: number) => (item: Item) => {
    item.outcome = (made, quote) => {
      if (made < until) throw new TsmBusy("EBUSY");
      return quote;
    };
  };
  const soon = source(busy(4)), data = random(64);
  assert.deepEqual(dataOf(await soon.source.quote(data)), data);
  assert.deepEqual(soon.pauses, [250, 500, 1_000]);
  const never = source(busy(Infinity));
  await assert.rejects(never.source.quote(data), (error: Error) => {
    assert.ok(error instanceof QuoteSourceError);
    assert.match(error.message, /^\/run\/tsm: no quote after 6 tries: EBUSY$/);
    return true;
  });
  assert.equal(never.item.made, TSM_TRIES);
  assert.deepEqual(dataOf(await source().source.quote(data)), data);
});

Deno.test("tsm: another process on the same item is noticed, and outlived", async () => {
  let meddle = 2;
  const { source: it } = source((item) => {
    item.between = () => {
      if (meddle-- > 0) item.write(random(64));
    };
  });
  const data = random(64);
  assert.deepEqual(dataOf(await it.quote(data)), data);
  meddle = Infinity;
  await assert.rejects(it.quote(data), /other report data, after 2 writes: another process uses/);
});

Deno.test("tsm: a quote service that fails without an error is told", async () => {
  for (
    const [bytes, told] of [
      [0, /it is empty: the host's quote service failed/],
      [20, /it is no quote \(quote-truncated\)/],
      [700, /it is no quote \(quote-truncated\)/],
    ] as const
  ) {
    const { source: it } = source((item) => {
      item.outcome = (_, quote) => quote.slice(0, bytes);
    });
    await assert.rejects(it.quote(random(64)), told);
  }
});

Deno.test("tsm: another provider, and an error that no second try mends, end it at once", async () => {
  const other = source((item) => void (item.named = "sev_guest"));
  await assert.rejects(other.source.quote(random(64)), /provider is sev_guest, expected tdx_guest/);
  const { source: it, item, pauses } = source((item) => {
    item.outcome = () => {
      throw new QuoteSourceError("EIO");
    };
  });
  await assert.rejects(it.quote(random(64)), /EIO/);
  assert.deepEqual([item.made, pauses], [1, []]);
});
