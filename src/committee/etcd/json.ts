/**
 * What etcd answers, read strictly. Its gateway writes protobuf as JSON: 64-bit integers as decimal
 * strings, bytes as base64, and what is zero or empty not at all.
 */

/** What etcd did or answered that the driver cannot go on with; its message is one short line. */
export class EtcdError extends Error {
  override readonly name = "EtcdError";
}

/** A JSON object of which nothing is known. */
export type Json = Readonly<Record<string, unknown>>;

/** A key of etcd as it stood at some revision. */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision that made it. */
  readonly created: number;
  /** Revision that last changed it. */
  readonly modified: number;
  /** Id of its lease, `0` for none. */
  readonly lease: string;
}

/** Longest key that the driver writes; a longer one is none of its own. */
const MAX_KEY_BYTES = 512;

/** Refuses an answer. */
export function malformed(what: string): never {
  throw new EtcdError(`etcd answered ${what}: is it etcd 3.4 or newer?`);
}

/** An object. */
export function object(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    malformed(`no object as ${what}`);
  }
  return value as Json;
}

/** A list, empty where there is none; with more than `max` elements it is refused. */
export function list(value: unknown, what: string, max: number): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > max) malformed(`no list of up to ${max} as ${what}`);
  return value;
}

/** True or false; false where there is none. */
export function boolean(value: unknown, what: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== "boolean") malformed(`no boolean as ${what}`);
  return value;
}

/** A whole number from 0 to 2^53 − 1; 0 where there is none. */
export function whole(value: unknown, what: string): number {
  if (value === undefined) return 0;
  if (typeof value !== "string" || !/^\d{1,16}$/.test(value)) malformed(`no number as ${what}`);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) malformed(`a number over 2^53 as ${what}`);
  return number;
}

/** The id of a lease, a 64-bit integer that stays a string; `0` where there is none. */
export function leaseId(value: unknown): string {
  if (value === undefined) return "0";
  if (typeof value !== "string" || !/^-?\d{1,19}$/.test(value)) malformed("no lease id");
  return value;
}

/** Bytes; none where there are none. */
export function bytes(value: unknown, what: string): Uint8Array {
  if (value === undefined) return new Uint8Array(0);
  if (typeof value !== "string") malformed(`no base64 as ${what}`);
  try {
    return Uint8Array.fromBase64(value, { lastChunkHandling: "strict" });
  } catch {
    return malformed(`no base64 as ${what}`);
  }
}

/** A key, ASCII as the driver writes it. */
function key(value: unknown): string {
  const raw = bytes(value, "a key");
  if (raw.length === 0 || raw.length > MAX_KEY_BYTES || raw.some((byte) => byte > 126)) {
    malformed("a key that no server writes");
  }
  return new TextDecoder().decode(raw);
}

/** A key and what it holds. */
export function keyValue(value: unknown): KeyValue {
  const kv = object(value, "a key");
  return {
    key: key(kv.key),
    value: bytes(kv.value, "a value"),
    created: whole(kv.create_revision, "a revision"),
    modified: whole(kv.mod_revision, "a revision"),
    lease: leaseId(kv.lease),
  };
}

/** The keys of an answer to a range. */
export function keyValues(answer: unknown, max: number): KeyValue[] {
  return list(object(answer, "a range").kvs, "keys", max).map(keyValue);
}

/** The revision of the store at which an answer was made. */
export function revisionOf(answer: Json): number {
  return whole(object(answer.header, "a header").revision, "the store's revision");
}

/** Base64, as requests take keys and values. */
export function base64(value: string | Uint8Array): string {
  return (typeof value === "string" ? new TextEncoder().encode(value) : value).toBase64();
}
