/** Collateral over HTTP: the keeper and a mirror of Intel's service on this machine. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Collateral } from "../../src/attest/collateral.ts";
import { formatCollateral, parseCollateral } from "../../src/attest/collateral_json.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { simulatedCollateral } from "../../src/attest/simulated_collateral.ts";
import { verifyQuote } from "../../src/attest/verifier.ts";
import { CollateralKeeper, LOOK_MS, MARKS_NAME } from "../../src/ops/collateral_keeper.ts";
import { collateralSources } from "../../src/ops/collateral_source.ts";
import { openFolder } from "../../src/ops/folder.ts";
import { readFile } from "../../src/ops/system.ts";
import { COLLATERAL, QUOTE } from "../attest/cases.ts";
import { ANCHOR } from "../attest/judge.ts";
import { answersOf, type Service } from "../attest/pcs_answers.ts";
import { authority, NOW, platform, seeded } from "../attest/stage.ts";
import { ManualClock } from "../ops/manual_clock.ts";

const FAMILY = { fmspc: "de0000000001", ca: "platform" } as const;
const TESTNET = new URL("../../.testnet/", import.meta.url).pathname;

/** A mirror with a password, which answers with what it was given. */
class Pccs {
  given: Collateral | undefined;
  service: Service = "pccs";
  /** Whether it wants the password in `url`. */
  guarded = true;
  readonly paths: string[] = [];
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => this.#answer(request),
  );
  get url(): string {
    return `http://reader:secret@127.0.0.1:${this.#server.addr.port}/mirror`;
  }
  close(): Promise<void> {
    return this.#server.shutdown();
  }
  #answer(request: Request): Response {
    const { pathname, search } = new URL(request.url);
    this.paths.push(pathname + search);
    const told = request.headers.get("authorization") === `Basic ${btoa("reader:secret")}`;
    if (this.guarded && !told) {
      return new Response("who are you", { status: 401 });
    }
    if (!this.given) return new Response("no cache data", { status: 404 });
    const answers = answersOf(this.given, this.service);
    const { body, headers } = {
      "/mirror/tdx/certification/v4/tcb?fmspc=de0000000001": answers.tcbInfo,
      "/mirror/tdx/certification/v4/qe/identity": answers.qeIdentity,
      "/mirror/sgx/certification/v4/pckcrl?ca=platform&encoding=der": answers.pckCrl,
      "/mirror/sgx/certification/v4/rootcacrl": answers.rootCrl,
    }[pathname + search] ?? { body: undefined, headers: [] };
    if (!body) return new Response("no such path", { status: 400 });
    return new Response(body as Uint8Array<ArrayBuffer>, { headers });
  }
}

