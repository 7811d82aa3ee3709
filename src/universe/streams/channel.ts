/**
 * One end of a typed stream: frames decoded, a reason at the end, and a heartbeat. Whoever is
 * silent for `SILENT_MS` is cut, since a carrier alone does not notice a frozen process.
 */
import type { Clock } from "../environment.ts";
import { FrameError } from "../hello.ts";
import type { Stream, StreamEvents } from "../network.ts";
import { BEAT_FRAME, closeFrame, type CloseReason, decodeFrame, type Frame } from "./frames.ts";

/** Without a frame for so long, a beat is sent. */
export const BEAT_MS = 2_000;
/** Silence after which the other side is cut. */
export const SILENT_MS = 8_000;

/** How a channel ended that its owner did not close. */
export interface End {
  /** The typed reason; undefined where the carrier ended, or the other side was silent. */
  readonly reason: CloseReason | undefined;
  /** Who gave the reason. */
  readonly by: "us" | "them";
  /** For logs. */
  readonly detail: string;
}

/** What the owner of a channel hears; nothing after `ended`, and nothing after its own `close`. */
export interface ChannelEvents {
  /** A frame, but for beats. A `FrameError` that it throws ends the channel as a violation. */
  frame(frame: Frame): void;
  ended(end: End): void;
}

/** See the module. */
export class Channel {
  #open = true;
  #heard: number;
  #sent: number;

  constructor(readonly stream: Stream, readonly clock: Clock, readonly owner: ChannelEvents) {
    this.#heard = this.#sent = clock.now();
  }

  get open(): boolean {
    return this.#open;
  }

  /** What hears the carrier's stream. */
  get events(): StreamEvents {
    return {
      frame: (bytes) => this.#frame(bytes),
      closed: (reason) => this.#end({ reason: undefined, by: "them", detail: reason }),
    };
  }

  /** Sends a frame; false when the channel has ended. */
  send(frame: Uint8Array): boolean {
    if (!this.#open) return false;
    this.#sent = this.clock.now();
    return this.stream.send(frame);
  }

  /** Ends the channel with a reason, after what was sent. */
  close(reason: CloseReason): void {
    if (!this.#open) return;
    this.#open = false;
    this.stream.send(closeFrame(reason));
    this.stream.close(reason);
  }

  /** Called now and then; `paused` after a pause of this process, when silence says nothing. */
  beat(now: number, paused: boolean): void {
    if (!this.#open) return;
    if (paused) this.#heard = now;
    const silent = now - this.#heard;
    if (silent > SILENT_MS) {
      this.#end({ reason: undefined, by: "us", detail: `silent for ${silent} ms` });
      this.stream.close("silent");
    } else if (now - this.#sent >= BEAT_MS) {
      this.send(BEAT_FRAME);
    }
  }

  #frame(bytes: Uint8Array): void {
    if (!this.#open) return;
    this.#heard = this.clock.now();
    try {
      const frame = decodeFrame(bytes);
      if (frame.type === "beat") return;
      if (frame.type !== "close") return this.owner.frame(frame);
      this.#end({ reason: frame.reason, by: "them", detail: frame.reason });
      this.stream.close(frame.reason);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      if (!this.#open) return;
      this.close("Violation");
      this.owner.ended({ reason: "Violation", by: "us", detail: error.message });
    }
  }

  #end(end: End): void {
    if (!this.#open) return;
    this.#open = false;
    this.owner.ended(end);
  }
}

/** Beats for the channels of one owner, while there are any. */
export class Pulse {
  #cancel: (() => void) | undefined;
  #last = 0;

  constructor(readonly clock: Clock, readonly channels: () => Iterable<Channel>) {}

  /** There is a channel. */
  start(): void {
    if (this.#cancel !== undefined) return;
    this.#last = this.clock.now();
    this.#arm();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(): void {
    this.#cancel = this.clock.after(BEAT_MS / 2, () => {
      const now = this.clock.now();
      const paused = now - this.#last > SILENT_MS / 2;
      this.#last = now;
      const channels = [...this.channels()];
      for (const channel of channels) channel.beat(now, paused);
      this.#cancel = undefined;
      if (channels.length > 0) this.#arm();
    });
  }
}
