/** `deno task load`: options, signals and files; `run.ts` does the rest. */
import { EXIT, type ExitCode } from "../../src/ops/exit.ts";
import { exit, onStop, systemClock, systemRandom } from "../../src/ops/system.ts";
import { writeError, writeOutput } from "../../src/ops/system.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { cacheEnvironment, spawn } from "../host.ts";
import { OptionError } from "../options.ts";
import { visible } from "../view.ts";
import { HELP, type LoadOptions, parseLoadOptions } from "./options.ts";
import { plot } from "./plot.ts";
import { load } from "./run.ts";

const ROOT = new URL("../../", import.meta.url);

/** Throws an `OptionError` where the plot could not be written in the end. */
function checkPlot(file: string): void {
  const path = new URL(file, ROOT);
  const may = path.protocol === "file:" &&
    Deno.permissions.querySync({ name: "write", path }).state === "granted";
  if (may && isFolder(new URL(".", path)) && !isFolder(path)) return;
  throw new OptionError(
    `--plot: expected a file in .testnet/ or a folder in it, got ${JSON.stringify(file)}`,
  );
}

function isFolder(path: URL): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

async function start(options: LoadOptions): Promise<ExitCode> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  onStop(() => stop());
  const time = new Date(systemClock.wall()).toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
  const folder = `.testnet/load-${time}-${Deno.pid}`, file = options.plot ?? `${folder}.svg`;
  Deno.mkdirSync(new URL(".testnet", ROOT), { recursive: true });
  checkPlot(file);
  Deno.mkdirSync(new URL(folder, ROOT));
  const { clients, rate, period, servers, seed } = options;
  const title = `${clients} clients, ${servers} servers, a round each ${period} ms, ` +
    `${rate} messages a second, seed ${seed}`;
  try {
    return await load(options, {
      spawn,
      clock: systemClock,
      random: systemRandom,
      site: {
        folder,
        env: { ...cacheEnvironment(), ZIPNET_METRICS: "127.0.0.1:0" },
        committeeSecret: hex(systemRandom(32)),
      },
      output: (line) => writeOutput(line + "\n"),
      error: (line) => writeError(line + "\n"),
      plot(book) {
        try {
          Deno.writeTextFileSync(new URL(file, ROOT), plot(book, title));
          return file;
        } catch (error) {
          writeError(`load: ${file} cannot be written: ${visible((error as Error).message)}\n`);
        }
      },
    }, stopped);
  } finally {
    Deno.removeSync(new URL(folder, ROOT), { recursive: true });
  }
}

async function main(): Promise<ExitCode> {
  try {
    const options = parseLoadOptions(Deno.args);
    if (options !== "help") return await start(options);
    writeOutput(HELP);
    return EXIT.clean;
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    writeError(`load: ${visible(error.message)}\n`);
    return error.exitCode;
  }
}

exit(await main());
