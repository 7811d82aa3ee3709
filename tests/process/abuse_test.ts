/**
 * Strangers do their worst to a running instance over real libp2p: while its limits hold, rounds
 * finalize, honest messages land, memory stays within its bound and the log names who it was; where
 * the one limit is lifted, the harm shows.
 */
import { ok } from "node:assert/strict";
import { Abused } from "./abused.ts";
import { type Abuse, ABUSES, goesOn, world } from "./abuses.ts";

/** Reports of half a second for which each of them lasts, once it began, and while no harm shows. */
const LASTS = 4, LASTS_IN_VAIN = 60;
/** More than an instance of this size may take in all, whatever is done to it, in bytes. */
const MEMORY = 450 * 2 ** 20;
/** How long somebody new waits in vain, before it is called shut. */
const SHUT_MS = 4_000;

async function suffer(abuse: Abuse, it: Abused, lifted: boolean) {
  const before = it.now, first = it.reports.length, from = performance.now();
  const { who, times = 0, end } = await abuse.act(it);
  const shut = lifted && abuse.shut === true;
  const newcomer = (lifted ? shut : abuse.newcomer) &&
    await it.newcomer(shut ? SHUT_MS : undefined);
  const measured = () => abuse.measure(it.reports.slice(first), before, times);
  await it.pass(LASTS);
  for (let i = LASTS; lifted && measured() < abuse.harm && i < LASTS_IN_VAIN; i++) await it.pass(1);
  const during = it.reports.slice(first), after = during.at(-1)!, value = measured();
  await end();
  const rss = Math.round(Math.max(...during.map((report) => report.rss)) / 2 ** 20);
  console.log(
    `${abuse.name}: ${value} ${abuse.of}, ${after.rounds - before.rounds} rounds, ` +
      `${after.landed - before.landed} landed, ${after.voids - before.voids} void, ` +
      `rss ${rss} MiB, ${Math.round((performance.now() - from) / 100) / 10} s`,
  );
  const bound = abuse.bound + (abuse.perSecond ?? 0) * (performance.now() - from) / 1_000;
  return { before, during, who, newcomer, value, bound };
}

Deno.test("abuse that limits hold", async (t) => {
  await using it = await Abused.start(world());
  for (const abuse of ABUSES) {
    await t.step(abuse.name, async () => {
      const { before, during, who, newcomer, value, bound } = await suffer(abuse, it, false);
      goesOn(during, before);
      ok(value <= bound, `${value} ${abuse.of}, at most ${bound}`);
      ok(Math.max(...during.map(({ rss }) => rss)) < MEMORY, "more memory than an instance takes");
      const named = it.log.some(({ fields }) =>
        who.includes(String(fields.peer)) || who.includes(String(fields.host))
      );
      ok(named, `the log names none of ${who.length}`);
      ok(newcomer !== false || !abuse.newcomer, "nobody new can come");
    });
  }
});

for (const abuse of ABUSES) {
  Deno.test(`abuse without its limit: ${abuse.name}`, async () => {
    await using it = await Abused.start(abuse.lifted);
    const { newcomer, value } = await suffer(abuse, it, true);
    ok(value >= abuse.harm, `${value} ${abuse.of}, expected ${abuse.harm} where nothing holds it`);
    if (abuse.shut) ok(!newcomer, "somebody new could come");
  });
}
