/**
 * A libp2p stream as a `Link`: frames behind their length, a queue for what the stream does not
 * take now, and one end whatever way the stream ends.
 */
import type { Stream as RawStream } from "@libp2p/interface";
import { hex } from "../protocol/bytes.ts";
import type { Clock } from "./environment.ts";
import { FrameReader, PREFIX, prefixOf } from "./framing.ts";
import type { Link, LinkEvents } from "./transport.ts";
import type { Unfinished } from "./unfinished.ts";

/** Frames up to this are copied behind their prefix, so that they travel as one message. */
const ONE_MESSAGE = 65_536;
/** How long a closing stream may take to send what it has and hear the other's end. */
const LINGER_MS = 5_000;

/** See the module. `release` is called once, when the stream is gone. */
export class StreamLink implements Link {
  readonly id: string;
  limit = 0;
  readonly #left = Promise.withResolvers<void>();
  #cancel: () => void = () => {};
  #events: LinkEvents | undefined;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #full = false;
  #open = true;
  #closing = false;
  #released = false;

  constructor(
    readonly stream: RawStream,
    readonly key: Uint8Array,
    readonly clock: Clock,
    readonly unfinished: Unfinished,
    readonly release: () => void,
  ) {
    this.id = hex(key);
    const reader = new FrameReader({
      limit: () => this.limit,
      frame: (bytes) => {
        if (this.#open) this.#events?.frame(bytes);
        return this.#open;
      },
      oversize: (length) => this.#events?.oversize(length),
      kept: (bytes) => this.#open && this.unfinished.kept(this, bytes),
    });
    const read = (data: Uint8Array | Iterable<Uint8Array>) => {
      if (data instanceof Uint8Array) reader.push(data);
      else for (const part of data) reader.push(part);
    };
    stream.addEventListener("message", (event) => read(event.data));
    stream.addEventListener("drain", () => this.#drain());
    stream.addEventListener("remoteCloseWrite", () => this.#lost("closed by the peer"));
    stream.addEventListener("close", ({ error, local }) => {
      this.#gone(local === true && error ? error.message : undefined);
    });
    // A stream that was reset during its negotiation says nothing more: `events` looks for that.
  }

  get events(): LinkEvents {
    return this.#events!;
  }
  set events(events: LinkEvents) {
    const first = this.#events === undefined;
    this.#events = events;
    if (first && this.stream.status !== "open") queueMicrotask(() => this.#gone());
  }

  get waiting(): number {
    return this.#queued + this.stream.writeBufferLength;
  }

  send(frame: Uint8Array): void {
    if (!this.#open) return;
    const prefix = prefixOf(frame.length);
    if (frame.length <= ONE_MESSAGE) {
      const message = new Uint8Array(PREFIX + frame.length);
      message.set(prefix);
      message.set(frame, PREFIX);
      this.#write(message);
    } else {
      this.#write(prefix);
      this.#write(frame);
    }
  }

  close(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      this.#closing = true;
      this.#cancel = this.clock.after(LINGER_MS, () => this.abort());
      if (this.#queue.length === 0) this.#finish();
    }
    return this.#left.promise;
  }

  abort(): void {
    if (this.#released) return;
    this.#open = false;
    this.#empty();
    this.stream.abort(new Error("closed"));
  }

  #write(message: Uint8Array): void {
    if (this.#full) {
      this.#queue.push(message);
      this.#queued += message.length;
      return;
    }
    try {
      this.#full = !this.stream.send(message);
    } catch (error) {
      this.stream.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #drain(): void {
    this.#full = false;
    const queue = this.#queue;
    this.#empty();
    for (const message of queue) this.#write(message);
    if (this.#closing && this.#queue.length === 0) this.#finish();
  }

  /** Ends the link as if it had ended from outside. */
  lose(reason: string): void {
    if (!this.#open) return;
    this.abort();
    this.#events?.closed(reason);
  }

  /** Says that nothing more comes from here. */
  #finish(): void {
    this.#closing = false;
    this.stream.close().catch((error) => this.stream.abort(error));
  }

  /** The stream is gone at both sides. */
  #gone(reason = "closed by the peer"): void {
    this.#lost(reason);
    this.#empty();
    if (this.#released) return;
    this.#released = true;
    this.#cancel();
    this.#left.resolve();
    this.unfinished.forget(this);
    this.release();
  }

  /** The peer has ended its half: it hears nothing more, so what still waits for it goes. */
  #lost(reason: string): void {
    const open = this.#open;
    if (this.waiting > 0) this.abort();
    else this.close();
    if (open) this.#events?.closed(reason);
  }

  #empty(): void {
    this.#queue = [];
    this.#queued = 0;
  }
}
