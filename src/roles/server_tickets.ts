/**
 * A server's part in attestation: it keeps itself in tickets, judges those of the other servers, and
 * hands all of them to anyone.
 */
import { decodeTicket } from "../attest/ticket.ts";
import { equal, hex, Reader } from "../protocol/bytes.ts";
import type { Signer } from "../protocol/keys.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network } from "../universe/network.ts";
import type { Attestation } from "./attestation.ts";
import { AttestedServers } from "./attested.ts";
import { freshnessOf, judgeFreshness } from "./freshness.ts";
import type { Places } from "./records.ts";
import { TicketFeed } from "./ticket_feed.ts";
import { TicketMaker } from "./ticket_maker.ts";

/** What it works with. */
export interface ServerTicketsOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly attestation: Attestation;
  /** Instance id, 32 bytes. */
  readonly instance: Uint8Array;
  readonly signer: Signer;
  /** The records that it has, by which freshness is judged. */
  readonly records: Places;
  /** How long own tickets hold, ms; an hour unless given. */
  readonly life?: number;
}

/** See the module comment. */
export class ServerTickets {
  readonly attested: AttestedServers;
  readonly #feed: TicketFeed;
  readonly #maker: TicketMaker | undefined;
  /**
   * What a ticket had best carry, by the servers that this one listens to. It counts once a ticket
   * of its server verified: anyone may call himself a server, and name a record that never comes.
   */
  readonly #hints = new Map<string, Uint8Array>();
  /** Round of the record that the last ticket named. */
  #named = 0;

  constructor(readonly options: ServerTicketsOptions) {
    const { network, environment, attestation, instance, signer, records, life } = options;
    const { source, work, anchor } = attestation, { key } = signer;
    this.attested = new AttestedServers({
      environment,
      instance,
      attestation,
      wanted: (other) => this.#wanted(other),
      // Who lost all records gets them from the others, and would not without their tickets.
      fresh: (ticket) => records.newest === 0 ? undefined : judgeFreshness(ticket, records),
      proven: (other) => this.#heed(other),
    });
    this.#feed = new TicketFeed({
      network,
      environment,
      attestation,
      attested: this.attested,
      freshness: () => freshnessOf(records),
      hint: (server, freshness) => this.#hinted(server, freshness),
    });
    if (!source) return;
    this.#maker = new TicketMaker({
      ...{ environment, source, work, instance, key, life },
      anchor: anchor.fingerprint,
      freshness: () => this.#freshness(),
      made: (bytes) => {
        this.#feed.own({ key, bytes });
        attestation.collateral.want?.(decodeTicket(bytes).quote);
        void this.attested.offer(key, bytes);
      },
    });
  }

  /** Begins, once the network is up. */
  start(): void {
    this.#feed.serve();
    this.#feed.followServers();
    this.#maker?.make();
  }

  /** Ends all of it; the network is the caller's to stop. */
  stop(): void {
    this.#maker?.stop();
    this.#feed.stop();
    this.attested.stop();
  }

  /** Tickets of servers that were met, and its own. */
  #wanted(key: Uint8Array): boolean {
    const { network, signer } = this.options;
    return [signer, ...network.peers("server")].some((server) => equal(server.key, key));
  }

  #freshness(): Uint8Array {
    const { attested, options: { records } } = this;
    const hints = [...this.#hints].filter(([key]) => attested.proven(Uint8Array.fromHex(key)));
    const known = [freshnessOf(records), ...hints.map(([, hint]) => hint)];
    const newest = known.reduce((best, it) => roundOf(it) > roundOf(best) ? it : best);
    this.#named = roundOf(newest);
    return newest;
  }

  /** Who was away, or forgot, learns from the others which record is the newest. */
  #hinted(server: Uint8Array, freshness: Uint8Array | undefined): void {
    if (!freshness) return void this.#hints.delete(hex(server));
    roundOf(freshness); // throws: what is no round ends the stream
    this.#hints.set(hex(server), freshness);
    if (this.attested.proven(server)) this.#heed(server);
  }

  /** Makes another ticket where a server that has proven itself knows a later record. */
  #heed(server: Uint8Array): void {
    const hint = this.#hints.get(hex(server));
    if (!hint || roundOf(hint) <= Math.max(this.options.records.newest, this.#named)) return;
    this.#maker?.make();
  }
}

function roundOf(freshness: Uint8Array): number {
  return new Reader(freshness, "freshness").u64();
}
