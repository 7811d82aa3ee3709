/** Elections: who leads, who cannot, and who must not disturb. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { founded } from "../../../src/committee/raft/core.ts";
import { loadRaft } from "../../../src/committee/raft/load.ts";
import { Group } from "./group.ts";

const module = await loadRaft();

/** Three founding voters. */
function three(seed: number): Group {
  const group = new Group(module, seed);
  for (const id of [1, 2, 3]) group.add(id, founded([1, 2, 3]));
  return group;
}

Deno.test("raft: three nodes elect one leader, and all know it", () => {
  const group = three(1);
  const ticks = group.run(() => group.leader);
  ok(ticks >= 10 && ticks <= 20, `elected after ${ticks} ticks`);
  const statuses = [1, 2, 3].map((id) => group.at(id).core.status());
  equal(statuses.filter(({ role }) => role === "leader").length, 1);
  equal(new Set(statuses.map(({ leader }) => leader)).size, 1);
  deepEqual(statuses[0].members.voters, [1, 2, 3]);
});

Deno.test("raft: without its leader the group elects another and loses nothing", () => {
  const group = three(2);
  group.run(() => group.leader);
  const first = group.leader!;
  first.propose("before");
  group.pump();
  first.crash();
  const ticks = group.run(() => group.leader);
  ok(ticks <= 40, `failover after ${ticks} ticks`);
  group.leader!.propose("after");
  first.restart();
  group.run(() => first.applied.length === 2);
  for (const { applied } of group.members.values()) deepEqual(applied, ["before", "after"]);
});

Deno.test("raft: a minority neither commits nor elects, and its leader steps down", () => {
  const group = three(3);
  group.run(() => group.leader);
  const alone = group.leader!;
  for (const { id } of group.members.values()) if (id !== alone.id) group.cut.add(id);
  alone.propose("never");
  group.pass(100);
  deepEqual(alone.applied, []);
  equal(group.leader, undefined);
  equal(alone.core.status().leader, 0);
});

Deno.test("raft: a node that was cut off returns without deposing the leader", () => {
  const group = three(4);
  group.run(() => group.leader);
  const { id, core } = group.leader!;
  const { term } = core.status();
  const away = id === 1 ? 2 : 1;
  group.cut.add(away);
  group.pass(100);
  equal(group.at(away).core.status().term, term, "pre-vote raised no term");
  group.cut.clear();
  group.pass(40);
  equal(group.leader!.id, id);
  equal(group.leader!.core.status().term, term);
  equal(group.at(away).core.status().leader, id);
});

Deno.test("raft: leadership goes where it is asked to go", () => {
  const group = three(5);
  group.run(() => group.leader);
  const { id, core } = group.leader!;
  const heir = id === 3 ? 1 : 3;
  core.transferLeader(heir);
  group.run(() => group.leader?.id === heir, 10);
});

Deno.test("raft: one seed gives one run, byte for byte; another gives another", () => {
  const run = (seed: number) => {
    const group = three(seed);
    group.run(() => group.leader);
    for (let i = 0; i < 20; i++) {
      group.leader!.propose(`command ${i}`);
      group.pass(2);
    }
    group.leader!.crash();
    group.run(() => group.leader);
    return group.trace;
  };
  const [a, b] = [run(6), run(6)];
  ok(a.length > 100);
  deepEqual(a, b);
  const others = [7, 8, 9].map((seed) => run(seed).join("\n"));
  ok(others.some((other) => other !== a.join("\n")));
});
