/**
 * How the running members of a committee make its next epoch, as a core without I/O. Each operator
 * states a wish at its own server, and the members tell each other. When all who are not declared
 * lost want the same, and every new server is here, no further round is opened; the last record is
 * certified, and all compute the next manifest from it, and say which. One that has lost its disk,
 * or was put back to an older one, comes to another manifest until it has learned from the others. The
 * new servers sign first. A member signs last, once all have come to the same manifest, and this
 * closes its register: from then on it signs no record of this epoch, so the change can only be
 * finished. With all signatures the next epoch stands.
 *
 * | frame (beside those of `genesis.ts`) | layout |
 * |---|---|
 * | wish | u8 3 ‖ wish, or nothing |
 * | invitation | u8 4 ‖ u32 length ‖ lineage ‖ u32 length ‖ certified start record ‖ next manifest |
 */
import {
  concat,
  equal,
  type Fingerprint,
  hex,
  type RecordHash,
  Writer,
} from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { encodeLineage, gatherEpoch, MAX_EPOCHS } from "../protocol/lineage.ts";
import { type Manifest, serverIndex } from "../protocol/manifest.ts";
import type { Environment } from "../universe/environment.ts";
import { decodeFormed, encodeFormed, type Formed } from "./formed.ts";
import type { Closing } from "./release_terms.ts";
import { checkWish, decodeWish, type Wish, wishedManifest } from "./wish.ts";

/** Kinds of the frames; 0 to 2 are those of `genesis.ts`. */
export const WISH = 3, INVITATION = 4;

/** What another server said that bears on the next epoch. */
export interface Neighbour {
  /** It is here, and has proven the secret. */
  readonly met: boolean;
  /** Its operator's wish; empty for none. */
  readonly wish: Uint8Array;
  /** Fingerprint of the next manifest that it came to; empty for none. */
  readonly next: Uint8Array;
  /** What it signed last. */
  readonly signed?: { readonly manifest: Manifest; readonly signature: Uint8Array };
}

/** Where the log stands while no round is in progress. */
export interface Settled {
  readonly hash: RecordHash;
  /** The certified record of that hash; empty where none came before. */
  readonly record: Uint8Array;
}

/** What the change asks of the server that runs in the present epoch. */
export interface Seat {
  /** The next epoch, once this server signed its manifest. */
  readonly closed: Fingerprint | undefined;
  /** Undefined while a round is in progress, or the last record is not certified yet. */
  readonly settled: Settled | undefined;
  /** Whether it opens no further rounds. */
  hold(on: boolean): void;
  /** Its signature under the next manifest. */
  close(next: Manifest): Closing;
}

/** What a change is made of. */
export interface ChangeOptions {
  /** The present epoch, of which this server is a member. */
  readonly formed: Formed;
  /** This server's key. */
  readonly self: Uint8Array;
  readonly seat: Seat;
  /** What this server's operator wishes now, as bytes. */
  readonly wish: () => Uint8Array | undefined;
  readonly environment: Pick<Environment, "observe">;
  readonly neighbour: (server: Uint8Array) => Neighbour | undefined;
  /** Sends a frame to every server that is met. */
  readonly broadcast: (frame: Uint8Array) => void;
  /** The frame that says that this server signed. */
  readonly signature: (manifest: Manifest, signature: Uint8Array) => Uint8Array;
  /** The next epoch stands. */
  readonly stands: (formed: Formed) => void;
}

/** See the module comment. */
export class Change {
  #bytes: Uint8Array = new Uint8Array(0);
  #wish: Wish | undefined;
  #invitation: { readonly next: Manifest; readonly frame: Uint8Array } | undefined;
  #mine: Uint8Array | undefined;
  #waiting: string | undefined;

  constructor(readonly options: ChangeOptions) {}

