/** A whole instance whose servers and clients are attested, in the simulated universe. */
import assert from "node:assert/strict";
import { type QuoteSource, simulatedSource } from "../../src/attest/quote_source.ts";
import { simulatedAuthority } from "../../src/attest/simulated_authority.ts";
import { type SimulatedPlatform, simulatedPlatform } from "../../src/attest/simulated_platform.ts";
import { parseCertificate } from "../../src/attest/certificate.ts";
import { concat, hex, u64 } from "../../src/protocol/bytes.ts";
import { SimulatedInstance, type SimulationOptions } from "../../src/roles/simulated.ts";
import type { AttestedOptions } from "../../src/roles/simulated_attestation.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import { SERVER_TICKETS } from "../../src/roles/streams.ts";
import { DurableDisk } from "../../src/roles/simulated_disk.ts";
import type { Fields } from "../../src/universe/environment.ts";
import { encodeWish } from "../../src/committee/wish.ts";
import { Random } from "../protocol/random.ts";
import { Trial } from "./trial.ts";

interface Line {
  readonly who: string;
  readonly event: string;
  readonly fields: Fields;
}

/** An instance and what its nodes logged. */
class Stage {
  readonly lines: Line[] = [];
  readonly world: SimulatedInstance;

  constructor(attested: AttestedOptions, options: Partial<SimulationOptions> = {}) {
    this.world = new SimulatedInstance({
      seed: 1,
      clients: 4,
      attested,
      observe: (who, _, event, fields = {}) => this.lines.push({ who, event, fields }),
      ...options,
    });
  }

  static async start(attested: AttestedOptions, options?: Partial<SimulationOptions>) {
    const stage = new Stage(attested, options);
    await stage.world.start();
    return stage;
  }

  /** What a node logged under a name. */
  said(who: RegExp, event: string): Line[] {
    return this.lines.filter((line) => who.test(line.who) && line.event === event);
  }

  /** Waits for `count` rounds more. */
  async rounds(count: number, ms = 60_000): Promise<void> {
    const { world } = this, until = world.rounds + count;
    const done = await world.run(() => world.rounds >= until, ms);
    assert.ok(done, `${world.rounds} rounds of ${until}; last: ${this.tail()}`);
  }

  /** Waits until a node logs something of this code. */
  async code(who: RegExp, event: string, code: RegExp, ms = 60_000): Promise<void> {
    const found = () => this.said(who, event).some(({ fields }) => code.test(`${fields.reason}`));
    assert.ok(await this.world.run(found, ms), `no ${event} ${code} of ${who}: ${this.tail()}`);
  }

  /** Clients in the roster, as the servers have it. */
  get roster(): number {
    return this.world.servers.find((it) => it?.joined)!.role.member.state.registry.size;
  }

  /** A peer learns that it was refused, and no reason of attestation. */
  tellsNoReason(who: RegExp): void {
    for (const { event, fields } of this.lines.filter((line) => who.test(line.who))) {
      if (event !== "refused") continue;
      assert.equal(fields.reason, "refused");
    }
  }

  private tail(): string {
    return this.lines.slice(-8).map((line) => JSON.stringify(line)).join("\n");
  }
}

/** A source of quotes for one node; the others have the ordinary one. */
const sourceFor = (
  node: string,
  make: (platform: SimulatedPlatform) => QuoteSource,
): AttestedOptions["source"] =>
(name, platform) => name === node ? make(platform) : undefined;

const CLIENTS = { clients: true };

Deno.test("attested servers and clients: rounds go on, messages land, tickets are renewed", async () => {
  let quotes = 0;
  const counted: AttestedOptions["source"] = (_, platform) => {
    const source = simulatedSource(platform);
    return {
      quote: (data) => {
        quotes++;
        return source.quote(data);
      },
    };
  };
  const stage = await Stage.start({ ...CLIENTS, life: 20_000, source: counted });
  await stage.rounds(5);
  assert.equal(stage.roster, 4);
  const first = quotes;
  const { outcome } = stage.world.clients[1].role.outbox.send(new TextEncoder().encode("hello"));
  assert.equal((await stage.world.settle(outcome)).kind, "landed");
  await stage.world.run(() => false, 60_000);
  const voids = stage.said(/server/, "round void").length;
  assert.deepEqual([voids, stage.said(/./, "silent").length > 8], [0, false]);
  assert.equal(stage.roster, 4);
  assert.ok(first <= 14 && quotes > first + 4 * 7, `${first} quotes, then ${quotes}`);
});

