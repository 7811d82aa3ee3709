/**
 * Five servers as processes, messages flowing, and the network between them cut in two and three,
 * for a second and for longer than a peer may be silent: neither side finalizes anything meanwhile,
 * rounds go on afterwards, all messages land, once, in one chain.
 */
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
  name: `five servers, cut 2 | 3 and healed: nothing finalized, lost or landed twice${why}`,
  ignore: why !== "",
  fn: async () => {
    const story = run("partition_story.ts");
    const { success, stdout, stderr } = await story.output();
    // It does so itself, unless it was killed.
    const down = await run("netns.ts", "down", String(story.pid)).output();
    console.log(text(stdout).trim());
    ok(success, text(stderr));
    ok(down.success, text(down.stderr));
  },
});
