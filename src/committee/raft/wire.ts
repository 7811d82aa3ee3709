/**
 * The layouts between host and shim; `scripts/raft/shim/wire.go` states them and is the other end.
 * What a reader gives holds views of its input, which the caller owns.
 */
import { Reader, Writer } from "../../protocol/bytes.ts";
import { RaftError } from "./errors.ts";
import type {
  Change,
  Entry,
  HardState,
  Members,
  Message,
  Progress,
  Ready,
  Role,
  Snapshot,
  Status,
} from "./types.ts";

const ENTRY_TYPES: readonly Entry["type"][] = ["normal", "confChange", "confChangeV2"];
const ROLES: readonly Role[] = ["follower", "candidate", "leader", "preCandidate"];
const PROGRESS: readonly Progress["state"][] = ["probe", "replicate", "snapshot"];
const CHANGES: Readonly<Record<Change["kind"], number>> = { addVoter: 0, remove: 1, addLearner: 3 };

/** Largest term and index; the shim holds other nodes to it too. */
export const MAX_NUMBER = 2 ** 48;
/** Most members of each kind. */
export const MAX_MEMBERS = 64;

/** `value` if it is a whole number from `min` to `max`; else throws. */
export function whole(value: number, min: number, max: number, what: string): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RaftError("argument", `${what} is ${value}, expected a whole number ${min} to ${max}`);
}

/** A node's id. */
export function nodeId(value: number): number {
  return whole(value, 1, 2 ** 32 - 1, "a node's id");
}

const number = (value: number, what: string) => whole(value, 0, MAX_NUMBER, what);

function writeMembers(w: Writer, members: Members): void {
  const { voters, learners, outgoing, nextLearners } = members;
  for (const set of [voters, learners, outgoing, nextLearners]) {
    w.u32(whole(set.length, 0, MAX_MEMBERS, "a number of members"));
    for (const id of set) w.u32(nodeId(id));
  }
  w.u8(Number(members.autoLeave));
}

/** Appends a snapshot. */
export function writeSnapshot(w: Writer, snapshot: Snapshot): void {
  w.u64(number(snapshot.index, "a snapshot's index")).u64(number(snapshot.term, "its term"));
  writeMembers(w, snapshot.members);
  w.vector(snapshot.data);
}

/** Appends a hard state. */
export function writeHardState(w: Writer, state: HardState): void {
  w.u64(number(state.term, "a term"));
  w.u32(whole(state.vote, 0, 2 ** 32 - 1, "a vote")).u64(number(state.commit, "a commit"));
}

/** Appends entries behind their count. */
export function writeEntries(w: Writer, entries: readonly Entry[]): void {
  w.u32(entries.length);
  for (const { type, term, index, data } of entries) {
    w.u8(ENTRY_TYPES.indexOf(type));
    w.u64(number(term, "an entry's term")).u64(number(index, "an entry's index")).vector(data);
  }
}

/** Appends changes of the members behind their count. */
export function writeChanges(w: Writer, changes: readonly Change[]): void {
  w.u32(whole(changes.length, 0, MAX_MEMBERS, "a number of changes"));
  for (const { kind, id } of changes) w.u8(CHANGES[kind]).u32(nodeId(id));
}

const bytes = (r: Reader) => r.bounded(0, r.left, "bytes");
const list = <T>(r: Reader, read: (r: Reader) => T): T[] => {
  const count = r.u32();
  const found: T[] = [];
  for (let i = 0; i < count; i++) found.push(read(r));
  return found;
};
const optional = <T>(r: Reader, read: (r: Reader) => T) => r.u8() === 1 ? read(r) : undefined;
const id = (r: Reader) => r.u32();

function readSets(r: Reader): Members {
  const [voters, learners, outgoing, nextLearners] = [0, 1, 2, 3].map(() => list(r, id));
  return { voters, learners, outgoing, nextLearners, autoLeave: r.u8() === 1 };
}

/** Reads a hard state. */
export function readHardState(r: Reader): HardState {
  return { term: r.u64(), vote: r.u32(), commit: r.u64() };
}

function readEntry(r: Reader): Entry {
  return { type: ENTRY_TYPES[r.u8()], term: r.u64(), index: r.u64(), data: bytes(r) };
}

/** Reads entries behind their count. */
export function readEntries(r: Reader): Entry[] {
  return list(r, readEntry);
}

/** Reads a snapshot among other fields. */
export function readOneSnapshot(r: Reader): Snapshot {
  return { index: r.u64(), term: r.u64(), members: readSets(r), data: bytes(r) };
}

function readMessage(r: Reader): Message {
  return { to: r.u32(), snapshot: r.u8() === 1, bytes: bytes(r) };
}

function readProgress(r: Reader): Progress {
  const [id, match, next, state] = [r.u32(), r.u64(), r.u64(), PROGRESS[r.u8()]];
  return { id, match, next, state, active: r.u8() === 1, learner: r.u8() === 1 };
}

/** One whole layout. */
function layout<T>(input: Uint8Array, what: string, read: (r: Reader) => T): T {
  const r = new Reader(input, what);
  const value = read(r);
  r.end();
  return value;
}

/** What `ready` answered. */
export function readReady(input: Uint8Array): Ready {
  return layout(input, "ready", (r) => {
    const mustSync = r.u8() === 1;
    const hardState = optional(r, readHardState);
    const softState = optional(r, (r) => ({ leader: r.u32(), role: ROLES[r.u8()] }));
    const [entries, committed] = [readEntries(r), readEntries(r)];
    const snapshot = optional(r, readOneSnapshot);
    const messages = list(r, readMessage);
    return { mustSync, hardState, softState, entries, committed, snapshot, messages };
  });
}

/** What `createSnapshot` answered. */
export function readSnapshot(input: Uint8Array): Snapshot {
  return layout(input, "snapshot", readOneSnapshot);
}

/** What `applyConfChange` answered. */
export function readMembers(input: Uint8Array): Members {
  return layout(input, "members", readSets);
}

/** What `status` answered. */
export function readStatus(input: Uint8Array): Status {
  return layout(input, "status", (r) => {
    const [id, term, vote, leader] = [r.u32(), r.u64(), r.u32(), r.u32()];
    const role = ROLES[r.u8()];
    const [commit, applied, first, last, snapshot] = [0, 1, 2, 3, 4].map(() => r.u64());
    const members = readSets(r);
    const progress = list(r, readProgress);
    return {
      ...{ id, term, vote, leader, role, commit, applied, first, last, snapshot },
      ...{ members, progress },
    };
  });
}
