/** The reader's process. */
import { readArchive } from "./ops/archive_reader.ts";
import { runRole } from "./roles/process.ts";
import { committeeOnDisk, followLog, readFiles, verifyLog } from "./roles/reading.ts";

await runRole(
  "reader",
  Deno.args,
  (p) => p.options.verify ? verifyLog(p) : followLog(p),
  (p) =>
    p.options.archive === undefined
      ? {}
      : { committee: committeeOnDisk(p).epochs.at(-1)!.fingerprint },
  (p) => readFiles(p, readArchive),
);
