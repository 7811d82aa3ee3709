/** The reader's process. */
import { runRole } from "./roles/process.ts";
import { followLog, verifyLog } from "./roles/reading.ts";

await runRole(
  "reader",
  Deno.args,
  (p) => p.options.verify ? verifyLog(p) : followLog(p),
);
