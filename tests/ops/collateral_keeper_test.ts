/** The keeper of collateral on a clock turned by hand: what it asks for, when, and what it says. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import type { Collateral } from "../../src/attest/collateral.ts";
import { MAX_FAMILIES } from "../../src/attest/collateral_marks.ts";
import { type Family, familyName } from "../../src/attest/family.ts";
import { DAY_MS } from "../../src/attest/simulated_authority.ts";
import {
  type CollateralChanges,
  simulatedCollateral,
} from "../../src/attest/simulated_collateral.ts";
import {
  CollateralKeeper,
  LOOK_MS,
  MAX_RETRY_MS,
  RETRY_MS,
  TRIES,
} from "../../src/ops/collateral_keeper.ts";
import type { CollateralSource } from "../../src/ops/collateral_source.ts";
import { StoreError } from "../../src/ops/files.ts";
import { memoryStore, type Store } from "../../src/ops/store.ts";
import type { Random } from "../../src/universe/environment.ts";
import { QUOTE } from "../attest/cases.ts";
import { ANCHOR } from "../attest/judge.ts";
import { authority, NOW, seeded } from "../attest/stage.ts";
import { ManualClock } from "./manual_clock.ts";

const FAMILY: Family = { fmspc: "de0000000001", ca: "platform" };
const OTHER: Family = { fmspc: "de0000000002", ca: "platform" };
const issued = (at: number, changes?: CollateralChanges) =>
  simulatedCollateral(authority, at, changes);
const ofOther: CollateralChanges = {
  tcbInfo: (info) => ({ ...info, fmspc: OTHER.fmspc }),
};

/** A source whose answer a test sets, and what it was asked for. */
class Source implements CollateralSource {
  answer: Collateral | undefined;
  readonly asked: string[] = [];
  constructor(readonly kind: "file" | "service", readonly name: string) {}
  fetch(family?: Family): Promise<Collateral | undefined> {
    this.asked.push(family ? familyName(family) : "");
    return Promise.resolve(this.answer);
  }
}

class Stage {
  readonly clock = new ManualClock(NOW);
  readonly file = new Source("file", "collateral.json");
  readonly first = new Source("service", "https://first/");
  readonly second = new Source("service", "https://second/");
  readonly log: string[] = [];
  readonly keeper: CollateralKeeper;
  constructor(readonly store: Store = memoryStore(), random: Random = seeded(5)) {
    this.keeper = new CollateralKeeper({
      anchor: ANCHOR,
      sources: [this.file, this.first, this.second],
      store,
      environment: {
        clock: this.clock,
        random,
        observe: (level, event, fields = {}) =>
          this.log.push(`${level} ${event} ${Object.values(fields).join(" ")}`),
      },
    });
  }
  /** What was said since the last time. */
  said(): string[] {
    return this.log.splice(0);
  }
  get asked(): [number, number] {
    return [this.first.asked.length, this.second.asked.length];
  }
}

Deno.test("keeper: a file is loaded at start, and services are not asked while it is fresh", async () => {
  const stage = new Stage();
  stage.file.answer = issued(NOW);
  await stage.keeper.start();
  deepEqual(stage.keeper.book.families(), [FAMILY]);
  deepEqual(stage.said(), ["info collateral renewed collateral.json"]);
  for (let i = 0; i < 5; i++) await stage.clock.turn(LOOK_MS);
  deepEqual([stage.file.asked.length, stage.asked, stage.said()], [6, [0, 0], []]);
});

Deno.test("keeper: a file that is dropped in is taken at the next look, a newer one too", async () => {
  const stage = new Stage();
  await stage.keeper.start();
  deepEqual(stage.keeper.book.families(), []);
  stage.file.answer = issued(NOW);
  await stage.clock.turn(LOOK_MS);
  deepEqual(stage.keeper.book.families(), [FAMILY]);
  stage.file.answer = issued(NOW + LOOK_MS);
  await stage.clock.turn(LOOK_MS);
  equal(stage.keeper.book.lifetime(FAMILY)!.until, NOW + LOOK_MS + 30 * DAY_MS);
  equal(stage.said().length, 2);
});

/** Turns the clock day by day, with a quote of the family each. */
async function days(stage: Stage, until: number): Promise<void> {
  while (stage.clock.time < until) {
    try {
      stage.keeper.book.forQuote(QUOTE, stage.clock.time);
    } catch {
      // It is expired; the use of the days before counts.
    }
    await stage.clock.turn(Math.min(DAY_MS / 2, until - stage.clock.time));
  }
}

