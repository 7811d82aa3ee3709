/** The archive: segments, their chain and indexes, readers beside a writer, planted damage. */
import { createHash } from "node:crypto";
import { deepEqual, equal, throws } from "node:assert/strict";
import type { Archive } from "../../src/ops/archive.ts";
import { memoryArchive } from "../../src/ops/archive_memory.ts";
import { readArchive } from "../../src/ops/archive_reader.ts";
import { MAX_RECORD } from "../../src/ops/files.ts";
import { openFolder } from "../../src/ops/folder.ts";
import { bytes, refuses, withDisk, withFolder } from "./disk.ts";

/** Three records a segment. */
const LIMITS = { bytes: 1_000_000, records: 3 };
const ALL = [1_000, 1_000_000] as const;
/** A record's bytes; rounds are 10, 20, ... */
const record = (round: number) => bytes(`record of round ${round}`);
const rounds = (count: number) => Array.from({ length: count }, (_, i) => 10 * (i + 1));
const name = (first: number, kind: string) => `${String(first).padStart(20, "0")}.${kind}`;

/** Runs `body` with the folder's archive; answers what was told. */
function withArchive(path: string, body: (archive: Archive) => void, limits = LIMITS): string[] {
  const told: string[] = [];
  const folder = openFolder(path, {
    observe: (level, event, fields) => told.push(`${level} ${event} ${fields?.bytes}`),
  });
  try {
    body(folder.archive("archive", limits));
  } finally {
    folder.close();
  }
  return told;
}

/** An archive of `count` records. */
function fill(path: string, count: number): void {
  withArchive(path, (archive) => {
    for (const round of rounds(count)) archive.append(round, record(round));
  });
}

/** All rounds, each with its own bytes. */
function readAll(archive: Pick<Archive, "read">): number[] {
  return archive.read(0, ...ALL).map(({ round, bytes }) => {
    deepEqual(bytes, record(round));
    return round;
  });
}

const files = (path: string) =>
  [...Deno.readDirSync(`${path}/archive`)].map((it) => it.name).sort();

/** What both kinds of archive answer that hold the rounds 10 to 80. */
function answers(archive: Archive): void {
  const read = (from: number, count: number, max: number) =>
    archive.read(from, count, max).map(({ round }) => round);
  deepEqual([archive.oldest, archive.newest], [10, 80]);
  deepEqual(readAll(archive), rounds(8));
  deepEqual(read(30, 1, 1_000), [30]);
  deepEqual(read(31, 2, 1_000), [40, 50]);
  deepEqual(read(35, 4, 1_000_000), [40, 50, 60, 70]);
  deepEqual(read(80, ...ALL), [80]);
  deepEqual(read(81, ...ALL), []);
  deepEqual(read(20, 0, 1_000), []);
  deepEqual(read(20, 5, 0), [20], "one at least");
  equal(read(0, 8, 100).length < 8, true, "bounded by bytes");
  deepEqual([1, 31, 80, 81].map((from) => archive.place(from)?.round), [10, 40, 80, undefined]);
  for (const round of [80, 79, 0, -1, 80.5, NaN, 2 ** 53]) {
    throws(() => archive.append(round, record(1)), RangeError, String(round));
  }
}

Deno.test(
  "archive: records come back from any round, across segments and after a start",
  withFolder((path) => {
    withArchive(path, (archive) => {
      deepEqual([archive.oldest, archive.newest, archive.read(0, ...ALL)], [0, 0, []]);
      for (const round of rounds(8)) {
        archive.append(round, record(round));
        equal(archive.newest, round);
      }
      answers(archive);
      throws(() => archive.append(90, new Uint8Array(MAX_RECORD + 1)), RangeError);
    });
    deepEqual(files(path), [
      ...[10, 40].flatMap((first) => [name(first, "idx"), name(first, "seg")]),
      name(70, "seg"),
      "index.json",
    ]);
    withArchive(path, (archive) => {
      answers(archive);
      archive.append(90, record(90));
      archive.append(100, record(100));
      deepEqual(readAll(archive), rounds(10));
    });
    deepEqual(readAll(readArchive(`${path}/archive`)), rounds(10));
    equal(Deno.statSync(`${path}/archive`).mode! & 0o777 & ~0o022, 0o755);
  }),
);

