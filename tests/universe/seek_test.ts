/** Looking for a first peer, over a virtual clock. */
import assert from "node:assert/strict";
import { MAX_DIALS, MAX_HINTS, Seek, type SeekHost } from "../../src/universe/seek.ts";
import type { Rendezvous } from "../../src/universe/transport.ts";

const INSTANCE = new Uint8Array(32).fill(1), UNIVERSE = new Uint8Array(32).fill(2);

/** Time that goes on when told to. */
class Time {
  #now = 0;
  readonly #tasks = new Set<{ due: number; task: () => void }>();
  readonly clock = {
    now: () => this.#now,
    wall: () => this.#now,
    after: (ms: number, task: () => void) => {
      const entry = { due: this.#now + ms, task };
      this.#tasks.add(entry);
      return () => this.#tasks.delete(entry);
    },
  };
  get waiting(): number {
    return this.#tasks.size;
  }
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const next = [...this.#tasks].sort((a, b) => a.due - b.due)[0];
      if (next === undefined || next.due > end) break;
      this.#tasks.delete(next);
      this.#now = next.due;
      next.task();
    }
    this.#now = end;
  }
}

/** Long enough for all that needs no time. */
async function settled(): Promise<void> {
  for (let i = 0; i < 200; i++) await Promise.resolve();
}

class Story implements SeekHost {
  readonly time = new Time();
  readonly looks: number[] = [];
  readonly dials: string[] = [];
  readonly provided: number[] = [];
  readonly ended: number[] = [];
  readonly keys = [INSTANCE, UNIVERSE];
  readonly rendezvous: Rendezvous[];
  readonly environment;
  met = false;
  /** What is found under a key, by its first byte. */
  found: Record<number, string[]> = {};
  /** Who answers with use. */
  useful = "";
  readonly seek: Seek;

  constructor() {
    this.environment = {
      clock: this.time.clock,
      random: (n: number) => new Uint8Array(n),
      observe: () => {},
    };
    this.rendezvous = [{
      provide: ([first]) => {
        this.provided.push(first);
        return () => void this.ended.push(first);
      },
      find: ([first]) => {
        this.looks.push(first);
        return Promise.resolve(this.found[first] ?? []);
      },
    }];
    this.seek = new Seek(this);
  }
  alone(): boolean {
    return !this.met;
  }
  dial(address: string): Promise<void> {
    this.dials.push(address);
    if (address !== this.useful) return Promise.reject(new Error("nobody"));
    this.met = true;
    return Promise.resolve();
  }
}

Deno.test("seek: it looks for the instance, then for the universe, ever more rarely", async () => {
  const story = new Story();
  story.seek.start(false);
  await story.time.pass(500);
  assert.deepEqual(story.looks, [1, 2]);
  await story.time.pass(3_600_000);
  // Within an hour 59 to 66 times: seven that double, then one a minute.
  assert.ok(story.looks.length >= 2 * 59 && story.looks.length <= 2 * 67, `${story.looks.length}`);
  assert.deepEqual(story.provided, []);
  story.seek.stop();
  assert.equal(story.time.waiting, 0);
});

Deno.test("seek: the first hint of use ends it, and losing all begins it anew", async () => {
  const story = new Story();
  story.found[1] = ["/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/2"];
  story.found[2] = ["/ip4/10.0.0.3/tcp/3"];
  story.useful = "/ip4/10.0.0.2/tcp/2";
  story.seek.start(true);
  await story.time.pass(500);
  assert.deepEqual(story.dials, story.found[1]);
  assert.deepEqual(story.looks, [1]);
  await story.time.pass(600_000);
  assert.deepEqual(story.looks, [1]);
  story.met = false;
  await story.time.pass(120_000);
  assert.ok(story.looks.length > 1);
  story.seek.stop();
  assert.deepEqual([story.provided, story.ended], [[1, 2], [1, 2]]);
});

Deno.test("seek: liars cost a bounded number of dials, and the same address one a minute", async () => {
  const story = new Story();
  story.found[1] = Array.from({ length: 10_000 }, (_, i) => `/ip4/10.0.0.1/tcp/${i}`);
  story.found[2] = ["not an address", "/ip4/10.9.9.9/tcp/1", "/ip4/10.9.9.9/tcp/1"];
  story.seek.start(false);
  await story.time.pass(59_000);
  assert.equal(story.dials.length, MAX_DIALS);
  assert.equal(new Set(story.dials).size, MAX_DIALS);
  story.found[1] = [];
  await story.time.pass(120_000);
  assert.deepEqual(new Set(story.dials.slice(MAX_DIALS)), new Set(["/ip4/10.9.9.9/tcp/1"]));
  assert.ok(MAX_HINTS < 100);
  story.seek.stop();
});

Deno.test("seek: a look that never ends is ended, and one that fails is repeated", async () => {
  const story = new Story();
  let looks = 0;
  story.rendezvous[0].find = (_, signal) => {
    if (++looks === 2) return Promise.reject(new Error("broken"));
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve([])));
  };
  story.seek.start(false);
  await story.time.pass(300_000);
  assert.ok(looks > 4, `${looks}`);
  story.seek.stop();
  await settled();
  assert.equal(story.time.waiting, 0);
});
