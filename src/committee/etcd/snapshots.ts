/**
 * Snapshots of the committee's state in etcd: chunks below its limit of 1.5 MiB a request, and the
 * key `state`, which names them once all are there. Whoever was interrupted leaves chunks that
 * nobody names; the next snapshot takes them away.
 */
import { base64, boolean, EtcdError, type Json, keyValues, malformed } from "./json.ts";
import {
  after,
  createdAt,
  encodeState,
  type Keys,
  modifiedAt,
  prefixed,
  put,
  remove,
  type State,
} from "./keys.ts";

/** Bytes of one chunk. */
const CHUNK_BYTES = 2 ** 20;
/** Longest snapshot. */
export const MAX_SNAPSHOT_BYTES = 48 * 2 ** 20;
/** Commands that one transaction deletes; etcd allows 128 parts. */
const MAX_DELETED = 100;

/** One request to etcd. */
export type Call = (path: string, body: Json) => Promise<Json>;

/** What a leader needs to know to replace the snapshot. */
export interface Reign {
  /** Revision that made its key `leader`. */
  readonly leader: number;
  /** Revision of the key `state` that it replaces. */
  readonly state: number;
}

/** The snapshot that `state` names, as it stood at a revision. */
export async function readSnapshot(
  call: Call,
  keys: Keys,
  state: State,
  revision: number,
): Promise<Uint8Array> {
  if (state.length > MAX_SNAPSHOT_BYTES) malformed(`a snapshot of ${state.length} bytes`);
  const out = new Uint8Array(state.length);
  let at = 0;
  for (let index = 0; index < state.chunks; index++) {
    const key = base64(keys.chunk(state.snapshot, index));
    const [chunk] = keyValues(await call("kv/range", { key, revision: String(revision) }), 1);
    if (chunk === undefined || at + chunk.value.length > out.length) {
      throw new EtcdError(`chunk ${index} of the snapshot in etcd is not there, or too long`);
    }
    out.set(chunk.value, at);
    at += chunk.value.length;
  }
  if (at < out.length) throw new EtcdError(`the snapshot in etcd ends after ${at} bytes`);
  return out;
}

/**
 * Writes a snapshot of all commands up to `state.revision`, and takes away what it replaces. Ends
 * early, with nothing lost, where this server no longer leads.
 */
export async function writeSnapshot(
  call: Call,
  keys: Keys,
  reign: Reign,
  state: Omit<State, "chunks" | "length">,
  snapshot: Uint8Array,
): Promise<void> {
  const leads = createdAt(keys.leader, reign.leader);
  const commit = async (parts: readonly Json[], ...compare: Json[]) => {
    const answer = await call("kv/txn", { compare: [leads, ...compare], success: parts });
    return boolean(answer.succeeded, "an outcome");
  };
  const chunks = Math.max(1, Math.ceil(snapshot.length / CHUNK_BYTES));
  for (let index = 0; index < chunks; index++) {
    const chunk = snapshot.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    if (!await commit([put(keys.chunk(state.snapshot, index), chunk)])) return;
  }
  const own = keys.snapshot(state.snapshot);
  const replaced = await commit([
    put(keys.state, encodeState({ ...state, chunks, length: snapshot.length })),
    remove(keys.snapshots, own),
    remove(after(own), after(keys.snapshots)),
  ], modifiedAt(keys.state, reign.state));
  if (!replaced) return;
  for (;;) {
    const covered = keyValues(
      await call("kv/range", {
        ...prefixed(keys.log),
        max_mod_revision: String(state.revision),
        keys_only: true,
        limit: String(MAX_DELETED),
      }),
      MAX_DELETED,
    );
    if (covered.length === 0 || !await commit(covered.map(({ key }) => remove(key)))) return;
  }
}
