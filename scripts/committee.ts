/**
 * `deno task committee`: shows the committee of a server, and states what its operator wishes of it.
 * It reads and writes the server's data folder, and works while the server runs.
 */
import { parseArgs } from "@std/cli/parse-args";
import { decodeSaved, type Formed, savedInstance } from "../src/committee/formed.ts";
import { checkWish, decodeWish, encodeWish, type Wish } from "../src/committee/wish.ts";
import { EXIT, exitCodeOf } from "../src/ops/exit.ts";
import { nearest } from "../src/ops/nearest.ts";
import { readStored } from "../src/ops/store.ts";
import { readWish, writeWish } from "../src/ops/wish_file.ts";
import { compare, equal, hex, unhex } from "../src/protocol/bytes.ts";
import { checkPublicKey } from "../src/protocol/keys.ts";
import { type Manifest, serverIndex } from "../src/protocol/manifest.ts";

const HELP = `The committee of a server, and what its operator wishes of it.

  deno task committee                              shows both
  deno task committee --add KEY                    wishes for one server more
  deno task committee --remove KEY                 wishes for one less
  deno task committee --remove KEY --add KEY       wishes for one in place of another
  deno task committee --lost KEY ...               as --remove, of one that will never sign again
  deno task committee --clear                      takes the wish back

  --data FOLDER   the server's data folder [ZIPNET_DATA, ./data]

KEY is a server's peer id, 64 hex digits: deno task server --check shows it. Each may be given more
than once. Nothing changes before the operators of all members (but those that are lost) state the
same wish, and the new servers run with the committee's secret. Then the running servers sign the
next epoch by themselves, and clients follow. With --lost they do not: each needs the new
fingerprint in ZIPNET_COMMITTEE. Once a server has signed, a wish cannot be taken back.
`;

const LISTS = ["add", "remove", "lost"] as const;
const FLAGS = [...LISTS, "data", "clear", "help"];

/** Options that do not fit; the line says what was expected. */
class Misuse extends Error {
  readonly exitCode = EXIT.options;
}

function main(): void {
  const args = parseArgs(Deno.args, {
    string: [...LISTS, "data"],
    collect: [...LISTS],
    boolean: ["clear", "help"],
    unknown: (arg: string) => {
      const name = arg.replace(/^-+/, "").replace(/=.*/, "");
      if (arg.startsWith("-")) {
        throw new Misuse(
          `unknown option ${arg}; did you mean --${nearest(name, FLAGS) ?? "help"}?`,
        );
      }
      throw new Misuse(`${arg}: expected an option; a key goes behind --add, --remove or --lost`);
    },
  });
  if (args.help) return console.log(HELP.trimEnd());
  const folder = args.data ?? Deno.env.get("ZIPNET_DATA") ?? "./data";
  const { manifest } = committeeIn(folder);
  const add = keys("add", args.add), lost = keys("lost", args.lost);
  const remove = [...keys("remove", args.remove), ...lost];
  const changes = add.length + remove.length > 0;
  if (args.clear && changes) {
    throw new Misuse("--clear takes the wish back: give nothing beside it");
  }
  if (args.clear) writeWish(folder, undefined);
  else if (changes) writeWish(folder, encodeWish(wishFor(manifest, add, remove, lost)));
  show(manifest, folder);
}

/** The committee that stands. */
function committeeIn(folder: string): Formed {
  const bytes = readStored(folder, "manifest");
  const saved = bytes && decodeSaved(bytes, savedInstance(bytes));
  if (saved && "formed" in saved) return saved.formed;
  throw new Misuse(
    `${folder} holds no committee that stands: name the data folder of a running server in --data`,
  );
}

function keys(name: string, texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => {
    try {
      return checkPublicKey(unhex(text.toLowerCase(), 32));
    } catch {
      throw new Misuse(`--${name}: expected a server's peer id of 64 hex digits, got ${text}`);
    }
  });
}

function wishFor(
  manifest: Manifest,
  add: readonly Uint8Array[],
  remove: readonly Uint8Array[],
  lost: readonly Uint8Array[],
): Wish {
  for (const key of remove) {
    if (serverIndex(manifest, key) < 0) throw new Misuse(`${hex(key)} is not in the committee`);
  }
  for (const key of add) {
    if (serverIndex(manifest, key) >= 0) {
      throw new Misuse(`${hex(key)} is in the committee already`);
    }
  }
  const stay = manifest.servers.filter((key) => !remove.some((gone) => equal(gone, key)));
  const servers = [...stay, ...add].sort(compare);
  if (servers.length < 3) {
    throw new Misuse(
      `a committee of ${servers.length}: expected 3 servers or more; add one for each that goes`,
    );
  }
  const wish = { from: manifest.fingerprint, servers, lost: [...lost].sort(compare) };
  checkWish(decodeWish(encodeWish(wish)), manifest);
  return wish;
}

function show(manifest: Manifest, folder: string): void {
  const { epoch, fingerprint, servers } = manifest;
  console.log(`committee ${hex(fingerprint)}, epoch ${epoch}, ${servers.length} servers`);
  const bytes = readWish(folder), wish = bytes && decodeWish(bytes);
  // A wish ends with the epoch that it was stated in.
  const stands = wish && equal(wish.from, fingerprint) ? wish : undefined;
  for (const key of servers) console.log(`  ${hex(key)}${fate(key, stands)}`);
  if (!stands) return console.log("no change is wished");
  for (const key of stands.servers) {
    if (serverIndex(manifest, key) < 0) console.log(`  ${hex(key)} joins`);
  }
  console.log(
    `wished: epoch ${
      epoch + 1
    } of ${stands.servers.length} servers; the server's log says what it ` +
      "waits for",
  );
}

function fate(key: Uint8Array, wish: Wish | undefined): string {
  if (!wish || wish.servers.some((server) => equal(server, key))) return "";
  return wish.lost.some((lost) => equal(lost, key)) ? " is lost" : " leaves";
}

try {
  main();
} catch (error) {
  console.error(`zipnet: ${(error as Error).message}`);
  Deno.exit(exitCodeOf(error));
}
