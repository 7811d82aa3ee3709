/**
 * One consumer as its producer has it: the handshake, the judgement, what waits for it, what it was
 * sent.
 */
import type { CatalogView, PeerInfo } from "../discovery/view.ts";
import type { Environment } from "../environment.ts";
import { FrameError } from "../hello.ts";
import type { Stream } from "../network.ts";
import { Channel, type End } from "./channel.ts";
import { acceptedFrame, type CloseReason, type Frame, MAX_CONTROL, type Window } from "./frames.ts";
import type { Gate, Judgement } from "./gate.ts";
import { leastWindow, windowOf } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { Review } from "./review.ts";

/** How long a consumer has to subscribe, in milliseconds. */
export const SUBSCRIBE_MS = 5_000;

/** A consumer, to those who ask the producer. */
export interface ConsumerStatus {
  /** Its entry as it is known now. */
  readonly peer: PeerInfo;
  /** Data sent to it, and their bytes as the codec has them. */
  readonly datums: number;
  readonly bytes: number;
  /** Data that it missed, since its buffer was full. */
  readonly dropped: number;
  /** Data that wait for it, and their bytes. */
  readonly waiting: Window;
  /** Milliseconds since it was admitted. */
  readonly uptime: number;
}

/** What a subscriber needs of its producer. */
export interface SubscriberHost {
  readonly name: string;
  readonly environment: Environment;
  readonly catalog: CatalogView;
  readonly gate: Gate;
  readonly maxDatum: number;
  readonly buffer: Window;
  /** Whether there is no room for one more. */
  full(): boolean;
  /** It is admitted, has room again, or ended. */
  changed(): void;
  ended(subscriber: Subscriber): void;
}

/** See the module. */
export class Subscriber {
  readonly channel: Channel;
  readonly #review: Review;
  readonly #cancel: () => void;
  #state: "greeting" | "judging" | "admitted" | "ended" = "greeting";
  #outbox: Outbox | undefined;
  #window: Window | undefined;
  #datums = 0;
  #bytes = 0;
  #since = 0;
  dropped = 0;

  constructor(readonly stream: Stream, readonly host: SubscriberHost) {
    const { environment: { clock }, catalog, gate } = host;
    stream.limit(MAX_CONTROL);
    this.channel = new Channel(stream, clock, {
      frame: (frame) => this.#frame(frame),
      ended: (end) => this.#ended(end),
    });
    this.#review = new Review(
      gate,
      () => catalog.get(stream.peer.id) ?? (gate.open ? this.peer : undefined),
      (judgement) => this.#judged(judgement),
    );
    this.#cancel = clock.after(SUBSCRIBE_MS, () => {
      if (this.#state === "greeting") this.close("Violation", "it did not subscribe in time");
    });
  }

  get admitted(): boolean {
    return this.#state === "admitted";
  }

  /** Its entry as it is known now; what the carrier proves of it where there is none. */
  get peer(): PeerInfo {
    const { id, key, addresses } = this.stream.peer;
    return this.host.catalog.get(id) ?? {
      id,
      key,
      addresses,
      tags: new Set(),
      streams: new Set(),
      instances: new Set(),
      tickets: [],
    };
  }

  get status(): ConsumerStatus {
    return {
      peer: this.peer,
      datums: this.#datums,
      bytes: this.#bytes,
      dropped: this.dropped,
      waiting: this.#outbox?.waiting ?? { items: 0, bytes: 0 },
      uptime: this.host.environment.clock.now() - this.#since,
    };
  }

  /** Its entry may have changed. */
  review(): void {
    if (this.#state === "judging" || this.#state === "admitted") this.#review.look();
  }

  /** Whether a datum's frame would be taken. */
  takes(frame: Uint8Array): boolean {
    return this.#outbox?.takes(frame) ?? false;
  }

  /** Takes a datum's frame; call `takes` before. */
  push(frame: Uint8Array): void {
    this.#outbox?.push(frame);
  }

  /** Ends it with a reason. */
  close(reason: CloseReason, detail: string = reason): void {
    if (this.#state === "ended") return;
    this.channel.close(reason);
    this.#ended({ reason, by: "us", detail });
  }

  #frame(frame: Frame): void {
    if (frame.type === "subscribe" && this.#state === "greeting") {
      const { maxDatum } = this.host;
      const least = leastWindow(maxDatum), most = windowOf(maxDatum);
      const { items, bytes } = frame.window;
      if (items < least.items || bytes < least.bytes) {
        throw new FrameError("range", `subscribe: a window of ${items} data and ${bytes} bytes`);
      }
      this.#window = {
        items: Math.min(items, most.items),
        bytes: Math.min(bytes, most.bytes),
      };
      this.#state = "judging";
      this.#cancel();
      this.#review.look();
    } else if (frame.type === "credit" && this.#outbox && frame.window.items > 0) {
      this.#outbox.credit(frame.window);
      this.host.changed();
    } else {
      throw new FrameError("shape", `an unexpected ${frame.type} of a consumer`);
    }
  }

  #judged(judgement: Judgement): void {
    if (judgement.kind === "refused") return this.close("NotAllowed", judgement.reason);
    if (judgement.kind === "expired") return this.close("Expired", judgement.reason);
    if (judgement.kind === "unknown") return this.close("Unknown", judgement.reason);
    if (this.#state !== "judging") return;
    if (this.host.full()) return this.close("NoCapacity");
    const window = this.#window!;
    this.#state = "admitted";
    this.#since = this.host.environment.clock.now();
    this.#outbox = new Outbox(this.host.buffer, window, (frame) => {
      this.#datums++;
      this.#bytes += frame.length - 1;
      this.channel.send(frame);
    });
    this.channel.send(acceptedFrame(window));
    this.host.changed();
  }

  #ended({ reason, by, detail }: End): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#cancel();
    this.#review.end();
    const level = reason === "Violation" && by === "us" ? "warn" : "debug";
    this.host.environment.observe(level, "consumer gone", {
      stream: this.host.name,
      peer: this.stream.peer.id,
      reason: reason ?? "carrier",
      detail,
    });
    this.host.ended(this);
  }
}
