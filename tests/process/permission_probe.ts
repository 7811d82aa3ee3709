/**
 * Run under a role's permissions: tries everything, and prints as JSON what came of each attempt:
 * `ok`, the value that was read, or the name of the error.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";

const PROBE = `./data/probe-${Deno.pid}`;
/** Made by us, or `data/` was there before. */
const hadData = attempt(() => void Deno.statSync("./data")) === "ok";

function writeData(): void {
  Deno.mkdirSync("./data", { recursive: true });
  Deno.writeTextFileSync(PROBE, "probe");
  Deno.removeSync(PROBE);
  if (!hadData) Deno.removeSync("./data");
}

function net(hostname: string): void {
  Deno.listen({ hostname, port: 0 }).close();
}

/** What a role could try, by name. */
const ATTEMPTS: Record<string, () => unknown> = {
  "read /etc/passwd": () => void Deno.readTextFileSync("/etc/passwd"),
  "read /etc/passwd by node:fs": () => void readFileSync("/etc/passwd"),
  "read deno.json": () => void Deno.readTextFileSync("deno.json"),
  "read data/../deno.json": () => void Deno.readTextFileSync("./data/../deno.json"),
  "read .": () => void [...Deno.readDirSync(".")],
  "read /proc/self/environ": () => void Deno.readTextFileSync("/proc/self/environ"),
  "read .testnet": () => void Deno.statSync(".testnet"),
  "read data": () => void attemptRead("./data"),
  "read /run/secrets": () => void attemptRead("/run/secrets"),
  "read /run/zipnet-tsm": () => void attemptRead("/run/zipnet-tsm"),
  "write /run/zipnet-tsm": () => attemptWrite("/run/zipnet-tsm/inblob"),
  "write /tmp/x": () => Deno.writeTextFileSync(`/tmp/zipnet-probe-${Deno.pid}`, ""),
  "write /run/secrets": () => Deno.writeTextFileSync("/run/secrets/probe", ""),
  "write deno.json": () => Deno.openSync("deno.json", { append: true }).close(),
  "write data": writeData,
  "link out of data": () => Deno.symlinkSync("/etc", `${PROBE}-link`),
  "run": () => void new Deno.Command(Deno.execPath(), { args: ["--version"] }).outputSync(),
  "kill": () => Deno.kill(Deno.ppid, "SIGCONT"),
  "ffi": () => void Deno.dlopen("libc.so.6", {}),
  "sys hostname": () => void Deno.hostname(),
  "sys hostname by node:os": () => void hostname(),
  "sys uid": () => void Deno.uid(),
  "sys osRelease": () => void Deno.osRelease(),
  "sys networkInterfaces": () => void Deno.networkInterfaces(),
  "env HOME": () => Deno.env.get("HOME"),
  "env HOME by node:process": () => process.env.HOME,
  "env OTHER": () => Deno.env.get("OTHER"),
  "env all": () => Object.keys(Deno.env.toObject()).filter((it) => it !== "ZIPNET_PROBE").join(),
  "env ZIPNET_PROBE": () => Deno.env.get("ZIPNET_PROBE"),
  "net 127.0.0.1": () => net("127.0.0.1"),
  "net elsewhere": () => net("0.0.0.0"),
  "import of a file": () => void Deno.readTextFileSync(new URL(import.meta.url)),
};

/** Whether a file may be opened to be written; it need not be there, and is not made. */
function attemptWrite(path: string): void {
  try {
    Deno.openSync(path, { write: true }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Whether a folder may be read; it need not be there. */
function attemptRead(path: string): void {
  try {
    Deno.statSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function attempt(task: () => unknown): string {
  try {
    const value = task();
    return value === undefined ? "ok" : `value ${value}`;
  } catch (error) {
    return failure(error);
  }
}

/** node tells of a refused start by an event, but throws where it may not read the environment. */
function runByNode(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const thrown = attempt(() => {
    spawn("true").on("error", (error) => resolve(failure(error))).on("exit", () => resolve("ok"));
  });
  if (thrown !== "ok") resolve(thrown);
  return promise;
}

function failure(error: unknown): string {
  return denied(error) ? "NotCapable" : String(error);
}

/** node's errors may carry the refusal as their cause. */
function denied(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable ||
    (error instanceof Error && error.cause !== undefined && denied(error.cause));
}

const results = Object.entries(ATTEMPTS).map(([name, task]) => [name, attempt(task)]);
results.push(["run by node:child_process", await runByNode()]);
for (const name of ["run", "read", "write", "env", "ffi", "sys"] as const) {
  results.push([`request ${name}`, Deno.permissions.requestSync({ name }).state]);
}
console.log(JSON.stringify(Object.fromEntries(results)));
