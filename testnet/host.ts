/** What a run has of this machine: processes with the environment they need, and their logs. */
import type { Command } from "./command.ts";

const ROOT = new URL("../", import.meta.url);
/** What a child needs to find the module cache; a variable that was not granted is left out. */
const CACHE = ["DENO_DIR", "HOME", "XDG_CACHE_HOME"];

/** Starts a process at the top of the repository, with its own environment alone. */
export function spawn(command: Command) {
  return new Deno.Command(Deno.execPath(), {
    args: [...command.args],
    env: { ...command.env },
    clearEnv: true,
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Where the module cache is, for children. */
export function cacheEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const variable of CACHE) {
    const granted = Deno.permissions.querySync({ name: "env", variable }).state === "granted";
    const value = granted ? Deno.env.get(variable) : undefined;
    if (value !== undefined) env[variable] = value;
  }
  return env;
}
