/** The engine in the process passes the suite of all engines. */
import assert from "node:assert/strict";
import { loadRaft } from "../../src/committee/raft/load.ts";
import { RaftEngine } from "../../src/committee/raft_engine.ts";
import { memoryJournal } from "../../src/ops/journal.ts";
import { conformance } from "./engine_conformance.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { encodeMessage } from "../../src/committee/raft_group.ts";
import { RaftLog } from "../../src/committee/raft_log.ts";
import { writeFields } from "./raft/raftpb.ts";
import { virtualWorld } from "./virtual_world.ts";

const module = await loadRaft();

const cases = conformance({
  name: "raft",
  failover: true,
  durable: true,
  open(servers, label) {
    const journals = Array.from({ length: servers }, memoryJournal);
    return {
      world: virtualWorld(label),
      engine: (self, host, environment) =>
        new RaftEngine({ module, self, servers, journal: journals[self], environment }, host),
      forget: (i) => void (journals[i] = memoryJournal()),
      close: () => Promise.resolve(),
    };
  },
});

for (const { name, run } of cases) Deno.test(name, run);

Deno.test("raft: a snapshot that is no state ends the part in the group, not the server", () => {
  const warned: string[] = [];
  let written: readonly Uint8Array[] = [];
  const boot = (journal = memoryJournal()) => {
    const environment = {
      clock: { now: () => 0, wall: () => 0, after: () => () => {} },
      random: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
      observe: (level: string, event: string) => void (level === "warn" && warned.push(event)),
    };
    const host = {
      send: () => true,
      apply() {},
      snapshot: () => new Uint8Array(4),
      restore(snapshot?: Uint8Array) {
        if (!snapshot) return;
        written = journal.load();
        throw new ProtocolError("range", "no state of ours");
      },
    };
    const engine = new RaftEngine({ module, self: 1, servers: 3, journal, environment }, host);
    engine.start();
    return { engine, id: new RaftLog(journal).id! };
  };
  const { engine, id } = boot(), liar = 64 * 5, third = 64 * 6 + 2;
  const name = new Uint8Array(16).fill(9), founders = [liar, id, third];
  const status = { id: liar, generation: 1, name, voters: founders, outgoing: [] };
  engine.receive(0, encodeMessage({ kind: "status", status }));
  engine.receive(0, encodeMessage({ kind: "join", group: { generation: 1, name, founders } }));
  // MsgSnap of term 7: a snapshot of 40 bytes at index 50, of those members.
  const members = writeFields(founders.map((founder) => [1, founder]));
  const metadata = writeFields([[1, members], [2, 50], [3, 7]]);
  const snapshot = writeFields([[1, new Uint8Array(40)], [2, metadata]]);
  const message = writeFields([[1, 7], [2, id], [3, liar], [4, 7], [9, snapshot]]);
  engine.receive(0, encodeMessage({ kind: "raft", name, message }));
  assert.deepEqual(warned, ["order left"]);
  engine.stop();
  // A process that died right then has it in its journal.
  const journal = memoryJournal();
  journal.replace(written);
  assert.equal(new RaftLog(journal).snapshot!.index, 50);
  const again = boot(journal);
  assert.deepEqual(warned, ["order left", "order left"]);
  assert.notEqual(again.id, id);
  again.engine.stop();
});
