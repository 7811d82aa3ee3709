/** What each role is given, from flags, variables and defaults. */
import { deepEqual, equal } from "node:assert/strict";
import { parseOptions } from "../../src/ops/options.ts";
import type { RoleOptions } from "../../src/ops/role_options.ts";
import { unhex } from "../../src/protocol/bytes.ts";
import { OPTION_NAMES, OPTIONS, ROLES, SECRET_VARIABLES } from "../../src/ops/table.ts";
import { flagOf, variableOf } from "../../src/ops/table.ts";
import type { Role } from "../../src/universe/network.ts";
import { ec } from "./issuer.ts";

const noFiles = (path: string) => {
  throw new Error(`read of ${path}`);
};

function options<R extends Role>(
  role: R,
  args: string[] = [],
  environment: Record<string, string> = {},
  readTextFile: (path: string) => string = noFiles,
): RoleOptions[R] {
  const result = parseOptions(
    role,
    args,
    { ZIPNET_INSTANCE: "acme", ...environment },
    readTextFile,
  );
  if ("help" in result) throw new Error("help was not asked for");
  return result as RoleOptions[R];
}

const COMMITTEE_SECRET = "correct horse battery staple";
const DEV = { ZIPNET_PRESET: "dev", ZIPNET_COMMITTEE_SECRET: COMMITTEE_SECRET };
const AGGREGATOR = { ZIPNET_PRESET: "dev" };
const bytes = (text: string) => new TextEncoder().encode(text);
const KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const KEY2 = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

const ATTESTATION = {
  evidence: undefined,
  servers: {},
  clients: {},
  statuses: ["UpToDate", "SWHardeningNeeded"],
  minimumEvaluation: 0,
  anchor: undefined,
  platform: undefined,
  collateral: [],
};
const PLATFORM = "/run/zipnet-tsm";
const OPEN = { list: undefined, jwt: undefined, attested: false };
const COMMON = {
  check: false,
  instance: "acme",
  universe: "mosaik.universe",
  bootstrap: [],
  mainline: undefined,
  mdns: false,
  connectTimeout: 30_000,
  listen: [],
  relay: [],
  announce: [],
  secret: undefined,
  attestation: ATTESTATION,
  metrics: undefined,
  log: "info",
  logFormat: undefined,
  stopWithStdin: false,
};
const LISTEN = ["/ip4/0.0.0.0/tcp/4400"];

Deno.test("options: defaults of a server in preset dev", () => {
  deepEqual(options("server", [], DEV), {
    ...COMMON,
    listen: LISTEN,
    role: "server",
    committeeSize: 3,
    committeeSecrets: [bytes(COMMITTEE_SECRET)],
    preset: "dev",
    parameters: { minParticipants: 3 },
    data: "./data",
    etcd: undefined,
    aggregators: undefined,
    attestation: { ...ATTESTATION, evidence: "simulated", platform: PLATFORM },
    admission: OPEN,
  });
});

Deno.test("options: defaults of the other roles", () => {
  deepEqual(options("aggregator", [], AGGREGATOR), {
    ...COMMON,
    listen: LISTEN,
    role: "aggregator",
    preset: "dev",
    committee: undefined,
    aggregators: [],
    upstream: undefined,
  });
  deepEqual(options("client"), {
    ...COMMON,
    attestation: { ...ATTESTATION, platform: PLATFORM },
    role: "client",
    committee: undefined,
    minParticipants: 3,
    cadence: 1,
    jwt: undefined,
    message: undefined,
    metricsMessages: false,
    stdin: false,
    json: false,
  });
  deepEqual(options("reader"), {
    ...COMMON,
    role: "reader",
    committee: undefined,
    data: "./data",
    json: false,
    from: undefined,
    verify: false,
    archive: undefined,
    manifest: undefined,
    page: undefined,
  });
});

