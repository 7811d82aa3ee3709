/** What a durable append costs; it writes to `.testnet`, which plain `deno bench` may not do. */
import { openFolder } from "../../src/ops/folder.ts";

const TESTNET = new URL("../../.testnet", import.meta.url).pathname;
const access = (["read", "write"] as const).map((name) =>
  Deno.permissions.querySync({ name, path: TESTNET }).state
);
const ignore = access.some((state) => state !== "granted");
const why = ignore ? " (skipped: needs --allow-read=.testnet --allow-write=.testnet)" : "";

/** Runs `body` once the folder is there, and takes it away when the process ends. */
function folder() {
  Deno.mkdirSync(TESTNET, { recursive: true });
  const path = Deno.makeTempDirSync({ dir: TESTNET, prefix: "bench-" });
  const open = openFolder(path);
  globalThis.addEventListener("unload", () => {
    open.close();
    Deno.removeSync(path, { recursive: true });
  });
  return open;
}

const files = ignore ? undefined : folder();
const journal = files?.journal("log");
journal?.load();
const archive = files?.archive("archive");

for (const size of [256, 1_024]) {
  const record = new Uint8Array(size).fill(7);
  Deno.bench(`journal: append ${size} B, durable${why}`, { ignore }, () => journal!.append(record));
}

const record = new Uint8Array(100_000).fill(7);
Deno.bench(`archive: append 100 KB, durable${why}`, { ignore }, () => {
  archive!.append(archive!.newest + 1, record);
});
Deno.bench(`archive: read 10 of 100 KB${why}`, { ignore }, () => {
  archive!.read(archive!.newest - 9, 10, 2_000_000);
});
