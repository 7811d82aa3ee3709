/**
 * `deno task platform`: the simulated platform of a development network: its root, its machines, and
 * the drill of revoking one.
 */
import { parseArgs } from "@std/cli/parse-args";
import { trustAnchor } from "../src/attest/anchor.ts";
import { readCertificate } from "../src/attest/certificate.ts";
import { parseCollateral } from "../src/attest/collateral_json.ts";
import { verifyCollateral } from "../src/attest/collateral.ts";
import { AttestationError } from "../src/attest/reasons.ts";
import { SIMULATED_IMAGE } from "../src/attest/simulated_quote.ts";
import { simulatedMeasurements } from "../src/attest/simulated_measurements.ts";
import { EXIT, exitCodeOf } from "../src/ops/exit.ts";
import { attempt, readIfPresent } from "../src/ops/files.ts";
import { nearest } from "../src/ops/nearest.ts";
import {
  createAuthority,
  createPlatform,
  openPlatform,
  PLATFORM_COLLATERAL,
  PLATFORM_ROOT,
  renewCollateral,
  revokePlatform,
} from "../src/ops/platform_folder.ts";
import { systemClock, systemRandom } from "../src/ops/system.ts";
import { hex } from "../src/protocol/bytes.ts";

const HELP = `The simulated platform of a development network. None of it is hardware.

  deno task platform root                 makes the development root in ./.platform/root
  deno task platform node NAME            makes a machine of it in ./.platform/NAME
  deno task platform renew                issues collateral anew, good for 30 days
  deno task platform revoke NAME          revokes a machine, and issues collateral that says so
  deno task platform show [NAME]          shows the root, or a machine

  --folder FOLDER   in place of ./.platform
  --image LABEL     what a new machine has started: it names its measurements  [${SIMULATED_IMAGE}]

A machine's folder goes to the node that runs on it (ZIPNET_PLATFORM), root.der to everyone
(ZIPNET_ANCHOR). Collateral that was issued anew is read by a node from the collateral.json of its
folder within a minute, and handed on to the others: copy it there, as "renew" and "revoke" do for
the machines beside the root. The root's folder stays with whoever runs the network.
`;
const COMMANDS = ["root", "node", "renew", "revoke", "show"] as const;

/** Arguments that do not fit; the line says what was expected. */
class Misuse extends Error {
  readonly exitCode = EXIT.options;
}

async function main(): Promise<void> {
  const args = parseArgs(Deno.args, {
    string: ["folder", "image"],
    boolean: ["help"],
    unknown: (arg: string) => {
      if (!arg.startsWith("-")) return true;
      const name = arg.replace(/^-+/, "").replace(/=.*/, "");
      const meant = nearest(name, ["folder", "image", "help"]) ?? "help";
      throw new Misuse(`unknown option ${arg}; did you mean --${meant}?`);
    },
  });
  if (args.help) return console.log(HELP.trimEnd());
  const [command, name, ...more] = args._.map(String);
  const folder = args.folder ?? "./.platform", root = `${folder}/root`;
  const known = (COMMANDS as readonly string[]).includes(command);
  if (!known) {
    const meant = command && nearest(command, COMMANDS);
    throw new Misuse(
      `expected one of ${COMMANDS.join(", ")}${command ? `, got ${command}` : ""}` +
        (meant ? `; did you mean ${meant}?` : "; --help tells more"),
    );
  }
  const needsName = command === "node" || command === "revoke";
  if (more.length > 0 || (name && !needsName && command !== "show")) {
    throw new Misuse(`${command}: ${more[0] ?? name} is one argument too many`);
  }
  if (needsName && !name) throw new Misuse(`${command}: expected the machine's name behind it`);
  if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/.test(name)) {
    throw new Misuse(`${name}: expected a name of 1 to 64 letters, digits, dots, dashes`);
  }
  if (name === "root" && command !== "show") {
    throw new Misuse("root is the name of the root's folder");
  }
  if (args.image !== undefined && command !== "node") {
    throw new Misuse("--image goes with node alone");
  }
  const now = systemClock.wall(), machine = `${folder}/${name}`;
  const image = args.image ?? SIMULATED_IMAGE;
  attempt(folder, () => {
    if (command === "root") createAuthority(root, systemRandom, now);
    else if (command === "node") {
      createPlatform({ folder: root, machine, image }, systemRandom, now);
    } else if (command === "renew") renewCollateral(root, now);
    else if (command === "revoke") revokePlatform(root, machine, now);
    if (command === "renew" || command === "revoke") handOn(folder);
  });
  await show(command === "node" || command === "show" && name ? machine : root, now);
}

