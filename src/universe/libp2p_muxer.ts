/**
 * Yamux with three bounds that it lacks: on the control frames that a peer makes this side send, on
 * window updates, and on the streams that a peer opens, whatever becomes of them. Data waits until
 * the connection takes more; answers to pings and resets do not, and cost as much CPU.
 */
import type { MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from "@libp2p/interface";
import { yamux } from "@libp2p/yamux";
import { Bucket } from "./bucket.ts";
import type { Clock } from "./environment.ts";
import { type Limits, MAX_MUXED_OUT } from "./limits.ts";
import { FRAME_HEADER_BYTES, WindowUpdates } from "./window_updates.ts";

/** The peer goes over a limit of its connection, which ends for it. */
export class OverLimit extends Error {
  override readonly name = "OverLimit";
  constructor(readonly limit: "controls" | "opensPerConnection") {
    super(`over the limit ${limit}`);
  }
}

/** What a muxer of libp2p calls for each stream that its peer opens. */
interface Opening {
  onRemoteStream(stream: Stream): void;
}

/** The muxer of a node. */
export function boundedYamux(
  clock: Clock,
  { muxed, controls, opensPerConnection }: Pick<
    Limits,
    "muxed" | "controls" | "opensPerConnection"
  >,
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
                connection.abort(new OverLimit("controls"));
                return false;
              }
              more = send(frame);
            }
          } catch {
            return false; // the connection is gone
          }
          return more;
        };
        const muxer = yamux.createStreamMuxer(connection) as StreamMuxer & Opening;
        const opens = new Bucket(opensPerConnection, clock.now());
        const open = muxer.onRemoteStream.bind(muxer);
        muxer.onRemoteStream = (stream) => {
          if (opens.take(1, clock.now())) open(stream);
          else connection.abort(new OverLimit("opensPerConnection"));
        };
        return muxer;
      },
    };
  };
}
