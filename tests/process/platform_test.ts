/** `deno task platform` as an operator runs it, and what it leaves on the disk. */
import { equal, match, ok } from "node:assert/strict";
import { parseCollateral } from "../../src/attest/collateral_json.ts";
import { trustAnchor } from "../../src/attest/anchor.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { AttestationError } from "../../src/attest/reasons.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import { verifyQuote } from "../../src/attest/verifier.ts";
import { openPlatform } from "../../src/ops/platform_folder.ts";

const FOLDER = `.testnet/platform-${Deno.pid}`, EMPTY = new Uint8Array(64);

/** Runs the command below the test's folder, with no more than its own permissions. */
async function platform(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-prompt", "--cached-only", "-P=platform"],
      ...[`--allow-read=${FOLDER}`, `--allow-write=${FOLDER}`, "scripts/platform.ts"],
      ...[...args, "--folder", FOLDER],
    ],
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), error: text(stderr) };
}

async function refused(code: number, told: RegExp, ...args: string[]) {
  const it = await platform(...args);
  equal(it.code, code, it.error);
  match(it.error, /^zipnet: [^\n]+\n$/);
  match(it.error, told);
  equal(it.out, "");
}

/** The verdict on a machine's quote by the collateral of a folder. */
async function verdict(machine: string, collateral: string): Promise<string> {
  const anchor = await trustAnchor(Deno.readFileSync(`${FOLDER}/root/root.der`)), now = Date.now();
  const raw = parseCollateral(Deno.readTextFileSync(`${FOLDER}/${collateral}/collateral.json`));
  const { mrTd } = simulatedMeasurements("zipnet");
  const quote = await openPlatform(`${FOLDER}/${machine}`).source.quote(EMPTY);
  const policy = createPolicy({ allowed: { mrTd: [mrTd] } });
  try {
    const terms = { collateral: await verifyCollateral(raw, anchor, now), policy, now };
    return (await verifyQuote(quote, terms)).status;
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

Deno.test("platform: a root, machines, and the drill of revoking one", async (t) => {
  try {
    await t.step("without a root nothing else can be made", async () => {
      await refused(
        5,
        /holds no authority.json: make it with deno task platform root/,
        "node",
        "a",
      );
      await refused(2, /holds no root.der: make it/, "show");
    });
    await t.step("the root is made once, and is never overwritten", async () => {
      const { code, out } = await platform("root");
      equal(code, 0);
      match(out, /^anchor +[0-9a-f]{64}$/m);
      match(out, /^collateral +until \d{4}-\d\d-\d\d /m);
      const before = Deno.readTextFileSync(`${FOLDER}/root/authority.json`);
      await refused(5, /holds an authority already/, "root");
      equal(Deno.readTextFileSync(`${FOLDER}/root/authority.json`), before);
    });
    await t.step(
      "a machine's quotes hold under it; another image is another measurement",
      async () => {
        const { out } = await platform("node", "a");
        match(out, /^ZIPNET_MRTD=[0-9a-f]{96}$/m);
        await platform("node", "b", "--image", "other");
        equal(await verdict("a", "a"), "UpToDate");
        equal(await verdict("b", "b"), "mrtd");
        await refused(5, /holds a platform already/, "node", "a");
      },
    );
    await t.step(
      "private files are their owner's alone; one that others can read is refused",
      async () => {
        for (const file of ["root/authority.json", "a/platform.json"]) {
          equal(Deno.statSync(`${FOLDER}/${file}`).mode! & 0o777, 0o600, file);
        }
        Deno.chmodSync(`${FOLDER}/a/platform.json`, 0o644);
        await refused(5, /may be read by others: expected mode 0600, it is 0644/, "show", "a");
        Deno.chmodSync(`${FOLDER}/a/platform.json`, 0o600);
        const all = Deno.readTextFileSync(`${FOLDER}/a/platform.json`);
        const secrets = [
          ...Deno.readTextFileSync(`${FOLDER}/root/authority.json`)
            .matchAll(/"secret": "([0-9a-f]{64})"/g),
        ].map((it) => it[1]);
        equal(secrets.length, 3);
        ok(secrets.every((secret) => !all.includes(secret)), "a machine has no key of the root's");
      },
    );
    await t.step(
      "a revoked machine is so at every machine beside the root, the others are not",
      async () => {
        await platform("node", "c");
        equal((await platform("revoke", "a")).code, 0);
        equal(await verdict("a", "c"), "pck-revoked");
        equal(await verdict("c", "a"), "UpToDate");
        await refused(5, /is revoked already/, "revoke", "a");
        equal((await platform("renew")).code, 0);
        equal(await verdict("a", "a"), "pck-revoked", "renewing takes nothing back");
      },
    );
    await t.step("what is damaged is named", async () => {
      Deno.writeTextFileSync(`${FOLDER}/c/platform.json`, "{}");
      await refused(5, /platform.json is damaged: image: expected a text/, "show", "c");
    });
    await t.step("bad arguments: one line, exit 2", async () => {
      await refused(2, /did you mean node\?/, "nod", "x");
      await refused(2, /expected one of root, node/);
      await refused(2, /expected the machine's name/, "node");
      await refused(2, /one argument too many/, "node", "a", "b");
      await refused(2, /expected a name of/, "node", "../x");
      await refused(2, /root is the name of the root's folder/, "node", "root");
      await refused(2, /--image goes with node alone/, "renew", "--image", "x");
      await refused(2, /unknown option --imag=y; did you mean --image\?/, "node", "x", "--imag=y");
    });
  } finally {
    Deno.removeSync(FOLDER, { recursive: true });
  }
});

Deno.test("platform: a folder that it may not use is said with the flags", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-prompt", "--cached-only", "-P=platform", "scripts/platform.ts"],
      ...["root", "--folder", ".testnet/elsewhere"],
    ],
  }).output();
  equal(code, 2);
  match(new TextDecoder().decode(stderr), /run with --allow-read=\S+ --allow-write=\S+ /);
});
