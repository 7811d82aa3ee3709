/** The node's own entry, which tells when it was changed: others may judge this node anew then. */
import type { OwnEntry } from "../discovery/view.ts";

/** Passes changes on to the entry, and tells of them. */
export class WatchedEntry implements OwnEntry {
  readonly #listeners = new Set<() => void>();
  /** Grows with each change. */
  version = 0;

  constructor(readonly entry: OwnEntry) {}

  /** Calls after each change of a tag or ticket; the returned function ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  addTag(tag: string): void {
    this.entry.addTag(tag);
    this.#changed();
  }
  removeTag(tag: string): void {
    this.entry.removeTag(tag);
    this.#changed();
  }
  addStream(name: string): void {
    this.entry.addStream(name);
  }
  removeStream(name: string): void {
    this.entry.removeStream(name);
  }
  setTicket(ticketClass: string, body: Uint8Array | undefined): void {
    this.entry.setTicket(ticketClass, body);
    this.#changed();
  }

  #changed(): void {
    this.version++;
    for (const listener of [...this.#listeners]) listener();
  }
}
