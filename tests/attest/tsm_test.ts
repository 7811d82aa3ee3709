/** The procedure of a TSM item, on virtual time: races, pauses, bounds, and every refusal. */
import assert from "node:assert/strict";
import { QuoteSourceError, simulatedSource } from "../../src/attest/quote_source.ts";
import {
  BACKOFF_MS,
  MAX_ATTEMPTS,
  MAX_CALLERS,
  QUOTE_MS,
  REPORT_DATA_BYTES,
  TSM_FAULTS,
  TsmError,
  type TsmFault,
  type TsmItem,
  tsmSource,
} from "../../src/attest/tsm.ts";
import { Timeline } from "../../src/universe/timeline.ts";
import { platform, seeded } from "./stage.ts";

const simulated = simulatedSource(platform);
/** How long the host takes for a quote. */
const HOST_MS = 1_000;

/** Virtual time as a clock. */
class World {
  readonly timeline = new Timeline(0, (error) => {
    throw error;
  });
  readonly clock = {
    now: () => this.timeline.now,
    after: (ms: number, fire: () => void) => {
      const event = { time: this.timeline.now + ms, seq: 0, owner: undefined, dead: false, fire };
      this.timeline.push(event);
      return () => void (event.dead = true);
    },
  };
  pause(ms: number): Promise<void> {
    return new Promise((done) => void this.clock.after(ms, done));
  }
  /** What became of it, after all that was to happen, within an hour. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const done = promise.finally(() => over = true);
    done.catch(() => {});
    assert.ok(await this.timeline.run(() => over, this.timeline.now + 3_600_000), "it never ends");
    return await done;
  }
}

/** An item in memory, with the kernel's rules; each hook may change what it does. */
class Item implements TsmItem {
  name = "tdx_guest";
  steps = 0;
  reads = 0;
  atOnce = 0;
  mostAtOnce = 0;
  inblob: Uint8Array = new Uint8Array(0);
  /** Called before the host's answer, with the number of the read. */
  onRead: (read: number) => unknown = () => {};
  /** What the host's answer becomes. */
  answer: (quote: Uint8Array) => Uint8Array = (quote) => quote;
  /** Whether the kernel takes what is written. */
  takes = true;
  constructor(readonly world: World) {}

  provider(): Promise<string> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
    return Promise.resolve(this.name);
  }
  generation(): Promise<number> {
    return Promise.resolve(this.steps);
  }
  writeInblob(bytes: Uint8Array): Promise<void> {
    if (this.takes) {
      this.inblob = bytes.slice();
      this.steps++;
    }
    return Promise.resolve();
  }
  async readOutblob(): Promise<Uint8Array> {
    try {
      const asked = this.inblob;
      await this.world.pause(HOST_MS);
      await this.onRead(++this.reads);
      if (asked.length !== REPORT_DATA_BYTES) throw new TsmError("raced");
      return this.answer(await simulated.quote(asked));
    } finally {
      this.atOnce--;
    }
  }
}

function stage(prepare: (item: Item, world: World) => void = () => {}) {
  const world = new World(), item = new Item(world);
  prepare(item, world);
  const source = tsmSource(item, world.clock), random = seeded(7);
  return { world, item, source, data: () => random(REPORT_DATA_BYTES) };
}

/** Asserts that a quote is refused with this line. */
async function failsWith(line: RegExp, prepare: (item: Item, world: World) => void) {
  const { world, item, source, data } = stage(prepare);
  await assert.rejects(world.settle(source.quote(data())), (error) => {
    assert.ok(error instanceof QuoteSourceError, String(error));
    assert.match(error.message, line);
    assert.match(error.message, /^no quote: [^\n]+$/);
    return true;
  });
  return item;
}

/** Another's report data, and the quote over it. */
const other = seeded(8)(REPORT_DATA_BYTES), theirs = await simulated.quote(other);

