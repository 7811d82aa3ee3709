/**
 * What a client shows where a committee asks for it: a ticket over its key that is made for the
 * occasion, and its token. It is renewed at half of its life.
 */
import { formatCollateral } from "../attest/collateral_json.ts";
import { makeTicket, TICKET_MS } from "../attest/ticket.ts";
import { equal, hex } from "../protocol/bytes.ts";
import type { Environment } from "../universe/environment.ts";
import type { Attestation } from "./attestation.ts";
import { Refused } from "./errors.ts";
import type { Evidence, Wanted } from "./evidence.ts";
import { MAX_STAPLE_BYTES } from "./streams.ts";

/** What a client has to show. */
export interface OwnEvidenceOptions {
  /** Where its quotes come from, and what it knows of its platform. */
  readonly attestation?: Attestation;
  readonly token?: string;
  /** How long its tickets hold, ms; an hour unless given. */
  readonly life?: number;
}

/** Evidence that was made, and when there should be another, Unix ms. */
export interface Shown {
  readonly evidence: Evidence;
  readonly renew: number;
}

/**
 * Makes what is wanted of the client with this key. Rejects with `Refused` where it has no such
 * thing, and with what the quote source rejects with.
 */
export async function showEvidence(
  options: OwnEvidenceOptions,
  environment: Environment,
  who: {
    readonly instance: Uint8Array;
    readonly key: Uint8Array;
    /** The anchor that the instance's parameters name, 32 bytes; not zero. */
    readonly anchor: Uint8Array;
  },
  wants: Wanted,
): Promise<Shown> {
  const { attestation, token, life = TICKET_MS } = options, from = environment.clock.wall();
  const missing = (what: string) =>
    new Refused(`the committee does not admit this client: ${what}`);
  if (wants.token && token === undefined) {
    throw missing("it asks for a token; name it in ZIPNET_JWT");
  }
  let ticket: Uint8Array | undefined;
  if (wants.ticket) {
    if (!attestation?.source) {
      throw missing(
        "it asks for an attested ticket; name where quotes come from in ZIPNET_ATTESTATION and " +
          "ZIPNET_PLATFORM",
      );
    }
    const { source, anchor: { fingerprint }, work = (task) => task() } = attestation;
    if (!equal(fingerprint, who.anchor)) {
      throw missing(
        `it asks for a ticket under the anchor ${hex(who.anchor)}, this client's is ` +
          `${hex(fingerprint)}; name the instance's in ZIPNET_ANCHOR`,
      );
    }
    const terms = { ...who, role: "client" as const, freshness: wants.freshness };
    ticket = await work(() => makeTicket(source, { ...terms, from, until: from + life }));
  }
  const staples = wants.collateral ? attestation?.collateral.staples() ?? [] : [];
  const collateral = staples.map(formatCollateral).find(({ length }) => length <= MAX_STAPLE_BYTES);
  return { evidence: { ticket, token, collateral }, renew: from + Math.floor(life / 2) };
}