Deno.test("options: what a reader reads, by flag and by variable alike", () => {
  const rows = { from: "12", verify: "true", archive: "log", manifest: "m", data: "here" };
  const read = { from: 12, verify: true, archive: "log", manifest: "m", data: "here" };
  const flags = Object.entries(rows).map(([name, value]) => `--${name}=${value}`);
  const variables = Object.fromEntries(
    Object.entries(rows).map(([name, value]) => [`ZIPNET_${name.toUpperCase()}`, value]),
  );
  for (const given of [options("reader", flags), options("reader", [], variables)]) {
    deepEqual(given, {
      ...COMMON,
      role: "reader",
      committee: undefined,
      json: false,
      page: undefined,
      ...read,
    });
  }
  equal(options("reader", ["--archive=data/archive"]).manifest, "data/archive/committee");
  equal(options("reader", ["--from=0"]).from, 0);
  equal(options("reader", ["--ephemeral"]).data, undefined);
});

Deno.test("options: every row of a server, by flag and by variable alike", () => {
  const given: [flag: string, value: string][] = [
    ["instance", "acme.mainnet"],
    ["universe", "test universe"],
    ["bootstrap", "/ip4/10.0.0.1/tcp/4400,/dns4/a.example/tcp/1/p2p/12D3KooWxyz"],
    ["mdns", "true"],
    ["dht", "mainline"],
    ["dht-bootstrap", "10.0.0.9:6881, router.example:1"],
    ["connect-timeout", "1m"],
    ["listen", "/ip6/::/tcp/0,/ip4/10.0.0.1/tcp/1/p2p/12D3KooWxyz/p2p-circuit"],
    ["relay", "0C".repeat(32)],
    ["announce", "/dns/server.example/tcp/4400"],
    ["committee-size", "2"],
    ["allow-two", "true"],
    ["preset", "archival"],
    ["aggregators", `${KEY}, ${"0B".repeat(32)}`],
    ["round-period", "10s"],
    ["fold-deadline", "500ms"],
    ["round-deadline", "1m"],
    ["min-participants", "5"],
    ["max-clients", "65536"],
    ["max-talkers", "2000"],
    ["max-message-bytes", "1048576"],
    ["max-vector-bytes", "16777216"],
    ["data", "/var/lib/zipnet"],
    ["engine", "etcd"],
    ["etcd", "https://etcd.example:2379/"],
    ["admission", "list, jwt,attested"],
    ["clients", "keys.txt"],
    ["jwt-key", "issuer.pem"],
    ["attestation", "tdx"],
    ["mrtd", `${"a0".repeat(48)}, ${"B0".repeat(48)}`],
    ["rtmr0", "00".repeat(48)],
    ["rtmr1", "01".repeat(48)],
    ["rtmr2", "02".repeat(48)],
    ["client-mrtd", "03".repeat(48)],
    ["client-rtmr0", "04".repeat(48)],
    ["client-rtmr1", "05".repeat(48)],
    ["client-rtmr2", "06".repeat(48)],
    ["tcb", "UpToDate"],
    ["tcb-min-evaluation", "18"],
    ["anchor", "root.pem"],
    ["platform", "/mnt/tsm"],
    ["collateral", "/etc/zipnet/collateral.json,https://pccs.example:8081/base"],
    ["metrics", "[::]:9464"],
    ["log", "debug"],
    ["log-format", "json"],
    ["stop-with-stdin", "1"],
  ];
  const files: Record<string, string> = {
    "keys.txt": `${KEY}\n`,
    "issuer.pem": ec.pem,
    "/run/secrets/seed": "hunter2\n",
    "/run/secrets/new": "a secret that is new\r\n",
    "/run/secrets/old": "a secret that is old",
  };
  const read = (path: string) => files[path];
  const byVariable = options("server", [], {
    ...Object.fromEntries(
      given.map(([flag, value]) => [`ZIPNET_${flag.toUpperCase().replaceAll("-", "_")}`, value]),
    ),
    ZIPNET_SECRET_FILE: "/run/secrets/seed",
    ZIPNET_COMMITTEE_SECRET: "a secret that is new",
    ZIPNET_COMMITTEE_SECRET_OTHER: "a secret that is old",
  }, read);
  const byFlag = options(
    "server",
    [
      ...given.map(([flag, value]) => `--${flag}=${value === "1" ? "true" : value}`),
      "--secret-file",
      "/run/secrets/seed",
      "--committee-secret-file=/run/secrets/new",
      "--committee-secret-other-file=/run/secrets/old",
    ],
    {},
    read,
  );
  deepEqual(byFlag, byVariable);
  deepEqual(byFlag, {
    check: false,
    role: "server",
    instance: "acme.mainnet",
    universe: "test universe",
    bootstrap: ["/ip4/10.0.0.1/tcp/4400", "/dns4/a.example/tcp/1/p2p/12D3KooWxyz"],
    mdns: true,
    mainline: { routers: ["10.0.0.9:6881", "router.example:1"] },
    connectTimeout: 60_000,
    listen: ["/ip6/::/tcp/0", "/ip4/10.0.0.1/tcp/1/p2p/12D3KooWxyz/p2p-circuit"],
    relay: [unhex("0c".repeat(32), 32)],
    announce: ["/dns/server.example/tcp/4400"],
    secret: options("server", [], { ...DEV, ZIPNET_SECRET: "hunter2" }).secret,
    committeeSize: 2,
    committeeSecrets: [bytes("a secret that is new"), bytes("a secret that is old")],
    aggregators: [unhex(KEY, 32), unhex("0b".repeat(32), 32)],
    preset: "archival",
    parameters: {
      maxClients: 65_536,
      maxTalkers: 2_000,
      maxMessageBytes: 1_048_576,
      maxVectorBytes: 16_777_216,
      minParticipants: 5,
      roundPeriod: 10_000,
      foldDeadline: 500,
      roundDeadline: 60_000,
    },
    data: "/var/lib/zipnet",
    etcd: "https://etcd.example:2379",
    attestation: {
      evidence: "tdx",
      servers: {
        mrTd: [new Uint8Array(48).fill(0xa0), new Uint8Array(48).fill(0xb0)],
        rtmr0: [new Uint8Array(48)],
        rtmr1: [new Uint8Array(48).fill(1)],
        rtmr2: [new Uint8Array(48).fill(2)],
      },
      clients: {
        mrTd: [new Uint8Array(48).fill(3)],
        rtmr0: [new Uint8Array(48).fill(4)],
        rtmr1: [new Uint8Array(48).fill(5)],
        rtmr2: [new Uint8Array(48).fill(6)],
      },
      statuses: ["UpToDate"],
      minimumEvaluation: 18,
      anchor: "root.pem",
      platform: "/mnt/tsm",
      collateral: ["/etc/zipnet/collateral.json", "https://pccs.example:8081/base"],
    },
    admission: {
      list: [Uint8Array.from(KEY.match(/../g)!, (pair) => parseInt(pair, 16))],
      jwt: ec.pem,
      attested: true,
    },
    metrics: { host: "::", port: 9464, loopback: false },
    log: "debug",
    logFormat: "json",
    stopWithStdin: true,
  });
});

