/**
 * Run with all permissions by the process tests, which may only start Deno: plays a TSM item by
 * named pipes, so that a quote is made when it is read. `why` prints why it cannot. `serve FOLDER
 * PADDING` makes the pipes, prints a line, and serves until its standard input ends.
 */
import { simulatedQuote } from "../../src/attest/simulated_quote.ts";
import { platform } from "../attest/stage.ts";

/** The item's attributes that are pipes. */
const PIPES = ["inblob", "outblob"];

/** Makes a quote over what is written, again and again. */
async function serve(folder: string, padding: number): Promise<never> {
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
    await outblob.write(Uint8Array.of(...quote, ...new Uint8Array(padding)));
  }
}

function why(): string {
  try {
    new Deno.Command("mkfifo", { args: ["--version"] }).outputSync();
    return "";
  } catch {
    return "no mkfifo on PATH";
  }
}

if (import.meta.main) {
  const [what, folder, padding] = Deno.args;
  if (what === "why") console.log(why());
  else {
    serve(folder, Number(padding));
    for await (const _ of Deno.stdin.readable);
    Deno.exit();
  }
}
