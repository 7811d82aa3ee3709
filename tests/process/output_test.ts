/** How a role ends whose output cannot be written, and that a log which cannot be is no end. */
import { deepEqual, match } from "node:assert/strict";

const PROCESS = new URL("../../src/roles/process.ts", import.meta.url);
const SYSTEM = new URL("../../src/ops/system.ts", import.meta.url);

/** A reader that logs and prints a line without a network, where writes to a stream fail like this. */
async function prints(stream: "stdout" | "stderr", error: string) {
  const code = `
    import { runRole } from "${PROCESS}";
    import { writeError } from "${SYSTEM}";
    Deno.${stream}.writeSync = () => { throw new ${error}; };
    const local = ({ options, print }) => {
      writeError("a log\\n");
      print(options.instance + "\\n");
      return true;
    };
    await runRole("reader", ["--instance=example"], undefined, undefined, local);
  `;
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-prompt", "--cached-only", "--no-check", "--config=deno.json"],
      ...["--allow-env=ZIPNET_*", "--ignore-env"],
      `data:text/javascript,${encodeURIComponent(code)}`,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const [out, log] = [output.stdout, output.stderr].map((it) => new TextDecoder().decode(it));
  return { code: output.code, out, log };
}

Deno.test("output that cannot be written is a failure, and says so; one that nobody reads is none", async () => {
  const { code, log } = await prints("stdout", `Error("No space left on device (os error 28)")`);
  deepEqual(code, 1, log);
  match(log, /^zipnet: standard output cannot be written: No space left on device/m);
  deepEqual((await prints("stdout", "Deno.errors.BrokenPipe()")).code, 0);
});

Deno.test("a log that cannot be written ends nothing", async () => {
  const { code, out } = await prints("stderr", `Error("No space left on device (os error 28)")`);
  deepEqual({ code, out }, { code: 0, out: "example\n" });
});