Deno.test("the quote over the report data, without the host's padding", async () => {
  for (const padding of [0, 70, 3_000]) {
    const { world, item, source, data } = stage((item) => {
      item.answer = (quote) => Uint8Array.of(...quote, ...new Uint8Array(padding));
    });
    const asked = data();
    const quote = await world.settle(source.quote(asked));
    assert.deepEqual(quote, await simulated.quote(asked));
    assert.deepEqual([item.reads, world.timeline.now], [1, HOST_MS]);
    // What was answered in time is not missed later.
    await world.settle(world.pause(QUOTE_MS));
    await world.settle(source.quote(asked));
  }
});

Deno.test("what the caller does with its bytes meanwhile changes nothing", async () => {
  const { world, source, data } = stage(), asked = data(), kept = asked.slice();
  const first = source.quote(data()), second = source.quote(asked);
  asked.fill(0);
  await world.settle(first);
  assert.deepEqual(await world.settle(second), await simulated.quote(kept));
});

Deno.test("callers are served one after the other, each with its own quote", async () => {
  const { world, item, source, data } = stage();
  const asked = Array.from({ length: MAX_CALLERS }, data);
  const made = await world.settle(Promise.all(asked.map((it) => source.quote(it))));
  for (const [i, quote] of made.entries()) {
    assert.deepEqual(quote, await simulated.quote(asked[i]), `caller ${i}`);
  }
  assert.deepEqual([item.mostAtOnce, item.reads], [1, MAX_CALLERS]);
});

Deno.test("a caller too many is refused at once; the line is free again later", async () => {
  const { world, source, data } = stage();
  const served = Array.from({ length: MAX_CALLERS }, () => source.quote(data()));
  await assert.rejects(source.quote(data()), /no quote: 16 callers wait already, 16 may/);
  assert.equal(world.timeline.now, 0);
  await world.settle(Promise.all(served));
  await world.settle(source.quote(data()));
});

Deno.test("one that fails does not hold up the next", async () => {
  const { world, source, data } = stage((item) => {
    item.onRead = (read) => {
      if (read === 1) throw new TsmError("refused");
    };
  });
  const first = source.quote(data()), second = source.quote(data());
  await assert.rejects(world.settle(first), QuoteSourceError);
  await world.settle(second);
});

Deno.test("races are tried again: another's write before the quote, after it, none of ours", async () => {
  const races: ((item: Item) => void)[] = [
    // Another writes between our write and our read: the quote is over its data.
    (item) => item.answer = (quote) => item.reads > 1 ? quote : (item.steps++, theirs),
    // The same, but the generation says nothing of it.
    (item) => item.answer = (quote) => item.reads > 1 ? quote : theirs,
    (item) => item.onRead = (read) => void (read === 1 && item.steps++),
    (item) => item.onRead = (read) => void (read === 1 && item.steps--),
    (item) => {
      item.takes = false;
      item.inblob = other;
      item.onRead = () => item.takes = true;
    },
    (item) => item.onRead = (read) => void (read === 1 && passing("raced")),
  ];
  for (const [i, race] of races.entries()) {
    const { world, item, source, data } = stage(race), asked = data();
    const quote = await world.settle(source.quote(asked));
    assert.deepEqual(quote, await simulated.quote(asked), `race ${i}`);
    assert.deepEqual([item.reads, world.timeline.now], [2, 2 * HOST_MS + BACKOFF_MS], `race ${i}`);
  }
});

Deno.test("a busy host is asked again, after ever longer pauses", async () => {
  for (const fault of ["busy", "interrupted"] as const) {
    const times: number[] = [];
    const { world, source, data } = stage((item, world) => {
      item.onRead = (read) => {
        times.push(world.timeline.now);
        if (read < MAX_ATTEMPTS) passing(fault);
      };
    });
    await world.settle(source.quote(data()));
    const pauses = times.slice(1).map((time, i) => time - times[i] - HOST_MS);
    assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000]);
  }
});

