/**
 * What aggregators hand over for one round, held until it is merged: the last part of each, and who
 * is still waited for. Used by servers, and by an aggregator that others hand over to.
 */
import { type Aggregate, participants } from "../protocol/aggregate.ts";
import { equal, hex } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Header } from "../protocol/header.ts";
import { type Choice, choose } from "../protocol/merge.ts";
import type { Parameters } from "../protocol/parameters.ts";
import type { Roster } from "../protocol/roster.ts";
import type { Environment } from "../universe/environment.ts";

/** Most aggregators that one server, or one aggregator, takes parts from. */
export const MAX_AGGREGATORS = 64;

/** Most bytes of the parts of one round, beyond which only a single one is taken. */
export const MAX_PARTS_BYTES = 64 * 2 ** 20;

/**
 * How long parts are waited for beyond the first that would do, ms: half of what they had to fold,
 * yet never so long that the round could not end in time.
 */
export function patienceOf({ foldDeadline, roundDeadline }: Parameters): number {
  return Math.min(foldDeadline / 2, (roundDeadline - foldDeadline) / 4);
}

/** Clients that a log line names at most. */
const MAX_NAMED = 4;

/** Logs who handed over a part that is left out, and whom it shares with others. */
export function reportLeft(
  observe: Environment["observe"],
  header: Header,
  roster: Roster,
  left: Choice["left"],
): void {
  for (const { part, shared } of left) {
    observe("warn", "part left out", {
      round: header.round,
      aggregator: hex(part.aggregator),
      because: "clients of it are in a larger part too",
      clients: shared.slice(0, MAX_NAMED).map((i) => hex(roster.at(i)!.client)).join(" "),
    });
  }
}

/** An aggregator that is here. */
interface Source {
  /** Its streams. */
  streams: number;
  /** It came since the last header. */
  fresh: boolean;
  /** Something came of it since the last header. */
  heard: boolean;
  /** It handed over for the open round. */
  handed: boolean;
  /** The round waits for it. */
  awaited: boolean;
}

/** See the module comment. */
export class Parts {
  readonly #sources = new Map<string, Source>();
  readonly #parts = new Map<string, Aggregate>();
  #header: Header | undefined;
  #roster: Roster | undefined;
  #bytes = 0;
  #choice: Choice<Aggregate> = choose([]);
  #usable: number | undefined;

  constructor(readonly parameters: Parameters) {}

  /** An aggregator opened a stream; false where there are too many. */
  join(aggregator: Uint8Array): boolean {
    const source = this.#sources.get(hex(aggregator));
    if (source) source.streams++;
    else {
      if (this.#sources.size >= MAX_AGGREGATORS) return false;
      const none = { heard: false, handed: false, awaited: false };
      this.#sources.set(hex(aggregator), { streams: 1, fresh: true, ...none });
    }
    return true;
  }

  /** A stream of an aggregator ended: after its last one nobody waits for it. */
  leave(aggregator: Uint8Array): void {
    const name = hex(aggregator), source = this.#sources.get(name);
    if (source && --source.streams === 0) this.#sources.delete(name);
  }

  /**
   * A round is open: parts of the one before are dropped. Waited for is who is here, but not who
   * was silent in the last round in which another was not, unless it just came.
   */
  begin(header: Header, roster: Roster): void {
    if (this.#header && equal(this.#header.hash, header.hash)) return;
    const sources = [...this.#sources.values()], heard = sources.some((source) => source.heard);
    for (const source of sources) {
      source.awaited = source.fresh || (heard ? source.heard : source.awaited);
      source.fresh = source.heard = source.handed = false;
    }
    this.end();
    this.#header = header;
    this.#roster = roster;
  }

  /** The parts are not needed any more. */
  end(): void {
    this.#header = this.#roster = this.#usable = undefined;
    this.#parts.clear();
    this.#bytes = 0;
    this.#choice = choose([]);
  }

  /** Something came of an aggregator, be it too late: it is not silent. */
  hear(aggregator: Uint8Array): void {
    const source = this.#sources.get(hex(aggregator));
    if (source) source.heard = true;
  }

  /** An aggregator has handed over for the open round, if only its word that it has nothing. */
  handed(aggregator: Uint8Array): void {
    const source = this.#sources.get(hex(aggregator));
    if (source) source.heard = source.handed = true;
  }

  /**
   * Takes a part for the open round in place of that aggregator's last one, which is returned.
   * Throws a `ProtocolError` for one of nobody, of a place where nobody stands, or too many bytes.
   */
  take(part: Aggregate, now: number): Aggregate | undefined {
    const indices = participants(part.bitmap), name = hex(part.aggregator);
    if (indices.length === 0) throw new ProtocolError("range", "an aggregate of nobody");
    const nobody = indices.find((index) => this.#roster?.at(index) === undefined);
    if (nobody !== undefined) {
      throw new ProtocolError("range", `an aggregate of place ${nobody}, where nobody stands`);
    }
    const before = this.#parts.get(name);
    const bytes = this.#bytes + part.bytes.length - (before?.bytes.length ?? 0);
    const others = this.#parts.size - (before ? 1 : 0);
    if (others > 0 && (others >= MAX_AGGREGATORS || bytes > MAX_PARTS_BYTES)) {
      throw new ProtocolError(
        "range",
        `${others + 1} parts of ${bytes} bytes, expected at most ${MAX_AGGREGATORS} of ` +
          `${MAX_PARTS_BYTES}: fewer aggregators, or an upstream for some`,
      );
    }
    this.#parts.set(name, part);
    this.#bytes = bytes;
    this.#choice = choose([...this.#parts.values()]);
    if (this.#choice.size >= this.parameters.minParticipants) this.#usable ??= now;
    this.handed(part.aggregator);
    return before;
  }

  /** All parts of the open round. */
  get all(): readonly Aggregate[] {
    return [...this.#parts.values()];
  }

  /** Those that go together. */
  get choice(): Choice<Aggregate> {
    return this.#choice;
  }

  /** Whether everyone who is waited for has handed over, or has nothing. */
  get complete(): boolean {
    return [...this.#sources.values()].every(({ awaited, handed }) => !awaited || handed);
  }

  /** For how long there have been enough participants, ms; undefined while there are too few. */
  usableFor(now: number): number | undefined {
    const enough = this.#choice.size >= this.parameters.minParticipants;
    return enough && this.#usable !== undefined ? now - this.#usable : undefined;
  }
}
