/**
 * One subscriber of the records: it is sent what it wants, a window beyond what it acknowledged.
 * However slow it is, it costs its holder a stream and at most one window of frames on the way.
 *
 * Frames in: u64 first round wanted, all ones in the low 53 bits for the newest and what follows;
 * after that u64 next round wanted, which acknowledges all before it. Frames out: certified
 * records; or u64 R where the holder does not have what comes next: the oldest that it can go on
 * with is of round R, and it waits until it is asked for that round or a later one. u64 0 where there
 * is no record at all yet; the first one follows when it comes.
 */
import { Reader, u64 } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Stream } from "../universe/network.ts";
import type { Shelf } from "./shelf.ts";

/** Asks for the newest record and what follows. */
export const NEWEST = Number.MAX_SAFE_INTEGER;

/** Records that are on their way to a subscriber at one time. */
export const WINDOW_RECORDS = 8;
/** And their bytes, unless one record alone is longer. */
export const WINDOW_BYTES: number = 4 * 2 ** 20;

/** Bytes of a frame of a subscriber. */
export const SUBSCRIPTION_BYTES = 8;

/** Bytes of the frame that says which record a holder can go on with. */
export const MISSING_BYTES = 8;

/** See the module comment. */
export class Window {
  /** Next round wanted, as the subscriber said it. Undefined before it asked. */
  #wanted: number | undefined;
  /** First round that was not sent yet; undefined until the newest record is known. */
  #next: number | undefined;
  /** The round it was told that this holder can go on with, until it answers. */
  #offered: number | undefined;
  /** What was sent and not acknowledged. */
  /** It was told that there is no record at all. */
  #told = false;
  #flight: { readonly round: number; readonly bytes: number }[] = [];

  constructor(readonly shelf: Shelf, readonly stream: Stream) {}

  /** A frame of the subscriber; throws a `ProtocolError` for one that makes no sense. */
  frame(bytes: Uint8Array): void {
    const reader = new Reader(bytes, "subscription");
    const round = reader.u64();
    reader.end();
    if (this.#wanted === undefined) {
      this.#wanted = round === NEWEST ? 0 : round;
      this.#next = round === NEWEST ? undefined : round;
    } else if (this.#offered !== undefined && round >= this.#offered) {
      this.#wanted = this.#next = round;
      this.#offered = undefined;
      this.#flight = [];
    } else this.#acknowledge(round);
    this.pump();
  }

  /** Sends what may be sent now. */
  pump(): void {
    if (this.#wanted === undefined || this.#offered !== undefined) return;
    if (this.shelf.newest === 0) return this.#none();
    this.#next ??= this.shelf.newest;
    // Half a window at a time: one read of the archive for several records.
    if (this.#flight.length > WINDOW_RECORDS / 2) return;
    const room = WINDOW_BYTES - this.#flight.reduce((sum, { bytes }) => sum + bytes, 0);
    if (room <= 0) return;
    const { records, whole } = this.shelf.from(
      this.#next,
      WINDOW_RECORDS - this.#flight.length,
      room,
    );
    if (!whole) {
      this.#offered = records[0].round;
      return void this.stream.send(u64(this.#offered));
    }
    for (const { round, bytes } of records) {
      this.#next = round + 1;
      this.#flight.push({ round, bytes: bytes.length });
      if (!this.stream.send(bytes)) return;
    }
  }

  /** Whoever asks is told, once, that there is none yet. */
  #none(): void {
    if (!this.#told) this.stream.send(u64(0));
    this.#told = true;
  }

  #acknowledge(round: number): void {
    const sent = this.#next ?? 0;
    if (round < this.#wanted! || round > sent) {
      throw new ProtocolError(
        "range",
        `round ${round} acknowledged, expected ${this.#wanted} to ${sent}`,
      );
    }
    this.#wanted = round;
    this.#flight = this.#flight.filter((one) => one.round >= round);
  }
}
