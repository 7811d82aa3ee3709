/** A reader over an archive's files: what it prints, and how it refuses; no network is opened. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { encodeLineage } from "../../src/protocol/lineage.ts";
import { parseOptions } from "../../src/ops/options.ts";
import { memoryArchive, type Records } from "../../src/roles/records.ts";
import { readFiles } from "../../src/roles/reading.ts";
import { Play } from "../protocol/play.ts";
import { extendLog } from "../roles/log.ts";

/** The records and the manifest of a committee, the manifest as a file. */
class Files implements Disposable {
  readonly play = new Play(700);
  readonly archive = memoryArchive(Infinity, Infinity);
  readonly folder: string;

  constructor() {
    Deno.mkdirSync(".testnet", { recursive: true });
    this.folder = Deno.makeTempDirSync({ dir: ".testnet" });
    const { play } = this, { reserved, talked } = play.talk(["hello"]);
    for (const { certified, bytes } of [reserved, talked]) {
      this.archive.append(certified.record.header.round, bytes);
    }
    for (const { round, bytes } of extendLog(play, 5)) this.archive.append(round, bytes);
    Deno.mkdirSync(`${this.folder}/archive`);
    Deno.writeFileSync(`${this.folder}/archive/committee`, encodeLineage(play.lineage));
  }

  /** Reads with these options beside the archive's. */
  read(args: readonly string[], archive: Records = this.archive) {
    const folder = `${this.folder}/archive`, opened: string[] = [], lines: string[] = [];
    const all = [`--archive=${folder}`, "--instance=example", ...args];
    const options = parseOptions("reader", all, {}, () => "");
    if ("help" in options) throw new Error("no help was asked for");
    const { manifest: { instance: id }, servers: [{ signer }] } = this.play;
    const read = readFiles({
      options,
      signer,
      instance: { id, name: "example" },
      print: (line) => lines.push(line) > 0,
    }, (path) => {
      opened.push(path);
      return archive;
    });
    ok(read);
    deepEqual(opened, [folder]);
    return lines.join("");
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("an archive's files are printed, or verified, with the committee beside them", () => {
  using files = new Files();
  const { manifest, head } = files.play, head64 = hex(head.hash);
  equal(files.read([]), "2/0 hello\n");
  equal(files.read(["--from=3"]), "");
  equal(
    files.read(["--verify"]),
    `7 records, 1 messages, rounds 1 to 7, head ${head64}: verified\n`,
  );
  equal(
    files.read(["--verify", "--from=4", `--committee=${hex(manifest.fingerprint)}`]),
    `4 records, 0 messages, rounds 4 to 7, head ${head64}: verified\n`,
  );
  const lines = files.read(["--json", "--from=2"]).trimEnd().split("\n").map((l) => JSON.parse(l));
  deepEqual(lines.map(({ round }) => round), [undefined, 2, 3, 4, 5, 6, 7]);
  ok(typeof lines[0].manifest === "string");
  equal(lines[1].messages[0].text, "hello");
});

Deno.test("files that cannot be trusted are refused with the round or the file, and an exit code", () => {
  using files = new Files();
  const { archive, folder } = files;
  const refused = (message: RegExp, exitCode: number, args: string[], records?: Records) =>
    throws(() => files.read(args, records), (error: Error & { exitCode?: number }) => {
      ok(message.test(error.message), error.message);
      equal(error.exitCode, exitCode);
      return true;
    });
  const damaged = memoryArchive(Infinity, Infinity);
  for (const { round, bytes } of archive.read(0, 99, Infinity)) {
    damaged.append(round, bytes.map((byte, i) => round === 5 && i === 300 ? byte ^ 1 : byte));
  }
  refused(/^record 5 does not verify: /, 1, ["--verify"], damaged);
  refused(/expected the pinned abab/, 4, [`--committee=${"ab".repeat(32)}`]);
  refused(/nowhere cannot be read \(NotFound\): name the committee's file/, 2, [
    `--manifest=${folder}/nowhere`,
  ]);
  const bytes = Deno.readFileSync(`${folder}/archive/committee`);
  bytes[bytes.length - 1] ^= 1;
  Deno.writeFileSync(`${folder}/archive/committee`, bytes);
  refused(/is no committee of example \(.*signature of server [0-9a-f]{16}\)/, 5, []);
});
