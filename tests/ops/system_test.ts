/** The real clock, randomness, environment and stop: in this process and in children of it. */
import { deepEqual, equal, match, notDeepEqual, ok, throws } from "node:assert/strict";
import { readEnvironment, systemClock, systemRandom } from "../../src/ops/system.ts";

Deno.test("system: the clock tells Unix milliseconds", () => {
  const before = Date.now();
  const wall = systemClock.wall();
  equal(Number.isInteger(wall) && wall >= before && wall <= Date.now(), true);
  equal(Number.isInteger(systemClock.now()), true);
});

Deno.test("system: a timer runs once, and a cancelled one never", async () => {
  const ran: string[] = [];
  systemClock.after(0, () => ran.push("cancelled"))();
  await new Promise<void>((done) => {
    systemClock.after(0, () => ran.push("first"));
    systemClock.after(1, done);
  });
  deepEqual(ran, ["first"]);
});

Deno.test("system: a timer that the platform would fire at once is refused", () => {
  for (const ms of [2 ** 31, Infinity, NaN]) {
    throws(() => systemClock.after(ms, () => {}), RangeError);
  }
});

Deno.test("system: random bytes have the length asked for, and differ", () => {
  for (const length of [0, 1, 32, 65_536, 200_001]) equal(systemRandom(length).length, length);
  notDeepEqual(systemRandom(32), systemRandom(32));
  const long = systemRandom(200_001);
  equal(long.subarray(-64).some((byte) => byte !== 0), true, "the last chunk is filled too");
});

Deno.test("system: of the environment only our variables are read, and secrets are deleted", () => {
  Deno.env.set("ZIPNET_INSTANCE", "acme");
  Deno.env.set("ZIPNET_SECRET", "hunter2");
  try {
    const environment = readEnvironment(["ZIPNET_SECRET"]);
    equal(environment.ZIPNET_INSTANCE, "acme");
    equal(environment.ZIPNET_SECRET, "hunter2");
    equal(Object.keys(environment).every((name) => name.startsWith("ZIPNET_")), true);
    equal(Deno.env.get("ZIPNET_SECRET"), undefined);
    equal(Deno.env.get("ZIPNET_INSTANCE"), "acme");
    equal(readEnvironment(["ZIPNET_SECRET"]).ZIPNET_SECRET, undefined);
  } finally {
    Deno.env.delete("ZIPNET_INSTANCE");
    Deno.env.delete("ZIPNET_SECRET");
  }
});

// What follows needs --allow-run for Deno itself, as in `deno task test`.
const run = { name: "run", command: Deno.execPath() } as const;
const ignore = Deno.build.os === "windows" ||
  Deno.permissions.querySync(run).state !== "granted";

const SYSTEM = new URL("../../src/ops/system.ts", import.meta.url);
const runArgs = (code: string, ...args: string[]) => [
  ...["run", "-q", "--no-prompt", "--cached-only", "--no-config", "--no-check"],
  `data:text/typescript,${encodeURIComponent(code)}`,
  ...args,
];

Deno.test("system: without its permission the error names the flag", { ignore }, async () => {
  const code = `
    import { exit, readEnvironment, writeError } from "${SYSTEM}";
    try { readEnvironment([]); } catch (error) { writeError(error.message); exit(error.exitCode); }
  `;
  const output = await new Deno.Command(Deno.execPath(), { args: runArgs(code) }).output();
  equal(output.code, 2);
  const message = "the ZIPNET_* variables may not be read: add --allow-env=ZIPNET_* --ignore-env";
  equal(new TextDecoder().decode(output.stderr), message);
});

/** A child that installs `onStop`, prints `up`, prints each reason it hears, and ends with 5. */
const CHILD = `
  import { exit, onStop, writeOutput } from "${SYSTEM}";
  const withStdin = Deno.args[0] === "with-stdin";
  onStop((reason) => {
    writeOutput(reason + "\\n");
    if (Deno.args[1] !== "wait") exit(5);
    Deno.addSignalListener("SIGTERM", () => writeOutput("passed over\\n"));
  }, { withStdin });
  setInterval(() => {}, 60_000);
  writeOutput("up\\n");
`;

async function child(args: string[]) {
  const process = new Deno.Command(Deno.execPath(), {
    args: runArgs(CHILD, ...args),
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const input = process.stdin.getWriter();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  equal((await lines.read()).value, "up\n");
  return {
    process,
    line: async () => (await lines.read()).value,
    closeInput: () => input.close(),
    /** Waits for the end; reads what is left so that nothing leaks. */
    async end() {
      const rest = await lines.read();
      await input.close().catch(() => {});
      return { rest: rest.value, ...(await process.status) };
    },
  };
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`system: ${signal} stops a process that has no permission`, { ignore }, async () => {
    const { process, line, end } = await child(["plain"]);
    process.kill(signal);
    equal(await line(), `${signal}\n`);
    deepEqual(await end(), { rest: undefined, success: false, code: 5, signal: null });
  });
}

Deno.test("system: a second signal is ignored while the first one stops", { ignore }, async () => {
  const { process, line, end } = await child(["plain", "wait"]);
  process.kill("SIGINT");
  equal(await line(), "SIGINT\n");
  process.kill("SIGTERM");
  equal(await line(), "passed over\n");
  process.kill("SIGKILL");
  equal((await end()).rest, undefined);
});

Deno.test("system: the end of standard input stops only who asked for it", { ignore }, async () => {
  const asked = await child(["with-stdin"]);
  await asked.closeInput();
  equal(await asked.line(), "stdin\n");
  equal((await asked.end()).code, 5);

  const other = await child(["plain"]);
  await other.closeInput();
  other.process.kill("SIGTERM");
  equal(await other.line(), "SIGTERM\n");
  equal((await other.end()).code, 5);
});

/** A child that ends with 5 where it handles what nothing caught: an error in a timer, or a promise. */
const UNCAUGHT = `
  import { exit, onUncaught, systemClock, writeError } from "${SYSTEM}";
  onUncaught((error) => {
    if (Deno.args[1] === "bug") return false;
    systemClock.after(1, () => (writeError("handled: " + error.message), exit(5)));
    return true;
  });
  const fails = () => { throw new Error("the disk is full"); };
  systemClock.after(1, Deno.args[0] === "timer" ? fails : async () => fails());
`;

for (const where of ["timer", "promise"]) {
  Deno.test(
    `system: what nothing caught in a ${where} is told, and ends the process where it is not handled`,
    { ignore },
    async () => {
      for (
        const [what, code, says] of [["told", 5, /^handled: the disk is full$/], [
          "bug",
          1,
          /at /,
        ]] as const
      ) {
        const args = runArgs(UNCAUGHT, where, what);
        const output = await new Deno.Command(Deno.execPath(), { args }).output();
        equal(output.code, code);
        match(new TextDecoder().decode(output.stderr), says);
      }
    },
  );
}

Deno.test("system: time passes evenly, whatever the machine's clock is set to", () => {
  const { now } = Date, before = systemClock.now();
  ok(Math.abs(before - now()) < 3_600_000, "it begins at Unix time");
  try {
    for (const set of [0, before + 10 ** 9]) {
      Date.now = () => set;
      equal(systemClock.wall(), set);
      const passed = systemClock.now() - before;
      ok(passed >= 0 && passed < 60_000, `${passed} ms`);
    }
  } finally {
    Date.now = now;
  }
});
