/** The durable store: what is saved comes back or is refused, and one process holds a folder. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { guarded, StoreError } from "../../src/ops/files.ts";
import { type DataFolder, openFolder } from "../../src/ops/folder.ts";
import { memoryStore, type Store } from "../../src/ops/store.ts";
import { bytes, refuses, withFolder } from "./disk.ts";

/** The store in the folder's file `state`, with the folder's end. */
function openStore(path: string): Store & Pick<DataFolder, "close"> {
  const folder = openFolder(path);
  return { ...folder.file("state"), close: () => folder.close() };
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

Deno.test(
  "folder: a name is handed out once, and is none that leads elsewhere",
  withFolder((path) => {
    const folder = openFolder(path);
    folder.file("state");
    throws(() => folder.journal("state"), /state is in use already/);
    for (const name of ["lock", "", "../state", "a/b", "state.new", "A"]) {
      throws(() => folder.file(name), RangeError, name);
    }
    folder.close();
  }),
);

Deno.test("guarded: an error of the files is told and thrown on, any other only thrown", () => {
  const told: StoreError[] = [];
  const error = new StoreError("io", "planted");
  const value = {
    count: 1,
    get newest(): number {
      throw error;
    },
    store(): void {
      throw error;
    },
    other(): void {
      throw new RangeError("other");
    },
    add(n: number) {
      return this.count += n;
    },
  };
  const guard = guarded(value, (it) => told.push(it));
  equal(guard.add(2), 3);
  equal(guard.count, 3);
  throws(() => guard.other(), RangeError);
  deepEqual(told, []);
  throws(() => guard.store(), error);
  throws(() => guard.newest, error);
  deepEqual(told, [error, error]);
});
