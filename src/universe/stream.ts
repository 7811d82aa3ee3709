/**
 * A stream after its hello: the bounds of its kind in both directions, and the promises to its
 * owner: frames in order, `closed` exactly once, nothing after it, and no exception of the owner
 * that reaches anyone else.
 */
import type { Environment } from "./environment.ts";
import { PREFIX } from "./framing.ts";
import type { Guard, Waiting } from "./guard.ts";
import type { Peer, Stream, StreamEvents, StreamKind } from "./network.ts";
import type { Link } from "./transport.ts";

/** Bytes counted for a frame beside its own, so that empty frames are bounded too. */
const FRAME_COST = 4;

/** The message of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Who is told what passes a stream. */
export interface Meters {
  readonly guard: Guard;
  /** Whether what the peer sends is counted too. */
  readonly receives: boolean;
}

/** A stream of this node. It takes over the link's events in its constructor. */
export class BoundStream implements Stream, Waiting {
  #events: StreamEvents | undefined;
  /** Frames sent before `begin`. */
  #held: Uint8Array[] | undefined = [];
  #heldBytes = 0;
  #ended: string | undefined;

  /** `release` is called once when the stream ended, whoever ended it, and nothing of it waits. */
  constructor(
    readonly peer: Peer,
    readonly kind: StreamKind,
    readonly link: Link,
    readonly environment: Environment,
    readonly meters: Meters,
    readonly release: (stream: BoundStream) => void,
  ) {
    link.limit = kind.maxFrame;
    link.events = {
      frame: (bytes) => this.#frame(bytes),
      oversize: (length) => this.#oversize(length),
      closed: (reason) => this.end(reason, "none", true),
    };
  }

  get open(): boolean {
    return this.#ended === undefined;
  }

  /** Sends `first`, then what the owner sent meanwhile; from now on `events` hears the stream. */
  begin(events: StreamEvents, first?: Uint8Array): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#heldBytes = 0;
    this.#events = events;
    if (this.#ended !== undefined) {
      queueMicrotask(() => this.#tell());
      return;
    }
    if (first !== undefined) this.link.send(first);
    for (const frame of held) this.#pass(frame);
    this.meters.guard.sent(this);
  }

  get waiting(): number {
    return this.link.waiting + this.#heldBytes;
  }

  cut(reason: string): void {
    if (this.#ended === undefined) this.end(reason, "abort");
    else this.link.abort();
  }

  send(frame: Uint8Array): boolean {
    if (this.#ended !== undefined) return false;
    if (frame.length > this.kind.maxFrame) {
      this.#say("error", "frame over limit", { length: frame.length, limit: this.kind.maxFrame });
      this.end(`own frame of ${frame.length} bytes, at most ${this.kind.maxFrame}`, "abort");
      return false;
    }
    const { waiting } = this;
    if (waiting > 0 && waiting + frame.length + FRAME_COST > this.kind.maxBuffered) {
      this.#say("warn", "slow reader cut", { waiting, limit: this.kind.maxBuffered });
      this.end(`${waiting} bytes wait to be sent, at most ${this.kind.maxBuffered}`, "abort");
      return false;
    }
    if (this.#held === undefined) {
      this.#pass(frame);
    } else {
      this.#heldBytes += frame.length + FRAME_COST;
      this.#held.push(frame);
    }
    this.meters.guard.sent(this);
    return this.#ended === undefined;
  }

  #pass(frame: Uint8Array): void {
    this.link.send(frame);
    this.meters.guard.passed(this.kind, frame.length + PREFIX, 0);
  }

  limit(bytes: number): void {
    this.link.limit = Math.min(bytes, this.kind.maxFrame);
  }

  close(reason = "closed"): void {
    this.end(reason, "close");
  }

  /** Ends the stream once. The owner hears it in this turn if `now`, else after it. */
  end(reason: string, link: "close" | "abort" | "none", now = false): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    const left = link === "close" ? this.link.close() : undefined;
    if (link === "abort") this.link.abort();
    // What still waits is held, and counted, until it has left.
    if (left !== undefined && this.waiting > 0) left.then(() => this.#release());
    else this.#release();
    if (this.#events === undefined) return;
    if (now) this.#tell();
    else queueMicrotask(() => this.#tell());
  }

  #release(): void {
    this.meters.guard.ended(this);
    this.release(this);
  }

  #tell(): void {
    try {
      this.#events?.closed(this.#ended ?? "closed");
    } catch (error) {
      this.#say("error", "stream listener failed", { reason: reasonOf(error) });
    }
  }

  #frame(bytes: Uint8Array): void {
    if (this.#ended !== undefined) return;
    const { guard, receives } = this.meters;
    guard.passed(this.kind, 0, bytes.length + PREFIX);
    if (receives && !guard.frame(this.peer.id, bytes.length)) {
      return this.end("the peer sends too much", "abort");
    }
    try {
      this.#events?.frame(bytes);
    } catch (error) {
      const reason = reasonOf(error);
      this.#say("warn", "stream failed", { reason });
      this.end(reason, "abort");
    }
  }

  #oversize(length: number): void {
    const { limit } = this.link;
    this.#say("warn", "frame over limit", { length, limit });
    this.end(`frame of ${length} bytes, at most ${limit}`, "abort");
  }

  #say(level: "warn" | "error", event: string, fields: Record<string, string | number>): void {
    this.environment.observe(level, event, {
      peer: this.peer.id,
      role: this.peer.role,
      kind: this.kind.name,
      ...fields,
    });
  }
}
