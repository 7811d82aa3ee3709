/** The reader's process. */
import { base64, recordLines } from "./roles/print.ts";
import { runRole } from "./roles/process.ts";
import { ReaderRole } from "./roles/reader.ts";

await runRole(
  "reader",
  Deno.args,
  async ({ options, environment, network, up, meet, onStop, fail, print }) => {
    await up();
    const { manifest, signed } = await meet();
    if (options.json) print(`${JSON.stringify({ manifest: base64(signed) })}\n`);
    const reader = new ReaderRole({
      network,
      environment,
      manifest,
      from: 0,
      record: (seen) => print(recordLines(seen, options.json)),
      stopped: fail,
    });
    onStop(() => reader.stop());
  },
);