Deno.test("options: rows of client and reader", () => {
  const client = options("client", ["--cadence", "5", "--message=- hi", `--committee=${KEY}`]);
  equal(client.cadence, 5);
  equal(options("client", ["--stdin", "--json"]).stdin, true);
  equal(client.message, "- hi");
  equal(client.committee![0], 0xd7);
  const reader = options("reader", ["--json", "--data", "log", "--check"]);
  deepEqual([reader.json, reader.data, reader.check], [true, "log", true]);
});

Deno.test("options: an aggregator's place among others", () => {
  const below = "0b".repeat(32),
    flags = [`--upstream=${KEY.toUpperCase()}`, `--aggregators=${below}`];
  const given = options("aggregator", flags, AGGREGATOR);
  deepEqual(given.upstream, unhex(KEY, 32));
  deepEqual(given.aggregators, [unhex(below, 32)]);
});

Deno.test("options: the flag wins over the variable, a switch that says false too", () => {
  const environment = { ZIPNET_CADENCE: "2", ZIPNET_STOP_WITH_STDIN: "true" };
  equal(options("client", ["--cadence=3"], environment).cadence, 3);
  equal(options("client", ["--stop-with-stdin=false"], environment).stopWithStdin, false);
  equal(options("client", ["--stop-with-stdin", "false"], environment).stopWithStdin, false);
  equal(options("client", [], { ZIPNET_STOP_WITH_STDIN: "0" }).stopWithStdin, false);
  equal(options("client", ["--cadence=3"], { ZIPNET_CADENCE: "" }).cadence, 3);
});

