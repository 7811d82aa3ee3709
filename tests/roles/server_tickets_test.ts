/** Of whose tickets a server wants to hear, when anyone may call himself a server. */
import assert from "node:assert/strict";
import { concat, hex, u64 } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import type { ServerTickets } from "../../src/roles/server_tickets.ts";
import { SimulatedAttestation } from "../../src/roles/simulated_attestation.ts";
import { makeTicket } from "../../src/attest/ticket.ts";
import { simulatedSource } from "../../src/attest/quote_source.ts";
import { Directory, FORGET_MS, MAX_KNOWN } from "../../src/universe/directory.ts";
import { MemoryUniverse } from "../../src/universe/memory.ts";
import type { Network, Peer } from "../../src/universe/network.ts";

/** A server among those that a directory holds, whom nobody answers. */
class Lonely {
  readonly universe = new MemoryUniverse({ seed: 1 });
  readonly environment = this.universe.environment("server");
  readonly signer = signer(this.environment.random(32));
  readonly instance = this.environment.random(32);
  readonly directory = new Directory(hex(this.signer.key), this.environment);
  readonly attestation = new SimulatedAttestation(this.universe, {});
  readonly records = memoryArchive();
  /** Ids that were dialed, one for each time. */
  readonly dialed: string[] = [];
  terms!: Awaited<ReturnType<SimulatedAttestation["parameters"]>>;
  tickets!: ServerTickets;

  static async of(): Promise<Lonely> {
    const lonely = new Lonely(), { directory, signer: { key }, dialed } = lonely;
    lonely.terms = await lonely.attestation.parameters();
    const network = {
      self: { id: hex(key), key, role: "server", addresses: [] },
      peers: directory.peers.bind(directory),
      onPeer: directory.onPeer.bind(directory),
      serve: () => {},
      open: ({ id }: Peer) => (dialed.push(id), Promise.reject(new Error("nobody answers"))),
    } as unknown as Network;
    const { environment, instance, records } = lonely;
    const common = { network, environment, instance, records, signer: lonely.signer };
    lonely.tickets = lonely.attestation.server("server", common).tickets;
    return lonely;
  }

  /** Entries of so many servers, whose keys are the lowest. */
  crowd(count: number): void {
    for (let i = 0; i < count; i++) this.directory.hear(entry(lowKey(i)));
  }

  /** Judges a ticket of this key. */
  async offer(key: Uint8Array): Promise<boolean> {
    const { universe, attestation, instance, tickets: { attested } } = this;
    const { anchor } = this.terms, freshness = concat(u64(1), new Uint8Array(32));
    const from = universe.clock.now(), until = from + 60_000, role = "server" as const;
    const terms = { instance, anchor: anchor!, key, role, freshness, from, until };
    const source = simulatedSource(attestation.platform(hex(key)));
    const ticket = await makeTicket(source, terms);
    return await universe.settle(attested.offer(key, ticket));
  }
}

function lowKey(index: number): Uint8Array {
  const key = new Uint8Array(32);
  key.set([1, index >> 8, index]);
  return key;
}

function entry(key: Uint8Array) {
  return { key, role: "server" as const, addresses: ["/x"], age: 0 };
}

const HONEST = new Uint8Array(32).fill(0xee);

Deno.test("a server's ticket is judged, however many others call themselves servers", async () => {
  const lonely = await Lonely.of();
  lonely.directory.link({ id: hex(HONEST), ...entry(HONEST) });
  lonely.crowd(MAX_KNOWN);
  assert.equal(lonely.directory.peers("server").length, MAX_KNOWN);
  assert.equal(await lonely.offer(HONEST), true);
  assert.equal(lonely.tickets.attested.refusal(HONEST), undefined);
  lonely.tickets.stop();
});

Deno.test("a server that comes to be known is listened to, after as many as may be known were forgotten", async () => {
  const lonely = await Lonely.of(), { directory, universe, dialed } = lonely;
  lonely.crowd(MAX_KNOWN);
  lonely.tickets.start();
  await universe.advance(1_000);
  assert.equal(new Set(dialed).size, MAX_KNOWN);
  await universe.advance(FORGET_MS);
  directory.expire();
  directory.hear(entry(HONEST));
  await universe.advance(1_000);
  assert.ok(dialed.includes(hex(HONEST)), "it was not dialed");
  lonely.tickets.stop();
});