Deno.test("the same seed gives the same log", async () => {
  const play = async () => {
    const stage = await Stage.start(CLIENTS);
    await stage.rounds(8);
    return stage.world.readers[0].role.log.map(({ record }) => hex(record.hash));
  };
  assert.deepEqual(await play(), await play());
});

Deno.test("a client of another image is refused by every server's own judgement", async () => {
  const source = sourceFor("client 2", (it) => simulatedSource(it, { image: "other" }));
  const stage = await Stage.start({ ...CLIENTS, source });
  await stage.code(/server/, "client refused", /^mrtd: /);
  await stage.rounds(5);
  assert.equal(stage.roster, 3);
  stage.tellsNoReason(/client/);
  assert.match(stage.world.refused.get("client 2")!, /does not admit this client: refused/);
});

Deno.test("a debugged guest, and one without a quote at all, are refused", async () => {
  const source: AttestedOptions["source"] = (name, platform) => {
    const tdAttributes = Uint8Array.fromHex("0100001000000000");
    if (name === "client 0") return simulatedSource(platform, { report: { tdAttributes } });
    if (name === "client 1") return { quote: () => Promise.resolve(new Uint8Array(4_900)) };
    return undefined;
  };
  const stage = await Stage.start({ ...CLIENTS, source }, { clients: 5 });
  await stage.code(/server/, "client refused", /^td-debug: /);
  await stage.code(/server/, "client refused", /^quote-/);
  await stage.rounds(3);
  assert.equal(stage.roster, 3);
});

Deno.test("a ticket that was stolen, shown from another key, is refused", async () => {
  const taken: Uint8Array[] = [];
  const source: AttestedOptions["source"] = (name, platform) => {
    const source = simulatedSource(platform);
    if (name !== "client 0" && name !== "client 1") return undefined;
    return {
      quote: async (data) => {
        if (name === "client 1") return taken[0] ?? await source.quote(data);
        return taken[0] ??= await source.quote(data);
      },
    };
  };
  const stage = new Stage({ ...CLIENTS, source }, { clients: 0 });
  await stage.world.start();
  for (const i of [0, 2, 3]) await stage.world.startClient(i);
  await stage.rounds(3);
  await stage.world.startClient(1);
  await stage.code(/server/, "client refused", /^report-data: /);
  await stage.rounds(3);
  assert.equal(stage.roster, 3);
});

Deno.test("a quote under another root never meets a committee", async () => {
  const random = new Random(9), bytes = (length: number) => random.bytes(length);
  const now = 1_800_000_000_000, other = simulatedAuthority(bytes, now);
  const foreign = simulatedSource(simulatedPlatform(other, bytes, now));
  const source = (name: string) => name === "client 3" ? foreign : undefined;
  const stage = await Stage.start({ ...CLIENTS, source });
  await stage.code(/server/, "client refused", /^(pck-root|collateral-missing): /);
  await stage.rounds(3);
  assert.equal(stage.roster, 3);
});

Deno.test("a client whose ticket ends without another loses its place", async () => {
  let quotes = 0;
  const source = sourceFor("client 3", (platform) => ({
    quote: (data) =>
      ++quotes === 1
        ? simulatedSource(platform).quote(data)
        : Promise.reject(new Error("the host service is away")),
  }));
  const stage = await Stage.start({ ...CLIENTS, life: 30_000, source });
  await stage.rounds(3);
  assert.equal(stage.roster, 4);
  assert.ok(await stage.world.run(() => stage.roster === 3, 40_000), "it stayed");
  const gone = stage.said(/server/, "client left");
  assert.match(`${gone[0].fields.because}`, /does not vouch/);
  await stage.rounds(10);
  assert.ok(quotes > 1);
  assert.ok(stage.said(/server/, "round void").length <= 2);
});

