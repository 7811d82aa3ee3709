/**
 * How the servers' tickets get around, with the collateral that they are judged by: whoever has
 * them hands them to anyone, now and at each change. Servers listen to each other; the others to
 * one holder at a time, and to the next while a server is missing.
 *
 * Frames: u8 kind ‖ body. 0 ticket ‖ server key (32) ‖ ticket · 1 collateral ‖ JSON
 * (`src/attest/collateral_json.ts`) · 2 freshness (40) ‖ nothing: what a ticket had best carry now.
 */
import { formatCollateral, parseCollateral } from "../attest/collateral_json.ts";
import type { Collateral } from "../attest/collateral.ts";
import { AttestationError } from "../attest/reasons.ts";
import { FRESHNESS_BYTES } from "../attest/ticket.ts";
import { concat, equal } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream, StreamEvents } from "../universe/network.ts";
import type { Attestation } from "./attestation.ts";
import type { AttestedServers, ServerTicket } from "./attested.ts";
import { holders } from "./committee.ts";
import { feedHolders } from "./holders.ts";
import { Link } from "./link.ts";
import { MAX_STAPLE_BYTES, SERVER_TICKETS } from "./streams.ts";

const TICKET = 0, COLLATERAL = 1, FRESHNESS = 2;

/** What one holder may hand on that does not hold, before it is left. */
const MAX_BAD = 8;
/** How often somebody who misses a server's ticket asks another holder. */
const ROTATE_MS = 5_000;
/** Who is handed tickets at one time. */
const MAX_CURIOUS = 16_384;

/** What it works with. */
export interface TicketFeedOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly attestation: Attestation;
  readonly attested: AttestedServers;
  /** What a ticket had best carry now, where that is known. */
  readonly freshness?: () => Uint8Array;
  /** A holder says what a ticket had best carry; undefined: it is no longer listened to. */
  readonly hint?: (holder: Uint8Array, freshness: Uint8Array | undefined) => void;
}

/** See the module comment. */
export class TicketFeed {
  readonly #curious = new Set<Stream>();
  readonly #ends: (() => void)[] = [];
  /** Collateral as it was handed out last. */
  #staples: readonly Uint8Array[] = [];
  /** This server's own ticket: what it is worth is for others to say. */
  #own: ServerTicket | undefined;

