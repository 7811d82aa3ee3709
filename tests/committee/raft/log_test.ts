/** The log: replication, snapshots, restarts, members that come and go. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { founded } from "../../../src/committee/raft/core.ts";
import { loadRaft } from "../../../src/committee/raft/load.ts";
import { Group, type Member } from "./group.ts";

const module = await loadRaft();

/** Founding voters, one of them elected. */
function elected(seed: number, ids = [1, 2, 3]): { group: Group; leader: Member } {
  const group = new Group(module, seed);
  for (const id of ids) group.add(id, founded(ids));
  group.run(() => group.leader);
  return { group, leader: group.leader! };
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `command ${from + i}`);

Deno.test("raft: 1,500 entries reach all nodes in one order, from any node", () => {
  const { group } = elected(1);
  const offered = numbered(0, 1_500);
  for (const [i, text] of offered.entries()) {
    group.at(1 + i % 3).propose(text);
    if (i % 16 === 15) group.pump();
  }
  const all = [...group.members.values()];
  group.run(() => all.every(({ applied }) => applied.length === offered.length));
  deepEqual(all[1].applied, all[0].applied);
  deepEqual(all[2].applied, all[0].applied);
  deepEqual(new Set(all[0].applied), new Set(offered));
});

Deno.test("raft: a follower behind the compacted log catches up by a snapshot", () => {
  const { group, leader } = elected(2);
  const away = group.at(leader.id === 1 ? 2 : 1);
  group.cut.add(away.id);
  for (const text of numbered(0, 50)) leader.propose(text);
  group.pump();
  leader.compact();
  leader.propose("after the snapshot");
  group.pass(30);
  deepEqual(away.applied, []);
  group.cut.clear();
  group.run(() => away.applied.length === 51);
  deepEqual(away.applied, leader.applied);
  ok(away.disk.snapshot!.index > 50, "by a snapshot, not by entries");
  equal(away.core.status().snapshot, away.disk.snapshot!.index);
});

Deno.test("raft: a snapshot that was lost is sent again once that is reported", () => {
  const { group, leader } = elected(3);
  const away = group.at(leader.id === 1 ? 2 : 1);
  group.cut.add(away.id);
  leader.propose("one");
  group.pump();
  leader.compact();
  group.pass(30);
  group.cut.clear();
  let lost = 0;
  const work = leader.work.bind(leader);
  leader.work = () => {
    const messages = work();
    return messages?.filter((message) => {
      if (!message.snapshot || lost > 0) return true;
      lost++;
      leader.core.reportSnapshot(message.to, false);
      return false;
    });
  };
  group.run(() => away.applied.length === 1);
  equal(lost, 1);
});

Deno.test("raft: a node restarts from its hard state, snapshot and entries", () => {
  const { group, leader } = elected(4);
  for (const text of numbered(0, 10)) leader.propose(text);
  group.pass(2);
  for (const member of group.members.values()) member.compact();
  for (const text of numbered(10, 20)) leader.propose(text);
  group.pass(2);
  const { term, vote, commit } = leader.core.status();
  for (const member of group.members.values()) member.crash();
  for (const member of group.members.values()) member.restart();
  const { first, last, ...after } = leader.core.status();
  deepEqual([after.term, after.vote, after.commit, last - first + 1], [term, vote, commit, 10]);
  deepEqual(leader.applied, numbered(0, 10), "what is past the snapshot is applied again");
  group.run(() => group.leader);
  for (const { applied } of group.members.values()) deepEqual(applied, numbered(0, 20));
});

Deno.test("raft: stored state that contradicts itself is refused", () => {
  const { group, leader } = elected(5);
  for (const text of numbered(0, 5)) leader.propose(text);
  group.pass(2);
  const { disk } = leader;
  const { term, vote, commit } = disk.hardState!;
  const wrong = [
    { ...disk, hardState: { term, vote, commit: commit + 1 } },
    { ...disk, hardState: { term: term - 1, vote, commit } },
    { ...disk, entries: disk.entries.slice(1) },
    { ...disk, entries: [...disk.entries.slice(0, 2), ...disk.entries.slice(3)] },
    { ...disk, entries: disk.entries.map((it) => ({ ...it, term: term + 1 })) },
    { ...disk, snapshot: { ...disk.snapshot!, index: 0 } },
    founded([]),
    founded([1, 1]),
    founded([0]),
    founded([2 ** 32 + 1]),
    founded(Array.from({ length: 65 }, (_, i) => i + 1)),
  ];
  for (const [i, stored] of wrong.entries()) {
    const code = { name: "RaftError", code: "argument" };
    throws(() => new Group(module, 1).add(leader.id, stored), code, `case ${i}`);
  }
});

Deno.test("raft: a learner catches up, votes only once promoted, and counts then", () => {
  const { group, leader } = elected(6);
  for (const text of numbered(0, 10)) leader.propose(text);
  group.pump();
  const learner = group.add(4, {});
  leader.core.proposeConfChange([{ kind: "addLearner", id: 4 }]);
  group.run(() => learner.applied.length === 10);
  deepEqual(leader.core.status().members.learners, [4]);
  deepEqual(learner.core.status().members.voters, [1, 2, 3]);
  leader.core.proposeConfChange([{ kind: "addVoter", id: 4 }]);
  group.run(() => learner.core.status().members.voters.length === 4);
  for (const id of [1, 2, 3]) if (id !== leader.id) group.at(id).crash();
  leader.propose("two of four");
  group.pass(5);
  ok(!leader.applied.includes("two of four"), "two of four are no majority");
});

Deno.test("raft: a joint change replaces a voter in one step", () => {
  const { group, leader } = elected(7);
  const out = leader.id === 2 ? 3 : 2;
  group.add(4, {});
  const replaced = [{ kind: "addVoter", id: 4 }, { kind: "remove", id: out }] as const;
  leader.core.proposeConfChange(replaced);
  let joint = false;
  const work = leader.work.bind(leader);
  leader.work = () => {
    const messages = work();
    joint ||= leader.core.status().members.outgoing.length === 3;
    return messages;
  };
  const voters = [1, 2, 3, 4].filter((id) => id !== out);
  group.run(() => {
    const { members } = group.at(4).core.status();
    return members.outgoing.length === 0 && members.voters.length === 3;
  });
  ok(joint, "went through the joint configuration");
  deepEqual(leader.core.status().members.voters.toSorted(), voters);
  group.at(out).crash();
  leader.propose("without it");
  group.run(() => group.at(4).applied.includes("without it"));
});
