/**
 * The keys of one committee in etcd, and the requests over them. README.md has the layout.
 */
import { hex } from "../../protocol/bytes.ts";
import type { Manifest } from "../../protocol/manifest.ts";
import { base64, EtcdError, type Json } from "./json.ts";

/** Names of all keys of a committee. */
export class Keys {
  readonly prefix: string;
  /** What servers watch. */
  readonly order: string;
  readonly state: string;
  readonly leader: string;
  readonly servers: string;
  readonly log: string;
  readonly snapshots: string;

  constructor({ instance, fingerprint }: Pick<Manifest, "instance" | "fingerprint">) {
    this.prefix = `/zipnet/${hex(instance)}/${hex(fingerprint)}/`;
    this.order = `${this.prefix}order/`;
    this.state = `${this.order}state`;
    this.leader = `${this.order}leader`;
    this.servers = `${this.order}server/`;
    this.log = `${this.order}log/`;
    this.snapshots = `${this.prefix}snapshot/`;
  }

  /** The key that a server holds while it is here. */
  server(place: number): string {
    return `${this.servers}${place}`;
  }

  /** The key of a command; names of one server rise with `count`, and `lease` makes them new. */
  command(place: number, lease: string, count: number): string {
    return `${this.log}${place}-${lease}-${count.toString(16).padStart(14, "0")}`;
  }

  /** The part of a snapshot's chunks that they share. */
  snapshot(name: string): string {
    return `${this.snapshots}${name}/`;
  }

  /** One chunk of a snapshot. */
  chunk(name: string, index: number): string {
    return `${this.snapshot(name)}${index.toString(16).padStart(4, "0")}`;
  }
}

/** The order's state: which order it is, and the snapshot that its log goes on from. */
export interface State {
  /** A random name, 32 hex digits: another one is another order. */
  readonly order: string;
  /** Commands up to this revision are in the snapshot and no longer in the log. */
  readonly revision: number;
  /** Name of the snapshot; empty while there is none. */
  readonly snapshot: string;
  readonly chunks: number;
  /** Bytes of all chunks. */
  readonly length: number;
}

/** The value of the key `state`: the fields in their order, a space between. */
export function encodeState({ order, revision, snapshot, chunks, length }: State): string {
  return `${order} ${revision} ${snapshot || "none"} ${chunks} ${length}`;
}

/** Reads the value of the key `state`. */
export function decodeState(value: Uint8Array): State {
  const text = new TextDecoder().decode(value.subarray(0, 256));
  const match = /^([0-9a-f]{32}) (\d{1,15}) (none|[0-9-]{1,64}) (\d{1,4}) (\d{1,9})$/.exec(text);
  if (!match) throw new EtcdError("the order's state in etcd is not one that a server writes");
  const [, order, revision, name, chunks, length] = match;
  const state = {
    order,
    revision: Number(revision),
    snapshot: name === "none" ? "" : name,
    chunks: Number(chunks),
    length: Number(length),
  };
  if ((state.snapshot === "") !== (state.chunks === 0)) {
    throw new EtcdError("the order's state in etcd names a snapshot without chunks");
  }
  return state;
}

/** The place that a text names among so many servers, or undefined. */
export function placeOf(text: string, servers: number): number | undefined {
  return /^(0|[1-9]\d{0,3})$/.test(text) && Number(text) < servers ? Number(text) : undefined;
}

/** The end of the range of all keys that start with `prefix`. */
export function after(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** A range as fields of a request. */
export function prefixed(prefix: string): Json {
  return { key: base64(prefix), range_end: base64(after(prefix)) };
}

/** Holds if the key was made at this revision; 0 for no such key. */
export function createdAt(key: string, revision: number): Json {
  const create_revision = String(revision);
  return { key: base64(key), target: "CREATE", result: "EQUAL", create_revision };
}

/** Holds if the key was last changed at this revision. */
export function modifiedAt(key: string, revision: number): Json {
  return { key: base64(key), target: "MOD", result: "EQUAL", mod_revision: String(revision) };
}

/** Part of a transaction that writes a key. */
export function put(key: string, value: string | Uint8Array, lease = "0"): Json {
  return { request_put: { key: base64(key), value: base64(value), lease } };
}

/** Part of a transaction that deletes the keys from `from` to before `to`, or one key. */
export function remove(from: string, to?: string): Json {
  const range_end = to === undefined ? undefined : base64(to);
  return { request_delete_range: { key: base64(from), range_end } };
}