Deno.test(
  "archive: a segment also ends by its bytes",
  withFolder((path) => {
    withArchive(path, (archive) => {
      for (const round of rounds(4)) archive.append(round, new Uint8Array(100));
    }, { bytes: 300, records: 1_000 });
    equal(files(path).filter((file) => file.endsWith(".seg")).length, 2);
  }),
);

Deno.test(
  "archive: index.json and the chain, computed apart from it",
  withFolder((path) => {
    const told = () => JSON.parse(Deno.readTextFileSync(`${path}/archive/index.json`));
    fill(path, 0);
    deepEqual(told(), { format: "zipnet archive", version: 1, segments: [], live: null });
    fill(path, 4);
    const sha = (...parts: Uint8Array[]) => {
      const hash = createHash("sha256");
      for (const part of parts) hash.update(part);
      return new Uint8Array(hash.digest());
    };
    let chain: Uint8Array = new Uint8Array(32);
    for (const round of [10, 20, 30]) {
      const head = new Uint8Array(12);
      head[0] = round;
      head[8] = record(round).length;
      chain = sha(chain, head, sha(record(round)));
    }
    const hex = chain.toHex();
    deepEqual(told(), {
      format: "zipnet archive",
      version: 1,
      segments: [{
        file: name(10, "seg"),
        index: name(10, "idx"),
        first: 10,
        last: 30,
        records: 3,
        bytes: 52 + 3 * (12 + record(10).length + 32),
        chain: hex,
      }],
      live: { file: name(40, "seg"), first: 40, before: hex },
    });
    const index = Deno.readFileSync(`${path}/archive/${name(10, "idx")}`);
    const view = new DataView(index.buffer);
    const at = [0, 1, 2].map((i) => [
      Number(view.getBigUint64(i * 16, true)),
      Number(view.getBigUint64(i * 16 + 8, true)),
    ]);
    deepEqual(at, [10, 20, 30].map((round, i) => [round, 52 + i * (44 + record(10).length)]));
    deepEqual(index.slice(48), sha(index.subarray(0, 48)));
  }),
);

Deno.test(
  "archive: a live segment torn at any byte of its last record loses that record",
  withFolder((path) => {
    fill(path, 5);
    const file = `${path}/archive/${name(40, "seg")}`;
    const whole = Deno.readFileSync(file);
    const last = whole.length - 44 - record(50).length;
    for (let end = last + 1; end <= whole.length; end++) {
      for (const zeros of [0, whole.length - end]) {
        const torn = Uint8Array.of(...whole.subarray(0, end), ...new Uint8Array(zeros));
        if (end === whole.length) torn[end - 1] ^= 1;
        Deno.writeFileSync(file, torn);
        deepEqual(readAll(readArchive(`${path}/archive`)), rounds(4));
        const told = withArchive(path, (archive) => {
          equal(archive.newest, 40);
          equal(Deno.statSync(file).size, last);
          deepEqual(readAll(archive), rounds(4));
          archive.append(50, record(50));
        });
        deepEqual(told, [`warn archive tail cut ${torn.length - last}`]);
        deepEqual(Deno.readFileSync(file), whole);
      }
    }
  }),
);

Deno.test(
  "archive: a changed byte is never handed out, in the live segment or a sealed one",
  withFolder((path) => {
    fill(path, 5);
    for (const [first, sealed] of [[10, true], [40, false]] as const) {
      const file = `${path}/archive/${name(first, "seg")}`;
      const whole = Deno.readFileSync(file);
      const entry = 44 + record(10).length;
      const after = sealed ? whole.length : whole.length - entry;
      for (let i = 0; i < after; i++) {
        const bad = whole.slice();
        bad[i] ^= 1;
        Deno.writeFileSync(file, bad);
        const at = new RegExp(`/${name(first, "seg")} is damaged \\(`);
        refuses("damaged", 5, at, () => readAll(readArchive(`${path}/archive`)));
        refuses("damaged", 5, at, () => withArchive(path, (archive) => void readAll(archive)));
      }
      Deno.writeFileSync(file, whole);
    }
    equal(readAll(readArchive(`${path}/archive`)).length, 5);
  }),
);

