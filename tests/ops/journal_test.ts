/** The write-ahead log: what was appended comes back, a torn tail is cut, damage is refused. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { MAX_RECORD } from "../../src/ops/files.ts";
import { openFolder } from "../../src/ops/folder.ts";
import { type Journal, memoryJournal } from "../../src/ops/journal.ts";
import { Seeded } from "../../src/universe/seeded.ts";
import { bytes, refuses, withDisk, withFolder } from "./disk.ts";

const HEAD = 36;
const RECORD_HEAD = 36;
const texts = (records: readonly Uint8Array[]) =>
  records.map((record) => new TextDecoder().decode(record));

/** Runs `body` with the folder's journal, not loaded yet; answers what it was told. */
function withJournal(path: string, body: (journal: Journal) => void): string[] {
  const told: string[] = [];
  const folder = openFolder(path, {
    random: new Seeded(1).bytes,
    observe: (level, event, fields) => told.push(`${level} ${event} ${fields?.bytes}`),
  });
  try {
    body(folder.journal("log"));
  } finally {
    folder.close();
  }
  return told;
}

/** What the journal loads, as text. */
function load(path: string): string[] {
  let found: string[] = [];
  withJournal(path, (journal) => found = texts(journal.load()));
  return found;
}

function write(path: string, records: string[]): Uint8Array<ArrayBuffer> {
  withJournal(path, (journal) => {
    journal.load();
    for (const record of records) journal.append(bytes(record));
  });
  return Deno.readFileSync(`${path}/log`);
}

Deno.test(
  "journal: records come back in order, also after a replacement",
  withFolder((path) => {
    deepEqual(load(path), []);
    withJournal(path, (journal) => {
      deepEqual(journal.load(), []);
      for (const text of ["one", "", "three"]) journal.append(bytes(text));
    });
    withJournal(path, (journal) => {
      deepEqual(texts(journal.load()), ["one", "", "three"]);
      journal.append(bytes("four"));
      journal.replace([bytes("all"), bytes("of it")]);
      journal.append(bytes("five"));
    });
    deepEqual(load(path), ["all", "of it", "five"]);
    deepEqual([...Deno.readDirSync(path)].map(({ name }) => name).sort(), ["lock", "log"]);
    equal(Deno.statSync(`${path}/log`).mode! & 0o777, 0o600);
  }),
);

Deno.test(
  "journal: a tail torn at any byte is cut, and appends go on behind what is left",
  withFolder((path) => {
    const whole = write(path, ["first", "second", "the last"]);
    const last = whole.length - RECORD_HEAD - "the last".length;
    for (let end = last; end < whole.length; end++) {
      for (const tail of [new Uint8Array(), new Uint8Array(whole.length - end)]) {
        Deno.writeFileSync(`${path}/log`, Uint8Array.of(...whole.subarray(0, end), ...tail));
        const told = withJournal(path, (journal) => {
          deepEqual(texts(journal.load()), ["first", "second"], `cut at ${end}`);
          equal(Deno.statSync(`${path}/log`).size, last);
          journal.append(bytes("next"));
        });
        const cut = end - last + tail.length;
        deepEqual(told, cut ? [`warn journal tail cut ${cut}`] : []);
        deepEqual(load(path), ["first", "second", "next"]);
      }
    }
  }),
);

