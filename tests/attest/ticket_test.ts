/** Tickets: what one binds, how long it holds, and that no byte of it can be changed. */
import assert from "node:assert/strict";
import { trustAnchor } from "../../src/attest/anchor.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { simulatedSource } from "../../src/attest/quote_source.ts";
import { DAY_MS } from "../../src/attest/simulated_authority.ts";
import { simulatedCollateral } from "../../src/attest/simulated_collateral.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import {
  decodeTicket,
  makeTicket,
  MAX_TICKET_MS,
  TICKET_MS,
  TICKET_SLACK_MS,
  type TicketJudge,
  type TicketTerms,
  verifyTicket,
} from "../../src/attest/ticket.ts";
import { refusalOf, refused } from "./refused.ts";
import { authority, NOW, otherAuthority, platform, seeded } from "./stage.ts";

const random = seeded(5), anchor = await trustAnchor(authority.root.der);
const { mrTd } = simulatedMeasurements("zipnet");
const TERMS: TicketTerms = {
  instance: random(32),
  anchor: anchor.fingerprint,
  role: "server",
  key: random(32),
  from: NOW,
  until: NOW + TICKET_MS,
  freshness: random(40),
};
const JUDGE: TicketJudge = {
  instance: TERMS.instance,
  role: "server",
  key: TERMS.key,
  collateral: await verifyCollateral(simulatedCollateral(authority, NOW), anchor, NOW),
  policy: createPolicy({ allowed: { mrTd: [mrTd] } }),
  now: NOW + 1_000,
};

const make = (changes: Partial<TicketTerms> = {}, image?: string) =>
  makeTicket(simulatedSource(platform, { image }), { ...TERMS, ...changes });
const judge = (bytes: Uint8Array, changes: Partial<TicketJudge> = {}) =>
  verifyTicket(decodeTicket(bytes), { ...JUDGE, ...changes });

const good = await make();

Deno.test("a ticket of this peer is accepted until it ends, or its collateral", async () => {
  const { status, grantedUntil, simulated } = await judge(good);
  assert.deepEqual([status, grantedUntil, simulated], ["UpToDate", TERMS.until, true]);
  const early = simulatedCollateral(authority, NOW, { pckCrl: { until: NOW + 60_000 } });
  const collateral = await verifyCollateral(early, anchor, NOW);
  assert.equal((await judge(good, { collateral })).grantedUntil, NOW + 60_000);
});

Deno.test("a ticket of another key, instance, role, anchor or time is refused", async () => {
  await refused("report-data", () => judge(good, { key: random(32) }), "stolen");
  await refused("report-data", () => judge(good, { instance: random(32) }), "other instance");
  await refused("ticket-role", () => judge(good, { role: "client" }), "other role");
  const forged = good.slice();
  forged[0] = 2;
  await refused("report-data", () => judge(forged, { role: "client" }), "role rewritten");
  const elsewhere = await make({ anchor: random(32) });
  await refused("report-data", () => judge(elsewhere), "other anchor");
  await refused("mrtd", async () => judge(await make({}, "other")), "other image");
  const other = otherAuthority(), believed = await trustAnchor(other.root.der);
  const collateral = await verifyCollateral(simulatedCollateral(other, NOW), believed, NOW);
  const theirs = await make({ anchor: believed.fingerprint });
  await refused("pck-root", () => judge(theirs, { collateral }), "quote of another root");
});

Deno.test("a ticket holds from its first to its last millisecond, and no longer than any may", async () => {
  await judge(good, { now: TERMS.until });
  await refused("ticket-expired", () => judge(good, { now: TERMS.until + 1 }));
  const later = await make({ from: NOW + DAY_MS, until: NOW + DAY_MS + TICKET_MS });
  await refused("ticket-early", () => judge(later));
  await judge(later, { now: NOW + DAY_MS - TICKET_SLACK_MS });
  await refused("ticket-early", () => judge(later, { now: NOW + DAY_MS - TICKET_SLACK_MS - 1 }));
  await judge(await make({ until: NOW + MAX_TICKET_MS }));
  for (const life of [MAX_TICKET_MS + 1, 0, -1_000, 2 ** 53 - 1 - NOW]) {
    const never = await make({ until: NOW + life });
    await refused("ticket-life", () => judge(never), `${life} ms`);
  }
});

Deno.test("a ticket of wrong layout is refused, whatever is cut off or added", async () => {
  for (let length = 0; length < good.length; length += length < 100 ? 1 : 97) {
    await refused("ticket-malformed", () => judge(good.subarray(0, length)), `${length} bytes`);
  }
  await refused("ticket-malformed", () => judge(Uint8Array.of(...good, 0)));
  for (const role of [0, 3, 255]) {
    const odd = good.slice();
    odd[0] = role;
    await refused("ticket-malformed", () => judge(odd));
  }
});

Deno.test("no bit of what a ticket says beside its quote can be flipped", async () => {
  for (let bit = 0; bit < 8 * 61; bit++) {
    const flipped = good.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    assert.notEqual(await refusalOf(() => judge(flipped)), undefined, `bit ${bit}`);
  }
});
