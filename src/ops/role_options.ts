/**
 * What each role is given once its options are parsed, and the rules between options: those that no
 * single row of the table can tell.
 */
import { equal, type Fingerprint } from "../protocol/bytes.ts";
import { signer } from "../protocol/keys.ts";
import { checkParameters, type Limit, LIMITS, PRESETS } from "../protocol/parameters.ts";
import type { Level } from "../universe/environment.ts";
import type { Role } from "../universe/network.ts";
import { type Admission, admission } from "./admission_options.ts";
import { attestation, type AttestationOptions } from "./attestation_options.ts";
import type { BindAddress } from "./kinds.ts";
import type { LogFormat } from "./log.ts";
import { type OptionName, OPTIONS, type Values, variableOf } from "./table.ts";

/** What all roles are given. Times in ms. */
export interface CommonOptions {
  /** With `--check` the role prints what would run, and exits. */
  readonly check: boolean;
  readonly instance: string;
  readonly universe: string;
  readonly bootstrap: readonly string[];
  /** The Mainline DHT, and where to begin in it; undefined: off. */
  readonly mainline?: { readonly routers?: readonly string[] };
  /** Multicast DNS on the local network. */
  readonly mdns: boolean;
  readonly connectTimeout: number;
  /** Empty: listen on nothing. */
  readonly listen: readonly string[];
  /** Keys of nodes that listen through this one. */
  readonly relay: readonly Uint8Array[];
  /** Empty: advertise what is listened on. */
  readonly announce: readonly string[];
  /** Seed of the identity, 32 bytes; without one the role makes a random one. */
  readonly secret?: Uint8Array;
  /** What it shows of its machine, and what others must show of theirs. */
  readonly attestation: AttestationOptions;
  /** Where metrics and health are served; undefined: nowhere. */
  readonly metrics?: BindAddress;
  readonly log: Level;
  /** Undefined: text on a terminal, else JSON. */
  readonly logFormat?: LogFormat;
  readonly stopWithStdin: boolean;
}

/** Name of a preset of parameters. */
export type Preset = keyof typeof PRESETS;

/** Options of a server. */
export interface ServerOptions extends CommonOptions {
  readonly role: "server";
  /** Odd and at least 3, or 2 where `--allow-two` was given: then the role warns. */
  readonly committeeSize: number;
  /** What the servers of the committee share, and perhaps one more that is accepted too. */
  readonly committeeSecrets: readonly Uint8Array[];
  readonly preset: Preset;
  /** What overrides the preset; with it, all rules of `checkParameters` hold. */
  readonly parameters: Readonly<Partial<Record<Limit, number>>>;
  /** Folder of the durable state; undefined with `--ephemeral`. */
  readonly data?: string;
  /** Origin of the etcd that orders commands; undefined: the servers themselves do. */
  readonly etcd?: string;
  readonly admission: Admission;
  /** Keys of the aggregators that may hand over; undefined: any. */
  readonly aggregators?: readonly Uint8Array[];
}

/** Options of an aggregator. */
export interface AggregatorOptions extends CommonOptions {
  readonly role: "aggregator";
  readonly preset: Preset;
  /** The pinned committee. */
  readonly committee?: Fingerprint;
  /** Keys of the aggregators that may hand over to it. */
  readonly aggregators: readonly Uint8Array[];
  /** Key of the aggregator that it hands over to; undefined: the servers. */
  readonly upstream?: Uint8Array;
}

/** Options of a client. */
export interface ClientOptions extends CommonOptions {
  readonly role: "client";
  /** The pinned committee. */
  readonly committee?: Fingerprint;
  /** It stays silent in a round with fewer. */
  readonly minParticipants: number;
  /** It talks every Nth round. */
  readonly cadence: number;
  /** The token that admission may ask for; a secret. */
  readonly jwt?: string;
  /** A fixed payload. */
  readonly message?: string;
  /** Each line of standard input is a message. */
  readonly stdin: boolean;
  /** Lines of JSON in and out. */
  readonly json: boolean;
  /** Its metrics count its own messages too. */
  readonly metricsMessages: boolean;
}

