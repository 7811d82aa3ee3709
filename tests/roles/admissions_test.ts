/** How what clients show is judged: its queues, its turns, what is kept of it, and for how long. */
import assert from "node:assert/strict";
import { trustAnchor } from "../../src/attest/anchor.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { simulatedSource } from "../../src/attest/quote_source.ts";
import { AttestationError } from "../../src/attest/reasons.ts";
import { simulatedCollateral } from "../../src/attest/simulated_collateral.ts";
import { makeTicket, TICKET_MS } from "../../src/attest/ticket.ts";
import { concat, u64, Writer } from "../../src/protocol/bytes.ts";
import { Admissions, type Judged, MAX_WAITING, REFUSED_MS } from "../../src/roles/admissions.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import { authority, NOW, platform } from "../attest/stage.ts";
import { Random } from "../protocol/random.ts";
import { Wires } from "./wire.ts";

const random = new Random(9), instance = random.bytes(32), PREVIOUS = random.bytes(32);
const anchor = await trustAnchor(authority.root.der);
const good = await verifyCollateral(simulatedCollateral(authority, NOW), anchor, NOW);

const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

/** Admissions that ask for a ticket, in a log of one record, and all that they decided. */
function desk(token?: (shown: string) => Promise<{ until: number }>) {
  const wires = new Wires("server", random.bytes(32)), log = memoryArchive();
  const state = { collateral: good as typeof good | undefined, changed: () => {}, looks: 0 };
  const time = { now: NOW + 1_000 };
  const clock = { ...wires.environment.clock, now: () => time.now, wall: () => time.now };
  const book = {
    offer: () => Promise.reject(new AttestationError("collateral-malformed")),
    forQuote() {
      state.looks++;
      if (!state.collateral) throw new AttestationError("collateral-missing");
      return state.collateral;
    },
    onChange(listener: () => void) {
      state.changed = listener;
      return () => {};
    },
    staples: () => [],
  };
  const place = new Writer().bytes(new Uint8Array(64)).u64(1).u64(NOW).bytes(PREVIOUS).end();
  const admissions = new Admissions({
    environment: { ...wires.environment, clock },
    instance,
    records: log,
    terms: token
      ? { token: { verify: token } }
      : { ticket: { policy: createPolicy({}), collateral: book } },
  });
  const evicted: Uint8Array[] = [];
  admissions.evict = (client) => void evicted.push(client);
  const begin = () => log.append(1, place);
  return { wires, admissions, state, time, evicted, begin };
}

async function ticketOf(key: Uint8Array, freshness = concat(u64(1), PREVIOUS)) {
  const terms = { instance, anchor: anchor.fingerprint, role: "client" as const, key };
  const times = { from: NOW, until: NOW + TICKET_MS, freshness };
  return { ticket: await makeTicket(simulatedSource(platform), { ...terms, ...times }) };
}

async function until<T>(get: () => T | undefined): Promise<T> {
  for (let turn = 0; turn < 1_000; turn++) {
    const value = get();
    if (value !== undefined) return value;
    await settle();
  }
  throw new Error("never");
}

Deno.test("a ticket is good until it ends; of another's, or of a stale one, it is not", async () => {
  const { admissions, begin } = desk(), key = random.bytes(32);
  begin();
  const judge = (client: Uint8Array, evidence: { ticket?: Uint8Array }) =>
    new Promise<Judged>((done) => admissions.judge(-1, client, evidence, done));
  assert.deepEqual(await judge(key, await ticketOf(key)), { until: NOW + TICKET_MS });
  const stolen = await judge(random.bytes(32), await ticketOf(key));
  assert.match((stolen as { refused: string }).refused, /^report-data: /);
  const stale = await judge(key, await ticketOf(key, concat(u64(1), random.bytes(32))));
  assert.deepEqual(stale, { ...stale, again: true });
  assert.match((stale as { refused: string }).refused, /^ticket-stale: /);
  assert.match(((await judge(key, {})) as { refused: string }).refused, /^evidence-missing: /);
  admissions.stop();
});

