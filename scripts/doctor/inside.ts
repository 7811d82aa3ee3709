/** What this machine shows of a configuration: files, ports, the platform, collateral. */
import { statfsSync } from "node:fs";
import { CollateralBook } from "../../src/attest/collateral_book.ts";
import { type Family, familyOf } from "../../src/attest/family.ts";
import { decodeSaved } from "../../src/committee/formed.ts";
import { attestationOf } from "../../src/ops/attestation.ts";
import { collateralSources } from "../../src/ops/collateral_source.ts";
import { openPlatform, PLATFORM_COLLATERAL } from "../../src/ops/platform_folder.ts";
import type { RoleOptions } from "../../src/ops/role_options.ts";
import { readStored } from "../../src/ops/store.ts";
import { readFile, systemClock } from "../../src/ops/system.ts";
import { tdxSource } from "../../src/ops/tsm_item.ts";
import type { Fingerprint } from "../../src/protocol/bytes.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import type { Observe } from "../../src/universe/environment.ts";
import type { Role } from "../../src/universe/network.ts";
import type { Report } from "./report.ts";

/** The Deno that all of this was proven with. */
const DENO = "2.9.6";
/** Room that a data folder should have, bytes. */
const ROOM = 2 ** 30;
const DAY = 86_400_000;

/** How the configuration was given, and whether the node runs now. */
export interface Given {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly runs?: boolean;
}

/** What was learned that others check against. */
export interface Known {
  /** The committee that the data folder names. */
  readonly committee?: Fingerprint;
}

/** Files that hold secrets, by the flags and variables that name them. */
export function secretFiles({ args, environment }: Given): string[] {
  const files = Object.entries(environment)
    .filter(([name]) => /(SECRET|SECRET_OTHER|JWT)_FILE$/.test(name)).map(([, file]) => file);
  args.forEach((arg, i) => {
    const match = /^--(?:[a-z-]*secret[a-z-]*|jwt)-file(?:=(.*))?$/.exec(arg);
    if (match) files.push(match[1] ?? args[i + 1]);
  });
  return files;
}

/** All of it. */
export async function inside(
  options: RoleOptions[Role],
  report: Report,
  given: Given,
): Promise<Known> {
  if (Deno.version.deno === DENO) report.good("deno", DENO);
  else {report.doubt(
      "deno",
      `this is ${Deno.version.deno}`,
      `${DENO} is what was tested: npx deno@${DENO}`,
    );}
  for (const file of secretFiles(given)) secretFile(file, report);
  const committee = "data" in options && options.data !== undefined
    ? dataFolder(options, options.data, report)
    : undefined;
  if (!given.runs) ports(options, report);
  announced(options, report);
  await attested(options, report, given.runs === true);
  return { committee };
}

function secretFile(file: string, report: Report): void {
  try {
    const { mode } = Deno.statSync(file);
    if (mode !== null && (mode & 0o077) !== 0) {
      const shown = (mode & 0o777).toString(8);
      report.bad("secret", `${file} may be read by others (${shown})`, `chmod 600 ${file}`);
    } else report.good("secret", `${file} is its owner's alone`);
  } catch (error) {
    report.skip("secret", `${file} cannot be looked at: ${(error as Error).name}`);
  }
}

function dataFolder(
  options: RoleOptions[Role],
  folder: string,
  report: Report,
): Fingerprint | undefined {
  try {
    const { mode, isDirectory } = Deno.statSync(folder);
    if (!isDirectory) {
      return void report.bad(
        "data",
        `${folder} is no folder`,
        "move it away, or name another --data",
      );
    }
    if (mode !== null && (mode & 0o077) !== 0) {
      report.bad("data", `${folder} may be read by others`, `chmod 700 ${folder}`);
    }
    const probe = `${folder}/.doctor`;
    Deno.writeTextFileSync(probe, "x", { mode: 0o600 });
    Deno.removeSync(probe);
    report.good("data", `${folder} can be written`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      const mend =
        `run it with --allow-read=${folder} --allow-write=${folder} (--help says how), ` +
        "as the node's user";
      return void report.bad("data", `${folder}: ${(error as Error).message.split("\n")[0]}`, mend);
    }
    report.good("data", `${folder} is made at the first start`);
    return undefined;
  }
  try {
    const { bavail, bsize } = statfsSync(folder), room = Number(bavail) * Number(bsize);
    const gigabytes = `${(room / 2 ** 30).toFixed(1)} GiB free`;
    if (room >= ROOM) report.good("disk", gigabytes);
    else report.bad("disk", gigabytes, "make room: a full disk ends the node with exit code 5");
  } catch {
    report.skip("disk", "free space cannot be told here");
  }
  if (options.role !== "server") return undefined;
  try {
    const bytes = readStored(folder, "manifest");
    const id = instanceId(universeId(options.universe), options.instance);
    const saved = bytes && decodeSaved(bytes, id);
    if (saved && "formed" in saved) {
      const { manifest } = saved.formed;
      report.good("committee", `${hex(manifest.fingerprint)}, epoch ${manifest.epoch}`);
      return manifest.fingerprint;
    }
    report.good("committee", "not formed yet");
  } catch (error) {
    report.bad(
      "committee",
      (error as Error).message,
      "see src/ops/README.md for the file manifest",
    );
  }
  return undefined;
}

