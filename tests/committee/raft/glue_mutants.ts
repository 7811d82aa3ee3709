/**
 * Bugs that are planted around the engine, to see that the simulation notices. The core itself is a
 * file that nobody edits here: what it would do wrong is done to its messages, its disk or its host.
 *
 * Two bugs of a core no simulation of this kind has found in thousands of seeds: to commit an entry
 * of an earlier term by counting, and to commit past the last entry that a message brought. Raft's own
 * tests find both; `scripts/raft/upstream.sh` runs them on this very core.
 */
import { concat, Reader, unhex, Writer } from "../../../src/protocol/bytes.ts";
import type { EngineHost } from "../../../src/committee/engine.ts";
import type { Journal } from "../../../src/committee/journal.ts";
import * as wire from "../../../src/committee/raft/wire.ts";
import type { Entry, HardState } from "../../../src/committee/raft/types.ts";
import {
  decodeMessage,
  encodeMessage,
  type GroupMessage,
} from "../../../src/committee/raft_group.ts";
import type { GlueServer } from "./glue_server.ts";
import type { Weather } from "./glue_weather.ts";
import {
  FIELD,
  type Field,
  KIND,
  numberOf,
  readFields,
  withNumbers,
  writeFields,
} from "./raftpb.ts";

/** A planted bug. */
export interface Mutant {
  readonly name: string;
  /** The seed at which a search begins, just before the first that shows it; 1 if it shows soon. */
  readonly from?: number;
  /** What must befall a run for it to matter. */
  readonly weather?: Partial<Weather>;
  /** What a message becomes on its way to a server. */
  message?(bytes: Uint8Array, to: GlueServer): Uint8Array;
  /** What stands between the engine and the disk in the nth life of a process. */
  journal?(journal: Journal, boots: number): Journal;
  /** What stands between the engine and its host. */
  host?(host: EngineHost, boots: number): EngineHost;
}

/** Records of a journal, by their first byte. */
const GROUP = 1, WORK = 2;
/** Larger than any log in a simulation. */
const HUGE = 2 ** 40;

/** Two candidates of one term are rare. */
const QUARREL: Partial<Weather> = { quarrel: true, ordered: false, delay: 700, loss: 0 };

/** Alters raft's own messages of some kinds. */
function altered(
  kinds: readonly number[],
  alter: (fields: readonly Field[], to: GlueServer) => readonly Field[],
): NonNullable<Mutant["message"]> {
  return (bytes, to) => {
    const message = decodeMessage(bytes);
    if (message.kind !== "raft") return bytes;
    const fields = readFields(message.message);
    if (!kinds.includes(numberOf(fields, FIELD.type))) return bytes;
    return encodeMessage({ ...message, message: writeFields(alter(fields, to)) });
  };
}

/** A journal of which a restart reads something else than was written. */
function misread(
  read: (records: readonly Uint8Array[]) => readonly Uint8Array[],
): NonNullable<Mutant["journal"]> {
  return (journal) => ({
    load: () => read(journal.load()),
    append: (record) => journal.append(record),
    replace: (records) => journal.replace(records),
  });
}

interface Work {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}

/** Reads what records of work hold as something else. */
function reworked(
  records: readonly Uint8Array[],
  rework: (work: Work) => Work,
): readonly Uint8Array[] {
  return records.map((record) => {
    if (record[0] !== WORK) return record;
    const reader = new Reader(record.subarray(1), "work");
    const { hardState, entries } = rework({
      hardState: wire.readHardState(reader),
      entries: wire.readEntries(reader),
    });
    const out = new Writer().u8(WORK);
    wire.writeHardState(out, hardState);
    wire.writeEntries(out, entries);
    return out.end();
  });
}

const hasEntries = (record: Uint8Array) => {
  const reader = new Reader(record.subarray(1), "work");
  wire.readHardState(reader);
  return wire.readEntries(reader).length > 0;
};

/** Each record reaches the disk with the next one only; a crash loses it. */
function late(journal: Journal): Journal {
  let waiting: Uint8Array | undefined;
  return {
    load: () => journal.load(),
    append: (record) => {
      const due = waiting;
      waiting = record.slice();
      if (due) journal.append(due);
    },
    replace: (records) => {
      waiting = undefined;
      journal.replace(records);
    },
  };
}

