/** The write-ahead log: what a crash can leave comes back, what no crash leaves is refused. */
import { deepEqual, throws } from "node:assert/strict";
import { openFolder } from "../../src/ops/folder.ts";
import { openJournal } from "../../src/ops/journal.ts";
import { StoreError } from "../../src/ops/store.ts";

const TESTNET = new URL("../../.testnet/", import.meta.url).pathname;
const RECORDS = [0, 1, 40, 5, 300].map((n, i) => new Uint8Array(n).fill(i + 1));

/** Runs `body` with a folder of its own, which is taken away afterwards. */
function withFolder(body: (folder: string) => void): () => void {
  return () => {
    Deno.mkdirSync(TESTNET, { recursive: true });
    const folder = Deno.makeTempDirSync({ dir: TESTNET, prefix: "journal-" });
    try {
      body(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

/** What a process that opens the journal finds; it appends `more`. */
function opened(folder: string, ...more: Uint8Array[]): readonly Uint8Array[] {
  const journal = openJournal(folder, "wal");
  try {
    const found = [...journal.load()];
    for (const record of more) journal.append(record);
    return found;
  } finally {
    journal.close();
  }
}

const file = (folder: string) => `${folder}/wal`;

function damaged(folder: string): void {
  throws(() => opened(folder), (error: unknown) => {
    if (!(error instanceof StoreError)) throw error;
    deepEqual([error.code, error.exitCode], ["damaged", 5]);
    return error.message.startsWith(`${file(folder)} is damaged (`) &&
      !error.message.includes("\n");
  });
}

Deno.test(
  "journal: what is appended comes back in order, also after more is appended",
  withFolder((folder) => {
    deepEqual(opened(folder, ...RECORDS), []);
    deepEqual(opened(folder), RECORDS);
    deepEqual(opened(folder, Uint8Array.of(9)), RECORDS);
    deepEqual(opened(folder), [...RECORDS, Uint8Array.of(9)]);
  }),
);

Deno.test(
  "journal: a tail torn at any byte is cut off, and the journal goes on",
  withFolder((folder) => {
    opened(folder, ...RECORDS.slice(0, -1));
    const kept = Deno.readFileSync(file(folder)).length;
    opened(folder, RECORDS.at(-1)!);
    const whole = Deno.readFileSync(file(folder));
    for (let length = kept; length < whole.length; length++) {
      Deno.writeFileSync(file(folder), whole.subarray(0, length));
      deepEqual(opened(folder, Uint8Array.of(7)), RECORDS.slice(0, -1), `cut at ${length}`);
      deepEqual(opened(folder).at(-1), Uint8Array.of(7));
    }
  }),
);

Deno.test(
  "journal: any byte changed is refused, or cut off where it is in the last record",
  withFolder((folder) => {
    opened(folder, ...RECORDS.slice(0, -1));
    const last = Deno.readFileSync(file(folder)).length;
    opened(folder, RECORDS.at(-1)!);
    const whole = Deno.readFileSync(file(folder));
    for (let at = 0; at < whole.length; at++) {
      const bytes = whole.slice();
      bytes[at] ^= 1 << at % 8;
      Deno.writeFileSync(file(folder), bytes);
      if (at < last) damaged(folder);
      else deepEqual(opened(folder), RECORDS.slice(0, -1), `byte ${at}`);
    }
  }),
);

Deno.test(
  "journal: records cut out of the middle, swapped or repeated are refused",
  withFolder((folder) => {
    const ends = RECORDS.map((record) => {
      opened(folder, record);
      return Deno.readFileSync(file(folder)).length;
    });
    const whole = Deno.readFileSync(file(folder));
    const part = (i: number) => whole.subarray(i < 0 ? 0 : ends[i], ends[i + 1]);
    const head = whole.subarray(0, ends[0]);
    for (const order of [[1], [1, 0], [0, 0, 1], [0, 2], [0, 1, 3]]) {
      const bytes = order.map((i) => [...part(i)]).flat();
      Deno.writeFileSync(file(folder), Uint8Array.from([...head, ...bytes]));
      damaged(folder);
    }
  }),
);

Deno.test(
  "journal: replaced whole; a crash before the rename leaves the old one",
  withFolder((folder) => {
    opened(folder, ...RECORDS);
    const before = Deno.readFileSync(file(folder));
    const journal = openJournal(folder, "wal");
    journal.load();
    journal.replace([Uint8Array.of(1), Uint8Array.of(2)]);
    journal.append(Uint8Array.of(3));
    journal.close();
    const after = Deno.readFileSync(file(folder));
    deepEqual(opened(folder), [1, 2, 3].map((n) => Uint8Array.of(n)));
    for (const length of [0, 5, after.length]) {
      Deno.writeFileSync(file(folder), before);
      Deno.writeFileSync(`${file(folder)}.new`, after.subarray(0, length));
      deepEqual(opened(folder), RECORDS);
    }
  }),
);

Deno.test(
  "journal: once a write failed it refuses all use, and what was whole comes back",
  withFolder((folder) => {
    const store = openFolder(`${folder}/data`), journal = store.journal("wal");
    journal.load();
    journal.append(RECORDS[2]);
    throws(() => journal.append(new Uint8Array(65 * 2 ** 20)), /expected at most/);
    throws(() => journal.append(RECORDS[2]), StoreError);
    throws(() => journal.replace([]), StoreError);
    store.close();
    deepEqual(openFolder(`${folder}/data`).journal("wal").load(), [RECORDS[2]]);
  }),
);

Deno.test(
  "journal: a store's journals end with it",
  withFolder((folder) => {
    const store = openFolder(`${folder}/data`), journal = store.journal("wal");
    journal.load();
    store.close();
    throws(() => journal.append(RECORDS[2]), StoreError);
    throws(() => store.journal("wal"), StoreError);
  }),
);
