/** Runs an operator's tool as `deno task` does, with other permissions to read if they are named. */

/** How it ended and what it printed. */
export interface Ending {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A tool of `scripts/`, with what it finds on standard input. */
export async function tool(
  script: string,
  args: readonly string[],
  { read = [], stdin = new Uint8Array(0) }: {
    readonly read?: readonly string[];
    readonly stdin?: Uint8Array;
  } = {},
): Promise<Ending> {
  const allowed = read.length > 0 ? [`--allow-read=${read.join(",")}`] : [];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-prompt", `-P=${script}`, ...allowed, `scripts/${script}.ts`, ...args],
    env: { NO_COLOR: "1" },
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const fed = new Blob([stdin as Uint8Array<ArrayBuffer>]).stream().pipeTo(child.stdin)
    // It may end without reading its input.
    .catch(() => {});
  const { code, stdout, stderr } = await child.output();
  await fed;
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

/** A folder for files that a tool reads, gone afterwards. */
export class Folder implements Disposable {
  readonly path: string;
  constructor() {
    Deno.mkdirSync(".testnet", { recursive: true });
    this.path = Deno.makeTempDirSync({ dir: ".testnet" });
  }
  /** Writes a file; its path. */
  put(name: string, bytes: Uint8Array | string): string {
    const path = `${this.path}/${name}`;
    if (typeof bytes === "string") Deno.writeTextFileSync(path, bytes);
    else Deno.writeFileSync(path, bytes);
    return path;
  }
  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
