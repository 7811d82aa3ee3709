/** The command line and the environment of every role, with no more permission than it needs. */
import { expects, type Platforms } from "./platforms.ts";
import type { Role } from "../src/universe/network.ts";

/** The instance of every testnet. */
export const INSTANCE = "dev.testnet";

/**
 * Megabytes of each half of V8's space for new objects, by role: it grows to 32 where nobody bounds
 * it, and a process then holds that much garbage. An aggregator holds no less for it.
 */
const NEW_SPACE: Partial<Record<Role, number>> = { server: 8, client: 2, reader: 2 };

/** What one process is started with. */
export interface Command {
  readonly role: Role;
  /** What reports call it: `server 0`. */
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What all processes of a run share. */
export interface Site {
  /** The folder of the run, relative to the repository. */
  readonly folder: string;
  /** Its instance, if not `INSTANCE`. */
  readonly instance?: string;
  /** `DENO_DIR`, `HOME`: where the module cache is. */
  readonly env: Readonly<Record<string, string>>;
  /** What the servers of the committee share. */
  readonly committeeSecret: string;
  /** Where it runs, if not on loopback. */
  readonly net?: SiteNet;
  /** Where servers and clients are attested: their simulated machines. */
  readonly platforms?: Platforms;
}

/** A network of several hosts. */
export interface SiteNet {
  /** What processes may reach, as `--allow-net` takes it: `10.77.0.0/24`. */
  readonly allow: string;
  /** The IPv4 address at which a process listens, by its name. */
  address(name: string): string;
}

const LOOPBACK: SiteNet = { allow: "127.0.0.1", address: () => "127.0.0.1" };

/** A member of the committee; `bootstrap` is empty for the first. */
export function server(
  site: Site,
  index: number,
  committeeSize: number,
  secret: string,
  bootstrap: readonly string[],
): Command {
  const args = [
    ...["--preset", "dev", ...listen(site, `server ${index}`), ...data(site, "server", index)],
    ...["--committee-size", String(committeeSize)],
    ...(committeeSize === 2 ? ["--allow-two"] : []),
    ...(site.platforms ? ["--admission", "attested", ...expects("clients")] : []),
    ...boot(bootstrap),
  ];
  const made = command(site, "server", index, args, secret);
  return { ...made, env: { ...made.env, ZIPNET_COMMITTEE_SECRET: site.committeeSecret } };
}

/** An aggregator; the first one is called by its role alone. */
export function aggregator(
  site: Site,
  secret: string,
  bootstrap: readonly string[],
  index = 0,
): Command {
  const name = index === 0 ? "aggregator" : `aggregator ${index}`;
  const args = ["--preset", "dev", ...listen(site, name), ...boot(bootstrap)];
  return { ...command(site, "aggregator", index, args, secret), name };
}

/** A client that takes messages on standard input. */
export function client(site: Site, index: number, bootstrap: readonly string[]): Command {
  return command(site, "client", index, ["--json", "--stdin", ...boot(bootstrap)]);
}

/** A reader that prints what it verified, and shows it at a port where one is given. */
export function reader(
  site: Site,
  index: number,
  bootstrap: readonly string[],
  page?: number,
): Command {
  const shows = page === undefined ? [] : ["--page", `127.0.0.1:${page}`];
  const args = ["--json", ...data(site, "reader", index), ...boot(bootstrap), ...shows];
  return command(site, "reader", index, args, undefined, shows.length ? ["testnet/page"] : []);
}

/** The data folder of a server or reader, relative to the repository. */
export function dataFolder(site: Site, role: Role, index: number): string {
  return `${site.folder}/${role}-${index}`;
}

function data(site: Site, role: Role, index: number): string[] {
  return ["--data", dataFolder(site, role, index)];
}

function listen({ net = LOOPBACK }: Site, name: string): string[] {
  return ["--listen", `/ip4/${net.address(name)}/tcp/0`];
}

function boot(addresses: readonly string[]): string[] {
  return addresses.length ? ["--bootstrap", addresses.join(",")] : [];
}

/** What a node shows of its machine, and asks of the servers'; and what it reads for that. */
function attestation({ platforms }: Site, role: Role, name: string) {
  if (!platforms) return { args: role === "server" ? ["--attestation", "none"] : [], reads: [] };
  const shows = role === "server" || role === "client";
  const machine = shows ? platforms.machine(name) : undefined;
  const own = machine ? ["--attestation", "simulated", "--platform", machine] : [];
  const args = [...own, "--anchor", platforms.anchor, ...expects("servers")];
  return { args, reads: [platforms.anchor, ...(machine ? [machine] : [])] };
}

function command(
  site: Site,
  role: Role,
  index: number,
  args: readonly string[],
  secret?: string,
  more: readonly string[] = [],
): Command {
  const folder = dataFolder(site, role, index), keeps = role === "server" || role === "reader";
  const shown = attestation(site, role, `${role} ${index}`);
  const reads = [...(keeps ? [folder] : []), ...shown.reads, ...more];
  const files = [
    ...(reads.length > 0 ? [`--allow-read=${reads.join(",")}`] : []),
    ...(keeps ? [`--allow-write=${folder}`] : []),
  ];
  return {
    role,
    name: `${role} ${index}`,
    args: [
      ...["run", "-q", "--no-prompt", "--cached-only"],
      ...(role in NEW_SPACE ? [`--v8-flags=--max-semi-space-size=${NEW_SPACE[role]}`] : []),
      `-P=${role}`,
      `--allow-net=${(site.net ?? LOOPBACK).allow}`,
      ...[...files, `src/${role}.ts`, "--instance", site.instance ?? INSTANCE, ...shown.args],
      ...[...args, "--stop-with-stdin"],
    ],
    env: { ...site.env, ...(secret === undefined ? {} : { ZIPNET_SECRET: secret }) },
  };
}