/** All of them; each is found by the checks of the simulation. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "a vote is given whatever the candidate's log is",
    message: altered(
      [KIND.vote, KIND.preVote],
      (fields) => withNumbers(fields, { [FIELD.index]: HUGE, [FIELD.logTerm]: HUGE }),
    ),
  },
  {
    name: "a refused vote counts as given",
    message: altered([KIND.voteResponse], (fields) => withNumbers(fields, { [FIELD.reject]: 0 })),
  },
  {
    name: "a server votes again after a restart",
    from: 30,
    weather: QUARREL,
    journal: misread((records) =>
      reworked(records, (work) => ({ ...work, hardState: { ...work.hardState, vote: 0 } }))
    ),
  },
  {
    name: "hard state that comes without entries is not synced",
    weather: QUARREL,
    journal: (journal) => ({
      load: () => journal.load(),
      append: (record) => void (hasEntries(record) && journal.append(record)),
      replace: (records) => journal.replace(records),
    }),
  },
  {
    name: "the quorum is one too small",
    message: (bytes, to) => {
      const message = decodeMessage(bytes);
      if (message.kind !== "join") return bytes;
      const { founders } = message.group;
      const own = founders.indexOf(to.id!);
      if (own < 0) return bytes;
      const fewer = founders.map((_, i) => founders[(own + i) % founders.length])
        .slice(0, founders.length - 2);
      return encodeMessage({ kind: "join", group: { ...message.group, founders: fewer } });
    },
  },
  {
    name: "entries are appended without a look at what stands before them",
    message: altered([KIND.append], (fields, to) => {
      const term = to.termAt(numberOf(fields, FIELD.index));
      return term === undefined ? fields : withNumbers(fields, { [FIELD.logTerm]: term });
    }),
  },
  {
    name: "a restart forgets all under the same id",
    journal: misread((records) => records.filter(([kind]) => kind <= GROUP)),
  },
  {
    name: "a restart forgets entries that it acknowledged",
    journal: misread((records) =>
      reworked(
        records,
        ({ hardState }) => ({ hardState: { ...hardState, commit: 0 }, entries: [] }),
      )
    ),
  },
  { name: "messages leave before the disk has what they say", journal: late },
  {
    name: "a replay keeps entries that were replaced",
    journal: misread((records) => {
      let last = 0;
      return reworked(records, ({ hardState, entries }) => {
        const kept = entries.filter(({ index }) => index > last);
        last = Math.max(last, entries.at(-1)?.index ?? 0);
        return { hardState, entries: kept };
      });
    }),
  },
  {
    name: "snapshots are not renewed when the members change",
    from: 20,
    message: altered(
      [KIND.snapshot],
      (fields, to) =>
        fields.map(([number, value]): Field =>
          number !== FIELD.snapshot || typeof value === "number"
            ? [number, value]
            : [number, writeFields(withoutMember(readFields(value), to.id!))]
        ),
    ),
  },
  {
    name: "a restart applies its first commands twice",
    host: (host, boots) => {
      let first = boots > 1;
      return {
        ...host,
        apply: (commands) => {
          host.apply(commands);
          if (first) host.apply(commands);
          first = false;
        },
      };
    },
  },
  {
    name: "a restart leaves out the first command",
    host: (host, boots) => {
      let first = boots > 1;
      return {
        ...host,
        apply: (commands) => {
          const rest = first ? commands.slice(1) : commands;
          first = false;
          if (rest.length > 0) host.apply(rest);
        },
      };
    },
  },
  {
    name: "a snapshot holds less than was applied",
    host: (host) => ({ ...host, snapshot: () => new Uint8Array(12) }),
  },
  {
    name: "messages of an older group are taken",
    weather: { late: 0.3, wipes: true },
    message: (bytes, to) => {
      const message: GroupMessage = decodeMessage(bytes);
      if (message.kind !== "raft" || !to.group) return bytes;
      return concat(bytes.subarray(0, 1), unhex(to.group, 16), message.message);
    },
  },
];

/** A snapshot of before a node was a member. Field numbers: metadata 2, its members 1. */
function withoutMember(snapshot: readonly Field[], id: number): Field[] {
  const inside = (number: number, change: (fields: Field[]) => Field[]) => (field: Field): Field =>
    field[0] === number && typeof field[1] !== "number"
      ? [number, writeFields(change(readFields(field[1])))]
      : field;
  const members = inside(1, (fields) => fields.filter(([, value]) => value !== id));
  return snapshot.map(inside(2, (fields) => fields.map(members)));
}
