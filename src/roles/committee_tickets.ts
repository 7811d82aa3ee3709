/**
 * How those who only look at the committee (clients, readers, aggregators) see that each of its
 * servers is attested: from whoever hands the tickets on.
 */
import { equal, hex, isZero } from "../protocol/bytes.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network } from "../universe/network.ts";
import type { Attestation as Terms } from "./attestation.ts";
import { AttestedServers } from "./attested.ts";
import type { Epochs } from "./epochs.ts";
import { Attestation } from "./errors.ts";
import { TicketFeed } from "./ticket_feed.ts";

/** What it works with. */
export interface CommitteeTicketsOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly attestation: Terms;
  readonly epochs: Epochs;
  /** Milliseconds until all servers must have shown a ticket. */
  readonly timeout: number;
  /** Whether it hands the tickets on. */
  readonly serves?: boolean;
}

/** See the module comment. */
export class CommitteeTickets {
  readonly attested: AttestedServers;
  readonly #feed: TicketFeed;
  readonly #unsubscribe: () => void;

  constructor(readonly options: CommitteeTicketsOptions) {
    const { environment, attestation, epochs } = options, { instance } = epochs.newest;
    this.attested = new AttestedServers({
      environment,
      instance,
      attestation,
      wanted: (key) => epochs.newest.servers.some((server) => equal(server, key)),
    });
    this.#feed = new TicketFeed({ ...options, attested: this.attested });
    if (options.serves) this.#feed.serve();
    const look = this.#feed.followAny(() => this.objection() === undefined);
    this.#unsubscribe = epochs.onChange(look);
  }

  /** Why the committee is not to be trusted now, or undefined: the first server without a ticket. */
  objection(): string | undefined {
    for (const key of this.options.epochs.newest.servers) {
      const refusal = this.attested.refusal(key);
      if (refusal) return `server ${hex(key).slice(0, 16)} is not attested: ${refusal}`;
    }
    return undefined;
  }

  /** Resolves once every server has shown a ticket; rejects with `Attestation` after the timeout. */
  met(): Promise<void> {
    const { environment: { clock }, timeout } = this.options;
    return new Promise((resolve, reject) => {
      const end = () => {
        cancel();
        unsubscribe();
      };
      const cancel = clock.after(timeout, () => {
        end();
        reject(new Attestation(`${this.objection()}`));
      });
      const look = () => {
        if (this.objection() !== undefined) return;
        end();
        resolve();
      };
      const unsubscribe = this.attested.onChange(look);
      look();
    });
  }

  /** Ends all of it; the network is the caller's to stop. */
  stop(): void {
    this.#unsubscribe();
    this.#feed.stop();
    this.attested.stop();
  }
}

/**
 * Sees to it that each server of a committee is attested. Rejects with `Attestation` where one is
 * not within the timeout, where nobody is, and where the instance names another trust anchor.
 */
export async function judgeTickets(options: CommitteeTicketsOptions): Promise<CommitteeTickets> {
  const theirs = options.epochs.parameters.anchor, { anchor } = options.attestation;
  if (isZero(theirs)) {
    throw new Attestation(
      "the servers of this instance show no quotes, yet measurements or a root were named: leave " +
        "them out, or look for an instance that is attested",
    );
  }
  if (!equal(theirs, anchor.fingerprint)) {
    throw new Attestation(
      `the instance is attested under the anchor ${hex(theirs)}, expected ` +
        `${hex(anchor.fingerprint)}${anchor.simulated ? ", a development root" : ", Intel's"}`,
    );
  }
  const tickets = new CommitteeTickets(options);
  try {
    await tickets.met();
    return tickets;
  } catch (error) {
    tickets.stop();
    throw error;
  }
}
