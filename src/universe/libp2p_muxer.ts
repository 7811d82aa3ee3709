/**
 * Yamux with two bounds that it lacks: on the control frames that a peer makes this side send, and
 * on window updates. Data waits until the connection takes more; answers to pings and resets do not,
 * and cost as much CPU.
 */
import type { MessageStream, StreamMuxerFactory } from "@libp2p/interface";
import { yamux } from "@libp2p/yamux";
import { Bucket } from "./bucket.ts";
import type { Clock } from "./environment.ts";
import { type Limits, MAX_MUXED_OUT } from "./limits.ts";
import { FRAME_HEADER_BYTES, WindowUpdates } from "./window_updates.ts";

/** The peer makes this side send too many control frames. */
export class TooManyControls extends Error {
  override readonly name = "TooManyControls";
}

/** The muxer of a node. */
export function boundedYamux(
  clock: Clock,
  { muxed, controls }: Pick<Limits, "muxed" | "controls">,
): () => StreamMuxerFactory {
  const make = yamux({ maxInboundStreams: muxed, maxOutboundStreams: MAX_MUXED_OUT });
  return () => {
    const yamux = make();
    return {
      protocol: yamux.protocol,
      createStreamMuxer(connection: MessageStream) {
        const bucket = new Bucket(controls, clock.now()), updates = new WindowUpdates();
        const send = connection.send.bind(connection);
        // A control frame never throws: the muxer sends them where nobody catches anything, also
        // while it ends a connection.
        connection.send = (data) => {
          if (data.byteLength > FRAME_HEADER_BYTES) return send(data);
          let more = true;
          try {
            for (const frame of updates.pass(data.subarray())) {
              if (!bucket.take(1, clock.now())) {
                connection.abort(new TooManyControls(`over ${controls.perSecond} in a second`));
                return false;
              }
              more = send(frame);
            }
          } catch {
            return false; // the connection is gone
          }
          return more;
        };
        return yamux.createStreamMuxer(connection);
      },
    };
  };
}
