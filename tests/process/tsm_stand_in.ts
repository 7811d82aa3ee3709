/**
 * Run with all permissions by the process tests, which may only start Deno: plays a TSM item in a
 * folder until its standard input ends. `pipes FOLDER`: by named pipes, so that a quote is made
 * when it is read. `fuse FOLDER`: by `tsm_fuse.py`, with the kernel's behaviour and errors. Each
 * prints a line once it is ready; `why pipes` and `why fuse` print why it cannot. `quotes` is the
 * host of the latter.
 */
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { lines } from "../../src/ops/stdin.ts";
import { hex, unhex } from "../../src/protocol/bytes.ts";
import { platform } from "../attest/stage.ts";

/** The Python that Debian's packages are for. */
const PYTHON = "/usr/bin/python3";
/** Zero bytes behind each quote of the pipes. */
const PADDING = 3_000;
const PIPES = ["inblob", "outblob"];

/** Makes a quote over what is written, again and again. */
async function pipes(folder: string): Promise<never> {
  const path = (name: string) => `${folder}/${name}`;
  const { success } = new Deno.Command("mkfifo", { args: PIPES.map(path) }).outputSync();
  if (!success) throw new Error("mkfifo failed");
  Deno.writeTextFileSync(path("provider"), "tdx_guest\n");
  let generation = 41;
  const step = () => Deno.writeTextFileSync(path("generation"), `${generation++}\n`);
  step();
  console.log("ready");
  for (;;) {
    // Each open waits until the other end is opened too.
    const asked = await Deno.readFile(path("inblob"));
    step();
    const quote = simulatedQuote(platform, asked);
    using outblob = await Deno.open(path("outblob"), { write: true });
    await outblob.write(Uint8Array.of(...quote, ...new Uint8Array(PADDING)));
  }
}

/** Mounts the copy of the kernel's behaviour; the returned function takes it away. */
function fuse(folder: string): () => Promise<unknown> {
  const host = [Deno.execPath(), "run", "-q", "-A", "tests/process/tsm_stand_in.ts", "quotes"];
  const child = new Deno.Command(PYTHON, {
    args: ["tests/process/tsm_fuse.py", folder, ...host],
    stdin: "null",
  }).spawn();
  return async () => {
    await new Deno.Command("umount", { args: [folder] }).output();
    return await child.status;
  };
}

function why(what: string): string {
  try {
    if (what === "pipes") {
      new Deno.Command("mkfifo", { args: ["--version"] }).outputSync();
      return "";
    }
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "mounting needs Linux and root";
    Deno.openSync("/dev/fuse", { read: true, write: true }).close();
    const args = ["-c", "import fusepy"];
    const { success } = new Deno.Command(PYTHON, { args, stderr: "null" }).outputSync();
    return success ? "" : "no fusepy; Debian has it as python3-fusepy";
  } catch {
    return what === "pipes" ? "no mkfifo on PATH" : "no /dev/fuse that can be used, or no Python";
  }
}

if (import.meta.main) {
  const [what, name] = Deno.args;
  if (what === "why") console.log(why(name));
  else if (what === "quotes") {
    for await (const line of lines()) console.log(hex(simulatedQuote(platform, unhex(line, 64))));
  } else {
    if (what === "pipes") pipes(name);
    const end = what === "fuse" ? fuse(name) : () => {};
    for await (const _ of Deno.stdin.readable);
    await end();
    Deno.exit();
  }
}
