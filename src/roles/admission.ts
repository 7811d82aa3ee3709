/**
 * The gate in front of a server's streams: first both sides prove the committee's secret
 * (`src/committee/handshake.ts`), and only then the owner of the stream hears it. A refused peer
 * sees a closed stream; why is in the log here. Each run is one guess at the secret, so whoever
 * fails has to pause, longer each time; and unproven streams are few, short and small.
 */
import {
  Answering,
  type Channel,
  COMBINATIONS,
  Dialing,
  MAX_HANDSHAKE_FRAME,
} from "../committee/handshake.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream, StreamEvents, StreamKind } from "../universe/network.ts";

/** How long a handshake may take. */
export const HANDSHAKE_MS = 5_000;
/** Streams of one kind that may be unproven at a time, from all peers together. */
export const MAX_UNPROVEN = 32;
/** Runs that a peer may fail before it has to pause. */
export const FREE_FAILURES = 3;
/** First and longest pause after one more. */
export const PAUSE_MS = 1_000, MAX_PAUSE_MS = 60_000;
/** Peers of which failures are remembered. */
const MAX_TRACKED = 1_024;

/** What a gate is made of. */
export interface GateOptions {
  readonly network: Network;
  readonly environment: Environment;
  /** Instance id, 32 bytes. */
  readonly instance: Uint8Array;
  /** The committee's secret, and perhaps one more that is accepted while it is changed. */
  readonly secrets: readonly Uint8Array[];
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
  readonly #unproven = new Map<string, number>();

  constructor(readonly options: GateOptions) {}

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
      const wait = (this.#tries.get(peer.id)?.until ?? 0) - clock.now();
      if (wait > 0) throw new ProtocolError("mismatch", `may try the secret again in ${wait} ms`);
      const unproven = this.#unproven.get(kind.name) ?? 0;
      if (unproven >= MAX_UNPROVEN) {
        throw new ProtocolError("range", `${unproven} other streams are unproven, at most that`);
      }
      this.#unproven.set(kind.name, unproven + 1);
      const done = () => this.#unproven.set(kind.name, this.#unproven.get(kind.name)! - 1);
      const channel = channelOf(instance, kind, peer, network.self);
      const answering = new Answering(random, channel, secrets);
      let frames = 0;
      const step: Step = (frame) => {
        stream.send(++frames === 1 ? answering.reply(frame) : answering.finish(frame));
        return frames === 2;
      };
      return this.#handshake(stream, kind, step, accept, () => frames === 2, done);
    });
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

  /** Whether a peer may be dialed now; not while it pauses. */
  ready(peer: Peer): boolean {
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
        proven = true;
        end();
        this.#proven(stream.peer);
        stream.limit(kind.maxFrame);
        inner = accept(stream);
      },
      closed: (reason) => {
        if (proven) return inner?.closed(reason);
        end();
        if (guessed()) this.#failed(stream.peer);
        this.#refused(stream, kind, `did not prove the committee secret: ${reason}`);
      },
    };
  }

  #proven({ id }: Peer): void {
    const tries = this.#tries.get(id);
    if (tries) Object.assign(tries, { failures: 0, until: 0 });
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