Deno.test("a client whose platform is revoked loses its place at once, and is let in no more", async () => {
  const stage = await Stage.start(CLIENTS);
  await stage.rounds(3);
  const { attestation } = stage.world, { pck } = attestation!.platform("client 2");
  const { serial } = await parseCertificate(pck.der, "pck");
  await stage.world.run(() => false, 2_000);
  const revoked = [Uint8Array.fromHex(serial)];
  const collateral = attestation!.issue({ pckCrl: { revoked } });
  const { now } = stage.world.universe.clock;
  for (const i of [0, 1, 2]) await attestation!.books.get(`server ${i}`)!.offer(collateral, now());
  await stage.code(/server/, "client evicted", /^pck-revoked: /);
  await stage.rounds(2);
  assert.equal(stage.roster, 3);
  await stage.code(/server/, "client refused", /^pck-revoked: /);
  await stage.rounds(10);
  assert.equal(stage.roster, 3);
  stage.tellsNoReason(/client/);
});

Deno.test("a server of another image is not let near the committee", async () => {
  const source = sourceFor("server 1", (it) => simulatedSource(it, { image: "other" }));
  const stage = await Stage.start({ source });
  await stage.code(/server 0/, "server refused", /^mrtd: /);
  await stage.code(/server 2/, "server refused", /^mrtd: /);
  assert.equal(
    await stage.world.run(() => stage.world.servers.some((it) => it!.joined), 60_000),
    false,
  );
});

Deno.test("a server that is revoked while it runs is cut off: rounds stop, clients are silent", async () => {
  const stage = await Stage.start({});
  await stage.rounds(3);
  const { attestation, universe } = stage.world;
  const { serial } = await parseCertificate(attestation!.platform("server 2").pck.der, "pck");
  await stage.world.run(() => false, 2_000);
  const collateral = attestation!.issue({ pckCrl: { revoked: [Uint8Array.fromHex(serial)] } });
  await attestation!.books.get("server 0")!.offer(collateral, universe.clock.now());
  await stage.code(/server 0/, "server evicted", /^pck-revoked: /);
  await stage.code(/client/, "server evicted", /^pck-revoked: /);
  await stage.world.run(() => false, 10_000);
  const before = stage.world.rounds;
  assert.equal(await stage.world.run(() => stage.world.rounds > before, 60_000), false);
});

Deno.test("a client that distrusts a server sends nothing, while the others go on", async () => {
  const stage = await Stage.start({});
  await stage.rounds(3);
  const { attestation, universe } = stage.world;
  const { serial } = await parseCertificate(attestation!.platform("server 2").pck.der, "pck");
  await stage.world.run(() => false, 2_000);
  const collateral = attestation!.issue({ pckCrl: { revoked: [Uint8Array.fromHex(serial)] } });
  await attestation!.books.get("client 1")!.offer(collateral, universe.clock.now());
  await stage.code(/client 1/, "silent", /^server [0-9a-f]{16} is not attested: pck-revoked/);
  await stage.rounds(3);
  const { participants } = stage.world.readers[0].role.log.at(-1)!;
  assert.equal(participants.length, 3);
});

Deno.test("a server whose ticket ends without another is cut off, and let in again with one", async () => {
  let away = false;
  const source = sourceFor("server 1", (platform) => ({
    quote: (data) =>
      away
        ? Promise.reject(new Error("the host service is away"))
        : simulatedSource(platform).quote(data),
  }));
  const stage = await Stage.start({ life: 30_000, source });
  await stage.rounds(3);
  away = true;
  await stage.code(/server 0/, "server evicted", /^ticket-expired: /);
  await stage.world.run(() => false, 5_000);
  const before = stage.world.rounds;
  assert.equal(await stage.world.run(() => stage.world.rounds > before, 20_000), false);
  away = false;
  await stage.rounds(3, 120_000);
});

Deno.test("a server that is killed comes back attested, and rounds go on", async () => {
  const stage = await Stage.start(CLIENTS);
  await stage.rounds(3);
  stage.world.crash(stage.world.servers[1]!);
  await stage.world.run(() => false, 5_000);
  await stage.world.startServer(1);
  await stage.rounds(3);
  assert.equal(stage.roster, 4);
});

