/** What a leader does about who is a member: every server here is to be a voter under its id. */
import { equal } from "../protocol/bytes.ts";
import type { Change, Status } from "./raft/types.ts";
import { type Group, type GroupStatus, isNewer, placeOf } from "./raft_group.ts";

/** How far behind the leader a learner may be to be given a vote, in entries. */
const CAUGHT_UP = 64;

/** What is due: learners that are to be told of the group, and one change of the members at most. */
export interface Stewardship {
  readonly behind: readonly number[];
  readonly changes?: readonly Change[];
}

/** Looks at one server after the other, up to the first that asks for a change. */
export function stewardship(
  { members: { voters, learners }, progress, commit }: Status,
  peers: ReadonlyMap<number, GroupStatus>,
  group: Group,
): Stewardship {
  const behind: number[] = [];
  for (const [peer, { id, name, generation }] of peers) {
    const follows = equal(name, group.name);
    if (voters.includes(id) || (!follows && isNewer({ name, generation }, group))) continue;
    const others = learners.filter((other) => other !== id && placeOf(other) === peer);
    const removed = (ids: readonly number[]) => ids.map((id) => ({ kind: "remove", id }) as const);
    if (!learners.includes(id)) {
      return { behind, changes: [...removed(others), { kind: "addLearner", id }] };
    }
    if (!follows) {
      behind.push(peer);
      continue;
    }
    const its = progress.find((p) => p.id === id);
    if (its?.state !== "replicate" || its.match + CAUGHT_UP < commit) continue;
    const before = [...others, ...voters.filter((voter) => placeOf(voter) === peer)];
    return { behind, changes: [{ kind: "addVoter", id }, ...removed(before)] };
  }
  return { behind };
}
