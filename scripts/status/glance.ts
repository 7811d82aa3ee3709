/** What is told of an instance at a glance, from its newest records. */
import type { Verified } from "../../src/protocol/chain.ts";
import { hex } from "../../src/protocol/bytes.ts";
import type { Manifest } from "../../src/protocol/manifest.ts";

/** Rounds that count as the newest. */
const WINDOW = 60;

/** What the network shows beside the records. */
export interface Around {
  readonly epoch: Manifest;
  /** Keys of servers that answer, as hex. */
  readonly reached: ReadonlySet<string>;
  readonly aggregators: number;
  readonly attested: boolean;
}

interface Seen {
  readonly round: number;
  readonly at: number;
  readonly participants: number;
  readonly roster: number;
  readonly messages: number;
  readonly hash: string;
}

/** Gathers records and says what they come to. */
export class Glance {
  #seen: Seen[] = [];

  constructor(readonly instance: string) {}

  /** Rounds seen since the start, the newest one before it included. */
  get rounds(): number {
    return this.#seen.length;
  }

  /** A verified record, and when it came. */
  add({ record: { header, hash }, participants, messages }: Verified, at: number): void {
    this.#seen.push({
      ...{ round: header.round, at, participants: participants.length },
      ...{ roster: header.rosterSize, messages: messages.length, hash: hex(hash) },
    });
    this.#seen = this.#seen.slice(-WINDOW);
  }

  /** The page, line by line. */
  lines(now: number, { epoch, reached, aggregators, attested }: Around): string[] {
    const row = (name: string, text: string) => `${name.padEnd(14)}${text}`;
    const servers = epoch.servers.map((key) => {
      const name = hex(key);
      return `${name.slice(0, 8)} ${reached.has(name) ? "here" : "missing"}`;
    });
    const { minParticipants } = epoch.parameters;
    const head = [
      this.instance,
      row(
        "committee",
        `${hex(epoch.fingerprint)}, epoch ${epoch.epoch}${attested ? ", attested" : ""}`,
      ),
      row("servers", servers.join("  ")),
      row("aggregators", String(aggregators)),
    ];
    const first = this.#seen[0], last = this.#seen.at(-1);
    if (!first || !last) return [...head, row("rounds", "no record came yet")];
    const rounds = this.#seen.length, span = last.round - first.round + 1;
    const gaps = this.#seen.slice(1).map(({ at }, i) => at - this.#seen[i].at).sort((a, b) =>
      a - b
    );
    const pace = gaps.length > 0 ? `, one in ${gaps[gaps.length >> 1]} ms` : "";
    const messages = this.#seen.reduce((sum, it) => sum + it.messages, 0);
    const least = Math.min(...this.#seen.map(({ participants }) => participants));
    return [
      ...head,
      row("round", `${last.round}, ${((now - last.at) / 1_000).toFixed(1)} s ago${pace}`),
      row("void", `${span - rounds} of the last ${span}`),
      row(
        "participants",
        `${last.participants} of ${last.roster} (${least} at least, ${minParticipants} needed)`,
      ),
      row("messages", `${messages} in the last ${rounds} rounds`),
      row("head", last.hash),
    ];
  }
}