for (const [byte, late] of [[0, 0], [0x80, 7.5 / 4 * 0x8080 / 0x10000]] as const) {
  const when = `${late.toFixed(2)} days after half of its life`;
  Deno.test(`keeper: a family in use is renewed, by its dice ${when}`, async () => {
    const stage = new Stage(memoryStore(), (length) => new Uint8Array(length).fill(byte));
    stage.file.answer = issued(NOW);
    await stage.keeper.start();
    const due = NOW + (15 + late) * DAY_MS;
    const last = NOW + Math.floor((due - NOW - 1) / LOOK_MS) * LOOK_MS;
    await days(stage, last);
    deepEqual(stage.asked, [0, 0]);
    stage.first.answer = issued(NOW + 15 * DAY_MS);
    await days(stage, last + LOOK_MS);
    deepEqual(stage.first.asked, ["de0000000001/platform"]);
    equal(stage.keeper.book.until(stage.clock.time), NOW + 45 * DAY_MS);
    await days(stage, NOW + 29 * DAY_MS);
    deepEqual(stage.asked, [1, 0], "fresh again");
  });
}

Deno.test("keeper: a family that is not in use any more is not asked for", async () => {
  const stage = new Stage();
  stage.file.answer = issued(NOW);
  await stage.keeper.start();
  stage.file.answer = undefined;
  for (let day = 0; day < 40; day++) await stage.clock.turn(DAY_MS);
  deepEqual([stage.asked, stage.said().slice(1)], [[0, 0], []]);
});

Deno.test("keeper: the next source is asked where one has nothing, or nothing fresh", async () => {
  for (const stale of [undefined, issued(NOW - 20 * DAY_MS)]) {
    const stage = new Stage();
    stage.first.answer = stale;
    stage.second.answer = issued(NOW);
    await stage.keeper.want(FAMILY);
    deepEqual(stage.asked, [1, 1]);
    equal(stage.keeper.book.lifetime(FAMILY)!.until, NOW + 30 * DAY_MS);
    await stage.keeper.want(FAMILY);
    deepEqual(stage.asked, [1, 1], "fresh");
  }
  const stage = new Stage();
  stage.first.answer = issued(NOW);
  await stage.keeper.want(FAMILY);
  deepEqual(stage.asked, [1, 0]);
});

Deno.test("keeper: what fails is tried again later and later, an hour apart at most", async () => {
  const stage = new Stage();
  await stage.keeper.start();
  await stage.keeper.want(FAMILY);
  const times = [NOW];
  while (times.length < 14) {
    const before = stage.first.asked.length;
    await stage.clock.turn(LOOK_MS);
    if (stage.first.asked.length > before) times.push(stage.clock.time);
  }
  const waits = times.slice(1).map((at, i) => at - times[i]);
  for (const [i, wait] of waits.entries()) {
    const most = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** i);
    ok(wait >= most / 2 && wait <= most + LOOK_MS, `wait ${i}: ${wait} ms`);
  }
  ok(new Set(waits.slice(7)).size > 1, "not all the same");
  deepEqual(stage.asked, [14, 14]);
  stage.second.answer = issued(NOW);
  await stage.clock.turn(MAX_RETRY_MS);
  deepEqual(stage.keeper.book.families(), [FAMILY]);
  // Half a life later it begins with a short wait again.
  await stage.clock.turn(18 * DAY_MS);
  equal(stage.asked[0], 16);
  await stage.clock.turn(RETRY_MS);
  equal(stage.asked[0], 17);
});

Deno.test("keeper: it warns in the last quarter, says when it is over, each once", async () => {
  const stage = new Stage();
  stage.file.answer = issued(NOW);
  await stage.keeper.start();
  await stage.keeper.want(FAMILY);
  stage.said();
  await days(stage, NOW + 22.5 * DAY_MS);
  deepEqual(stage.said(), []);
  await days(stage, NOW + 22.5 * DAY_MS + LOOK_MS);
  deepEqual(stage.said(), ["warn collateral expires de0000000001/platform 647940"]);
  await days(stage, NOW + 30 * DAY_MS);
  deepEqual(stage.said(), []);
  await stage.clock.turn(LOOK_MS);
  deepEqual(stage.said(), ["error collateral expired de0000000001/platform -60"]);
  await days(stage, NOW + 33 * DAY_MS);
  deepEqual(stage.said(), []);
  stage.file.answer = issued(NOW + 33 * DAY_MS);
  await stage.clock.turn(LOOK_MS);
  deepEqual(stage.said(), ["info collateral renewed collateral.json"]);
  await days(stage, NOW + 56 * DAY_MS);
  deepEqual(stage.said(), ["warn collateral expires de0000000001/platform 647940"]);
});

