/**
 * Why rounds were void, as each server tells whoever asks: a server's own word, which no record and
 * no certificate bears out, so it is heard from the servers alone and shown as what one of them says.
 *
 * Frames out: u64 round ‖ reason, ASCII; the last `MAX_VOIDS` at once, then each as it comes.
 */
import { MAX_REASON, reasonBytes, reasonText } from "../committee/reason.ts";
import { hex, Reader, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Stream, StreamEvents } from "../universe/network.ts";
import type { Epochs } from "./epochs.ts";
import { Link } from "./link.ts";
import { VOIDS } from "./streams.ts";

/** Void rounds that are remembered: by a server, and of each server by who hears them. */
export const MAX_VOIDS = 64;
/** Who may hear a server at one time. */
export const MAX_LISTENERS = 256;

/** A round without a record. */
export interface VoidRound {
  readonly round: number;
  /** A stranger's words: short printable ASCII. */
  readonly reason: string;
}

/** A void round, and the place in the manifest of the server that told of it. */
export interface ToldVoid extends VoidRound {
  readonly server: number;
}

/** The frame of a void round. */
export function encodeVoid({ round, reason }: VoidRound): Uint8Array {
  return new Writer().u64(round).bytes(reasonBytes(reason)).end();
}

/** Reads it strictly; throws a `ProtocolError`. */
export function decodeVoid(frame: Uint8Array): VoidRound {
  const reader = new Reader(frame, "void round"), round = reader.u64();
  if (reader.left > MAX_REASON) reader.fail("range", `a reason of ${reader.left} bytes`);
  return { round, reason: reasonText(reader.bytes(reader.left)) };
}

/** A server's side, in one epoch. */
export class VoidFeed {
  readonly #told: Uint8Array[] = [];
  readonly #listeners = new Set<Stream>();

  /** Somebody listens. Throws a `ProtocolError` where too many do. */
  accept(stream: Stream): StreamEvents {
    if (this.#listeners.size >= MAX_LISTENERS) {
      throw new ProtocolError("range", `already ${MAX_LISTENERS} listen for void rounds`);
    }
    this.#listeners.add(stream);
    stream.limit(0);
    for (const frame of this.#told) stream.send(frame);
    return {
      frame: () => stream.close("nothing is expected here"),
      closed: () => this.#listeners.delete(stream),
    };
  }

  /** A round was void. */
  tell(told: VoidRound): void {
    const frame = encodeVoid(told);
    this.#told.push(frame);
    if (this.#told.length > MAX_VOIDS) this.#told.shift();
    for (const stream of this.#listeners) stream.send(frame);
  }
}

/** What hears the servers of the newest committee, until it is closed. */
export class VoidEar {
  readonly #links: Link[] = [];
  /** Of each server, by its place: what it told, by round, oldest first. */
  readonly #told = new Map<number, Map<number, string>>();
  readonly #unsubscribe: () => void;

  constructor(
    readonly options: {
      readonly network: Network;
      readonly environment: Pick<Environment, "clock">;
      readonly epochs: Epochs;
    },
  ) {
    this.#unsubscribe = options.epochs.onChange(() => this.#listen());
    this.#listen();
  }

  /** What was told of the rounds after `after` and before `before`, rising, each by one server. */
  between(after: number, before: number): ToldVoid[] {
    const found = new Map<number, ToldVoid>();
    for (const [server, rounds] of this.#told) {
      for (const [round, reason] of rounds) {
        if (round <= after || round >= before || found.has(round)) continue;
        found.set(round, { round, reason, server });
      }
    }
    return [...found.values()].sort((a, b) => a.round - b.round);
  }

  /** Hears nobody any more. */
  close(): void {
    this.#unsubscribe();
    for (const link of this.#links.splice(0)) link.close();
  }

  /** Another committee counts the rounds anew that had no record. */
  #listen(): void {
    for (const link of this.#links.splice(0)) link.close();
    this.#told.clear();
    const { network, environment: { clock }, epochs } = this.options;
    for (const [server, key] of epochs.newest.servers.entries()) {
      const id = hex(key), told = new Map<number, string>();
      this.#told.set(server, told);
      this.#links.push(
        new Link({
          network,
          clock,
          kind: VOIDS,
          candidates: () => network.peers("server").filter((peer) => peer.id === id),
          events: () => ({
            frame: (bytes) => {
              const { round, reason } = decodeVoid(bytes);
              told.set(round, reason);
              if (told.size > MAX_VOIDS) told.delete(told.keys().next().value!);
            },
            closed: () => {},
          }),
        }),
      );
    }
  }
}
