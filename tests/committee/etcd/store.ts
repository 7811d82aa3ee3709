/**
 * What etcd keeps, as far as the driver uses it: keys with revisions, transactions, leases that run
 * out, watches from a revision on, and compaction. Requests and answers are those of its JSON
 * gateway, already parsed.
 */
import type { Clock } from "../../../src/universe/environment.ts";

type Fields = Record<string, unknown>;

/** A change of a key; `value` is undefined for its end. Keys are binary strings. */
interface Change {
  readonly key: string;
  readonly value?: string;
  readonly created: number;
  readonly modified: number;
  readonly version: number;
  readonly lease: string;
}

interface Watch {
  readonly from: string;
  readonly to: string | undefined;
  hear(result: Fields): void;
}

/** etcd's refusal of a request. */
export class Refusal extends Error {}

const COMPACTED = "etcdserver: mvcc: required revision has been compacted";

/** One store, whatever the number of members. */
export class Store {
  revision = 1;
  compacted = 0;
  /** What every transaction is refused with, if anything: a store that is full. */
  full: string | undefined;
  #keys = new Map<string, Change>();
  #history: Change[] = [];
  readonly #watches = new Set<Watch>();
  readonly #leases = new Map<string, { ttl: number; cancel: () => void }>();
  #nextLease = 7_587_000_000_000_000_001n;

  constructor(readonly clock: Clock) {}

