/**
 * What libp2p remembers of others: their addresses, and who provides what in the DHT. Its own store
 * grows with whoever connects; this one has a bound for each kind of record, and the oldest goes.
 */
import { BaseDatastore } from "datastore-core";
import type { Pair } from "interface-datastore";
import { Key } from "interface-datastore/key";
import { NotFoundError } from "@libp2p/interface";

/** Peers of which addresses and protocols are remembered; above the connections of a server. */
export const MAX_PEERS = 32_768;
/** Records of who provides a key, over all keys; and of one provider. */
export const MAX_PROVIDED = 4_096, MAX_PROVIDED_EACH = 64;
/** Bytes of one record. */
export const MAX_RECORD = 8_192;
/** Records of any other kind. */
const MAX_OTHER = 256;

/** Records of one kind, oldest first. */
class Shelf {
  readonly records = new Map<string, Uint8Array>();
  readonly #counts = new Map<string, number>();

  constructor(
    readonly max: number,
    readonly each: number = max,
    readonly owner: (key: string) => string = () => "",
  ) {}

  put(key: string, value: Uint8Array): void {
    this.delete(key);
    const owner = this.owner(key);
    if ((this.#counts.get(owner) ?? 0) >= this.each) {
      for (const other of this.records.keys()) {
        if (this.owner(other) !== owner) continue;
        this.delete(other);
        break;
      }
    } else if (this.records.size >= this.max) this.delete(this.records.keys().next().value!);
    this.records.set(key, value);
    this.#counts.set(owner, (this.#counts.get(owner) ?? 0) + 1);
  }

  delete(key: string): void {
    if (!this.records.delete(key)) return;
    const owner = this.owner(key);
    const left = this.#counts.get(owner)! - 1;
    if (left > 0) this.#counts.set(owner, left);
    else this.#counts.delete(owner);
  }
}

/** See the module. */
export class BoundedStore extends BaseDatastore {
  readonly #peers = new Shelf(MAX_PEERS);
  // `/dht/provider/KEY/PEER`
  readonly #provided = new Shelf(
    MAX_PROVIDED,
    MAX_PROVIDED_EACH,
    (key) => key.slice(key.lastIndexOf("/")),
  );
  readonly #other = new Shelf(MAX_OTHER);

  override put(key: Key, value: Uint8Array): Key {
    if (value.length > MAX_RECORD) {
      throw new RangeError(`a record of ${value.length} bytes, at most ${MAX_RECORD}`);
    }
    const name = key.toString();
    this.#shelf(name).put(name, value);
    return key;
  }

  override get(key: Key): Uint8Array {
    const name = key.toString();
    const value = this.#shelf(name).records.get(name);
    if (value === undefined) throw new NotFoundError();
    return value;
  }

  override has(key: Key): boolean {
    const name = key.toString();
    return this.#shelf(name).records.has(name);
  }

  override delete(key: Key): void {
    const name = key.toString();
    this.#shelf(name).delete(name);
  }

  override *_all({ prefix = "" }: { prefix?: string }): Generator<Pair> {
    for (const [name, value] of this.#under(prefix)) yield { key: new Key(name, false), value };
  }

  override *_allKeys({ prefix = "" }: { prefix?: string }): Generator<Key> {
    for (const [name] of this.#under(prefix)) yield new Key(name, false);
  }

  #shelf(name: string): Shelf {
    if (name.startsWith("/peers/")) return this.#peers;
    return name.startsWith("/dht/provider/") ? this.#provided : this.#other;
  }

  *#under(prefix: string): Generator<[string, Uint8Array]> {
    for (const { records } of [this.#peers, this.#provided, this.#other]) {
      // A copy, because whoever walks the records may delete some.
      for (const entry of [...records]) if (entry[0].startsWith(prefix)) yield entry;
    }
  }
}
