/**
 * What a server's engine remembers over a crash, as records of a journal.
 *
 * Records: u8 kind ‖ body, in this order of meaning. 0 identity ‖ u32 id: all before it is over · 1
 * group ‖ group: joined, with nothing said in it yet · 2 work ‖ hard state ‖ entries: the entries
 * replace whatever stood from the first one's index on · 3 snapshot ‖ snapshot: all entries before
 * it in the journal are over.
 */
import { Reader, Writer } from "../protocol/bytes.ts";
import { founded } from "./raft/core.ts";
import type { Entry, HardState, Ready, Snapshot, Stored } from "./raft/types.ts";
import * as wire from "./raft/wire.ts";
import type { Journal } from "./journal.ts";
import { encodeGroup, type Group, readGroup } from "./raft_group.ts";

const IDENTITY = 0, GROUP = 1, WORK = 2, SNAPSHOT = 3;

const NOTHING: HardState = { term: 0, vote: 0, commit: 0 };

/** The journal of one engine, and what stands in it. */
export class RaftLog {
  #id: number | undefined;
  #group: Group | undefined;
  #hardState = NOTHING;
  #snapshot: Snapshot | undefined;
  #entries: Entry[] = [];
  /** Bytes of entries appended since the journal was last replaced. */
  #bytes = 0;

  /** Reads the journal; throws a `ProtocolError` for records that no engine wrote. */
  constructor(readonly journal: Journal) {
    for (const record of journal.load()) this.#read(new Reader(record.slice(), "journal"));
  }

  /** This server's id, once it has one. */
  get id(): number | undefined {
    return this.#id;
  }
  /** The group that it is in, if any. */
  get group(): Group | undefined {
    return this.#group;
  }
  /** Bytes written since the journal was last replaced. */
  get bytes(): number {
    return this.#bytes;
  }
  /** The snapshot written last. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** What a core starts from. */
  get stored(): Stored {
    return this.#snapshot
      ? { snapshot: this.#snapshot, hardState: this.#hardState, entries: this.#entries }
      : { hardState: this.#hardState, entries: this.#entries };
  }

  /** Begins under a new id, in no group. */
  begin(id: number): void {
    this.#reset(undefined);
    this.#id = id;
    this.#replace();
  }

  /** Joins a group, of which nothing is known yet but its founding. */
  join(group: Group): void {
    this.#reset(group);
    this.#replace();
  }

  /** Writes what must be durable before messages leave. A commit alone can be learned again. */
  write({ mustSync, hardState, entries, snapshot }: Ready): void {
    this.#hardState = hardState ?? this.#hardState;
    if (snapshot) {
      this.#snapshot = snapshot;
      this.#entries = [];
    }
    if (entries.length > 0) this.#keep(entries);
    if (snapshot) return this.#replace();
    if (!mustSync) return;
    const record = work(this.#hardState, entries);
    this.journal.append(record);
    this.#bytes += record.length;
  }

  /** Replaces what a snapshot stands for. */
  compact(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#entries = this.#entries.filter(({ index }) => index > snapshot.index);
    this.#replace();
  }

  #reset(group: Group | undefined): void {
    this.#group = group;
    this.#hardState = NOTHING;
    this.#entries = [];
    this.#snapshot = group && this.#id !== undefined && group.founders.includes(this.#id)
      ? founded(group.founders).snapshot
      : undefined;
  }

  #keep(entries: readonly Entry[]): void {
    const [{ index: from }] = entries;
    while (this.#entries.length > 0 && this.#entries.at(-1)!.index >= from) this.#entries.pop();
    this.#entries.push(...entries);
  }

  #replace(): void {
    const records = [new Writer().u8(IDENTITY).u32(this.#id!).end()];
    if (this.#group) records.push(new Writer().u8(GROUP).bytes(encodeGroup(this.#group)).end());
    if (this.#snapshot) {
      const out = new Writer().u8(SNAPSHOT);
      wire.writeSnapshot(out, this.#snapshot);
      records.push(out.end());
    }
    if (this.#group) records.push(work(this.#hardState, this.#entries));
    this.journal.replace(records);
    this.#bytes = 0;
  }

  #read(reader: Reader): void {
    const kind = reader.u8();
    if (kind === IDENTITY) {
      this.#reset(undefined);
      this.#id = reader.u32();
    } else if (kind === GROUP) this.#reset(readGroup(reader));
    else if (kind === WORK) {
      this.#hardState = wire.readHardState(reader);
      const entries = wire.readEntries(reader);
      if (entries.length > 0) this.#keep(entries);
    } else if (kind === SNAPSHOT) {
      this.#snapshot = wire.readOneSnapshot(reader);
      this.#entries = [];
    } else reader.fail("range", `a record of kind ${kind}`);
    reader.end();
  }
}

function work(hardState: HardState, entries: readonly Entry[]): Uint8Array {
  const out = new Writer().u8(WORK);
  wire.writeHardState(out, hardState);
  wire.writeEntries(out, entries);
  return out.end();
}
