/** Processes refuse at start what would mix a real network and a simulated one, and say what is open. */
import { equal, match, ok } from "node:assert/strict";
import { intelAnchor } from "../../src/attest/anchor.ts";
import { formatChain } from "../../src/attest/pem.ts";
import type { Role } from "../../src/universe/network.ts";
import { authority } from "../attest/stage.ts";
import { ec, token } from "../ops/issuer.ts";

const FOLDER = `.testnet/attestation-${Deno.pid}`;

/** Runs a role until it ends, under its own permissions and with one folder of files. */
async function run(role: Role, args: string[], environment: Record<string, string> = {}) {
  const inherited = ["DENO_DIR", "HOME"].flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  const secret = role === "server" ? { ZIPNET_COMMITTEE_SECRET: "correct horse battery" } : {};
  const preset = role === "server" || role === "aggregator" ? ["--preset=dev"] : [];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-prompt", "--cached-only", `-P=${role}`, `--allow-read=${FOLDER}`],
      ...[`src/${role}.ts`, "--instance=acme", ...preset, ...args],
    ],
    env: { ...Object.fromEntries(inherited), ...secret, ...environment },
    clearEnv: true,
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), log: text(stderr) };
}

/** That a role ends with exit code 2 and one line. */
async function refused(role: Role, args: string[], message: RegExp) {
  const { code, out, log } = await run(role, args);
  equal(code, 2, log);
  equal(out, "");
  match(log, /^zipnet: [^\n]+\n$/);
  match(log, message);
}

Deno.test("attestation: a process stays in its world, and says what it leaves open", async (t) => {
  Deno.mkdirSync(FOLDER, { recursive: true });
  try {
    const intel = (await intelAnchor()).certificate.der;
    Deno.writeFileSync(`${FOLDER}/root.der`, authority.root.der);
    Deno.writeTextFileSync(`${FOLDER}/intel.pem`, formatChain([intel]));
    Deno.writeTextFileSync(`${FOLDER}/issuer.pem`, ec.pem);
    for (const role of ["server", "client"] as const) {
      await t.step(`a production ${role} refuses a development root`, () =>
        refused(
          role,
          ["--attestation=tdx", `--anchor=${FOLDER}/root.der`],
          /holds a development root \([0-9a-f]{64}\): .*believes Intel's root alone/,
        ));
      await t.step(`a development ${role} refuses Intel's root`, () =>
        refused(
          role,
          ["--attestation=simulated", `--anchor=${FOLDER}/intel.pem`],
          /holds Intel's root: simulated quotes stand below a development root/,
        ));
      await t.step(
        `a ${role} that may not read its platform says so`,
        () =>
          refused(role, ["--attestation=simulated"], /cannot be read \((NotCapable|NotFound)\): /),
      );
    }
    await t.step("a server without quotes warns, and --check tells both ids", async () => {
      const jwt = ["--admission=jwt", `--jwt-key=${FOLDER}/issuer.pem`];
      const ids = [];
      for (const args of [["--admission=open"], jwt]) {
        const none = [...args, "--attestation=none"];
        const { code, out, log } = await run("server", [...none, "--ephemeral", "--check"]);
        equal(code, 0, log);
        match(log, /"level":"warn","event":"attestation","reason":"no server shows a quote/);
        const { anchor, policy } = JSON.parse(out);
        match(anchor, /^0{64}$/);
        ids.push(policy);
      }
      match(ids[0], /^0{64}$/);
      match(ids[1], /^(?!0{64})[0-9a-f]{64}$/);
    });
    await t.step("a client shows no token, and believes the root that it is given", async () => {
      const text = token(ec), args = [`--anchor=${FOLDER}/root.der`, "--check"];
      const { code, out, log } = await run("client", args, { ZIPNET_JWT: text });
      equal(code, 0, log);
      for (const part of text.split(".")) ok(!`${out}${log}`.includes(part));
      ok(!("jwt" in JSON.parse(out)));
      match(log, /"reason":"the trust anchor is a development root/);
    });
  } finally {
    Deno.removeSync(FOLDER, { recursive: true });
  }
});
