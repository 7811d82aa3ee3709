/** Tokens as tickets of typed streams: a peer shows the token that its entry names. */
import type { TicketValidator } from "../universe/streams/options.ts";
import { JwtError, type JwtVerifier } from "./jwt.ts";

/** The class of tickets that are tokens. */
export const JWT_CLASS = "jwt";

/** A validator of tickets whose body is a token in ASCII, bound to the peer's key. */
export function jwtTickets(
  verifier: JwtVerifier,
  ticketClass: string = JWT_CLASS,
): TicketValidator {
  return {
    class: ticketClass,
    async check(body, { key }, now) {
      try {
        return await verifier.verify(new TextDecoder().decode(body), key, now);
      } catch (error) {
        if (!(error instanceof JwtError)) throw error;
        return { refused: error.message };
      }
    },
  };
}
