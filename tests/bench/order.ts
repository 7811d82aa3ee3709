/**
 * `deno task bench-order`: what it takes to put a command in order among three members, each a
 * process with a journal on disk, on this machine. The reference, in the same run: a synced append
 * of the same size to a file of the same folder, and 1 MB sent over the same libp2p twice.
 */
import { flags } from "./flags.ts";

flags("bench-order", "a command in order among three members with disks", {});

const FOLDER = ".testnet/bench-order";

interface Line {
  readonly up?: boolean;
  readonly ms?: number;
  readonly address?: string;
  readonly over?: boolean;
  readonly what?: string;
}

async function* lines(child: Deno.ChildProcess): AsyncGenerator<Line> {
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    for (const part of parts) yield JSON.parse(part);
  }
}

function syncedAppend(): number {
  const times: number[] = [];
  using file = Deno.openSync(`${FOLDER}/reference`, { create: true, write: true });
  for (let i = 0; i < 500; i++) {
    const from = performance.now();
    file.writeSync(new Uint8Array(120));
    file.syncDataSync();
    times.push(performance.now() - from);
  }
  return times.sort((a, b) => a - b)[250];
}

Deno.mkdirSync(FOLDER, { recursive: true });
const children: Deno.ChildProcess[] = [];
try {
  const over = Promise.withResolvers<void>();
  let bootstrap = "";
  for (const index of [0, 1, 2]) {
    const folder = `${FOLDER}/${index}`;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-q", "--no-prompt", "--cached-only", "--allow-net=127.0.0.1", "--allow-env"],
        ...[`--allow-read=${folder}`, `--allow-write=${folder}`, "--allow-sys=networkInterfaces"],
        ...["tests/bench/order_member.ts", String(index), folder, bootstrap],
      ],
      stdout: "piped",
    }).spawn();
    children.push(child);
    const all = lines(child);
    const { value } = await all.next();
    console.log(`member ${index} listens ${Math.round(value.ms)} ms after its first line of code`);
    bootstrap ||= value.address!;
    (async () => {
      for await (const line of all) {
        if (line.over) over.resolve();
        else console.log(JSON.stringify(line));
      }
    })();
  }
  await over.promise;
  console.log(`a synced append of 120 B on this disk: p50 ${syncedAppend().toFixed(2)} ms`);
} finally {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map(({ status }) => status));
  Deno.removeSync(FOLDER, { recursive: true });
}
