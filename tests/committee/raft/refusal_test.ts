/** What the core refuses, and that its host and the other nodes survive it. */
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { founded, RaftCore } from "../../../src/committee/raft/core.ts";
import { RaftError } from "../../../src/committee/raft/errors.ts";
import { compileRaft, loadRaft } from "../../../src/committee/raft/load.ts";
import { Seeded } from "../../../src/universe/seeded.ts";
import { Group } from "./group.ts";

const module = await loadRaft();
const refused = (code: string) => ({ name: "RaftError", code });

/** Three voters with a few entries; one of them leads. */
function running(seed: number): Group {
  const group = new Group(module, seed);
  for (const id of [1, 2, 3]) group.add(id, founded([1, 2, 3]));
  group.run(() => group.leader);
  for (const text of ["a", "b", "c"]) group.leader!.propose(text);
  group.pass(2);
  return group;
}

/** A raft message as protobuf: field numbers and values as raft.proto has them. */
function message(fields: Record<number, number | Uint8Array>): Uint8Array {
  const out: number[] = [];
  const varint = (value: number) => {
    for (; value >= 128; value = Math.floor(value / 128)) out.push(value % 128 + 128);
    out.push(value);
  };
  for (const [key, value] of Object.entries(fields)) {
    varint(Number(key) * 8 + (typeof value === "number" ? 0 : 2));
    if (typeof value === "number") varint(value);
    else {
      varint(value.length);
      out.push(...value);
    }
  }
  return Uint8Array.from(out);
}

Deno.test("raft: a file with another hash is refused", async () => {
  const { default: bytes } = await import("../../../src/committee/raft/raft.wasm", {
    with: { type: "bytes" },
  });
  ok((await compileRaft(bytes)).wasm instanceof WebAssembly.Module);
  const changed = bytes.slice();
  changed[changed.length - 1] ^= 1;
  await rejects(compileRaft(changed), refused("hash"));
  await rejects(compileRaft(new Uint8Array()), refused("hash"));
});

Deno.test("raft: messages that none can have sent are refused, and the group goes on", () => {
  const group = running(1);
  const { core, id } = group.leader!;
  const other = id === 1 ? 2 : 1;
  const { term, last, commit } = core.status();
  const to = { 2: id, 3: other, 4: term };
  const entry = (index: number, data = 1) =>
    message({ 1: 0, 2: term, 3: index, 4: new Uint8Array(data) });
  const wrong: Record<string, Uint8Array> = {
    empty: new Uint8Array(),
    noise: Uint8Array.of(255, 255, 255, 255),
    "for another": message({ ...to, 1: 8, 2: other }),
    "of another": message({ ...to, 1: 8, 3: 3 }),
    "an acknowledgement from the future": message({ ...to, 1: 4, 6: last + 1 }),
    "a commit from the future": message({ ...to, 1: 8, 4: term + 1, 8: last + 1 }),
    "a term that runs over": message({ ...to, 1: 8, 4: 2 ** 50 }),
    "a local type": message({ ...to, 1: 0 }),
    "a disk's type": message({ ...to, 1: 20, 6: last }),
    "an unknown type": message({ ...to, 1: 77 }),
    "no term": message({ 1: 8, 2: id, 3: other }),
    "an empty proposal": message({ 1: 2, 2: id, 3: other }),
    "a proposed change that does not decode": message({
      ...{ 1: 2, 2: id, 3: other },
      7: message({ 1: 2, 4: Uint8Array.of(255) }),
    }),
    "a gap": message({ ...to, 1: 3, 4: term + 1, 5: term, 6: last, 7: entry(last + 2) }),
    "other than committed": message({
      ...{ ...to, 1: 3, 4: term + 1, 5: 1, 6: commit - 1 },
      7: message({ 1: 0, 2: term + 1, 3: commit, 4: Uint8Array.of(1) }),
    }),
    "a snapshot without members": message({
      ...{ ...to, 1: 7, 4: term + 1 },
      9: message({ 2: message({ 2: last + 5, 3: term }) }),
    }),
    "too long an entry": message({
      ...{ ...to, 1: 3, 4: term + 1, 5: term, 6: last },
      7: entry(last + 1, 65_537),
    }),
    "too long": new Uint8Array(17 * 1_048_576),
  };
  const before = core.status();
  for (const [what, bytes] of Object.entries(wrong)) {
    throws(() => core.step(other, bytes), refused("message"), what);
  }
  const strange = message({ 1: 4, 2: id, 3: 9, 4: term, 6: last });
  throws(() => core.step(9, strange), refused("peer"));
  deepEqual(core.status(), before);
  group.leader!.propose("d");
  group.pass(2);
  for (const { applied } of group.members.values()) deepEqual(applied, ["a", "b", "c", "d"]);
});