/** Runs `body` with a mirror and a folder of its own. */
async function withPccs(body: (pccs: Pccs, folder: string) => Promise<void>): Promise<void> {
  Deno.mkdirSync(TESTNET, { recursive: true });
  const folder = Deno.makeTempDirSync({ dir: TESTNET, prefix: "collateral-" }), pccs = new Pccs();
  try {
    await body(pccs, folder);
  } finally {
    await pccs.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

function start(folder: string, entries: readonly string[], time = NOW) {
  const log: string[] = [], clock = new ManualClock(time);
  const observe = (level: string, event: string, fields = {}) =>
    void log.push(`${level} ${event} ${JSON.stringify(fields)}`);
  const sources = collateralSources(entries, { fetch, readFile, clock, observe });
  const data = openFolder(`${folder}/data`);
  const keeper = new CollateralKeeper({
    ...{ anchor: ANCHOR, sources, store: data.file(MARKS_NAME) },
    environment: { clock, observe, random: seeded(7) },
  });
  const stop = () => {
    keeper.stop();
    data.close();
  };
  const verdict = () => {
    const now = clock.time, collateral = keeper.book.forQuote(QUOTE, now);
    return verifyQuote(QUOTE, { collateral, policy: createPolicy({}), now });
  };
  /** Turns the clock on, and waits for the look that this set going. */
  const turn = async (ms: number) => {
    clock.fire(ms);
    await keeper.want(FAMILY);
  };
  return { keeper, turn, log, stop, verdict };
}

for (const service of ["pcs", "pccs"] as const) {
  Deno.test(`collateral over HTTP, as a ${service} writes it, serves a quote`, () =>
    withPccs(async (pccs, folder) => {
      Object.assign(pccs, { given: COLLATERAL, service });
      const { keeper, log, stop, verdict } = start(folder, [pccs.url]);
      await keeper.want(FAMILY);
      equal((await verdict()).status, "UpToDate", log.join("\n"));
      deepEqual(keeper.book.staples(), [COLLATERAL]);
      equal(pccs.paths.length, 4);
      ok(!log.join().includes("secret"));
      stop();
    }));
}

Deno.test("collateral over HTTP: a mirror without it is told once a try, and a file helps out", () =>
  withPccs(async (pccs, folder) => {
    const path = `${folder}/collateral.json`;
    const { keeper, turn, log, stop, verdict } = start(folder, [path, pccs.url]);
    await keeper.start();
    await keeper.want(FAMILY);
    const failed = log.filter((line) => line.includes("source failed"));
    equal(failed.length, 2, log.join("\n"));
    ok(/No such file/.test(failed[0]) && /status 404/.test(failed[1]), log.join("\n"));
    ok(!log.join().includes("secret"));
    Deno.writeTextFileSync(path, formatCollateral(COLLATERAL));
    await turn(LOOK_MS);
    equal((await verdict()).status, "UpToDate");
    stop();
  }));

Deno.test("collateral over HTTP: a revocation refuses a quote, after a restart too", () =>
  withPccs(async (pccs, folder) => {
    const later = NOW + 20 * 86_400_000, path = `${folder}/collateral.json`;
    Deno.writeTextFileSync(path, formatCollateral(COLLATERAL));
    pccs.given = simulatedCollateral(authority, later, {
      pckCrl: { revoked: [platform.pck.serial] },
    });
    const first = start(folder, [path, pccs.url]);
    await first.keeper.start();
    await first.keeper.want(FAMILY);
    equal((await first.verdict()).status, "UpToDate");
    await first.turn(later - NOW);
    equal(pccs.paths.length, 4);
    const code = { code: "pck-revoked" };
    const failed = await first.verdict().then(() => undefined, ({ code }) => ({ code }));
    deepEqual(failed, code);
    first.stop();

    // The mirror is gone; the old file is still there, and still in time.
    pccs.given = undefined;
    const again = start(folder, [path, pccs.url], later);
    await again.keeper.start();
    ok(again.log.some((line) => /refused.*collateral-older/.test(line)), again.log.join("\n"));
    deepEqual(again.keeper.book.families(), []);
    again.stop();
  }));

Deno.test("collateral over HTTP: the tool prints the file of a family, or says why not", () =>
  withPccs(async (pccs) => {
    pccs.guarded = false;
    const url = pccs.url.replace("reader:secret@", ""), { host } = new URL(url);
    const tool = async (...args: string[]) => {
      const flags = ["run", "-q", "--no-prompt", `--allow-net=${host}`, "scripts/collateral.ts"];
      const command = new Deno.Command(Deno.execPath(), { args: [...flags, ...args] });
      const { code, stdout, stderr } = await command.output(), text = new TextDecoder();
      return { code, out: text.decode(stdout), err: text.decode(stderr) };
    };
    const missing = await tool(FAMILY.fmspc, FAMILY.ca, url);
    deepEqual([missing.code, missing.out], [3, ""]);
    match(missing.err, /^\S+ warn collateral source failed .*status 404"\n$/);
    pccs.given = COLLATERAL;
    const { code, out } = await tool(FAMILY.fmspc.toUpperCase(), FAMILY.ca, url);
    deepEqual([code, parseCollateral(out)], [0, COLLATERAL]);
    for (const args of [[], ["de", "platform"], [FAMILY.fmspc, "other"], [FAMILY.fmspc]]) {
      equal((await tool(...args)).code, 2);
    }
    equal((await tool(FAMILY.fmspc, FAMILY.ca, pccs.url)).code, 2, "a password in an argument");
  }));
