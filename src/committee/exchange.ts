/**
 * What servers send each other beside commands: vectors by hash, pushed when they come into being
 * and asked for when they are missing, and each one's head.
 *
 * Frames: u8 kind ‖ body. 0 engine ‖ message · 1 want ‖ id (32) · 2 blob ‖ id (32) ‖ bytes ·
 * 3 head ‖ evidence · 4 word ‖ what the roles around the members say to each other.
 */
import { concat, hex } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Clock } from "../universe/environment.ts";
import { Blobs } from "./blobs.ts";

const ENGINE = 0, WANT = 1, BLOB = 2, HEAD = 3, WORD = 4;

/** How long until a blob that did not come is asked for again. */
const ASK_AGAIN_MS = 200;
/** Blobs that are asked for at one time. */
const MAX_WANTED = 1_024;

/** What is done with a frame that is not about blobs. */
export interface ExchangeEvents {
  engine(from: number, message: Uint8Array): void;
  head(evidence: Uint8Array): void;
  word(from: number, bytes: Uint8Array): void;
  /** The evidence for a head; none unless that record is this server's. */
  evidenceOf(record: Uint8Array): readonly Uint8Array[];
}

/** The links to the other servers, and the blobs that travel on them. */
export class Exchange {
  readonly #links = new Map<number, (frame: Uint8Array) => boolean>();
  readonly #asked = new Map<string, number>();
  readonly #blobs: Blobs;

  constructor(
    readonly clock: Clock,
    readonly events: ExchangeEvents,
    maxCount: number,
    maxBytes: number,
  ) {
    this.#blobs = new Blobs(maxCount, maxBytes);
  }

  /** A way to another server opened; `evidence` of this server's head goes there at once. */
  connected(
    peer: number,
    send: (frame: Uint8Array) => boolean,
    evidence: readonly Uint8Array[],
  ): void {
    this.#links.set(peer, send);
    for (const bytes of evidence) this.#send(peer, HEAD, bytes);
  }

  /** The way to another server is gone. */
  disconnected(peer: number): void {
    this.#links.delete(peer);
  }

  /** A frame of another server; throws a `ProtocolError` for a malformed one. */
  receive(from: number, frame: Uint8Array): void {
    const kind = frame[0], body = frame.subarray(1);
    if (kind === ENGINE) this.events.engine(from, body);
    else if (kind === WANT) this.#answer(from, body);
    else if (kind === BLOB) this.#keep(body);
    else if (kind === HEAD) this.events.head(body);
    else if (kind === WORD) this.events.word(from, body);
    else throw new ProtocolError("type", `a frame of kind ${kind} between servers`);
  }

  /** Sends an engine message; false where no link is open. */
  engine(to: number, message: Uint8Array): boolean {
    return this.#send(to, ENGINE, message);
  }

  /** Says something to another server; false where no link is open. */
  tell(to: number, bytes: Uint8Array): boolean {
    return this.#send(to, WORD, bytes);
  }

  /** Keeps a blob, and hands it to everyone. */
  push(id: Uint8Array, bytes: Uint8Array): void {
    this.#blobs.put(id, bytes);
    for (const peer of this.#links.keys()) this.#send(peer, BLOB, id, bytes);
  }

  /** Keeps a blob. */
  put(id: Uint8Array, bytes: Uint8Array): void {
    this.#blobs.put(id, bytes);
  }

  /** Forgets blobs that nobody needs any more. */
  drop(ids: readonly Uint8Array[]): void {
    for (const id of ids) this.#blobs.drop(id);
  }

  /**
   * What a blob holds, read and checked by `read`; undefined, and asked for, where it is not here
   * or is not what its id says (`read` throws or answers undefined).
   */
  get<T>(id: Uint8Array, read: (bytes: Uint8Array) => T | undefined): T | undefined {
    const bytes = this.#blobs.get(id);
    if (bytes) {
      try {
        const value = read(bytes);
        if (value !== undefined) return value;
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
      this.#blobs.drop(id);
    }
    this.want(id);
    return undefined;
  }

  /** Asks everyone for a blob or a head, not too often. */
  want(id: Uint8Array): void {
    const name = hex(id), now = this.clock.now(), last = this.#asked.get(name);
    if (last !== undefined && now - last < ASK_AGAIN_MS) return;
    if (this.#asked.size >= MAX_WANTED) this.#asked.clear();
    this.#asked.set(name, now);
    for (const peer of this.#links.keys()) this.#send(peer, WANT, id);
  }

  #keep(body: Uint8Array): void {
    if (body.length < 32) throw new ProtocolError("length", "a blob without its id");
    this.#blobs.put(body.subarray(0, 32), body.subarray(32));
  }

  #answer(to: number, id: Uint8Array): void {
    if (id.length !== 32) throw new ProtocolError("length", `a blob id of ${id.length} bytes`);
    const bytes = this.#blobs.get(id);
    if (bytes) return void this.#send(to, BLOB, id, bytes);
    for (const evidence of this.events.evidenceOf(id)) this.#send(to, HEAD, evidence);
  }

  #send(to: number, kind: number, ...body: Uint8Array[]): boolean {
    const send = this.#links.get(to);
    return send !== undefined && send(concat(Uint8Array.of(kind), ...body));
  }
}
