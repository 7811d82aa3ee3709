/** Issuers of tokens for the scenarios, and validators of them. */
import { JWT_SLACK_S, jwtVerifier } from "../../../src/ops/jwt.ts";
import { jwtTickets } from "../../../src/ops/jwt_tickets.ts";
import type { TicketValidator } from "../../../src/universe/streams/options.ts";
import { ec, INSTANCE, type Issuer, token } from "../../ops/issuer.ts";
import type { Member, StreamsWorld } from "./world.ts";

/** What a token says beside whom it is for. */
export interface Said {
  /** How long it is accepted from now on, in milliseconds; the verifier's slack is taken into account. */
  readonly forMs: number;
  readonly audience?: string;
}

/** One issuer, to the scenarios. */
export class Issuing {
  constructor(
    readonly issuer: Pick<Issuer, "alg" | "sign">,
    readonly validator: TicketValidator,
  ) {}

  /** A token for a member. */
  token(member: Member, { forMs, audience = INSTANCE }: Said): Uint8Array {
    const exp = Math.floor((member.environment.clock.now() + forMs) / 1000) - JWT_SLACK_S;
    return new TextEncoder().encode(token(this.issuer, { aud: audience, sub: member.id, exp }));
  }

  /** Lets a member show a token in its entry, as its ticket of the validator's class. */
  show(member: Member, said: Said): void {
    member.streams.entry.setTicket(this.validator.class, this.token(member, said));
  }
}

/** An issuer and the validator of its tokens. */
export async function issuing(
  world: StreamsWorld,
  { by = ec, key = by.pem, ticketClass = "jwt", audience = INSTANCE }: {
    readonly by?: Pick<Issuer, "alg" | "sign" | "pem">;
    readonly key?: string;
    readonly ticketClass?: string;
    readonly audience?: string;
  } = {},
): Promise<Issuing> {
  const verifier = await jwtVerifier({ key, instance: audience });
  const inner = jwtTickets(verifier, ticketClass);
  return new Issuing(by, {
    class: inner.class,
    check: (...of) => world.work(() => inner.check(...of)),
  });
}