Deno.test(
  "archive: in the middle of the live segment a change is damage, but a length may look torn",
  withFolder((path) => {
    const limits = { bytes: 1_000_000, records: 10 };
    withArchive(path, (archive) => {
      for (const round of rounds(4)) archive.append(round, record(round));
    }, limits);
    const file = `${path}/archive/${name(10, "seg")}`;
    const whole = Deno.readFileSync(file);
    const entry = 44 + record(10).length;
    const second = 52 + entry;
    for (let i = second; i < second + entry; i++) {
      const bad = whole.slice();
      bad[i] ^= 1;
      Deno.writeFileSync(file, bad);
      if (i >= second + 8 && i < second + 12) {
        withArchive(path, (archive) => deepEqual(readAll(archive), [10]), limits);
        continue;
      }
      const at = /10\.seg is damaged \(the record after round 10, at byte/;
      refuses("damaged", 5, at, () => readArchive(`${path}/archive`).newest);
      refuses("damaged", 5, at, () => withArchive(path, () => {}, limits));
      deepEqual(Deno.readFileSync(file), bad, "refused, not touched");
    }
  }),
);

Deno.test(
  "archive: the index of fewer records than its segment has is made again",
  withFolder((path) => {
    fill(path, 4);
    const index = `${path}/archive/${name(10, "idx")}`;
    const whole = Deno.readFileSync(index);
    const entries = whole.subarray(0, 32);
    const sum = createHash("sha256").update(entries).digest();
    Deno.writeFileSync(index, Uint8Array.of(...entries, ...sum));
    deepEqual(readAll(readArchive(`${path}/archive`)), rounds(4));
    withArchive(path, (archive) => deepEqual(readAll(archive), rounds(4)));
    deepEqual(Deno.readFileSync(index), whole);
  }),
);

Deno.test(
  "archive: a damaged record does not keep others from being read",
  withFolder((path) => {
    fill(path, 8);
    const file = `${path}/archive/${name(40, "seg")}`;
    const bad = Deno.readFileSync(file);
    bad[52 + 12] ^= 1;
    Deno.writeFileSync(file, bad);
    withArchive(path, (archive) => {
      equal(archive.newest, 80);
      deepEqual(archive.read(0, 3, 1_000).map(({ round }) => round), [10, 20, 30]);
      refuses("damaged", 5, /the record of round 40/, () => archive.read(40, 1, 1_000));
      deepEqual(archive.read(50, 3, 1_000).map(({ round }) => round), [50, 60, 70]);
    });
  }),
);

Deno.test(
  "archive: a segment that lacks is damage, unless it is the oldest",
  withFolder((path) => {
    fill(path, 8);
    Deno.removeSync(`${path}/archive/${name(10, "seg")}`);
    withArchive(path, (archive) => {
      equal(archive.oldest, 40);
      deepEqual(readAll(archive), [40, 50, 60, 70, 80]);
    });
    withArchive(path, (archive) => archive.append(90, record(90)));
    withArchive(path, (archive) => archive.append(100, record(100)));
    Deno.removeSync(`${path}/archive/${name(70, "seg")}`);
    const at = /100\.seg is damaged \(it does not follow/;
    refuses("damaged", 5, at, () => withArchive(path, () => {}));
  }),
);

Deno.test(
  "archive: indexes and index.json that lack or are damaged are made again",
  withFolder((path) => {
    fill(path, 8);
    for (const file of [name(10, "idx"), name(40, "idx"), "index.json"]) {
      const at = `${path}/archive/${file}`;
      const whole = Deno.readFileSync(at);
      const spoil = [
        () => Deno.removeSync(at),
        () => Deno.writeFileSync(at, new Uint8Array()),
        ...Array.from(whole.subarray(0, 80), (_, i) => () => {
          const bad = whole.slice();
          bad[i] ^= 1;
          Deno.writeFileSync(at, bad);
        }),
      ];
      for (const act of spoil) {
        act();
        deepEqual(readAll(readArchive(`${path}/archive`)), rounds(8));
        withArchive(path, (archive) => deepEqual(readAll(archive), rounds(8)));
        deepEqual(Deno.readFileSync(at), whole);
      }
    }
  }),
);

Deno.test(
  "archive: an append that stops anywhere loses at most its own record",
  withFolder((path) => {
    // The third record seals its segment, the fourth begins one.
    for (const count of [2, 3, 4]) {
      const steps = (() => {
        fill(path, count - 1);
        let reached: string[] = [];
        withArchive(path, (archive) => {
          const round = 10 * count;
          reached = withDisk(Infinity, () => archive.append(round, record(round)));
        });
        Deno.removeSync(path, { recursive: true });
        return reached;
      })();
      deepEqual(
        steps.slice(0, 2),
        count === 4 ? ["openSync", "writeSync"] : ["writeSync", "syncDataSync"],
      );
      for (let at = 0; at < steps.length; at++) {
        fill(path, count - 1);
        withArchive(path, (archive) => {
          const append = () => archive.append(10 * count, record(10 * count));
          withDisk(at, () => refuses("io", 5, /the disk is gone/, append));
          const next = () => archive.append(99, record(99));
          refuses("io", 5, /archive is not used after a failure/, next);
        });
        withArchive(path, (archive) => {
          equal([count - 1, count].includes(archive.newest / 10), true, `${count}: ${at}`);
          for (const round of rounds(6)) {
            if (round > archive.newest) archive.append(round, record(round));
          }
          deepEqual(readAll(archive), rounds(6));
        });
        deepEqual(readAll(readArchive(`${path}/archive`)), rounds(6));
        equal(JSON.parse(Deno.readTextFileSync(`${path}/archive/index.json`)).segments.length, 2);
        Deno.removeSync(path, { recursive: true });
      }
    }
  }),
);

Deno.test(
  "archive: a reader follows a writer, and sees half an entry as none",
  withFolder((path) => {
    withArchive(path, (archive) => {
      const reader = readArchive(`${path}/archive`);
      deepEqual([reader.oldest, reader.newest, reader.read(0, ...ALL)], [0, 0, []]);
      const late = readArchive(`${path}/archive`);
      for (const [i, round] of rounds(11).entries()) {
        archive.append(round, record(round));
        deepEqual([reader.oldest, reader.newest], [10, round]);
        deepEqual(readAll(reader), rounds(i + 1));
        if (i % 5 === 0) deepEqual(readAll(late), rounds(i + 1));
      }
      const file = `${path}/archive/${name(100, "seg")}`;
      const whole = Deno.readFileSync(file);
      Deno.writeFileSync(file, Uint8Array.of(...whole, 120, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 2));
      equal(reader.newest, 110);
      Deno.writeFileSync(file, whole.subarray(0, -1));
      equal(reader.newest, 100);
      Deno.writeFileSync(file, whole);
      deepEqual(readAll(reader), rounds(11));
    });
  }),
);

Deno.test("archive: a folder that is not there or may not be read is refused", {
  permissions: { read: [".testnet"] },
}, () => {
  refuses("io", 5, /nowhere cannot be read: /, () => readArchive(".testnet/nowhere").newest);
  const flags = /run with --allow-read=\/elsewhere /;
  refuses("permission", 2, flags, () => readArchive("/elsewhere").read(0, 1, 1));
});

Deno.test("archive: in memory it answers the same, and drops the oldest", () => {
  const archive = memoryArchive(8, 1_000_000);
  deepEqual([archive.oldest, archive.newest, archive.read(0, ...ALL)], [0, 0, []]);
  for (const round of rounds(8)) archive.append(round, record(round));
  answers(archive);
  archive.append(90, record(90));
  deepEqual([archive.oldest, archive.newest], [20, 90]);
  const small = memoryArchive(100, 50);
  for (const round of rounds(4)) small.append(round, record(round));
  deepEqual(readAll(small), [30, 40]);
  small.append(50, new Uint8Array(51));
  deepEqual([small.oldest, small.newest], [50, 50]);
  const few = memoryArchive(2, 1_000_000, 3);
  for (const round of rounds(8)) few.append(round, record(round));
  deepEqual([few.oldest, readAll(few)], [70, [70, 80]]);
  const places = [1, 41, 60, 61, 71, 81].map((from) => few.place(from));
  deepEqual(places.map((place) => place?.round), [40, 50, 60, 70, 80, undefined]);
});
