/** What shows when a ticket was made, and what becomes of servers whose tickets do not show it. */
import assert from "node:assert/strict";
import { trustAnchor } from "../../src/attest/anchor.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { simulatedSource } from "../../src/attest/quote_source.ts";
import { AttestationError } from "../../src/attest/reasons.ts";
import { simulatedCollateral } from "../../src/attest/simulated_collateral.ts";
import { makeTicket, type Ticket, TICKET_MS } from "../../src/attest/ticket.ts";
import { concat, u64, Writer } from "../../src/protocol/bytes.ts";
import type { Attestation } from "../../src/roles/attestation.ts";
import { AttestedServers, MAX_ATTESTED } from "../../src/roles/attested.ts";
import {
  type Fresh,
  FRESH_MS,
  freshnessOf,
  judgeFreshness,
  NO_RECORD,
} from "../../src/roles/freshness.ts";
import { memoryArchive } from "../../src/ops/archive_memory.ts";
import { authority, NOW, platform } from "../attest/stage.ts";
import { Random } from "../protocol/random.ts";
import { Wires } from "./wire.ts";

const PERIOD = 60_000, random = new Random(8);
const PREVIOUS = Array.from({ length: 40 }, () => random.bytes(32));

/** Records of these rounds, one a minute, of which only the place is looked at. */
function records(rounds: readonly number[], archive = memoryArchive(40, 2 ** 20)) {
  const time = (round: number) => NOW + round * PERIOD;
  for (const round of rounds) {
    const place = new Writer().bytes(new Uint8Array(64)).u64(round).u64(time(round));
    archive.append(round, place.bytes(PREVIOUS[round]).end());
  }
  return archive;
}

const at = (round: number) => concat(u64(round), PREVIOUS[round]);
const made = (round: number, minute: number) => ({
  freshness: at(round),
  from: NOW + minute * PERIOD,
});

Deno.test("a maker names the newest record that it knows", () => {
  assert.deepEqual(freshnessOf(records([])), NO_RECORD);
  assert.deepEqual(freshnessOf(records([1, 2, 5])), at(5));
});

Deno.test("a ticket is fresh while its record was the newest, give or take what clocks differ", () => {
  const log = records([1, 2, 3, 10, 20]), slack = FRESH_MS / PERIOD;
  for (
    const [round, minute, expected] of [
      [2, 2, "fresh"],
      [2, 3 + slack, "fresh"],
      [2, 3 + slack + 0.01, "stale"],
      [3, 10 + slack, "fresh"],
      [3, 14, "stale"],
      [20, 20, "fresh"],
      [20, 900, "fresh"], // nothing came after it
      [21, 21, "ahead"],
    ] as const
  ) {
    assert.equal(judgeFreshness(made(round, minute), log), expected, `${round} at ${minute}`);
  }
});

Deno.test("a record that is not in the log, or follows another, is stale", () => {
  const log = records([1, 2, 3, 10]);
  assert.equal(judgeFreshness({ freshness: concat(u64(3), PREVIOUS[2]), from: NOW }, log), "stale");
  assert.equal(judgeFreshness({ freshness: at(5), from: NOW }, log), "stale", "a void round");
});

Deno.test("who knows no record is believed until there is one, and by who forgot the oldest", () => {
  assert.equal(judgeFreshness({ freshness: NO_RECORD, from: NOW }, records([])), "fresh");
  const log = records([20, 21]);
  assert.equal(judgeFreshness({ freshness: NO_RECORD, from: NOW + 20 * PERIOD }, log), "fresh");
  assert.equal(judgeFreshness({ freshness: NO_RECORD, from: NOW + 30 * PERIOD }, log), "stale");
  assert.equal(judgeFreshness(made(7, 19), log), "fresh", "older than the oldest here");
  assert.equal(judgeFreshness(made(7, 30), log), "stale", "laid in stock");
});

Deno.test("places are remembered for longer than records: nothing is laid in stock meanwhile", () => {
  const rounds = Array.from({ length: 39 }, (_, i) => i + 1);
  const judged = (places: number) => {
    const log = records(rounds, memoryArchive(4, 2 ** 20, places));
    assert.equal(log.oldest, 36);
    return [
      { freshness: NO_RECORD, from: NOW + 30 * PERIOD },
      { freshness: concat(u64(7), PREVIOUS[8]), from: NOW + 7 * PERIOD },
      made(7, 30),
      made(7, 7),
      made(30, 30),
      made(38, 38),
    ].map((ticket) => judgeFreshness(ticket, log));
  };
  assert.deepEqual(judged(35), ["stale", "stale", "stale", "fresh", "fresh", "fresh"]);
  assert.deepEqual(judged(0), Array(6).fill("fresh"), "it knows no better");
});