Deno.test("all servers are killed at once: who was admitted stays so", async () => {
  const stage = await Stage.start(CLIENTS);
  await stage.rounds(3);
  for (const server of stage.world.servers) stage.world.crash(server!);
  await stage.world.run(() => false, 5_000);
  for (const i of [0, 1, 2]) await stage.world.startServer(i);
  await stage.rounds(5);
  assert.equal(stage.roster, 4);
});

Deno.test("another world's instance is refused by a client, and an unattested server's by all", async () => {
  const stage = await Stage.start({
    source: sourceFor("server 0", () => ({ quote: () => Promise.reject(new Error("no TDX")) })),
  });
  await stage.code(/server 0/, "no quote", /no TDX/);
  await stage.code(/server [12]/, "server refused", /not attested: no ticket/);
  assert.equal(
    await stage.world.run(() => stage.world.servers.some((it) => it!.joined), 60_000),
    false,
  );
});

Deno.test("the committee changes, all of it in the end: attested clients follow", async () => {
  await Trial.run(
    { seed: 41, clients: 5, servers: 3, spares: 3, attested: CLIENTS },
    async (trial) => {
      const { world } = trial, key = (index: number) => world.keyOf(index);
      let members = [0, 1, 2];
      for (const [epoch, next] of [[0, 1, 3], [3, 4, 5]].entries()) {
        for (const index of next) if (!world.servers[index]) await trial.startServer(index);
        trial.everybodySpeaks();
        for (const index of members) {
          const from = world.servers[index]!.role.options.manifest.fingerprint;
          world.wishes[index] = encodeWish({ from, servers: next.map(key), lost: [] });
        }
        const stands = () =>
          next.every((i) =>
            world.servers[i]?.joined && world.servers[i]!.role.options.manifest.epoch === epoch + 1
          );
        await trial.until(`epoch ${epoch + 1}`, stands, 20_000);
        trial.everybodySpeaks();
        await trial.goesOn();
        members = next;
      }
      await trial.judge();
    },
  );
});

for (const restarted of [[2], [0, 1, 2]]) {
  const who = restarted.length === 1 ? "a server dies" : "all servers die";
  Deno.test(`${who} when tickets name records, and one lost its disk: rounds go on`, async () => {
    const archives = [0, 1, 2].map(() => memoryArchive());
    const archive = (server: number) => archives[server];
    const stage = await Stage.start({ ...CLIENTS, life: 20_000 }, { archive }), { world } = stage;
    // Each server has made another ticket since, which names a record.
    await stage.rounds(100, 120_000);
    for (const index of restarted) world.crash(world.servers[index]!);
    await world.universe.advance(1_000);
    world.disks[2] = new DurableDisk();
    archives[2] = memoryArchive();
    for (const index of restarted) await world.startServer(index);
    await stage.rounds(60, 120_000);
    assert.deepEqual(stage.said(/^server/, "server evicted"), []);
  });
}

Deno.test("a server without a ticket names a record that never comes: nobody heeds it", async () => {
  let quotes = 0;
  const source: AttestedOptions["source"] = (_, platform) => {
    const source = simulatedSource(platform);
    return { quote: (data) => (quotes++, source.quote(data)) };
  };
  const stage = await Stage.start({ life: 20_000, source }), { world } = stage;
  await stage.rounds(3);
  const { environment, network } = world.binding("rogue");
  const rogue = network("server", environment.random(32), ["/memory/0"]);
  let told = 0;
  rogue.serve(SERVER_TICKETS, (stream) => {
    const tell = () => {
      const freshness = concat(u64(2 ** 50), environment.random(32));
      if (!stream.send(concat(Uint8Array.of(2), freshness))) return;
      told++;
      environment.clock.after(1_000, tell);
    };
    tell();
    return { frame() {}, closed() {} };
  });
  await rogue.start();
  await world.run(() => false, 60_000);
  assert.deepEqual(stage.said(/^server/, "server evicted"), []);
  assert.ok(told > 100 && quotes <= 3 * 10, `${told} told, ${quotes} quotes`);
  await stage.rounds(3);
});
