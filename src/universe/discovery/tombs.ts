/**
 * Who left, by its own word, for as long as a copy of its entry may still go around: so that nobody
 * brings it back. Only a later start of the same node ends it before its time.
 */
import type { Departure, Version } from "./entry.ts";

/** Departures that are held. */
export const MAX_TOMBS = 4_096;

interface Tomb {
  readonly departure: Departure;
  /** Whether an entry of the node was known here: those go last. */
  readonly known: boolean;
}

/** See the module. */
export class Tombs {
  readonly #tombs = new Map<string, Tomb>();

  /** `keptMs`: how long one is held after it was signed. */
  constructor(readonly keptMs: number) {}

  /** Its departure, if it left and did not come back. */
  get(id: string): Departure | undefined {
    return this.#tombs.get(id)?.departure;
  }

  /** Whether a start of the node lies before its end. */
  covers(id: string, version: Version): boolean {
    const departure = this.get(id);
    return departure !== undefined && version.started <= departure.started;
  }

  all(): Departure[] {
    return [...this.#tombs.values()].map(({ departure }) => departure);
  }

  add(departure: Departure, known: boolean): void {
    known ||= this.#tombs.get(departure.id)?.known ?? false;
    this.#tombs.delete(departure.id);
    if (this.#tombs.size >= MAX_TOMBS) this.#drop();
    this.#tombs.set(departure.id, { departure, known });
  }

  remove(id: string): void {
    this.#tombs.delete(id);
  }

  /** Forgets those whose time is over; answers when the next one's is. */
  expire(now: number): number {
    let next = Infinity;
    for (const [id, { departure }] of this.#tombs) {
      const end = departure.updated + this.keptMs;
      if (end <= now) this.#tombs.delete(id);
      else next = Math.min(next, end);
    }
    return next;
  }

  #drop(): void {
    for (const [id, { known }] of this.#tombs) {
      if (!known) return void this.#tombs.delete(id);
    }
    this.#tombs.delete(this.#tombs.keys().next().value!);
  }
}
