/**
 * Rounds of chance: talkers are chosen at random each round, everything they send is followed to
 * its end, and every reader's log is held against the others'.
 */
import { createHash } from "node:crypto";
import { hex } from "../../src/protocol/bytes.ts";
import type { Outcome } from "../../src/roles/outbox.ts";
import { SimulatedInstance, type SimulationOptions } from "../../src/roles/simulated.ts";

/** What to run. */
export interface TalkOptions extends SimulationOptions {
  readonly rounds: number;
  /** Messages that are begun in a round, on average. */
  readonly talkers: number;
}

/** What came of it. */
export interface TalkResult {
  readonly rounds: number;
  readonly void: number;
  /** Messages that landed, in a record, as their sender was told. */
  readonly landed: number;
  /** Messages that were sent and did not land, or not where their sender was told. */
  readonly lost: number;
  /** Records that differ between readers. */
  readonly disagreeing: number;
  readonly fewestParticipants: number;
  /** SHA-256 over all records in order. */
  readonly log: string;
  readonly virtualMs: number;
}

/** Virtual time that a run may take beyond its rounds, before it counts as hung. */
const GRACE_MS = 120_000;

/** Runs `rounds` finalized rounds with random talkers, then silence until every fate is known. */
export async function talk(options: TalkOptions): Promise<TalkResult> {
  const world = new SimulatedInstance({ readers: 2, ...options });
  const { universe } = world, chance = universe.randomness("talkers");
  await world.start();
  const period = world.manifest.parameters.roundPeriod;
  const everybody = () =>
    world.clients.filter((c) => c?.role.ready).length === options.clients &&
    world.readers.length === 2;
  if (!await world.run(everybody, GRACE_MS)) {
    throw new Error(`seed ${options.seed}: the clients did not all take part`);
  }
  const first = world.rounds, start = universe.clock.now();
  const sent: { readonly text: string; outcome?: Outcome }[] = [];
  for (let round = 0; round < options.rounds; round++) {
    for (let i = 0; i < options.clients; i++) {
      if (chance.real() >= options.talkers / options.clients) continue;
      const entry: { readonly text: string; outcome?: Outcome } = {
        text: `${options.seed}/${round}/${i}`,
      };
      const submission = world.clients[i].role.outbox.send(new TextEncoder().encode(entry.text), {
        deadline: 10 ** 9,
      });
      submission.outcome.then((outcome) => entry.outcome = outcome);
      sent.push(entry);
    }
    const target = first + round + 1;
    if (!await world.run(() => world.rounds >= target, 100 * period + GRACE_MS)) {
      throw new Error(`seed ${options.seed}: no round was finalized after round ${round}`);
    }
  }
  const fates = () => sent.every((entry) => entry.outcome !== undefined);
  if (!await world.run(fates, 1_000 * period + GRACE_MS)) {
    throw new Error(`seed ${options.seed}: some fates stay open`);
  }
  const rounds = sent.map(({ outcome }) => outcome?.kind === "landed" ? outcome.round : 0);
  const last = Math.max(0, ...rounds);
  const told = () =>
    world.readers.every(({ role: { log } }) => log.at(-1)!.record.header.round >= last);
  await world.run(told, GRACE_MS);
  return judge(world, sent, universe.clock.now() - start);
}

function judge(
  world: SimulatedInstance,
  sent: readonly { readonly text: string; outcome?: Outcome }[],
  virtualMs: number,
): TalkResult {
  const [a, b] = world.readers.map(({ role }) => role.log);
  const texts = new Map<string, string>();
  for (const { messages } of a) {
    for (const { round, slot, payload } of messages) {
      texts.set(`${round}/${slot}`, new TextDecoder().decode(payload));
    }
  }
  const landed = sent.filter(({ text, outcome }) =>
    outcome?.kind === "landed" && texts.get(`${outcome.round}/${outcome.slot}`) === text
  );
  const byRound = new Map(b.map(({ record }) => [record.header.round, hex(record.hash)]));
  const digest = createHash("sha256");
  let disagreeing = 0, skipped = 0;
  for (const { record, skipped: n } of a) {
    digest.update(record.bytes);
    skipped += n;
    const other = byRound.get(record.header.round);
    if (other !== undefined && other !== hex(record.hash)) disagreeing++;
  }
  return {
    rounds: a.length,
    void: skipped,
    landed: landed.length,
    lost: sent.length - landed.length,
    disagreeing,
    fewestParticipants: Math.min(...a.slice(5).map(({ participants }) => participants.length)),
    log: digest.digest("hex"),
    virtualMs,
  };
}
