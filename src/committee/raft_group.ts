/**
 * Groups: one run of the engine, from its founding until most of its voters have forgotten it. A
 * server that forgot what it said must not speak under the same id again, so ids are made anew
 * whenever there is nothing to remember, and a group knows its members by id.
 *
 * Messages between engines: u8 kind ‖ body. 0 status ‖ u32 id ‖ u64 generation ‖ name (16) ‖ voters ‖
 * voters of the configuration that is being left · 1 join ‖ group · 2 raft ‖ name (16) ‖ message.
 * Group: u64 generation ‖ name (16) ‖ founders. Ids: u16 count ‖ u32 each.
 */
import { compare, equal, Reader, Writer, ZERO32 } from "../protocol/bytes.ts";
import { MAX_SERVERS } from "../protocol/parameters.ts";
import type { Random } from "../universe/environment.ts";

/** One run of the engine. */
export interface Group {
  /** Rises from founding to founding. */
  readonly generation: number;
  /** 16 random bytes. */
  readonly name: Uint8Array;
  /** Ids of those who founded it. */
  readonly founders: readonly number[];
}

/** What a server says of itself whenever it changes. */
export interface GroupStatus {
  readonly id: number;
  /** Of the group that it is in; 0 for none. */
  readonly generation: number;
  readonly name: Uint8Array;
  readonly voters: readonly number[];
  readonly outgoing: readonly number[];
}

/** An engine's message to another. */
export type GroupMessage =
  | { readonly kind: "status"; readonly status: GroupStatus }
  | { readonly kind: "join"; readonly group: Group }
  | { readonly kind: "raft"; readonly name: Uint8Array; readonly message: Uint8Array };

const STATUS = 0, JOIN = 1, RAFT = 2;
const NAME = 16;

/** The name of no group. */
export const NO_GROUP: Uint8Array = ZERO32.subarray(0, NAME);

/** An id for a server that remembers none: its place in the low 6 bits, the rest random, not zero. */
export function newId(place: number, random: Random): number {
  const draw = new Reader(random(4), "id").u32() >>> 6;
  return (draw === 0 ? MAX_SERVERS : draw * MAX_SERVERS) + place;
}

/** The place of the server behind an id. */
export function placeOf(id: number): number {
  return id % MAX_SERVERS;
}

/** Whether group `a` was founded after `b`. */
export function isNewer(
  a: Pick<Group, "generation" | "name">,
  b: Pick<Group, "generation" | "name">,
): boolean {
  return a.generation !== b.generation ? a.generation > b.generation : compare(a.name, b.name) > 0;
}

/**
 * Whether a group can decide nothing any more, although all servers are here: in the view of each
 * of its members, fewer than a majority of its voters are.
 */
export function isDead(statuses: readonly GroupStatus[]): boolean {
  const newest = statuses.reduce((a, b) => isNewer(b, a) ? b : a);
  if (newest.generation === 0) return true;
  const members = statuses.filter(({ name }) => equal(name, newest.name));
  // A founder that has not joined yet will: it counts under the id that it was founded with.
  const ids = new Set(statuses.map(({ id }) => id));
  const decides = (voters: readonly number[]) =>
    2 * voters.filter((id) => ids.has(id)).length > voters.length;
  return !members.some(({ voters, outgoing }) =>
    decides(voters) && (outgoing.length === 0 || decides(outgoing))
  );
}

/** The layout of a group. */
export function encodeGroup({ generation, name, founders }: Group): Uint8Array {
  return ids(new Writer().u64(generation).bytes(name), founders).end();
}

/** Reads a group. */
export function readGroup(reader: Reader): Group {
  return { generation: reader.u64(), name: reader.bytes(NAME), founders: readIds(reader) };
}

/** The layout of a message. */
export function encodeMessage(message: GroupMessage): Uint8Array {
  const out = new Writer();
  switch (message.kind) {
    case "status": {
      const { id, generation, name, voters, outgoing } = message.status;
      return ids(ids(out.u8(STATUS).u32(id).u64(generation).bytes(name), voters), outgoing).end();
    }
    case "join":
      return out.u8(JOIN).bytes(encodeGroup(message.group)).end();
    case "raft":
      return out.u8(RAFT).bytes(message.name).bytes(message.message).end();
  }
}

/** Reads a message, strictly; what raft made of it is for raft to judge. */
export function decodeMessage(bytes: Uint8Array): GroupMessage {
  const reader = new Reader(bytes, "engine message");
  const kind = reader.u8();
  if (kind === RAFT) {
    return { kind: "raft", name: reader.bytes(NAME), message: reader.bytes(reader.left) };
  }
  if (kind > RAFT) reader.fail("range", `kind ${kind}, expected 0..${RAFT}`);
  const message: GroupMessage = kind === JOIN
    ? { kind: "join", group: readGroup(reader) }
    : { kind: "status", status: readStatus(reader) };
  reader.end();
  return message;
}

function readStatus(reader: Reader): GroupStatus {
  const id = reader.u32(), generation = reader.u64(), name = reader.bytes(NAME);
  const voters = readIds(reader), outgoing = readIds(reader);
  return { id, generation, name, voters, outgoing };
}

function ids(out: Writer, list: readonly number[]): Writer {
  out.u16(list.length);
  for (const id of list) out.u32(id);
  return out;
}

function readIds(reader: Reader): number[] {
  const count = reader.u16();
  if (count > MAX_SERVERS) reader.fail("range", `${count} ids, expected at most ${MAX_SERVERS}`);
  const list = Array.from({ length: count }, () => reader.u32());
  if (new Set(list).size !== count || list.some((id) => id < MAX_SERVERS)) {
    reader.fail("encoding", "an id twice, or one that no server can have");
  }
  return list;
}
