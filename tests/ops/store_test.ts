/** The durable store: what is saved comes back or is refused, and one process holds a folder. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { openFolder } from "../../src/ops/folder.ts";
import { memoryStore, readStored, type Store, StoreError } from "../../src/ops/store.ts";

const TESTNET = new URL("../../.testnet/", import.meta.url).pathname;
const bytes = (text: string) => new TextEncoder().encode(text);

/** The file `state` of a folder. */
function openStore(path: string): Store & { part(name: string): Store; close(): void } {
  const folder = openFolder(path);
  return { ...folder.file("state"), part: folder.file, close: () => folder.close() };
}

/** Runs `body` with a folder of its own, which is not made yet and taken away afterwards. */
function withFolder(body: (folder: string) => void): () => void {
  return () => {
    Deno.mkdirSync(TESTNET, { recursive: true });
    const parent = Deno.makeTempDirSync({ dir: TESTNET, prefix: "store-" });
    try {
      body(`${parent}/deep/data`);
    } finally {
      Deno.removeSync(parent, { recursive: true });
    }
  };
}

function refuses(code: StoreError["code"], exitCode: number, message: RegExp, act: () => unknown) {
  throws(act, (error: unknown) => {
    if (!(error instanceof StoreError)) throw error;
    deepEqual([error.code, error.exitCode], [code, exitCode]);
    equal(message.test(error.message), true, error.message);
    equal(error.message.includes("\n"), false, "one line");
    return true;
  });
}

Deno.test(
  "store: a new folder is empty, and what is saved last comes back",
  withFolder((folder) => {
    const store = openStore(folder);
    equal(store.load(), undefined);
    for (const state of ["first", "a longer second", "", "4"]) {
      store.save(bytes(state));
      deepEqual(store.load(), bytes(state));
    }
    store.save(bytes("last"));
    store.close();
    const again = openStore(folder);
    deepEqual(again.load(), bytes("last"));
    again.close();
  }),
);

Deno.test(
  "store: parts of one folder are apart, and can be read while it is held",
  withFolder((folder) => {
    equal(readStored(folder, "manifest"), undefined);
    const store = openStore(folder), part = store.part("manifest");
    equal(part.load(), undefined);
    store.save(bytes("state"));
    part.save(bytes("manifest"));
    deepEqual([store.load(), part.load()], [bytes("state"), bytes("manifest")]);
    deepEqual(readStored(folder, "manifest"), bytes("manifest"));
    store.close();
    refuses("io", 5, /was closed/, () => part.load());
    refuses("io", 5, /was closed/, () => part.save(bytes("x")));
    Deno.writeTextFileSync(`${folder}/manifest`, "damaged");
    refuses("damaged", 5, /manifest is damaged/, () => readStored(folder, "manifest"));
    const again = openStore(folder);
    refuses("damaged", 5, /manifest is damaged/, () => again.part("manifest").load());
    deepEqual(again.load(), bytes("state"));
    again.close();
  }),
);

Deno.test(
  "store: only the owner may read it",
  { ignore: Deno.build.os === "windows" },
  withFolder((folder) => {
    const store = openStore(folder);
    store.save(bytes("x"));
    store.close();
    equal(Deno.statSync(folder).mode! & 0o777, 0o700);
    equal(Deno.statSync(`${folder}/state`).mode! & 0o777, 0o600);
  }),
);

Deno.test(
  "store: a save that was cut off leaves the state before it",
  withFolder((folder) => {
    const store = openStore(folder);
    store.save(bytes("kept"));
    Deno.writeFileSync(`${folder}/state.new`, bytes("zipst".repeat(99)));
    deepEqual(store.load(), bytes("kept"));
    store.save(bytes("next"));
    deepEqual(store.load(), bytes("next"));
    deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name).sort(), ["lock", "state"]);
    store.close();
  }),
);

Deno.test(
  "store: damage anywhere in the file is refused, and its name is told",
  withFolder((folder) => {
    const store = openStore(folder);
    store.save(bytes("state"));
    const good = Deno.readFileSync(`${folder}/state`);
    for (let i = 0; i < good.length; i++) {
      const bad = good.slice();
      bad[i] ^= 1;
      Deno.writeFileSync(`${folder}/state`, bad);
      refuses("damaged", 5, /data\/state is damaged \(/, () => store.load());
    }
    for (
      const bad of [good.slice(0, -1), good.slice(0, 10), bytes(""), bytes("{}"), [...good, 0]]
    ) {
      Deno.writeFileSync(`${folder}/state`, Uint8Array.from(bad));
      refuses("damaged", 5, /data\/state is damaged \(/, () => store.load());
    }
    store.close();
  }),
);

Deno.test(
  "store: a folder that is held is refused until it is given back",
  withFolder((folder) => {
    const store = openStore(folder);
    refuses("held", 5, /data is held by another process/, () => openStore(folder));
    store.close();
    store.close();
    openStore(folder).close();
  }),
);

Deno.test(
  "store: a closed one neither loads nor saves",
  withFolder((folder) => {
    const store = openStore(folder);
    store.close();
    refuses("io", 5, /was closed/, () => store.load());
    refuses("io", 5, /was closed/, () => store.save(bytes("x")));
  }),
);

Deno.test(
  "store: a save that fails says so",
  withFolder((folder) => {
    const store = openStore(folder);
    Deno.removeSync(folder, { recursive: true });
    refuses("io", 5, /data cannot be used as data folder: /, () => store.save(bytes("x")));
    store.close();
  }),
);

Deno.test(
  "store: whoever opened a folder hears of a write that failed, wherever its error goes",
  withFolder((path) => {
    const heard: unknown[] = [];
    const folder = openFolder(path, (error) => void heard.push(error));
    const journal = folder.journal("wal");
    journal.load();
    Deno.removeSync(path, { recursive: true });
    throws(() => folder.file("state").save(bytes("x")), StoreError);
    throws(() => journal.replace([bytes("x")]), StoreError);
    throws(() => journal.append(bytes("x")), StoreError);
    equal(heard.length, 3);
    ok(heard.every((error) => error instanceof StoreError && error.exitCode === 5));
    folder.close();
  }),
);

Deno.test(
  "store: a file in the folder's place is refused",
  withFolder((folder) => {
    Deno.mkdirSync(folder.replace(/\/data$/, ""), { recursive: true });
    Deno.writeTextFileSync(folder, "");
    refuses("io", 5, /data cannot be used as data folder: /, () => openStore(folder));
  }),
);

Deno.test("store: a missing permission names the flags to add", { permissions: "none" }, () => {
  const flags = /run with --allow-read=\/var\/lib\/zipnet --allow-write=\/var\/lib\/zipnet /;
  refuses("permission", 2, flags, () => openStore("/var/lib/zipnet"));
});

Deno.test("store: in memory it keeps copies, one store apart from another", () => {
  const store = memoryStore();
  equal(store.load(), undefined);
  const state = bytes("state");
  store.save(state);
  state[0] = 0;
  store.load()![1] = 0;
  deepEqual(store.load(), bytes("state"));
  equal(memoryStore().load(), undefined);
});