function ports({ listen }: RoleOptions[Role], report: Report): void {
  for (const address of listen) {
    const match = /^\/(ip4|ip6)\/([^/]+)\/tcp\/(\d+)/.exec(address);
    if (!match) continue;
    const [, , hostname, port] = match;
    try {
      Deno.listen({ hostname, port: Number(port) }).close();
      report.good("port", `${address} is free`);
    } catch (error) {
      const mend = error instanceof Deno.errors.AddrInUse
        ? "another process has it, perhaps this node: then add --node"
        : error instanceof Deno.errors.NotCapable
        ? `run it with --allow-net=${hostname} (--help says how)`
        : "name another in ZIPNET_LISTEN";
      report.bad("port", `${address} cannot be listened at`, mend);
    }
  }
}

function announced({ role, listen, announce }: RoleOptions[Role], report: Report): void {
  if (role !== "server" && role !== "aggregator") return;
  const all = announce.length > 0 ? announce : listen;
  const open = all.every((address) => /\/(0\.0\.0\.0|::|127\.[^/]+|::1)\//.test(address));
  if (!open) return report.good("announce", all.join(" "));
  report.doubt(
    "announce",
    `others are told the addresses of this machine's interfaces (${all.join(" ")})`,
    "behind a NAT or a published port set ZIPNET_ANNOUNCE to what they can dial",
  );
}

async function attested(
  options: RoleOptions[Role],
  report: Report,
  runs: boolean,
): Promise<void> {
  const { attestation: { evidence, platform, collateral } } = options;
  let terms, family: Family | undefined;
  try {
    terms = await attestationOf(options, readFile);
  } catch (error) {
    return report.bad("attestation", (error as Error).message, "see src/attest/README.md");
  }
  for (const warning of terms.warnings) {
    report.doubt("attestation", warning, "see src/attest/README.md");
  }
  const { anchor } = terms;
  if (!anchor) return;
  if (evidence === "tdx" && runs) {
    report.skip("quote", "the running node has the TSM item to itself; --node tells of its ticket");
  } else if ((evidence === "tdx" || evidence === "simulated") && platform !== undefined) {
    try {
      const source = evidence === "simulated"
        ? openPlatform(platform).source
        : tdxSource(platform, systemClock);
      const quote = await source.quote(new Uint8Array(64));
      family = familyOf(quote);
      report.good("quote", `${platform} makes quotes (${quote.length} bytes)`);
    } catch (error) {
      report.bad("quote", (error as Error).message, "see src/attest/README.md");
    }
  }
  const own = evidence === "simulated" ? [`${platform}/${PLATFORM_COLLATERAL}`] : [];
  const names = [...collateral, ...own];
  if (names.length === 0) {
    return report.doubt(
      "collateral",
      "none is named: it comes from peers alone",
      "name a PCCS or a file in ZIPNET_COLLATERAL, so that quotes can be judged at once",
    );
  }
  const book = new CollateralBook(anchor), now = systemClock.wall();
  const observe: Observe = (_level, _event, fields) =>
    report.bad("collateral", `${fields?.source}: ${fields?.reason}`, "renew it, or name another");
  for (const source of collateralSources(names, { fetch, readFile, clock: systemClock, observe })) {
    const found = await source.fetch(family);
    try {
      if (found) await book.offer(found, now);
    } catch (error) {
      report.bad("collateral", `${source.name}: ${(error as Error).message}`, "renew it");
    }
  }
  const until = book.until(now);
  if (until === undefined) return report.skip("collateral", "nothing of it is in use yet");
  const days = ((until - now) / DAY).toFixed(1);
  if (until > now) report.good("collateral", `good for ${days} days`);
  else report.bad("collateral", "it has ended", "renew it");
}
