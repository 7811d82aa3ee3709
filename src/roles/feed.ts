/**
 * The two public feeds, as whoever holds them serves them on: opened headers of the live round, and
 * certified records. They prove themselves, so any server or aggregator may be the source.
 *
 * Frames. live-round, out: u32 length ‖ opened header ‖ roster proof of the subscriber, where it
 * stands in the roster. broadcasts, in: u64 first round wanted, all ones in the low 53 bits for the
 * newest alone; out: certified records.
 */
import { Reader, Writer } from "../protocol/bytes.ts";
import { encodeOpened, type OpenedHeader } from "../protocol/opened.ts";
import { type CertifiedRecord, encodeCertified } from "../protocol/record.ts";
import { encodeProof, type Roster } from "../protocol/roster.ts";
import type { Network, Stream } from "../universe/network.ts";
import type { InstanceStreams } from "./streams.ts";

/** Asks for the newest record and what follows. */
export const NEWEST = Number.MAX_SAFE_INTEGER;

/** Records that are kept for late subscribers. */
export const MAX_KEPT_RECORDS = 512;
/** And their bytes. */
const MAX_KEPT_BYTES = 64 * 2 ** 20;

/** Serves the feeds to any number of subscribers, each bounded by its stream. */
export class Feed {
  readonly #records: { readonly round: number; readonly bytes: Uint8Array }[] = [];
  readonly #live = new Set<Stream>();
  /** Subscribers, and the first round that each wants: it may be ahead of this holder. */
  readonly #broadcasts = new Map<Stream, number>();
  #kept = 0;
  #opened:
    | { readonly opened: OpenedHeader; readonly roster: Roster; readonly bytes: Uint8Array }
    | undefined;

  /** Round of the newest record held, 0 for none. */
  get newest(): number {
    return this.#records.at(-1)?.round ?? 0;
  }

  /** Answers subscribers of both feeds. */
  serve(network: Network, streams: InstanceStreams): void {
    network.serve(streams.liveRound, (stream) => {
      this.#live.add(stream);
      this.#sendLive(stream);
      return {
        frame: () => stream.close("nothing is expected on live-round"),
        closed: () => this.#live.delete(stream),
      };
    });
    network.serve(streams.broadcasts, (stream) => ({
      frame: (bytes) => {
        const reader = new Reader(bytes, "subscription");
        const from = reader.u64();
        reader.end();
        const wanted = from === NEWEST
          ? this.#records.slice(-1)
          : this.#records.filter((r) => r.round >= from);
        for (const record of wanted) stream.send(record.bytes);
        this.#broadcasts.set(stream, from === NEWEST ? 0 : from);
      },
      closed: () => this.#broadcasts.delete(stream),
    }));
  }

  /** A header was opened by all servers. */
  opened(opened: OpenedHeader, roster: Roster): void {
    this.#opened = { opened, roster, bytes: encodeOpened(opened) };
    for (const stream of this.#live) this.#sendLive(stream);
  }

  /** A record was certified. One that is not newer than all before is ignored. */
  record(certified: CertifiedRecord): void {
    const round = certified.record.header.round;
    if (round <= this.newest) return;
    const bytes = encodeCertified(certified);
    this.#records.push({ round, bytes });
    this.#kept += bytes.length;
    while (
      this.#records.length > MAX_KEPT_RECORDS ||
      (this.#kept > MAX_KEPT_BYTES && this.#records.length > 1)
    ) {
      this.#kept -= this.#records.shift()!.bytes.length;
    }
    for (const [stream, from] of this.#broadcasts) if (round >= from) stream.send(bytes);
  }

  #sendLive(stream: Stream): void {
    if (!this.#opened || this.#opened.opened.header.round <= this.newest) return;
    const { roster, bytes } = this.#opened;
    const index = roster.indexOf(stream.peer.key);
    const out = new Writer().vector(bytes);
    if (index !== undefined) out.bytes(encodeProof({ index, path: roster.path(index) }));
    stream.send(out.end());
  }
}
