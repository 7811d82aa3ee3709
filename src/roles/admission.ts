/**
 * The gate in front of a server's streams: first both sides prove the committee's secret
 * (`src/committee/handshake.ts`), and only then the owner of the stream hears it. A refused peer
 * sees a closed stream; why is in the log here. Each run is one guess at the secret, so whoever
 * fails has to pause, longer each time; and unproven streams are few, short and small: one of a peer,
 * and where too many wait the oldest gives way, so that whoever can prove the secret gets to it. Where
 * servers are attested, nobody comes near the handshake without a ticket that holds, and whose ticket ends
 * is cut.
 */
import {
  Answering,
  type Channel,
  COMBINATIONS,
  Dialing,
  MAX_HANDSHAKE_FRAME,
} from "../committee/handshake.ts";
import { MAX_CANDIDATES } from "../committee/membership.ts";
import { hex } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream, StreamEvents, StreamKind } from "../universe/network.ts";

/** How long a handshake may take. */
export const HANDSHAKE_MS = 5_000;
/** Streams of one kind that may be unproven at a time, of all who never proved the secret here. */
export const MAX_UNPROVEN = 32;
/** Runs that a peer may fail before it has to pause. */
export const FREE_FAILURES = 3;
/** First and longest pause after one more. */
export const PAUSE_MS = 1_000, MAX_PAUSE_MS = 60_000;
/** Peers of which failures are remembered. */
const MAX_TRACKED = 1_024;
/** Peers that proved the secret, of whom that is remembered. */
export const MAX_INSIDERS: number = MAX_CANDIDATES;

/** How long a server may come without a ticket before that is logged: its ticket may be on the way. */
const UNATTESTED_MS = 5_000;

/** Which servers have a ticket that holds: `AttestedServers`. */
export interface Attested {
  /** Why a server has none, or undefined. */
  refusal(key: Uint8Array): string | undefined;
  /** Told of each change, with the reason where a ticket does not hold any more. */
  onChange(listener: (key: Uint8Array, refusal: string | undefined) => void): () => void;
}

/** What a gate is made of. */
export interface GateOptions {
  readonly network: Network;
  readonly environment: Environment;
  /** Instance id, 32 bytes. */
  readonly instance: Uint8Array;
  /** The committee's secret, and perhaps one more that is accepted while it is changed. */
  readonly secrets: readonly Uint8Array[];
  /** Where only attested servers are let in. */
  readonly attested?: Attested;
}

/** What is known of a peer. */
interface Tries {
  /** Failed runs in a row. */
  failures: number;
  /** Time before which there is no other run. */
  until: number;
  /** Which of the combinations of secrets is dialed next. */
  combination: number;
}

/** One frame of the handshake: true once the peer has proven itself. Throws where it has not. */
type Step = (frame: Uint8Array) => boolean;

/** See the module comment. */
export class Gate {
  readonly #tries = new Map<string, Tries>();
  /** What ends unproven streams: by kind, then by peer, oldest first. */
  readonly #unproven = new Map<string, Map<string, () => void>>();
  /** Who proved the secret once, latest last: their streams give way to nobody. */
  readonly #insiders = new Set<string>();
  /** Streams of those who are in, by peer. */
  readonly #proven = new Map<string, Set<Stream>>();
  /** Since when a peer has come without a ticket. */
  readonly #unattested = new Map<string, number>();

