/** `deno task testnet`: options, signals and files; `run.ts` does the rest. */
import { EXIT, type ExitCode } from "../src/ops/exit.ts";
import { exit, onStop, systemClock, systemRandom } from "../src/ops/system.ts";
import { writeError, writeOutput } from "../src/ops/system.ts";
import { hex } from "../src/protocol/bytes.ts";
import { cacheEnvironment, spawn } from "./host.ts";
import { HELP, OptionError, type Options, parseOptions } from "./options.ts";
import { Platforms } from "./platforms.ts";
import { run } from "./run.ts";
import { jsonView, textView, visible } from "./view.ts";

const ROOT = new URL("../", import.meta.url);
/** Appends to one log a process. */
function logFiles(folder: string): (name: string, chunk: Uint8Array) => void {
  const files = new Map<string, Deno.FsFile>();
  return (name, chunk) => {
    const path = new URL(`${folder}/${name.replace(" ", "-")}.log`, ROOT);
    const file = files.get(name) ?? Deno.openSync(path, { create: true, append: true });
    files.set(name, file);
    for (let at = 0; at < chunk.length;) at += file.writeSync(chunk.subarray(at));
  };
}

async function start(options: Options): Promise<ExitCode> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  onStop(() => stop());
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGHUP", stop);
  const time = new Date(systemClock.wall()).toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
  const folder = `.testnet/${time}-${Deno.pid}`;
  Deno.mkdirSync(new URL(folder, ROOT), { recursive: true });
  const platforms = options.unattested ? undefined : new Platforms(`${folder}/platform`);
  try {
    return await run(options, {
      spawn,
      clock: systemClock,
      random: systemRandom,
      site: { folder, env: cacheEnvironment(), committeeSecret: hex(systemRandom(32)), platforms },
      view: options.json ? jsonView : textView(Deno.stdout.isTerminal() && !Deno.noColor),
      logged: options.keep ? logFiles(folder) : () => {},
      output(line) {
        try {
          writeOutput(line + "\n");
        } catch (error) {
          if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
          stop();
        }
      },
      error: (line) => writeError(line + "\n"),
    }, stopped);
  } finally {
    if (options.keep) writeError(`state and logs are in ${folder}\n`);
    else Deno.removeSync(new URL(folder, ROOT), { recursive: true });
  }
}

async function main(): Promise<ExitCode> {
  let options: Options | "help";
  try {
    options = parseOptions(Deno.args);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    writeError(`testnet: ${visible(error.message)}\n`);
    return error.exitCode;
  }
  if (options === "help") {
    writeOutput(HELP);
    return EXIT.clean;
  }
  return await start(options);
}

exit(await main());