Deno.test("what does not pass is told after the last attempt", async () => {
  const lines: [RegExp, (item: Item) => void][] = [
    [/8 attempts, the last: the host is still busy.*\(QGS\)/, (item) => {
      item.onRead = () => passing("busy");
    }],
    [/the last: the item did not take the report data$/, (item) => {
      item.takes = false;
      item.inblob = other;
    }],
    [/the last: the item's generation went from 14 to 16: give each process an item/, (item) => {
      item.onRead = () => item.steps++;
    }],
    [/the last: the quote is over other report data: give each process an item/, (item) => {
      item.answer = () => theirs;
    }],
  ];
  for (const [line, prepare] of lines) {
    assert.equal((await failsWith(line, prepare)).reads, MAX_ATTEMPTS, String(line));
  }
});

Deno.test("what no further attempt mends is told at once", async () => {
  const lines: [RegExp, (item: Item) => void][] = [
    [/the host gave an empty answer: .*\(QGS\)/, (item) => item.answer = () => new Uint8Array(0)],
    [/the host's answer is no quote \(quote-truncated/, (item) => {
      item.answer = (quote) => quote.subarray(0, -1);
    }],
    [/the host's answer is no quote \(quote-truncated/, (item) => {
      item.answer = (quote) => quote.subarray(0, 40);
    }],
    [/the host's answer is no quote \(quote-version/, (item) => {
      item.answer = (quote) => new Uint8Array(quote.length);
    }],
    [/the host's answer is no quote \(quote-certification/, (item) => {
      item.answer = (quote) => quote.with(764, 7);
    }],
  ];
  const final: TsmFault[] = ["mount", "permission", "driver", "timeout", "refused", "io"];
  for (const fault of final) {
    const line = RegExp(`^no quote: ${TSM_FAULTS[fault].replace(/[()]/g, "\\$&")}; at x$`);
    lines.push([line, (item) => {
      item.onRead = () => {
        throw new TsmError(fault, "at x");
      };
    }]);
  }
  for (const [line, prepare] of lines) {
    assert.equal((await failsWith(line, prepare)).reads, 1, String(line));
  }
});

Deno.test("another provider is named, and nothing is asked of it", async () => {
  const name = `sev_guest\n\x1b[2J${"x".repeat(100)}`;
  const item = await failsWith(
    /provider is "sev_guest\\n\\u001b\[2Jx{18}", expected "tdx_guest"/,
    (item) => item.name = name,
  );
  assert.deepEqual([item.reads, item.steps], [0, 0]);
});

Deno.test("report data of another length is the caller's mistake", async () => {
  const { item, source } = stage();
  for (const length of [0, 63, 65]) {
    await assert.rejects(source.quote(new Uint8Array(length)), RangeError);
  }
  assert.equal(item.steps, 0);
});

Deno.test("a host that never answers: callers are told in time, and no more requests pile up", async () => {
  const answered = Promise.withResolvers<void>();
  const { world, item, source, data } = stage((item) => {
    item.onRead = (read) => read === 1 ? answered.promise : undefined;
  });
  const calls = [source.quote(data()), source.quote(data())];
  for (const call of calls) {
    await assert.rejects(world.settle(call), /no quote: no answer within 120 s: ask whoever/);
  }
  assert.equal(world.timeline.now, QUOTE_MS);
  await world.settle(world.pause(5_000));
  await assert.rejects(source.quote(data()), /an earlier request has had no answer for 125 s/);
  assert.equal(item.reads, 1);
  answered.resolve();
  await world.settle(world.pause(1));
  const asked = data();
  assert.deepEqual(await world.settle(source.quote(asked)), await simulated.quote(asked));
  // The second caller had gone before its turn.
  assert.equal(item.reads, 2);
});

Deno.test("a caller that has gone is not served by further attempts", async () => {
  const { world, item, source, data } = stage((item, world) => {
    item.onRead = async () => {
      await world.pause(QUOTE_MS - HOST_MS - 1);
      passing("busy");
    };
  });
  await assert.rejects(world.settle(source.quote(data())), /no answer within 120 s/);
  await world.settle(world.pause(QUOTE_MS));
  assert.equal(item.reads, 1);
});

function passing(fault: TsmFault): never {
  throw new TsmError(fault);
}