  /** What a server that was just met has to hear. */
  get greeting(): readonly Uint8Array[] {
    const wish = this.#wish && concat(Uint8Array.of(WISH), this.#bytes);
    return [wish, this.#invitation?.frame, this.#mine].filter((frame) => frame !== undefined);
  }

  /** What the change waits for, if one is wished. */
  get waitsFor(): string | undefined {
    return this.#waiting;
  }

  /** Looks at what is known and does what follows from it; may be called at any time. */
  look(): void {
    this.#read();
    const { seat, environment } = this.options;
    const waiting = this.#wish ? this.#advance(this.#wish) : this.#stuck();
    if (waiting !== undefined && waiting !== this.#waiting) {
      environment.observe("info", "committee changes", { waits: waiting });
    }
    if (!this.#wish) seat.hold(waiting !== undefined);
    this.#waiting = waiting;
  }

  /** Takes up the operator's wish, and tells the others when it changed. */
  #read(): void {
    const { wish, formed, environment, broadcast } = this.options;
    const bytes = wish() ?? new Uint8Array(0);
    if (equal(bytes, this.#bytes)) return;
    this.#bytes = bytes.slice();
    const before = this.#wish;
    this.#wish = undefined;
    try {
      const read = bytes.length === 0 ? undefined : decodeWish(bytes);
      // One of an earlier epoch is over: it was fulfilled, or others were.
      if (read && equal(read.from, formed.manifest.fingerprint)) {
        checkWish(read, formed.manifest);
        this.#wish = read;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      environment.observe("warn", "wish refused", { reason: error.message });
    }
    if (this.#wish) broadcast(concat(Uint8Array.of(WISH), this.#bytes));
    else if (before) broadcast(Uint8Array.of(WISH));
  }

  /** Without a wish a change that this server signed cannot go on. */
  #stuck(): string | undefined {
    const { closed } = this.options.seat;
    if (!closed) return undefined;
    return `its operator: this server signed the next epoch ${hex(closed)}, state that wish again`;
  }

  /** Goes as far as it can; answers what is missing, or undefined once the next epoch stands. */
  #advance(wish: Wish): string | undefined {
    const { seat, formed: { manifest }, broadcast } = this.options;
    const absent = this.#absent(wish);
    seat.hold(absent === undefined || seat.closed !== undefined);
    if (absent !== undefined) return absent;
    const { settled } = seat;
    if (!settled) return "the round in progress";
    const next = wishedManifest(wish, manifest, settled.hash);
    this.#invite(next, settled.record);
    const behind = this.#members(wish).filter((key) =>
      !equal(this.options.neighbour(key)!.next, next.fingerprint)
    );
    if (behind.length > 0) return `server ${names(behind)}: it is not at the end of its epoch`;
    const strangers = next.servers.filter((key) =>
      serverIndex(manifest, key) < 0 && !this.#signatureOf(next, key)
    );
    if (strangers.length > 0) return `the signature of server ${names(strangers)}, which joins`;
    const closing = seat.close(next);
    if ("refused" in closing) return `this server, whose rules refuse: ${closing.refused}`;
    if (!this.#mine) {
      this.#mine = this.options.signature(next, closing.signature);
      broadcast(this.#mine);
    }
    const missing = this.#members(wish).filter((key) => !this.#signatureOf(next, key));
    if (missing.length > 0) return `the signature of server ${names(missing)}`;
    this.#complete(next, settled.record);
    return undefined;
  }

  /** Who is not here, or does not want the same. */
  #absent(wish: Wish): string | undefined {
    const { formed: { manifest }, neighbour } = this.options, members = this.#members(wish);
    const joining = wish.servers.filter((key) => serverIndex(manifest, key) < 0);
    const away = [...members, ...joining].filter((key) => !neighbour(key)?.met);
    if (away.length > 0) return `server ${names(away)}: away`;
    const differ = members.filter((key) => !equal(neighbour(key)!.wish, this.#bytes));
    if (differ.length > 0) return `server ${names(differ)}: its operator has not the same wish`;
    return undefined;
  }

  /** The other members of this epoch that are not lost. */
  #members({ lost }: Wish): readonly Uint8Array[] {
    const { formed: { manifest }, self } = this.options;
    return manifest.servers.filter((key) =>
      !equal(key, self) && !lost.some((it) => equal(it, key))
    );
  }

  #invite(next: Manifest, record: Uint8Array): void {
    if (this.#invitation && equal(this.#invitation.next.fingerprint, next.fingerprint)) return;
    const { formed: { lineage }, broadcast } = this.options;
    const frame = new Writer().u8(INVITATION).vector(lineage).vector(record).bytes(next.bytes)
      .end();
    this.#invitation = { next, frame };
    broadcast(frame);
  }

  #signatureOf(next: Manifest, server: Uint8Array): Uint8Array | undefined {
    const { self, neighbour } = this.options;
    // What this server sent: u8 kind ‖ manifest ‖ signature.
    if (equal(server, self)) return this.#mine?.slice(-64);
    const signed = neighbour(server)?.signed;
    return signed && equal(signed.manifest.fingerprint, next.fingerprint)
      ? signed.signature
      : undefined;
  }

  #complete(next: Manifest, record: Uint8Array): void {
    const { formed: { manifest, epochs }, stands } = this.options;
    const signed = gatherEpoch(next, (server) => this.#signatureOf(next, server), manifest)!;
    const lineage = encodeLineage([...epochs, signed].slice(-MAX_EPOCHS));
    stands(decodeFormed(encodeFormed({ record, lineage }), manifest.instance));
  }
}

function names(servers: readonly Uint8Array[]): string {
  return servers.map((key) => hex(key).slice(0, 16)).join(", ");
}