/** Options of a reader. */
export interface ReaderOptions extends CommonOptions {
  readonly role: "reader";
  /** The pinned committee. */
  readonly committee?: Fingerprint;
  /** Folder of its place; undefined with `--ephemeral`. */
  readonly data?: string;
  readonly json: boolean;
  /** First round to read; undefined: after the record that was printed last, else 0. */
  readonly from?: number;
  /** It only verifies, up to the newest record. */
  readonly verify: boolean;
  /** Folder of the archive to read instead of the network. */
  readonly archive?: string;
  /** Where the live page is served; undefined: nowhere. */
  readonly page?: BindAddress;
  /** With `archive`: file of the signed manifest. */
  readonly manifest?: string;
}

/** Options by role. */
export interface RoleOptions {
  server: ServerOptions;
  aggregator: AggregatorOptions;
  client: ClientOptions;
  reader: ReaderOptions;
}

/** What `assemble` needs of the parser. */
export interface Parser {
  /** Throws the error of bad options. */
  refuse(message: string): never;
  /** An option under both of its names. */
  both(name: OptionName): string;
  /** The text of a file that an option named. */
  read(path: string, where: string): string;
}

/**
 * The options of a role from the values of its rows; `given` names those that do not come from a
 * default. Refuses what contradicts another option.
 */
export function assemble<R extends Role>(
  role: R,
  check: boolean,
  values: Values,
  given: ReadonlySet<OptionName>,
  parser: Parser,
): RoleOptions[R] {
  const common: CommonOptions = {
    check,
    instance: values.instance!,
    universe: values.universe!,
    bootstrap: values.bootstrap ?? [],
    mainline: mainline(values, parser),
    mdns: values.mdns!,
    connectTimeout: values.connectTimeout!,
    listen: values.listen ?? [],
    relay: values.relay ?? [],
    announce: values.announce ?? [],
    secret: values.secret,
    attestation: attestation(role, values, given, parser),
    metrics: metrics(role, values, parser),
    log: values.log!,
    logFormat: values.logFormat,
    stopWithStdin: values.stopWithStdin!,
  };
  const { committee, preset } = values;
  const make: { [Each in Role]: () => RoleOptions[Each] } = {
    server: () => ({ ...common, ...server(values, given, parser) }),
    aggregator() {
      requireSecret(values, parser);
      const { aggregators = [], upstream } = values;
      checkUpstream(values, parser);
      return { ...common, role: "aggregator", preset: preset!, committee, aggregators, upstream };
    },
    client: () => ({
      ...common,
      role: "client",
      committee,
      minParticipants: values.minParticipants!,
      cadence: values.cadence!,
      jwt: values.jwt,
      message: values.message,
      stdin: values.stdin!,
      metricsMessages: values.metricsMessages!,
      json: values.json!,
    }),
    reader: () => ({ ...common, ...reader(values, given, parser) }),
  };
  return make[role]();
}

function mainline(
  { dht, dhtBootstrap: routers }: Values,
  { refuse, both }: Parser,
): CommonOptions["mainline"] {
  if (dht === "mainline") return { routers };
  if (routers === undefined) return undefined;
  return refuse(
    `${both("dhtBootstrap")} needs ${both("dht")} to be mainline: set it, or leave both out`,
  );
}

function metrics(
  role: Role,
  { metrics: address, metricsMessages }: Values,
  { refuse, both }: Parser,
): BindAddress | undefined {
  if (metricsMessages && !address) {
    return refuse(`${both("metricsMessages")} needs ${both("metrics")}: set it, or leave both out`);
  }
  if (role !== "client" || !address || address.loopback) return address;
  return refuse(
    `${both("metrics")} of a client: expected a loopback address, got ${address.host}: what it ` +
      `counts tells when it talks; take 127.0.0.1:${address.port}`,
  );
}

function server(
  values: Values,
  given: ReadonlySet<OptionName>,
  parser: Parser,
): Omit<ServerOptions, keyof CommonOptions> {
  requireSecret(values, parser);
  return {
    role: "server",
    committeeSize: committeeSize(values, parser),
    committeeSecrets: committeeSecrets(values, parser),
    preset: values.preset!,
    parameters: overrides(values, parser),
    data: dataFolder(values, given, parser),
    etcd: etcd(values, parser),
    admission: admission(values, parser),
    aggregators: values.aggregators,
  };
}