/** Who judges servers by a log, and how tickets of theirs are made. */
async function judging(fresh: (ticket: Ticket) => Fresh | undefined, lacks = () => false) {
  const wires = new Wires("server", random.bytes(32)), { environment } = wires;
  const anchor = await trustAnchor(authority.root.der), instance = random.bytes(32);
  const collateral = await verifyCollateral(simulatedCollateral(authority, NOW), anchor, NOW);
  const attested = new AttestedServers({
    environment: { ...environment, clock: { ...environment.clock, wall: () => NOW + 1_000 } },
    instance,
    wanted: () => true,
    fresh,
    attestation: {
      anchor,
      policy: createPolicy({}),
      collateral: {
        onChange: () => () => {},
        forQuote: () => {
          if (lacks()) throw new AttestationError("collateral-missing");
          return collateral;
        },
      },
    } as unknown as Attestation,
  });
  const ticket = (key: Uint8Array, freshness: Uint8Array, life = TICKET_MS) =>
    makeTicket(simulatedSource(platform), {
      ...{ instance, anchor: anchor.fingerprint, role: "server" as const, key },
      ...{ from: NOW, until: NOW + life, freshness },
    });
  /** Time passes until what is judged is as it should be. */
  const until = async (holds: () => boolean) => {
    for (let turn = 0; turn < 5_000 && !holds(); turn++) {
      await wires.pass(100);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.ok(holds());
  };
  return { attested, ticket, until };
}

Deno.test("servers: a ticket holds while nothing is known to judge it by, and is judged then", async () => {
  let known: Fresh | undefined;
  const { attested, ticket, until } = await judging(() => known);
  const [one, two] = [random.bytes(32), random.bytes(32)], lost: Uint8Array[] = [];
  attested.onChange((key, refusal) => void (refusal && lost.push(key)));
  for (const key of [one, two]) {
    assert.equal(await attested.offer(key, await ticket(key, at(3))), true);
  }
  assert.equal(attested.refusal(one), undefined);
  await until(() => attested.tickets.length === 2);
  known = "ahead"; // the log is on its way
  await until(() => attested.tickets.length === 2 && attested.refusal(one) === undefined);
  known = "stale";
  await until(() => lost.length === 2);
  assert.match(attested.refusal(one)!, /^ticket-stale: /);
  attested.stop();
});

Deno.test("servers: stale tickets are refused, those ahead wait for their record", async () => {
  const log = records([]), [one, two] = [random.bytes(32), random.bytes(32)];
  const { attested, ticket, until } = await judging((it) => judgeFreshness(it, log));
  assert.equal(attested.refusal(one), "no ticket");
  await attested.offer(one, await ticket(one, at(3)));
  assert.equal(attested.refusal(one), "it names a record still to come");
  assert.equal(attested.tickets.length, 0);
  for (const [round, archived] of records([1, 2, 3]).read(1, 9, Infinity).entries()) {
    assert.equal(archived.round, round + 1);
    log.append(archived.round, archived.bytes);
  }
  await until(() => attested.refusal(one) === undefined);
  assert.equal(await attested.offer(two, await ticket(two, concat(u64(2), PREVIOUS[1]))), false);
  assert.match(attested.refusal(two)!, /^ticket-stale: /);
  // A ticket of the one key, offered for the other.
  const [{ bytes }] = attested.tickets;
  assert.equal(await attested.offer(two, bytes), false);
  assert.match(attested.refusal(two)!, /^report-data: /);
  assert.equal(attested.refusal(one), undefined);
  attested.stop();
});

Deno.test("servers: as many quotes as may wait, that nobody can judge, hold up no ticket that verifies", async () => {
  let lacks = true;
  const log = records([]), honest = random.bytes(32);
  const { attested, ticket, until } = await judging((it) => judgeFreshness(it, log), () => lacks);
  for (let i = 0; i < MAX_ATTESTED; i++) {
    const key = random.bytes(32);
    await attested.offer(key, await ticket(key, at(0)));
    assert.match(attested.refusal(key)!, /^collateral-missing: /);
  }
  const late = random.bytes(32);
  await attested.offer(late, await ticket(late, at(0)));
  assert.equal(attested.refusal(late), "no ticket", "what waits is bounded");
  const bytes = await ticket(honest, at(3));
  lacks = false;
  await attested.offer(honest, bytes);
  lacks = true;
  assert.equal(attested.refusal(honest), "it names a record still to come");
  for (const { round, bytes } of records([1, 2, 3]).read(1, 9, Infinity)) log.append(round, bytes);
  lacks = false;
  await until(() => attested.refusal(honest) === undefined);
  attested.stop();
});
