/**
 * A stream that is opened again whenever it ends: to the same peer, or to any that suits, with a
 * pause that doubles while nothing works.
 */
import type { Clock } from "../universe/environment.ts";
import type { Network, Peer, Stream, StreamEvents, StreamKind } from "../universe/network.ts";

/** First and longest pause between attempts. */
const PAUSE_MS = 100, MAX_PAUSE_MS = 5_000;

/** Time at a server until another is looked for, ms; twice as long each time, so often. */
const SPARE_MS = 5_000, MAX_SPARED = 6;

/** Peers that are remembered as tried; beyond, all are tried again. */
const MAX_TRIED = 256;

/** What a link needs. */
export interface LinkOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly kind: StreamKind;
  /**
   * Peers that would do now, best first. Whoever was tried since a frame came is passed over while
   * there are others, and so is the one tried last.
   */
  readonly candidates: () => readonly Peer[];
  readonly events: (stream: Stream) => StreamEvents;
  /** Longest pause between attempts in ms; 5 s unless given. */
  readonly maxPause?: number;
  /** A server is left again for another that came to be known, where that comes first. */
  readonly sparesServers?: boolean;
  /** An attempt failed. */
  readonly failed?: (peer: Peer, reason: string) => void;
}

/** Keeps one stream open until it is closed. */
export class Link {
  #stream: Stream | undefined;
  #closed = false;
  #opening = false;
  #pause = PAUSE_MS;
  #cancel: (() => void) | undefined;
  #last: string | undefined;
  #spared = 0;
  /** Who was tried since a frame came. */
  readonly #tried = new Set<string>();
  readonly #unsubscribe: () => void;

  constructor(readonly options: LinkOptions) {
    this.#unsubscribe = options.network.onPeer(() => this.#try());
    this.#try();
  }

  /** The stream, while it is open. */
  get stream(): Stream | undefined {
    return this.#stream;
  }

  /** Drops the present peer, for instance since it sent something false, and takes another. */
  drop(reason: string): void {
    this.#stream?.close(reason);
  }

  /** Ends the link for good. */
  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    this.#cancel?.();
    this.#stream?.close("closed");
  }

  #try(): void {
    if (this.#closed || this.#opening || this.#stream || this.#cancel) return;
    const candidates = this.options.candidates();
    const peer = candidates.find(({ id }) => !this.#tried.has(id)) ??
      candidates.find(({ id }) => id !== this.#last) ?? candidates[0];
    if (!peer) return this.#later();
    this.#opening = true;
    if (this.#tried.has(peer.id) || this.#tried.size >= MAX_TRIED) this.#tried.clear();
    this.#tried.add(this.#last = peer.id);
    const { network, kind } = this.options;
    network.open(peer, kind, (stream) => this.#events(stream)).then(
      (stream) => {
        this.#opening = false;
        if (this.#closed) stream.close("closed");
      },
      (error: Error) => {
        this.#opening = false;
        this.options.failed?.(peer, error.message);
        this.#later();
      },
    );
  }

  #events(stream: Stream): StreamEvents {
    const inner = this.options.events(stream);
    this.#stream = stream;
    if (this.options.sparesServers && stream.peer.role === "server") this.#spare(stream);
    return {
      frame: (bytes) => {
        this.#pause = PAUSE_MS;
        this.#tried.clear();
        this.#tried.add(stream.peer.id);
        inner.frame(bytes);
      },
      closed: (reason) => {
        if (this.#stream === stream) this.#stream = undefined;
        inner.closed(reason);
        this.#later();
      },
    };
  }

  #spare(stream: Stream): void {
    const { clock, candidates } = this.options, ms = SPARE_MS * 2 ** this.#spared;
    clock.after(ms, () => {
      if (this.#stream !== stream) return;
      const first = candidates()[0]?.role ?? "server";
      if (first === "server") return this.#spare(stream);
      this.#spared = Math.min(this.#spared + 1, MAX_SPARED);
      stream.close("others serve too");
    });
  }

  #later(): void {
    if (this.#closed || this.#cancel) return;
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, this.options.maxPause ?? MAX_PAUSE_MS);
    this.#cancel = this.options.clock.after(pause, () => {
      this.#cancel = undefined;
      this.#try();
    });
  }
}