  constructor(readonly options: GateOptions) {
    options.attested?.onChange((key, refusal) => {
      const id = hex(key);
      this.#unattested.delete(id);
      if (refusal === undefined) return;
      for (const stream of [...this.#proven.get(id) ?? []]) stream.close(refusal);
    });
  }

  /**
   * Answers streams of a kind. `refuses` says why a peer may not even try, or undefined; `accept`
   * gets the stream once the peer has proven the secret, and may send at once.
   */
  serve(
    kind: StreamKind,
    refuses: (peer: Peer) => string | undefined,
    accept: (stream: Stream) => StreamEvents,
  ): void {
    const { network, environment: { clock, random }, instance, secrets } = this.options;
    network.serve(kind, (stream) => {
      const { peer } = stream;
      const refused = refuses(peer);
      if (refused !== undefined) {
        this.#refused(stream, kind, refused);
        return undefined;
      }
      if (!this.#attested(stream, kind)) return undefined;
      const wait = (this.#tries.get(peer.id)?.until ?? 0) - clock.now();
      if (wait > 0) throw new ProtocolError("mismatch", `may try the secret again in ${wait} ms`);
      let gaveWay = false;
      const done = this.#waits(kind, peer, () => {
        gaveWay = true;
        stream.close("another one took its place");
      });
      const channel = channelOf(instance, kind, peer, network.self);
      const answering = new Answering(random, channel, secrets);
      let frames = 0;
      const step: Step = (frame) => {
        stream.send(++frames === 1 ? answering.reply(frame) : answering.finish(frame));
        return frames === 2;
      };
      // Who says nothing failed too: a place was held for it.
      return this.#handshake(stream, kind, step, accept, () => !gaveWay, done);
    });
  }

  /** An unproven stream has a place; the returned function gives it back. */
  #waits({ name }: StreamKind, { id }: Peer, end: () => void): () => void {
    const all = this.#unproven.get(name) ?? new Map<string, () => void>();
    this.#unproven.set(name, all);
    const strangers = [...all.keys()].filter((other) => !this.#insiders.has(other));
    const full = !this.#insiders.has(id) && strangers.length >= MAX_UNPROVEN;
    const gives = all.has(id) ? id : full ? strangers[0] : undefined;
    if (gives !== undefined) {
      all.get(gives)!();
      all.delete(gives);
    }
    all.set(id, end);
    return () => void (all.get(id) === end && all.delete(id));
  }

  /** Wraps what listens to a stream that this server opened, as `serve` does. */
  dialing(
    kind: StreamKind,
    accept: (stream: Stream) => StreamEvents,
  ): (stream: Stream) => StreamEvents {
    const { network, environment: { random }, instance, secrets } = this.options;
    return (stream) => {
      const combination = this.#tries.get(stream.peer.id)?.combination ?? 0;
      const own = secrets[combination % secrets.length];
      const theirs = Math.floor(combination / secrets.length) % (COMBINATIONS / 2);
      const channel = channelOf(instance, kind, network.self, stream.peer);
      const dialing = new Dialing(random, channel, own, theirs);
      let frames = 0;
      const step: Step = (frame) => {
        if (++frames === 1) stream.send(dialing.reply(frame));
        else dialing.finish(frame);
        return frames === 2;
      };
      stream.send(dialing.first);
      // From the dialer's confirmation on the other side may have had its guess.
      return this.#handshake(stream, kind, step, accept, () => frames > 0, () => {});
    };
  }

  /** Whether a peer may be dialed now; not while it pauses, nor without a ticket. */
  ready(peer: Peer): boolean {
    if (this.options.attested?.refusal(peer.key) !== undefined) return false;
    return (this.#tries.get(peer.id)?.until ?? 0) <= this.options.environment.clock.now();
  }

  /** Listens until the peer has proven itself, then hands the stream over. `done` runs once. */
  #handshake(
    stream: Stream,
    kind: StreamKind,
    step: Step,
    accept: (stream: Stream) => StreamEvents,
    guessed: () => boolean,
    done: () => void,
  ): StreamEvents {
    const cancel = this.options.environment.clock.after(
      HANDSHAKE_MS,
      () => stream.close(`no proof of the committee secret within ${HANDSHAKE_MS} ms`),
    );
    const end = () => {
      cancel();
      done();
    };
    let inner: StreamEvents | undefined, proven = false;
    stream.limit(MAX_HANDSHAKE_FRAME);
    return {
      frame: (bytes) => {
        if (inner) return inner.frame(bytes);
        try {
          if (!step(bytes)) return;
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
          return stream.close(error.message);
        }
        if (!this.#attested(stream, kind)) return stream.close("its ticket ended");
        proven = true;
        this.#enter(stream);
        end();
        this.#passed(stream.peer);
        stream.limit(kind.maxFrame);
        inner = accept(stream);
      },
      closed: (reason) => {
        if (proven) {
          this.#leave(stream);
          return inner?.closed(reason);
        }
        end();
        if (guessed()) this.#failed(stream.peer);
        this.#refused(stream, kind, `did not prove the committee secret: ${reason}`);
      },
    };
  }

  /** Whether a peer has shown a ticket that holds, where it needs one. */
  #attested(stream: Stream, kind: StreamKind): boolean {
    const { attested, environment: { clock } } = this.options, { peer } = stream;
    const refusal = attested?.refusal(peer.key);
    if (refusal === undefined) return true;
    const since = this.#unattested.get(peer.id);
    if (since === undefined) {
      if (this.#unattested.size >= MAX_TRACKED) this.#unattested.clear();
      this.#unattested.set(peer.id, clock.now());
    } else if (clock.now() - since > UNATTESTED_MS) {
      this.#unattested.set(peer.id, Infinity);
      this.#refused(stream, kind, `it is not attested: ${refusal}`);
    }
    return false;
  }

  #enter(stream: Stream): void {
    const streams = this.#proven.get(stream.peer.id) ?? new Set();
    this.#proven.set(stream.peer.id, streams.add(stream));
  }

  #leave(stream: Stream): void {
    const { id } = stream.peer, streams = this.#proven.get(id);
    streams?.delete(stream);
    if (streams?.size === 0) this.#proven.delete(id);
  }

  #passed({ id }: Peer): void {
    const tries = this.#tries.get(id);
    if (tries) Object.assign(tries, { failures: 0, until: 0 });
    this.#insiders.delete(id);
    this.#insiders.add(id);
    if (this.#insiders.size > MAX_INSIDERS) {
      this.#insiders.delete(this.#insiders.keys().next().value!);
    }
  }

  #failed({ id }: Peer): void {
    const tries = this.#tries.get(id) ?? { failures: 0, until: 0, combination: 0 };
    const over = ++tries.failures - FREE_FAILURES;
    if (over >= 0) {
      const pause = Math.min(PAUSE_MS * 2 ** Math.min(over, 16), MAX_PAUSE_MS);
      tries.until = this.options.environment.clock.now() + pause;
    }
    tries.combination = (tries.combination + 1) % COMBINATIONS;
    this.#tries.delete(id);
    this.#tries.set(id, tries);
    if (this.#tries.size > MAX_TRACKED) this.#tries.delete(this.#tries.keys().next().value!);
  }

  #refused({ peer }: Stream, kind: StreamKind, reason: string): void {
    this.options.environment.observe("warn", "server refused", {
      peer: peer.id,
      role: peer.role,
      kind: kind.name,
      reason,
    });
  }
}

function channelOf(
  instance: Uint8Array,
  kind: StreamKind,
  dialer: Peer,
  answerer: Peer,
): Channel {
  return { instance, kind: kind.name, dialer: dialer.key, answerer: answerer.key };
}