Deno.test(
  "journal: a changed byte is damage, but in the last record it looks torn",
  withFolder((path) => {
    const whole = write(path, ["first", "second", "the last"]);
    const last = whole.length - RECORD_HEAD - "the last".length;
    for (let i = 0; i < whole.length; i++) {
      for (const bit of [1, 128]) {
        const bad = whole.slice();
        bad[i] ^= bit;
        Deno.writeFileSync(`${path}/log`, bad);
        if (i < last) refuses("damaged", 5, /data\/log is damaged \(/, () => load(path));
        else deepEqual(load(path), ["first", "second"]);
      }
    }
  }),
);

Deno.test(
  "journal: a lost record, a short head and another file are damage",
  withFolder((path) => {
    const whole = write(path, ["first", "second", "the last"]);
    const second = HEAD + RECORD_HEAD + "first".length;
    const third = second + RECORD_HEAD + "second".length;
    const bad = [
      Uint8Array.of(...whole.subarray(0, second), ...whole.subarray(third)),
      Uint8Array.of(...whole, ...whole.subarray(third)),
      ...[0, 1, HEAD - 1].map((end) => whole.slice(0, end)),
      bytes("{}".repeat(99)),
    ];
    for (const file of bad) {
      Deno.writeFileSync(`${path}/log`, file);
      refuses("damaged", 5, /data\/log is damaged \(/, () => load(path));
    }
  }),
);

Deno.test(
  "journal: records of an older generation of the file are none of this one's",
  withFolder((path) => {
    const old = write(path, ["old", "older"]);
    Deno.removeSync(`${path}/log`);
    const folder = openFolder(path, { random: new Seeded(2).bytes });
    const journal = folder.journal("log");
    journal.load();
    journal.append(bytes("new"));
    folder.close();
    const now = Deno.readFileSync(`${path}/log`);
    Deno.writeFileSync(`${path}/log`, Uint8Array.of(...now, ...old.subarray(HEAD)));
    deepEqual(load(path), ["new"]);
  }),
);

Deno.test(
  "journal: a replacement that stops anywhere leaves the old records or the new",
  withFolder((path) => {
    const steps = ["openSync", ...Array(3).fill("writeSync"), "syncDataSync", "renameSync"];
    steps.push("openSync", "syncSync", "openSync");
    for (let at = 0; at <= steps.length; at++) {
      write(path, []);
      withJournal(path, (journal) => {
        journal.load();
        journal.replace([bytes("old"), bytes("older")]);
        const replace = () => journal.replace([bytes("new")]);
        let reached: string[] = [];
        if (at === steps.length) reached = withDisk(at, replace);
        else withDisk(at, () => refuses("io", 5, /the disk is gone/, replace));
        if (at === steps.length) return deepEqual(reached, steps);
        refuses("io", 5, /log is not used after a failure/, () => journal.append(bytes("x")));
        refuses("io", 5, /log is not used after a failure/, replace);
      });
      deepEqual(load(path), at <= steps.indexOf("renameSync") ? ["old", "older"] : ["new"]);
    }
  }),
);

Deno.test(
  "journal: the making of its file that stops anywhere leaves none or an empty one",
  withFolder((path) => {
    for (let at = 0; at < 7; at++) {
      withJournal(path, (journal) => {
        withDisk(at, () => refuses("io", 5, /the disk is gone/, () => journal.load()));
      });
      deepEqual(load(path), []);
      Deno.removeSync(`${path}/log`);
    }
  }),
);

Deno.test(
  "journal: an append is written and synced, and one that fails is the last",
  withFolder((path) => {
    for (let at = 0; at < 3; at++) {
      write(path, []);
      withJournal(path, (journal) => {
        journal.load();
        journal.replace([bytes("kept")]);
        const append = () => journal.append(bytes("a record"));
        if (at === 2) return deepEqual(withDisk(at, append), ["writeSync", "syncDataSync"]);
        withDisk(at, () => refuses("io", 5, /the disk is gone/, append));
        refuses("io", 5, /log is not used after a failure/, append);
      });
      const found = load(path);
      deepEqual(found.slice(0, 1), ["kept"]);
      deepEqual(found.slice(1), at > 0 ? ["a record"] : []);
    }
    // A disk that only runs full lets go of what was written of the record.
    withJournal(path, (journal) => {
      journal.load();
      journal.append(bytes("room for this"));
      const size = Deno.statSync(`${path}/log`).size;
      const real = Deno.FsFile.prototype.syncDataSync;
      let calls = 0;
      Deno.FsFile.prototype.syncDataSync = function () {
        if (calls++ === 0) throw new Error("planted: disk full");
        real.call(this);
      };
      try {
        refuses("io", 5, /disk full/, () => journal.append(bytes("no room")));
      } finally {
        Deno.FsFile.prototype.syncDataSync = real;
      }
      equal(Deno.statSync(`${path}/log`).size, size);
    });
  }),
);

Deno.test(
  "journal: what was loaded is durable, since a killed process may not have synced it",
  withFolder((path) => {
    write(path, ["one"]);
    withJournal(path, (journal) => {
      deepEqual(withDisk(Infinity, () => journal.load()), ["openSync", "syncDataSync"]);
    });
  }),
);

Deno.test(
  "journal: out of turn, too long and closed are refused",
  withFolder((path) => {
    let closed: Journal | undefined;
    withJournal(path, (journal) => {
      throws(() => journal.append(bytes("x")), /written before it was loaded/);
      journal.load();
      throws(() => journal.load(), /loaded twice/);
      const long = new Uint8Array(MAX_RECORD + 1);
      throws(() => journal.append(long), RangeError);
      throws(() => journal.replace([long]), RangeError);
      journal.append(bytes("still in use"));
      closed = journal;
    });
    refuses("io", 5, /was closed/, () => closed!.append(bytes("x")));
    deepEqual(load(path), ["still in use"]);
  }),
);

Deno.test("journal: in memory it keeps copies", () => {
  const journal = memoryJournal();
  const record = bytes("one");
  journal.append(record);
  record[0] = 0;
  journal.load()[0][1] = 0;
  deepEqual(texts(journal.load()), ["one"]);
  journal.replace([bytes("two")]);
  deepEqual(texts(journal.load()), ["two"]);
});
