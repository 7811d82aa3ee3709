/**
 * Tickets by reference: an entry names the hash of each, the body is asked for here. The dialer
 * sends the hash (32), the answerer the body, or nothing where it does not show that ticket.
 */
import { equal } from "../../protocol/bytes.ts";
import { blake3 } from "../../protocol/hash.ts";
import type { Environment } from "../environment.ts";
import { FrameError } from "../hello.ts";
import { NetworkError, type Stream, type StreamEvents, type StreamKind } from "../network.ts";
import type { Target } from "../transport.ts";
import { MAX_TICKET } from "./own.ts";

/** The stream of ticket bodies. */
export const TICKET: StreamKind = {
  name: "ticket",
  maxFrame: MAX_TICKET,
  maxBuffered: 2 * MAX_TICKET,
  maxPerPeer: 2,
};

/** How long a body may take, and a question, in milliseconds. */
export const TICKET_MS = 5_000;

/** Answers one question. */
export function answerTicket(
  stream: Stream,
  environment: Environment,
  body: (hash: Uint8Array) => Uint8Array | undefined,
): StreamEvents {
  stream.limit(32);
  const cancel = environment.clock.after(TICKET_MS, () => stream.close("no question in time"));
  return {
    frame(hash) {
      if (hash.length !== 32) {
        throw new FrameError("length", `a ticket's hash of ${hash.length} bytes, expected 32`);
      }
      stream.send(body(hash) ?? new Uint8Array(0));
      stream.close("answered");
    },
    closed: cancel,
  };
}

/** Asks a peer for a body; undefined if it has none, a `NetworkError` for one that is another. */
export function askTicket(
  connect: (
    target: Target,
    kind: StreamKind,
    events: (stream: Stream) => StreamEvents,
  ) => Promise<Stream>,
  environment: Environment,
  target: Target,
  hash: Uint8Array,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new NetworkError("unreachable", reason));
    connect(target, TICKET, (stream) => {
      const cancel = environment.clock.after(TICKET_MS, () => stream.close("no ticket in time"));
      stream.send(hash);
      return {
        frame(body) {
          if (body.length === 0) resolve(undefined);
          else if (equal(blake3(body), hash)) resolve(body.slice());
          else fail("the peer answered with another ticket");
          stream.close("answered");
        },
        closed(reason) {
          cancel();
          fail(reason);
        },
      };
    }).catch(reject);
  });
}