Deno.test("keeper: after a restart older collateral is refused, which is said once", async () => {
  const before = new Stage();
  before.file.answer = issued(NOW);
  await before.keeper.start();
  const newer = issued(NOW + 1000);
  before.clock.time += 1000;
  equal(await before.keeper.book.offer(newer, before.clock.time), "new", "from a peer");
  before.keeper.stop();

  const after = new Stage(before.store);
  after.clock.time += 1000;
  after.file.answer = issued(NOW);
  await after.keeper.start();
  await after.clock.turn(LOOK_MS);
  const [line, ...more] = after.said();
  ok(line.startsWith("warn collateral refused collateral.json collateral-older: "), line);
  deepEqual(more, []);
  after.file.answer = newer;
  await after.clock.turn(LOOK_MS);
  deepEqual(after.keeper.book.families(), [FAMILY]);
});

Deno.test("keeper: wanted families are each asked for, up to a bound", async () => {
  const stage = new Stage();
  stage.first.answer = issued(NOW, ofOther);
  await stage.keeper.want(OTHER);
  await stage.keeper.want(FAMILY);
  deepEqual(stage.first.asked, [OTHER, FAMILY].map(familyName));
  for (let i = 0; i < MAX_FAMILIES + 5; i++) {
    await stage.keeper.want({ fmspc: i.toString(16).padStart(12, "0"), ca: "processor" });
  }
  equal(new Set(stage.first.asked).size, MAX_FAMILIES);
});

Deno.test("keeper: families that nobody has give way to one that is wanted, and it to none of them", async () => {
  const stage = new Stage(), { book } = stage.keeper;
  const invent = (i: number) =>
    stage.keeper.want({ fmspc: i.toString(16).padStart(12, "0"), ca: "processor" });
  await stage.keeper.start();
  for (let i = 0; i < MAX_FAMILIES; i++) await invent(i);
  stage.first.answer = issued(NOW);
  await stage.keeper.want(FAMILY);
  deepEqual(stage.first.asked.includes(familyName(FAMILY)), false, "the others may yet be had");
  stage.first.answer = undefined;
  while (stage.first.asked.length < TRIES * MAX_FAMILIES) await stage.clock.turn(LOOK_MS);
  stage.first.answer = issued(NOW);
  await stage.keeper.want(FAMILY);
  deepEqual(book.families(), [FAMILY]);
  const before = stage.first.asked.length;
  for (let i = 0; i < 2 * MAX_FAMILIES; i++) await invent(1_000 + i);
  deepEqual(book.families(), [FAMILY]);
  ok(stage.first.asked.length - before < MAX_FAMILIES, "what is new has its tries too");
});

Deno.test("keeper: once stopped it does nothing", async () => {
  const stage = new Stage();
  await stage.keeper.start();
  stage.keeper.stop();
  equal(stage.clock.pending, 0);
  const asked = stage.file.asked.length;
  await stage.keeper.want(FAMILY);
  await stage.keeper.start();
  deepEqual([stage.file.asked.length, stage.asked, stage.clock.pending], [asked, [0, 0], 0]);
});

Deno.test("keeper: damaged marks end the start, marks that cannot be kept are told", async () => {
  const store = memoryStore();
  store.save(Uint8Array.of(9));
  throws(() => new Stage(store), (error: unknown) => {
    ok(error instanceof StoreError);
    deepEqual([error.code, error.exitCode], ["damaged", 5]);
    ok(/marks-malformed.*delete it/.test(error.message) && !error.message.includes("\n"));
    return true;
  });
  const full = new Stage({
    load: () => undefined,
    save: () => {
      throw new StoreError("io", "the disk is full");
    },
  });
  full.file.answer = issued(NOW);
  await full.keeper.start();
  ok(full.said().includes("error collateral marks not kept the disk is full"));
  deepEqual(full.keeper.book.families(), [FAMILY]);
});

Deno.test("keeper: a source that throws does not end it", async () => {
  const stage = new Stage();
  stage.file.fetch = () => Promise.reject(new Error("a defect"));
  await stage.keeper.start();
  deepEqual(stage.said(), ["error collateral look failed Error: a defect"]);
  equal(stage.clock.pending, 1);
});