  constructor(readonly options: TicketFeedOptions) {
    const { attestation: { collateral }, attested } = options;
    this.#staples = this.#stapled();
    this.#ends.push(
      collateral.onChange(() => {
        this.#staples = this.#stapled();
        for (const frame of this.#staples) this.#tell(frame);
      }),
      attested.onChange((key, refusal) => {
        if (refusal !== undefined) return;
        const ticket = attested.tickets.find((it) => equal(it.key, key));
        if (ticket && !this.#isOwn(ticket)) this.#tell(ticketFrame(ticket));
      }),
    );
  }

  /** Hands out what is here to anyone who asks. */
  serve(): void {
    const { network, attested, freshness } = this.options;
    network.serve(SERVER_TICKETS, (stream) => {
      if (this.#curious.size >= MAX_CURIOUS) return undefined;
      this.#curious.add(stream);
      if (freshness) stream.send(concat(Uint8Array.of(FRESHNESS), freshness()));
      for (const frame of this.#staples) stream.send(frame);
      if (this.#own) stream.send(ticketFrame(this.#own));
      for (const ticket of attested.tickets) {
        if (!this.#isOwn(ticket)) stream.send(ticketFrame(ticket));
      }
      return {
        frame: () => stream.close("nothing is expected here"),
        closed: () => this.#curious.delete(stream),
      };
    });
  }

  /** Hands out this server's own ticket from now on. */
  own(ticket: ServerTicket): void {
    this.#own = ticket;
    this.#tell(ticketFrame(ticket));
  }

  /** Listens to every server, as it becomes known, and for as long: the node bounds who that is. */
  followServers(): void {
    const { network, environment: { clock } } = this.options, links = new Map<string, Link>();
    this.#ends.push(() => links.forEach((link) => link.close()));
    this.#ends.push(network.onPeer(({ id, role }) => {
      if (role !== "server") return;
      const known = new Set(network.peers("server").map((peer) => peer.id));
      for (const [gone, link] of links) if (!known.has(gone) && links.delete(gone)) link.close();
      if (links.has(id)) return;
      const candidates = () => network.peers("server").filter((peer) => peer.id === id);
      const link: Link = new Link({
        network,
        clock,
        kind: SERVER_TICKETS,
        candidates,
        events: ({ peer: { key } }) => this.#events(key, (reason) => link.drop(reason)),
      });
      links.set(id, link);
    }));
  }

  /**
   * Listens to one holder, and to the next for as long as `complete` is false; answers what makes it
   * look at once, since other tickets are wanted now.
   */
  followAny(complete: () => boolean): () => void {
    const { network, environment: { clock } } = this.options, asked = new Set<string>();
    const candidates = (): Peer[] => {
      const all = network.self.role === "reader"
        ? feedHolders(network, "lineage")
        : holders(network, "aggregator", "server");
      if (all.every(({ id }) => asked.has(id))) asked.clear();
      return all.filter(({ id }) => !asked.has(id));
    };
    const link: Link = new Link({
      network,
      clock,
      kind: SERVER_TICKETS,
      candidates,
      events: ({ peer: { id, key } }) => {
        asked.add(id);
        return this.#events(key, (reason) => link.drop(reason));
      },
    });
    let cancel = () => {};
    const look = () => {
      cancel();
      cancel = clock.after(ROTATE_MS, look);
      if (complete()) asked.clear();
      else link.drop("a server's ticket is missing");
    };
    cancel = clock.after(ROTATE_MS, look);
    this.#ends.push(() => link.close(), () => cancel());
    return look;
  }

  /** Ends all of it; the network is the caller's to stop. */
  stop(): void {
    for (const end of this.#ends.splice(0)) end();
    for (const stream of [...this.#curious]) stream.close("shutdown");
  }

  #isOwn({ key }: ServerTicket): boolean {
    return this.#own !== undefined && equal(key, this.#own.key);
  }

  #events(holder: Uint8Array, leave: (reason: string) => void): StreamEvents {
    const { hint } = this.options;
    let bad = 0;
    const judged = (good: boolean) => {
      if (!good && ++bad >= MAX_BAD) leave(`${bad} things that do not hold`);
    };
    return {
      frame: (bytes) => this.#hear(holder, bytes, judged),
      closed: () => hint?.(holder, undefined),
    };
  }

  #hear(holder: Uint8Array, bytes: Uint8Array, judged: (good: boolean) => void): void {
    const { attestation, attested, hint } = this.options, body = bytes.subarray(1);
    if (bytes[0] === TICKET && body.length > 32) {
      void attested.offer(body.subarray(0, 32), body.subarray(32)).then(judged);
    } else if (bytes[0] === COLLATERAL) {
      const { work = (task) => task() } = attestation;
      void work(() => this.#collateral(body)).then(judged);
    } else if (bytes[0] === FRESHNESS && body.length === FRESHNESS_BYTES) {
      hint?.(holder, body.slice());
    } else throw new ProtocolError("type", "neither a ticket, nor collateral, nor a freshness");
  }

  async #collateral(body: Uint8Array): Promise<boolean> {
    const { attestation: { collateral }, environment: { clock, observe } } = this.options;
    try {
      const staple = parseCollateral(new TextDecoder().decode(body));
      await collateral.offer(staple, clock.wall());
      return true;
    } catch (error) {
      if (!(error instanceof AttestationError)) throw error;
      observe("debug", "collateral refused", { reason: error.message });
      return false;
    }
  }

  #tell(frame: Uint8Array): void {
    for (const stream of this.#curious) stream.send(frame);
  }

  #stapled(): Uint8Array[] {
    const frames = this.options.attestation.collateral.staples().map(collateralFrame);
    return frames.filter(({ length }) => length <= MAX_STAPLE_BYTES);
  }
}

function ticketFrame({ key, bytes }: ServerTicket): Uint8Array {
  return concat(Uint8Array.of(TICKET), key, bytes);
}

function collateralFrame(collateral: Collateral): Uint8Array {
  return concat(Uint8Array.of(COLLATERAL), new TextEncoder().encode(formatCollateral(collateral)));
}
