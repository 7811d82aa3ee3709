/**
 * Who is admitted: every predicate must hold, and for every validator there must be a ticket of its
 * class in the peer's entry that it accepts. Of several tickets of a class the one that holds
 * longest counts; of several validators the one that ends first. What a validator said of a body is
 * kept for as long as the entry names it, so that a catalog's change costs no verification.
 */
import type { CatalogView, PeerInfo } from "../discovery/view.ts";
import type { Environment } from "../environment.ts";
import { reasonOf } from "../stream.ts";
import type { Predicate, TicketValidator } from "./options.ts";

/** Tickets of one class in one entry that are looked at. */
const MAX_TICKETS = 8;

/** What a gate says of a peer. */
export type Judgement =
  /** Admitted until a time, Unix ms; `Infinity` where no ticket ends. */
  | { readonly kind: "admitted"; readonly until: number }
  /** A predicate or validator does not want it. */
  | { readonly kind: "refused"; readonly reason: string }
  /** It would be admitted, had a ticket not run out. */
  | { readonly kind: "expired"; readonly reason: string }
  /** Its entry or a ticket's body cannot be had now, or a ticket not be checked. */
  | { readonly kind: "unknown"; readonly reason: string };

type Checked = { readonly until: number } | { readonly refused: string };

/** What was said of the tickets of one peer, by validator and hash. */
export type Verdicts = Map<string, Checked>;

/** See the module. */
export class Gate {
  constructor(
    readonly require: readonly Predicate[],
    readonly tickets: readonly TicketValidator[],
    readonly catalog: CatalogView,
    readonly environment: Environment,
  ) {}

  /** Whether it lets everyone in. */
  get open(): boolean {
    return this.require.length === 0 && this.tickets.length === 0;
  }

  /** Judges a peer by its entry as it is now. `verdicts` belongs to the peer and is pruned. Never rejects. */
  async judge(peer: PeerInfo | undefined, verdicts: Verdicts): Promise<Judgement> {
    if (this.open) return { kind: "admitted", until: Infinity };
    if (peer === undefined) return { kind: "unknown", reason: "no entry of it is known" };
    for (const predicate of this.require) {
      try {
        if (!predicate(peer)) return { kind: "refused", reason: "a predicate does not hold" };
      } catch (error) {
        const reason = `a predicate failed: ${reasonOf(error)}`;
        this.environment.observe("error", "predicate failed", { peer: peer.id, reason });
        return { kind: "refused", reason };
      }
    }
    for (const known of verdicts.keys()) {
      if (!peer.tickets.some(({ hash }) => known.endsWith(` ${hash}`))) verdicts.delete(known);
    }
    let until = Infinity;
    for (const [index, validator] of this.tickets.entries()) {
      const judgement = await this.#tickets(peer, validator, index, verdicts);
      if (judgement.kind !== "admitted") return judgement;
      until = Math.min(until, judgement.until);
    }
    return { kind: "admitted", until };
  }

  /** The longest that a ticket of the validator's class admits the peer. */
  async #tickets(
    peer: PeerInfo,
    validator: TicketValidator,
    index: number,
    verdicts: Verdicts,
  ): Promise<Judgement> {
    const { wall } = this.environment.clock;
    const own = peer.tickets.filter((it) => it.class === validator.class).slice(0, MAX_TICKETS);
    let best: number | undefined;
    let refused = `it shows no ticket of class ${validator.class}`;
    let missing: string | undefined;
    for (const { hash } of own) {
      const known = `${index} ${hash}`;
      const checked = verdicts.get(known) ?? await this.#check(peer, validator, hash);
      if (checked === undefined) {
        missing = `its ticket of class ${validator.class} cannot be had or checked`;
        continue;
      }
      verdicts.set(known, checked);
      if ("refused" in checked) refused = checked.refused;
      else best = Math.max(best ?? -Infinity, checked.until);
    }
    if (best !== undefined && best >= wall()) return { kind: "admitted", until: best };
    if (missing !== undefined) return { kind: "unknown", reason: missing };
    if (best === undefined) return { kind: "refused", reason: refused };
    return { kind: "expired", reason: `its ticket of class ${validator.class} ran out` };
  }

  async #check(
    peer: PeerInfo,
    validator: TicketValidator,
    hash: string,
  ): Promise<Checked | undefined> {
    let body: Uint8Array | undefined;
    try {
      body = await this.catalog.ticket(peer.id, hash);
    } catch {
      return undefined;
    }
    if (body === undefined) return undefined;
    try {
      return await validator.check(body, peer, this.environment.clock.wall());
    } catch (error) {
      // What it lacked may be there the next time.
      const fields = { peer: peer.id, class: validator.class, reason: reasonOf(error) };
      this.environment.observe("error", "validator failed", fields);
      return undefined;
    }
  }
}
