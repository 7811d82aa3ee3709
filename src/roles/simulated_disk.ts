/** What a simulated server keeps beyond its process. */
import type { Journal } from "../committee/journal.ts";
import type { Store } from "../committee/release.ts";

/** A store that survives the process that writes it. */
export function durable(): Store {
  let bytes: Uint8Array | undefined;
  return { load: () => bytes?.slice(), save: (next: Uint8Array) => void (bytes = next.slice()) };
}

/** A journal that survives the process that writes it. */
export function durableJournal(): Journal {
  let records: Uint8Array[] = [];
  return {
    load: () => records,
    append: (record) => void records.push(record),
    replace: (all) => void (records = [...all]),
  };
}

/** What a server keeps by name, beyond its process. */
export interface Disk {
  store(name: string): Store;
  journal(name: string): Journal;
}

/** A disk that survives the process that writes it. */
export class DurableDisk implements Disk {
  readonly #stores = new Map<string, Store>();
  readonly #journals = new Map<string, Journal>();

  store(name: string): Store {
    const store = this.#stores.get(name) ?? durable();
    this.#stores.set(name, store);
    return store;
  }

  journal(name: string): Journal {
    const journal = this.#journals.get(name) ?? durableJournal();
    this.#journals.set(name, journal);
    return journal;
  }

  /** Loses a store. */
  lose(name: string): void {
    this.#stores.delete(name);
  }
}