Deno.test("raft: real messages with damaged bytes never take the host down", () => {
  const group = running(2);
  const { trace } = group;
  const random = new Seeded(2, "damage");
  const outcomes: Record<string, number> = {};
  for (let i = 0; i < 2_000; i++) {
    const [way, , text] = trace[random.u32() % trace.length].split(":");
    const [from, to] = way.split(">").map(Number);
    const bytes = Uint8Array.from(text.split(",").map(Number));
    bytes[random.u32() % bytes.length] ^= 1 << random.u32() % 8;
    const member = group.at(to);
    try {
      member.core.step(from, bytes);
      while (member.work());
      outcomes.taken = (outcomes.taken ?? 0) + 1;
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      outcomes[error.code] = (outcomes[error.code] ?? 0) + 1;
      if (error.code === "panic") member.restart();
    }
  }
  ok(outcomes.message > 500, JSON.stringify(outcomes));
  equal(outcomes.dead, undefined);
});

Deno.test("raft: calls out of order and arguments out of range are refused", () => {
  const group = running(3);
  const { core } = group.leader!;
  throws(() => core.advance(), refused("order"));
  throws(() => core.applyConfChange({ index: 2 }), refused("order"));
  throws(() => core.propose(new Uint8Array(65_537)), refused("argument"));
  throws(() => core.propose("text" as unknown as Uint8Array), refused("argument"));
  throws(() => core.compact(3), refused("argument"));
  throws(() => core.proposeConfChange([{ kind: "addVoter", id: 2 ** 32 }]), refused("argument"));
  core.propose(new Uint8Array(1));
  ok(core.ready());
  throws(() => core.ready(), refused("order"));
  throws(() => core.createSnapshot(new Uint8Array()), refused("order"));
  core.advance();
  core.createSnapshot(new Uint8Array());
  throws(() => core.createSnapshot(new Uint8Array()), refused("argument"));
});

Deno.test("raft: a change of the members must be applied before the node goes on", () => {
  const random = new Seeded(6).bytes;
  const clock = { now: () => 0 };
  const core = new RaftCore(module, { id: 1, stored: founded([1]), clock, random });
  core.campaign();
  while (core.ready()) core.advance();
  core.proposeConfChange([{ kind: "addLearner", id: 2 }]);
  for (let ready = core.ready(); ready; ready = core.ready()) {
    const change = ready.committed.find(({ type }) => type !== "normal");
    if (change) {
      throws(() => core.advance(), refused("order"));
      throws(() => core.applyConfChange({ index: change.index + 1 }), refused("order"));
      deepEqual(core.applyConfChange(change).learners, [2]);
    }
    core.advance();
  }
  deepEqual(core.status().members.learners, [2]);
});

Deno.test("raft: proposals are dropped where there is no leader, or too much waits", () => {
  const stored = founded([1, 2, 3]);
  const random = new Seeded(4).bytes;
  const alone = new RaftCore(module, { id: 1, stored, clock: { now: () => 0 }, random });
  throws(() => alone.propose(new Uint8Array(1)), refused("dropped"));
  const group = new Group(module, 4, { uncommittedBytes: 4_096 });
  for (const id of [1, 2, 3]) group.add(id, stored);
  group.run(() => group.leader);
  const { core } = group.leader!;
  throws(() => {
    for (let i = 0; i < 5; i++) core.propose(new Uint8Array(1_024));
  }, refused("dropped"));
});

Deno.test("raft: a node that panics is dead alone", () => {
  const group = running(5);
  const { core, id } = group.leader!;
  const other = group.at(id === 1 ? 2 : 1);
  const { term, last } = other.core.status();
  // A leader that makes the group remove its last voter: raft has no answer to that.
  const removals = [1, 2, 3].map((id) => message({ 1: 1, 2: id }));
  const all = Uint8Array.from(removals.flatMap((one) => [2 * 8 + 2, one.length, ...one]));
  const entry = message({ 1: 2, 2: term, 3: last + 1, 4: all });
  const poison = { 1: 3, 2: other.id, 3: id, 4: term, 5: term, 6: last, 7: entry, 8: last + 1 };
  other.core.step(id, message(poison));
  throws(() => other.work(), { name: "RaftError", code: "panic", message: /removed all voters/ });
  throws(() => other.core.tick(), refused("dead"));
  throws(() => other.core.status(), refused("dead"));
  core.tick();
  other.crash();
  group.leader!.propose("d");
  group.pass(2);
  deepEqual(group.leader!.applied, ["a", "b", "c", "d"]);
});
