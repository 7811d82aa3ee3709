/** From options to anchor, rules, ids and warnings; and that two worlds are never mixed. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { INTEL_FINGERPRINT, intelAnchor } from "../../src/attest/anchor.ts";
import { formatChain, MAX_CHAIN_BYTES } from "../../src/attest/pem.ts";
import { createPolicy, policyId } from "../../src/attest/policy.ts";
import { refusesKey } from "../../src/ops/admission_options.ts";
import { attestationOf } from "../../src/ops/attestation.ts";
import { OptionError, parseOptions } from "../../src/ops/options.ts";
import { hex } from "../../src/protocol/bytes.ts";
import type { Role } from "../../src/universe/network.ts";
import { authority, otherAuthority, platform } from "../attest/stage.ts";
import { ec, okp } from "./issuer.ts";
import { COMMITTEE_SECRET, KEY } from "./refusal.ts";

const ROOT = authority.root.der, INTEL = (await intelAnchor()).certificate.der;
const pem = (...ders: Uint8Array[]) => new TextEncoder().encode(formatChain(ders));
const FILES: Record<string, Uint8Array> = {
  "root.der": ROOT,
  "root.pem": pem(ROOT),
  "other.der": otherAuthority().root.der,
  "intel.der": INTEL,
  "intel.pem": pem(INTEL),
  "two.pem": pem(ROOT, INTEL),
  "leaf.der": platform.pck.der,
  "cut.der": ROOT.subarray(0, -1),
  "spoilt.der": ROOT.with(ROOT.length - 1, ROOT[ROOT.length - 1] ^ 1),
  "empty": new Uint8Array(0),
  "long": new Uint8Array(MAX_CHAIN_BYTES + 1),
  "sim/root.der": ROOT,
  "real/root.der": INTEL,
};
const TEXTS: Record<string, string> = {
  keys: KEY,
  pem: ec.pem,
  jwk: JSON.stringify(ec.jwk),
  okp: okp.pem,
};
const [A, B, C] = ["aa", "bb", "cc"].map((byte) => byte.repeat(48));
const bytes = (digits: string) => Uint8Array.fromHex(digits);

function readFile(path: string): Uint8Array {
  if (path in FILES) return FILES[path];
  throw path.includes("closed") ? new Deno.errors.NotCapable(path) : new Deno.errors.NotFound(path);
}

function options(role: Role, args: string[]) {
  const environment: Record<string, string> = { ZIPNET_INSTANCE: "acme" };
  if (role !== "client" && role !== "reader") environment.ZIPNET_PRESET = "dev";
  if (role === "server") environment.ZIPNET_COMMITTEE_SECRET = COMMITTEE_SECRET;
  const parsed = parseOptions(role, args, environment, (path) => TEXTS[path]);
  if ("help" in parsed) throw new Error("help was not asked for");
  return parsed;
}

const made = (role: Role, ...args: string[]) => attestationOf(options(role, args), readFile);
const ids = async (...args: string[]) => {
  const { anchor, policy } = (await made("server", ...args)).parameters!;
  return [hex(anchor), hex(policy)];
};

const ZERO = "00".repeat(32),
  ROOT_HEX = hex((await made("reader", "--anchor=root.der")).anchor!.fingerprint);

Deno.test("attestation: a server without, open to anyone, has zero for both ids and warns", async () => {
  deepEqual(await made("server", "--attestation=none"), {
    anchor: undefined,
    servers: undefined,
    required: false,
    clients: undefined,
    parameters: { anchor: bytes(ZERO), policy: bytes(ZERO) },
    warnings: [
      "no server shows a quote, so nobody can tell what they run: for private networks only",
    ],
  });
});

Deno.test("attestation: under Intel's root, or a development root from a file or the platform", async () => {
  const id = hex(policyId(createPolicy({})));
  deepEqual(await ids("--attestation=tdx"), [INTEL_FINGERPRINT, id]);
  for (const file of ["intel.der", "intel.pem"]) {
    deepEqual(await ids("--attestation=tdx", `--anchor=${file}`), [INTEL_FINGERPRINT, id]);
  }
  for (const args of [["--anchor=root.der"], ["--anchor=root.pem"], ["--platform=sim"]]) {
    deepEqual(await ids("--attestation=simulated", ...args), [ROOT_HEX, id]);
  }
  // The file wins over the platform's.
  const [other] = await ids("--attestation=simulated", "--anchor=other.der", "--platform=sim");
  ok(other !== ROOT_HEX && other !== INTEL_FINGERPRINT);
  const client = await made("client", "--attestation=simulated", "--platform=sim");
  equal(hex(client.anchor!.fingerprint), ROOT_HEX);
});

Deno.test("attestation: who shows nothing believes Intel, unless a root is named", async () => {
  for (const role of ["aggregator", "client", "reader"] as const) {
    const plain = await made(role), named = await made(role, "--anchor=root.pem");
    equal(hex(plain.anchor!.fingerprint), INTEL_FINGERPRINT);
    equal(hex(named.anchor!.fingerprint), ROOT_HEX);
    deepEqual([plain.required, plain.parameters, plain.warnings], [false, undefined, []]);
    deepEqual(plain.servers, createPolicy({}));
    const rules = ["--tcb=UpToDate,OutOfDate", "--tcb-min-evaluation=18", `--rtmr0=${A}`];
    const { required, servers } = await made(role, ...rules);
    equal(required, true);
    deepEqual(
      servers,
      createPolicy({
        statuses: ["UpToDate", "OutOfDate"],
        minimumEvaluation: 18,
        allowed: { rtmr0: [bytes(A)] },
      }),
    );
  }
  equal(
    hex((await made("client", "--attestation=none", "--anchor=root.der")).anchor!.fingerprint),
    ROOT_HEX,
  );
});

Deno.test("attestation: rules of servers and of clients make the policy id", async () => {
  const servers = [`--mrtd=${A},${B}`, `--rtmr1=${B}`, `--rtmr2=${C}`, "--tcb=UpToDate"];
  const common = { statuses: ["UpToDate"] as const, minimumEvaluation: 18 };
  const ofServers = createPolicy({
    ...common,
    allowed: { mrTd: [bytes(A), bytes(B)], rtmr1: [bytes(B)], rtmr2: [bytes(C)] },
  });
  const args = ["--attestation=tdx", "--tcb-min-evaluation=18", ...servers];
  deepEqual(await ids(...args), [INTEL_FINGERPRINT, hex(policyId(ofServers))]);
  const clients = [`--client-mrtd=${C}`, `--client-rtmr0=${B}`, `--client-rtmr1=${A}`];
  const ofClients = createPolicy({
    ...common,
    allowed: { mrTd: [bytes(C)], rtmr0: [bytes(B)], rtmr1: [bytes(A)] },
  });
  const attested = { list: false, jwt: false, attested: true };
  const all = await made("server", ...args, "--admission=attested", ...clients);
  deepEqual([all.servers, all.clients, all.required], [ofServers, ofClients, true]);
  deepEqual(all.parameters!.policy, policyId(ofServers, ofClients, attested));
});

Deno.test("attestation: what admits clients is in the policy id, also without quotes", async () => {
  const list = ["list", "--clients=keys"], jwt = (file: string) => ["jwt", `--jwt-key=${file}`];
  const none = async ([words, ...args]: string[]) =>
    (await ids("--attestation=none", `--admission=${words}`, ...args))[1];
  const id = (terms: { list: boolean; jwt: boolean }) =>
    hex(policyId(undefined, undefined, { attested: false, ...terms }));
  equal(await none(list), id({ list: true, jwt: false }));
  equal(await none(jwt("pem")), id({ list: false, jwt: true }));
  // The keys are the servers' own: they can be changed.
  equal(await none(jwt("okp")), await none(jwt("pem")));
  equal(
    await none(["jwt,list", "--clients=keys", "--jwt-key=pem"]),
    id({ list: true, jwt: true }),
  );
  equal(
    (await ids("--attestation=tdx", "--admission=list", "--clients=keys"))[1],
    hex(policyId(createPolicy({}), undefined, { list: true, jwt: false, attested: false })),
  );
});

Deno.test("attestation: every start warns of what is left open", async () => {
  const pins = [`--mrtd=${A}`, `--rtmr1=${B}`, `--rtmr2=${C}`];
  const warnings = async (role: Role, ...args: string[]) => (await made(role, ...args)).warnings;
  const open = (missing: string) =>
    `the policy requires no ${missing}: without them it does not say which program runs`;
  const simulated = "the trust anchor is a development root: what it vouches for is no hardware";
  deepEqual(await warnings("server", "--attestation=tdx", ...pins), []);
  deepEqual(await warnings("server", "--attestation=tdx", pins[0]), [
    `servers: ${open("RTMR1, RTMR2")}`,
  ]);
  const asks = ["--admission=attested", `--client-rtmr1=${A}`];
  deepEqual(
    await warnings("server", "--attestation=simulated", "--platform=sim", ...pins, ...asks),
    [
      simulated,
      `clients: ${open("MRTD, RTMR2")}`,
    ],
  );
  deepEqual(await warnings("reader", ...pins), []);
  deepEqual(await warnings("reader", pins[0]), [`servers: ${open("RTMR1, RTMR2")}`]);
  deepEqual(await warnings("aggregator", "--anchor=root.der"), [simulated]);
  deepEqual(await warnings("client", "--attestation=none"), [
    "it shows no quote: where admission asks for one, it is refused",
  ]);
  deepEqual(await warnings("client", "--attestation=tdx"), []);
});

Deno.test("attestation: debug is accepted nowhere", async () => {
  const asks = ["--admission=attested"];
  for (const world of [["--attestation=tdx"], ["--attestation=simulated", "--platform=sim"]]) {
    const { servers, clients } = await made("server", ...world, ...asks);
    deepEqual([servers!.debug, clients!.debug], [false, false]);
  }
});

const TDX = "--attestation=tdx", SIMULATED = "--attestation=simulated";
const NAMED = "the file named by --anchor (ZIPNET_ANCHOR)";
const REFUSED: [what: string, args: string[], message: string][] = [
  [
    "quotes of TDX with a development root",
    [TDX, "--anchor=root.der"],
    `--attestation (ZIPNET_ATTESTATION) is tdx, yet ${NAMED} holds a development root (${ROOT_HEX}): a process that shows quotes of TDX believes Intel's root alone`,
  ],
  ["quotes of TDX with a development root as PEM", [TDX, "--anchor=root.pem"], ROOT_HEX],
  [
    "simulated quotes with Intel's root",
    [SIMULATED, "--anchor=intel.der"],
    `--attestation (ZIPNET_ATTESTATION) is simulated, yet ${NAMED} holds Intel's root: simulated quotes stand below a development root`,
  ],
  ["simulated quotes with Intel's root as PEM", [SIMULATED, "--anchor=intel.pem"], "Intel's root"],
  [
    "a simulated platform with Intel's root",
    [SIMULATED, "--platform=real"],
    "yet root.der in the folder named by --platform (ZIPNET_PLATFORM) holds Intel's root",
  ],
  [
    "simulated quotes without a platform",
    [SIMULATED],
    "root.der in the folder named by --platform (ZIPNET_PLATFORM) cannot be read (NotFound): simulated quotes need a simulated platform: name its folder in --platform (ZIPNET_PLATFORM), or the development root in --anchor (ZIPNET_ANCHOR)",
  ],
  [
    "a platform that may not be read",
    [SIMULATED, "--platform=closed"],
    "(NotCapable): run with --allow-read=closed",
  ],
  [
    "a root that is not there",
    [SIMULATED, "--anchor=nowhere"],
    `${NAMED} cannot be read (NotFound): expected the path of a root certificate`,
  ],
  [
    "a root that may not be read",
    [TDX, "--anchor=closed"],
    "(NotCapable): run with --allow-read=closed",
  ],
  [
    "two roots",
    [SIMULATED, "--anchor=two.pem"],
    "(anchor-malformed: the trust anchor is not a strict DER certificate; 2 certificates)",
  ],
  ["a certificate that is no root", [SIMULATED, "--anchor=leaf.der"], "(anchor-profile:"],
  ["a root cut short", [SIMULATED, "--anchor=cut.der"], "(anchor-malformed:"],
  ["a root not signed by itself", [SIMULATED, "--anchor=spoilt.der"], "(anchor-signature:"],
  ["an empty root", [TDX, "--anchor=empty"], "(anchor-malformed:"],
  ["a root too long", [TDX, "--anchor=long"], "16385 bytes, at most 16384"],
];

for (const [what, args, message] of REFUSED) {
  for (const role of ["server", "client"] as const) {
    Deno.test(`attestation refused at a ${role}: ${what}`, async () => {
      await rejects(() => made(role, ...args), (error: unknown) => {
        ok(error instanceof OptionError, String(error));
        equal(error.exitCode, 2);
        ok(error.message.includes(message), error.message);
        ok(/^[^\p{C}]+$/u.test(error.message), "one visible line");
        return true;
      });
    });
  }
}

Deno.test("admission: a list refuses all keys but its own", () => {
  const listed = bytes(KEY), other = bytes("01".repeat(32)), list = [listed];
  equal(refusesKey({}, other), undefined);
  equal(refusesKey({ list }, listed), undefined);
  equal(refusesKey({ list }, other), "not on the list");
});