/** Gives the root's collateral to the machines beside it. */
function handOn(folder: string): void {
  const collateral = Deno.readFileSync(`${folder}/root/${PLATFORM_COLLATERAL}`);
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}/${PLATFORM_COLLATERAL}`;
    if (!isDirectory || name === "root" || !readIfPresent(`${folder}/${name}/${PLATFORM_ROOT}`)) {
      continue;
    }
    Deno.writeFileSync(`${path}.new`, collateral);
    Deno.renameSync(`${path}.new`, path);
  }
}

/** What a folder holds, line by line. */
async function show(folder: string, now: number): Promise<void> {
  const files = attempt(folder, () => ({
    root: readIfPresent(`${folder}/${PLATFORM_ROOT}`),
    collateral: readIfPresent(`${folder}/${PLATFORM_COLLATERAL}`),
    machine: readIfPresent(`${folder}/platform.json`),
  }));
  if (!files.root) {
    throw new Misuse(`${folder} holds no ${PLATFORM_ROOT}: make it with deno task platform root`);
  }
  const anchor = await trustAnchor(files.root), lines = [`folder       ${folder}`];
  lines.push(`anchor       ${hex(anchor.fingerprint)}`);
  lines.push(`root until   ${day(anchor.certificate.until)}`);
  if (files.machine) {
    const { platform, image } = attempt(folder, () => openPlatform(folder));
    lines.push(`machine until ${day(readCertificate(platform.chain[0], "pck").until)}`);
    lines.push(`image        ${image}`);
  }
  lines.push(`collateral   ${await collateralLine(files.collateral, anchor, now)}`);
  if (files.machine) {
    const { mrTd, rtmr1, rtmr2 } = simulatedMeasurements(openPlatform(folder).image);
    lines.push(
      `ZIPNET_MRTD=${hex(mrTd)}`,
      `ZIPNET_RTMR1=${hex(rtmr1)}`,
      `ZIPNET_RTMR2=${hex(rtmr2)}`,
    );
    lines.push(`ZIPNET_ATTESTATION=simulated`, `ZIPNET_PLATFORM=${folder}`);
  }
  lines.push(`ZIPNET_ANCHOR=${folder}/${PLATFORM_ROOT}`);
  if (files.machine) {
    // Beside -P these replace the folders of the set.
    const flags = `--allow-read=./data,${folder} --allow-write=./data`;
    lines.push(`deno run -q --no-prompt -P=server ${flags} src/server.ts`);
  }
  console.log(lines.join("\n"));
}

async function collateralLine(
  bytes: Uint8Array | undefined,
  anchor: Awaited<ReturnType<typeof trustAnchor>>,
  now: number,
): Promise<string> {
  if (!bytes) return "none";
  try {
    const collateral = parseCollateral(new TextDecoder().decode(bytes));
    const { until } = await verifyCollateral(collateral, anchor, now);
    return `until ${day(until)}`;
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    return error.message;
  }
}

const day = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace("T", " ") + " UTC";

try {
  await main();
} catch (error) {
  console.error(`zipnet: ${(error as Error).message.replace(/\s*\n\s*/g, " ")}`);
  Deno.exit(exitCodeOf(error));
}
