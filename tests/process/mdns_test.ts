/** Nodes on hosts of one local network that were given no address. */
import { ok } from "node:assert/strict";
import { whyNoNetns } from "./netns.ts";

const run = (script: string, ...args: string[]) =>
  new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--no-prompt", "--cached-only", `tests/process/${script}`, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const why = await whyNoNetns();

Deno.test({
  name: `nodes of one local network meet without any address, by multicast DNS${why}`,
  ignore: why !== "",
  fn: async () => {
    const story = run("mdns_story.ts");
    const { success, stdout, stderr } = await story.output();
    // It does so itself, unless it was killed.
    const down = await run("netns.ts", "down", String(story.pid)).output();
    console.log(text(stdout).trim());
    ok(success, text(stderr));
    ok(down.success, text(down.stderr));
  },
});