  /** All keys, as text. */
  get names(): string[] {
    return [...this.#keys.keys()].sort();
  }

  /** A backup: all keys with their revisions, without leases and who watches. */
  backup(): Store {
    const copy = new Store(this.clock);
    copy.revision = this.revision;
    copy.#keys = new Map(this.#keys);
    copy.#history = [...this.#history];
    return copy;
  }

  /** Compacts all but what the keys hold now. */
  compact(): void {
    this.compacted = this.revision;
  }

  /** Deletes all keys that start so, as an operator might. */
  wipe(prefix: string): void {
    this.#commit(
      [...this.#keys.keys()].filter((key) => key.startsWith(prefix)).map((key) => ({
        key,
      })),
    );
  }

  /** What a key holds. */
  read(key: string): string {
    return this.#keys.get(key)?.value ?? "";
  }

  /** Writes a key, as anyone with access might. */
  write(key: string, value: string): void {
    this.#commit([{ key, value, lease: "0" }]);
  }

  /** Answers a request that has one answer. */
  answer(path: string, body: Fields): Fields {
    if (path === "kv/range") return { header: this.#header(), ...this.#range(body) };
    if (path === "kv/txn") return this.#txn(body);
    if (path === "lease/grant") return this.#grant(Number(body.TTL));
    if (path === "lease/keepalive") return { result: this.#keep(String(body.ID)) };
    throw new Refusal("Not Found");
  }

  /** Begins a watch; the returned function ends it. */
  watch(body: Fields, hear: (result: Fields) => void): () => void {
    const request = body.create_request as Fields;
    const start = Number(request.start_revision);
    hear({ header: this.#header(), created: true });
    if (start <= this.compacted) {
      hear({ header: {}, canceled: true, compact_revision: String(this.compacted) });
      return () => {};
    }
    const watch = { from: text(request.key), to: end(request), hear };
    const missed = this.#history.filter((it) => it.modified >= start && within(it.key, watch));
    if (missed.length > 0) hear(this.#events(missed));
    this.#watches.add(watch);
    return () => this.#watches.delete(watch);
  }

  #header(): Fields {
    return { cluster_id: "1", member_id: "2", revision: String(this.revision), raft_term: "2" };
  }

  #events(changes: readonly Change[]): Fields {
    const events = changes.map((it) =>
      it.value === undefined
        ? { type: "DELETE", kv: { key: btoa(it.key), mod_revision: String(it.modified) } }
        : { kv: keyValue(it, false) }
    );
    return { header: this.#header(), events };
  }

  #at(revision: number): ReadonlyMap<string, Change> {
    if (revision === 0 || revision === this.revision) return this.#keys;
    if (revision > this.revision) {
      throw new Refusal("etcdserver: mvcc: required revision is a future revision");
    }
    if (revision < this.compacted) throw new Refusal(COMPACTED);
    const keys = new Map<string, Change>();
    for (const change of this.#history) {
      if (change.modified > revision) break;
      if (change.value === undefined) keys.delete(change.key);
      else keys.set(change.key, change);
    }
    return keys;
  }

  #range(body: Fields): Fields {
    const range = { from: text(body.key), to: end(body) };
    const least = Number(body.min_mod_revision ?? 0);
    const most = Number(body.max_mod_revision ?? Infinity);
    const found = [...this.#at(Number(body.revision ?? 0)).values()]
      .filter((it) => within(it.key, range) && it.modified >= least && it.modified <= most)
      .sort((a, b) => a.key < b.key ? -1 : 1);
    if (body.sort_target === "MOD") {
      const sign = body.sort_order === "DESCEND" ? -1 : 1;
      found.sort((a, b) => sign * (a.modified - b.modified));
    }
    const shown = found.slice(0, Number(body.limit ?? Infinity));
    const more = shown.length < found.length ? { more: true } : {};
    if (found.length === 0) return {};
    const kvs = shown.map((it) => keyValue(it, body.keys_only === true));
    return { kvs, count: String(found.length), ...more };
  }

  #txn(body: Fields): Fields {
    const succeeded = (body.compare as Fields[] ?? []).every((it) => this.#holds(it));
    const parts = (succeeded ? body.success : body.failure) as Fields[] | undefined ?? [];
    if (parts.length > 128) throw new Refusal("etcdserver: too many operations in txn request");
    const changes: { key: string; value?: string; lease?: string }[] = [];
    const responses = parts.map((part) => {
      if (part.request_range) return { response_range: this.#range(part.request_range as Fields) };
      if (this.full) throw new Refusal(this.full);
      const put = part.request_put as Fields | undefined;
      if (put) {
        const lease = String(put.lease ?? "0");
        if (lease !== "0" && !this.#leases.has(lease)) {
          throw new Refusal("etcdserver: requested lease not found");
        }
        changes.push({ key: text(put.key), value: text(put.value), lease });
        return { response_put: {} };
      }
      const remove = part.request_delete_range as Fields;
      const range = { from: text(remove.key), to: end(remove) };
      for (const key of this.#keys.keys()) if (within(key, range)) changes.push({ key });
      return { response_delete_range: {} };
    });
    this.#commit(changes);
    return { header: this.#header(), ...(succeeded ? { succeeded } : {}), responses };
  }

  #holds(compare: Fields): boolean {
    const found = this.#keys.get(text(compare.key));
    if (compare.target === "CREATE") {
      return (found?.created ?? 0) === Number(compare.create_revision);
    }
    if (compare.target === "MOD") return (found?.modified ?? 0) === Number(compare.mod_revision);
    throw new Refusal(`a comparison by ${compare.target}`);
  }

  #commit(wanted: readonly { key: string; value?: string; lease?: string }[]): void {
    if (wanted.length === 0) return;
    const modified = ++this.revision;
    const changes = wanted.map(({ key, value, lease = "0" }): Change => {
      const before = this.#keys.get(key);
      const created = before?.created ?? modified;
      return { key, value, created, modified, version: (before?.version ?? 0) + 1, lease };
    });
    for (const change of changes) {
      if (change.value === undefined) this.#keys.delete(change.key);
      else this.#keys.set(change.key, change);
    }
    this.#history.push(...changes);
    for (const watch of this.#watches) {
      const own = changes.filter(({ key }) => within(key, watch));
      if (own.length > 0) watch.hear(this.#events(own));
    }
  }

  #grant(ttl: number): Fields {
    if (this.full) throw new Refusal(this.full);
    const id = String(this.#nextLease++);
    this.#leases.set(id, { ttl, cancel: () => {} });
    this.#keep(id);
    return { header: this.#header(), ID: id, TTL: String(ttl) };
  }

  #keep(id: string): Fields {
    const lease = this.#leases.get(id);
    if (!lease) return { header: this.#header(), ID: id };
    lease.cancel();
    lease.cancel = this.clock.after(lease.ttl * 1_000, () => {
      this.#leases.delete(id);
      const held = [...this.#keys.values()].filter((it) => it.lease === id);
      this.#commit(held.map(({ key }) => ({ key })));
    });
    return { header: this.#header(), ID: id, TTL: String(lease.ttl) };
  }
}

function text(value: unknown): string {
  return atob(String(value ?? ""));
}

function end(body: Fields): string | undefined {
  return body.range_end === undefined ? undefined : text(body.range_end);
}

function within(key: string, { from, to }: { from: string; to: string | undefined }): boolean {
  return to === undefined ? key === from : key >= from && key < to;
}

function keyValue(change: Change, keysOnly: boolean): Fields {
  const { key, value = "", created, modified, version, lease } = change;
  return {
    key: btoa(key),
    create_revision: String(created),
    mod_revision: String(modified),
    version: String(version),
    ...(keysOnly || value === "" ? {} : { value: btoa(value) }),
    ...(lease === "0" ? {} : { lease }),
  };
}
