/** The reader's process. */
import { StoreError } from "./ops/store.ts";
import { runRole } from "./roles/process.ts";
import { followLog, manifestOnDisk, readFiles, verifyLog } from "./roles/reading.ts";

await runRole(
  "reader",
  Deno.args,
  (p) => p.options.verify ? verifyLog(p) : followLog(p),
  (p) =>
    p.options.archive === undefined ? {} : { committee: manifestOnDisk(p).manifest.fingerprint },
  (p) =>
    readFiles(p, (folder) => {
      throw new StoreError("io", `${folder} cannot be read: no server writes archive files yet`);
    }),
);
