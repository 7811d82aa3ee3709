/** The committee of a running instance changes, while messages flow. */
import assert from "node:assert/strict";
import { encodeWish } from "../../src/committee/wish.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { Trial } from "./trial.ts";

const base = { clients: 5, servers: 3, spares: 3 };

/** Servers that run, by number, and their newest epoch. */
function epochs(trial: Trial): Map<number, number> {
  return new Map(
    trial.world.servers.flatMap((server, i) =>
      server?.joined ? [[i, server.role.options.manifest.epoch] as const] : []
    ),
  );
}

/** Operators state that the next committee is of these servers. */
function wish(trial: Trial, operators: number[], servers: number[], lost: number[] = []): void {
  const { world } = trial, key = (index: number) => world.keyOf(index);
  for (const index of operators) {
    const from = world.servers[index]!.role.options.manifest.fingerprint;
    world.wishes[index] = encodeWish({ from, servers: servers.map(key), lost: lost.map(key) });
  }
}

/** All of these run in epoch `n`, and no other server does. */
async function stands(trial: Trial, n: number, members: number[]): Promise<void> {
  await trial.until(`epoch ${n} of servers ${members}`, () => {
    const now = epochs(trial);
    return members.every((i) => now.get(i) === n);
  }, 20_000);
  const keys = trial.world.servers[members[0]]!.role.options.manifest.servers.map(hex);
  assert.deepEqual(keys, members.map((i) => hex(trial.world.keyOf(i))).sort());
}

/** Longest time between two records that follow each other around an epoch's border, ms. */
function pause(trial: Trial): number {
  const { log } = trial.world.readers[0].role;
  return Math.max(
    ...log.slice(1).flatMap(({ record, manifest }, i) =>
      manifest.epoch === log[i].manifest.epoch
        ? []
        : [record.header.time - log[i].record.header.time]
    ),
  );
}

const STORIES: readonly (readonly [name: string, ...steps: number[][]])[] = [
  ["one is added, and another", [0, 1, 2, 3], [0, 1, 2, 3, 4]],
  ["one is replaced", [0, 1, 3]],
  ["all are replaced, one after the other", [3, 1, 2], [3, 4, 2], [3, 4, 5]],
  ["all are replaced at once", [3, 4, 5]],
  ["the first is removed, and comes back", [1, 2, 3], [0, 1, 2, 3]],
];

for (const [name, ...steps] of STORIES) {
  Deno.test(`epochs: ${name}: messages land, readers and clients follow`, async () => {
    for (const loss of [0, 0.05]) {
      await Trial.run({ ...base, seed: 40, loss }, async (trial) => {
        let members = [0, 1, 2];
        for (const [at, next] of steps.entries()) {
          for (const index of next) if (!trial.world.servers[index]) await trial.startServer(index);
          trial.everybodySpeaks();
          wish(trial, members, next);
          await stands(trial, at + 1, next);
          trial.everybodySpeaks();
          await trial.goesOn();
          members = next;
        }
        await trial.judge();
        if (loss === 0) assert.ok(pause(trial) <= 2_000, `${pause(trial)} ms`);
      });
    }
  });
}

Deno.test("epochs: a member dies at any write of a change, and comes back on its disk", async () => {
  for (let nth = 1; nth <= 24; nth++) {
    for (const durable of [false, true]) {
      await Trial.run({ ...base, seed: 500 + nth }, async (trial) => {
        await trial.startServer(3);
        trial.everybodySpeaks();
        const victim = nth % 3, leaves = nth % 2 ? -1 : (nth + 1) % 3;
        const next = [0, 1, 2, 3].filter((index) => index !== leaves);
        wish(trial, [0, 1, 2], next);
        await trial.crashServerAt(victim, { nth, durable });
        await trial.world.universe.advance(nth * 100);
        await trial.startServer(victim);
        await stands(trial, 1, next);
        trial.everybodySpeaks();
        await trial.goesOn();
        await trial.judge();
      });
    }
  }
});

Deno.test("epochs: a member loses its disk in the midst of a change", async () => {
  for (let nth = 1; nth <= 12; nth++) {
    await Trial.run({ ...base, seed: 600 + nth }, async (trial) => {
      await trial.startServer(3);
      wish(trial, [0, 1, 2], [0, 1, 2, 3]);
      await trial.crashServerAt(nth % 3, { nth, durable: true });
      await trial.startServer(nth % 3, "an empty disk");
      await stands(trial, 1, [0, 1, 2, 3]);
      trial.everybodySpeaks();
      await trial.goesOn();
      await trial.judge();
    });
  }
});

Deno.test("epochs: later epochs know every fault that the first one knows", async () => {
  for (const found of ["its disk", "an empty disk", "an older disk"] as const) {
    await Trial.run({ ...base, seed: 700 }, async (trial) => {
      await trial.startServer(3);
      wish(trial, [0, 1, 2], [0, 2, 3]);
      await stands(trial, 1, [0, 2, 3]);
      await trial.goesOn();
      for (const victim of [0, 2, 3]) {
        trial.everybodySpeaks();
        await trial.crashServerAt(victim, { nth: 5 + victim, durable: true });
        await trial.world.universe.advance(700);
        await trial.startServer(victim, found);
        await trial.goesOn();
      }
      await trial.judge();
    });
  }
});

Deno.test("epochs: without a dead member's signature clients and readers stay, and say why", async () => {
  await Trial.run({ ...base, seed: 800 }, async (trial) => {
    await trial.startServer(3);
    await trial.goesOn();
    trial.crashServer(2);
    const { round } = trial;
    wish(trial, [0, 1], [0, 1, 3], [2]);
    await stands(trial, 1, [0, 1, 3]);
    await trial.world.universe.advance(10_000);
    assert.equal(trial.round, round, "no client follows, so there is no round");
  });
});
