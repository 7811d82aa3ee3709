/** What shows when a ticket was made, and what becomes of servers whose tickets do not show it. */
import assert from "node:assert/strict";
import { trustAnchor } from "../../src/attest/anchor.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { simulatedSource } from "../../src/attest/quote_source.ts";
import { simulatedCollateral } from "../../src/attest/simulated_collateral.ts";
import { makeTicket, TICKET_MS } from "../../src/attest/ticket.ts";
import { concat, u64, Writer } from "../../src/protocol/bytes.ts";
import type { Attestation } from "../../src/roles/attestation.ts";
import { AttestedServers } from "../../src/roles/attested.ts";
import { FRESH_MS, freshnessOf, judgeFreshness, NO_RECORD } from "../../src/roles/freshness.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import { authority, NOW, platform } from "../attest/stage.ts";
import { Random } from "../protocol/random.ts";
import { Wires } from "./wire.ts";

const PERIOD = 60_000, random = new Random(8);
const PREVIOUS = Array.from({ length: 40 }, () => random.bytes(32));

/** Records of these rounds, one a minute, of which only the place is looked at. */
function records(rounds: readonly number[]) {
  const archive = memoryArchive(), time = (round: number) => NOW + round * PERIOD;
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

Deno.test("servers: stale tickets are refused, those ahead wait for their record", async () => {
  const wires = new Wires("server", random.bytes(32)), { environment } = wires;
  const anchor = await trustAnchor(authority.root.der), instance = random.bytes(32);
  const log = records([]);
  const collateral = await verifyCollateral(simulatedCollateral(authority, NOW), anchor, NOW);
  const attested = new AttestedServers({
    environment: { ...environment, clock: { ...environment.clock, wall: () => NOW + 1_000 } },
    instance,
    wanted: () => true,
    fresh: (ticket) => judgeFreshness(ticket, log),
    attestation: {
      anchor,
      policy: createPolicy({}),
      collateral: { onChange: () => () => {}, forQuote: () => collateral },
    } as unknown as Attestation,
  });
  const ticket = (key: Uint8Array, freshness: Uint8Array, life = TICKET_MS) =>
    makeTicket(simulatedSource(platform), {
      ...{ instance, anchor: anchor.fingerprint, role: "server" as const, key },
      ...{ from: NOW, until: NOW + life, freshness },
    });
  const [one, two] = [random.bytes(32), random.bytes(32)];
  assert.equal(attested.refusal(one), "no ticket");
  await attested.offer(one, await ticket(one, at(3)));
  assert.equal(attested.refusal(one), "it names a record still to come");
  assert.equal(attested.tickets.length, 0);
  for (const [round, archived] of records([1, 2, 3]).read(1, 9, Infinity).entries()) {
    assert.equal(archived.round, round + 1);
    log.append(archived.round, archived.bytes);
  }
  await wires.pass(1_100);
  for (let turn = 0; turn < 5_000 && attested.refusal(one); turn++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.equal(attested.refusal(one), undefined);
  assert.equal(await attested.offer(two, await ticket(two, concat(u64(2), PREVIOUS[1]))), false);
  assert.match(attested.refusal(two)!, /^ticket-stale: /);
  // A ticket of the one key, offered for the other.
  const [{ bytes }] = attested.tickets;
  assert.equal(await attested.offer(two, bytes), false);
  assert.match(attested.refusal(two)!, /^report-data: /);
  assert.equal(attested.refusal(one), undefined);
  attested.stop();
});