Deno.test("options: durations", () => {
  for (const [text, ms] of [["1ms", 1], ["500ms", 500], ["3s", 3_000], ["1440m", 86_400_000]]) {
    equal(options("client", [`--connect-timeout=${text}`]).connectTimeout, ms);
  }
});

Deno.test("options: a secret of 64 hex digits is the seed, another text is hashed", () => {
  const seed = (text: string) => options("client", [], { ZIPNET_SECRET: text }).secret!;
  deepEqual(seed("0F".repeat(32)), new Uint8Array(32).fill(15));
  // BLAKE3's published vector of the empty key mode for "abc".
  const abc = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
  equal(seed("abc").toHex(), abc);
  equal(options("client", [], { ZIPNET_SECRET_FILE: "f" }, () => "abc\r\n").secret!.toHex(), abc);
  equal(options("client", [], { ZIPNET_SECRET_FILE: "f" }, () => "abc").secret!.toHex(), abc);
});

Deno.test("options: a file of client keys has comments and empty lines", () => {
  const text = `# ours\n${KEY} # alice\r\n\n  ${KEY2.toUpperCase()}\n`;
  const args = ["--admission=list", "--clients=f"];
  const { admission } = options("server", args, DEV, () => text);
  deepEqual(admission.list!.map((key) => key.toHex()), [KEY, KEY2]);
});

Deno.test("options: an ephemeral server has no folder", () => {
  equal(options("server", ["--ephemeral"], DEV).data, undefined);
});

Deno.test("options: variables that are not ours are not looked at", () => {
  equal(options("client", [], { HOME: "/root", ZIPNETX: "1", PATH: "" }).instance, "acme");
});

Deno.test("options: variables to delete are those that hold a secret", () => {
  deepEqual(SECRET_VARIABLES, [
    "ZIPNET_SECRET",
    "ZIPNET_COMMITTEE_SECRET",
    "ZIPNET_COMMITTEE_SECRET_OTHER",
    "ZIPNET_JWT",
  ]);
});

for (const role of ROLES) {
  Deno.test(`options: help of ${role} has the role's own rows, and wins over what is wrong`, () => {
    const result = parseOptions(role, ["--help", "--nonsense"], { ZIPNET_X: "" }, noFiles);
    if (!("help" in result)) throw new Error("no help");
    for (const name of OPTION_NAMES) {
      const written = OPTIONS[name].kind.secret ? variableOf(name) : `\n  --${flagOf(name)} `;
      equal(result.help.includes(written), OPTIONS[name].roles.includes(role), written);
    }
    equal(result.help.split("\n").every((line) => line.length <= 100), true);
    equal(result.help.includes("undefined"), false);
    deepEqual(parseOptions(role, ["-h"], {}, noFiles), result);
  });
}

Deno.test("options: the help of a server warns what it means to be ephemeral", () => {
  const result = parseOptions("server", ["--help"], {}, noFiles) as { help: string };
  const text = result.help.replaceAll(/\s+/g, " ");
  equal(
    /--ephemeral .*without a durable head all other servers together could make it fork/.test(text),
    true,
  );
});