/** Nobody hands over to itself, or in a circle of two. */
function checkUpstream(
  { upstream, aggregators, secret }: Values,
  { refuse, both }: Parser,
): void {
  if (upstream === undefined) return;
  if (secret && equal(signer(secret).key, upstream)) {
    refuse(`${both("upstream")} is this aggregator's own key: leave it out, or name the one above`);
  }
  if (aggregators?.some((key) => equal(key, upstream))) {
    refuse(
      `${both("upstream")} is in ${both("aggregators")} too: each would wait for the other; ` +
        "leave it out of one",
    );
  }
}

function etcd({ engine, etcd }: Values, { refuse, both }: Parser): string | undefined {
  if (engine === "etcd" && etcd === undefined) {
    refuse(`${both("engine")} is etcd: name the URL of a member in ${both("etcd")}`);
  }
  if (engine !== "etcd" && etcd !== undefined) {
    refuse(`${both("etcd")} needs ${both("engine")} to be etcd: set it, or leave both out`);
  }
  return etcd;
}

function reader(
  values: Values,
  given: ReadonlySet<OptionName>,
  parser: Parser,
): Omit<ReaderOptions, keyof CommonOptions> {
  const { committee, json, from, verify, archive, manifest, page } = values;
  if (page !== undefined && (verify || archive !== undefined)) {
    parser.refuse(
      `${parser.both("page")} shows rounds as they come: leave it out with --verify or --archive`,
    );
  }
  if (values.listen?.length && (verify || archive !== undefined)) {
    parser.refuse(
      `${
        parser.both("listen")
      } serves on what is read as it comes: leave it out with --verify or ` +
        "--archive",
    );
  }
  if (manifest !== undefined && archive === undefined) {
    parser.refuse(
      `${parser.both("manifest")} needs ${
        parser.both("archive")
      }: leave it out, and the committee ` +
        "is asked over the network",
    );
  }
  return {
    role: "reader",
    committee,
    data: dataFolder(values, given, parser),
    json: json!,
    from,
    verify: verify!,
    archive,
    manifest: archive === undefined ? undefined : manifest ?? `${archive}/committee`,
    page,
  };
}

function dataFolder(
  { ephemeral, data }: Values,
  given: ReadonlySet<OptionName>,
  { refuse }: Parser,
): string | undefined {
  if (!ephemeral) return data;
  if (!given.has("data")) return undefined;
  return refuse("--ephemeral keeps no state, yet a data folder was given: leave one of them out");
}

function requireSecret({ secret, preset }: Values, { refuse, both }: Parser): void {
  if (secret !== undefined || preset === "dev") return;
  refuse(`${both("secret")} is required with preset ${preset}: a node keeps one identity`);
}

function committeeSecrets(
  { committeeSecret: main, committeeSecretOther: other }: Values,
  { refuse, both }: Parser,
): Uint8Array[] {
  if (other && equal(main!, other)) {
    refuse(`${both("committeeSecretOther")} is ${both("committeeSecret")}: leave it out`);
  }
  return other ? [main!, other] : [main!];
}

function committeeSize(
  { committeeSize: size, allowTwo }: Values,
  { refuse, both }: Parser,
): number {
  const name = both("committeeSize");
  if (size === 1) refuse(`${name}: expected 3 or more, got 1: one server alone could read all`);
  if (size === 2 && !allowTwo) {
    refuse(`${name}: expected an odd number from 3, got 2: take 3, or add --allow-two`);
  }
  if (size! > 2 && size! % 2 === 0) {
    refuse(
      `${name}: expected an odd number from 3, got ${size}: take ${size! - 1} or ${size! + 1}`,
    );
  }
  return size!;
}

function overrides(values: Values, { refuse }: Parser): Partial<Record<Limit, number>> {
  const names = (Object.keys(LIMITS) as Limit[]).filter((name) => name in OPTIONS);
  const out: Partial<Record<Limit, number>> = {};
  for (const name of names) {
    const value = values[name as OptionName] as number | undefined;
    if (value !== undefined) out[name] = value;
  }
  try {
    checkParameters({ ...PRESETS[values.preset!], ...out });
  } catch (error) {
    const message = names.reduce(
      (text, name) => text.replaceAll(name, variableOf(name as OptionName)),
      (error as Error).message,
    );
    refuse(`preset ${values.preset} with these options does not fit together: ${message}`);
  }
  return out;
}