Deno.test("a ticket that names a record still to come waits for it, and holds nobody up", async () => {
  const { admissions, begin, wires } = desk(),
    [early, other] = [random.bytes(32), random.bytes(32)];
  let first: Judged | undefined, second: Judged | undefined;
  admissions.judge(1, early, await ticketOf(early), (judged) => first = judged);
  const none = await ticketOf(other, new Uint8Array(40));
  admissions.judge(1, other, none, (judged) => second = judged);
  assert.ok("until" in await until(() => second));
  assert.equal(first, undefined);
  begin();
  await wires.pass(600);
  assert.ok("until" in await until(() => first));
  admissions.stop();
});

Deno.test("a ticket without collateral may be shown again with it", async () => {
  const { admissions, begin, state } = desk(), key = random.bytes(32);
  begin();
  state.collateral = undefined;
  const { ticket } = await ticketOf(key);
  const judge = (evidence: { ticket: Uint8Array; collateral?: string }) =>
    new Promise<Judged>((done) => admissions.judge(-1, key, evidence, done));
  const lacks = await judge({ ticket });
  assert.deepEqual(lacks, { ...lacks, again: true, lacksCollateral: true });
  const bad = await judge({ ticket, collateral: "{}" });
  assert.match((bad as { refused: string }).refused, /^collateral-malformed: /);
  admissions.stop();
});

Deno.test("when collateral changes, who is not admissible any more is put out, once", async () => {
  const { admissions, begin, state, evicted, wires } = desk(),
    keys = [1, 2].map(() => random.bytes(32));
  begin();
  for (const key of keys) {
    const evidence = await ticketOf(key);
    await new Promise<Judged>((done) => admissions.judge(-1, key, evidence, done));
  }
  /** Whoever comes now is judged after those who were there are looked at again. */
  const another = async () => {
    const key = random.bytes(32), evidence = await ticketOf(key);
    await new Promise<Judged>((done) => admissions.judge(-1, key, evidence, done));
  };
  const looks = state.looks;
  state.changed();
  await until(() => state.looks === looks + keys.length ? true : undefined);
  await another();
  assert.deepEqual(evicted, [], "it is as good as before");
  const revoked = [Uint8Array.fromHex(await serialOf())];
  const changed = simulatedCollateral(authority, NOW + 500, { pckCrl: { revoked } });
  state.collateral = await verifyCollateral(changed, anchor, NOW + 500);
  state.changed();
  await until(() => evicted.length === 3 ? true : undefined);
  assert.deepEqual(evicted.slice(0, 2), keys);
  const lines = wires.log.filter(({ event }) => event === "client evicted");
  assert.deepEqual(lines.map(({ fields }) => fields!.code), Array(3).fill("pck-revoked"));
  state.changed();
  await another();
  assert.equal(evicted.length, 3);
  admissions.stop();
});

async function serialOf(): Promise<string> {
  const { parseCertificate } = await import("../../src/attest/certificate.ts");
  return (await parseCertificate(platform.pck.der, "pck")).serial;
}

Deno.test("each source has its turn, and a bound; who was refused is refused unheard for a while", async () => {
  let verified = 0;
  const { admissions, time } = desk((shown) => {
    verified++;
    return shown === "good"
      ? Promise.resolve({ until: NOW + 5_000 })
      : Promise.reject(Object.assign(new Error("bad token"), { code: "bad" }));
  });
  const order: number[] = [], refused: Judged[] = [];
  for (let i = 0; i < MAX_WAITING + 10; i++) {
    admissions.judge(
      7,
      random.bytes(32),
      { token: "good" },
      (judged) => "until" in judged ? order.push(7) : refused.push(judged),
    );
  }
  admissions.judge(8, random.bytes(32), { token: "good" }, () => order.push(8));
  // The first is being judged already: it does not wait.
  assert.equal(refused.length, 9);
  assert.ok(refused.every((it) => "refused" in it && it.again));
  await until(() => order.length === MAX_WAITING + 2 ? true : undefined);
  assert.ok(order.indexOf(8) <= 2, `it waited for ${order.indexOf(8)} others`);

  const key = random.bytes(32), before = verified;
  const judge = () => new Promise<Judged>((done) => admissions.judge(1, key, { token: "x" }, done));
  assert.match(((await judge()) as { refused: string }).refused, /bad token/);
  await judge();
  assert.equal(verified, before + 1);
  time.now += REFUSED_MS + 1;
  await judge();
  assert.equal(verified, before + 2);
  admissions.stop();
});
