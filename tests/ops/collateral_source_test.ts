/** Sources of collateral: what they ask, what they refuse, and that no password is ever told. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { formatCollateral, MAX_COLLATERAL_JSON } from "../../src/attest/collateral_json.ts";
import type { Family } from "../../src/attest/family.ts";
import { INTEL_PCS, INTEL_ROOT_CRL, MAX_PCS_BYTES, PCS_PARTS } from "../../src/attest/pcs.ts";
import { MAX_LISTED } from "../../src/ops/attestation_kinds.ts";
import {
  collateralSources,
  SERVICE_MS,
  type SourceSeams,
} from "../../src/ops/collateral_source.ts";
import { COLLATERAL } from "../attest/cases.ts";
import { answersOf } from "../attest/pcs_answers.ts";
import { ManualClock } from "./manual_clock.ts";

const FAMILY: Family = { fmspc: "de0000000001", ca: "platform" };
const ANSWERS = answersOf(COLLATERAL);
type Bytes = Uint8Array<ArrayBuffer>;

/** The service's answer to a request. */
function answer(url: URL): Response {
  const ends = {
    tcbInfo: "tcb",
    qeIdentity: "qe/identity",
    pckCrl: "pckcrl",
    rootCrl: "rootcacrl",
  };
  const part = PCS_PARTS.find((it) => url.pathname.endsWith(`/v4/${ends[it]}`)) ?? "rootCrl";
  const { body, headers } = ANSWERS[part];
  return new Response(body as Bytes, { headers });
}

class Stage {
  readonly clock = new ManualClock(0);
  readonly log: string[] = [];
  readonly asked: { url: URL; init: RequestInit }[] = [];
  respond: (url: URL, init: RequestInit) => Response | Promise<Response> = answer;
  file: () => Uint8Array = () => new TextEncoder().encode(formatCollateral(COLLATERAL));
  readonly seams: SourceSeams = {
    fetch: async (url, init) => {
      this.asked.push({ url, init });
      return await this.respond(url, init);
    },
    readFile: () => this.file(),
    clock: this.clock,
    observe: (level, event, fields = {}) =>
      this.log.push(`${level} ${event} ${Object.values(fields).join(" ")}`),
  };
  /** The one source of an entry. */
  source(entry: string) {
    return collateralSources([entry], this.seams)[0];
  }
  said(): string[] {
    return this.log.splice(0);
  }
}

Deno.test("sources: entries keep their order, and are files or services", () => {
  const { seams } = new Stage();
  const entries = ["./a.json", "HTTPS://pccs:8081", "C:\\b.json", "http://user:pw@host/base?key=1"];
  deepEqual(
    collateralSources(entries, seams).map(({ name, kind }) => [kind, name]),
    [
      ["file", "./a.json"],
      ["service", "https://pccs:8081/"],
      ["file", "C:\\b.json"],
      ["service", "http://host/base"],
    ],
  );
});

Deno.test("sources: an entry that is neither is refused, and not shown", () => {
  const { seams } = new Stage();
  for (
    const entry of ["ftp://u:pw@host/x", "file:///pw", "http://u:pw@", "https://u:pw@ho st/"]
      .concat("http://u:%pw@host/")
  ) {
    throws(() => collateralSources([entry], seams), (error: unknown) => {
      ok(error instanceof RangeError, entry);
      ok(!error.message.includes("pw") && !error.message.includes("\n"), error.message);
      return true;
    });
  }
  // As many as the options take, and the own platform's.
  const most = Array(MAX_LISTED + 1).fill("x");
  deepEqual(collateralSources(most, seams).length, 9);
  const many = [...most, "x"];
  throws(() => collateralSources(many, seams), /10 sources of collateral, expected 9 at most/);
});

Deno.test("source: a file is one set as JSON, and what is wrong with it is said once", async () => {
  const stage = new Stage(), source = stage.source("collateral.json"), whole = stage.file;
  deepEqual(await source.fetch(), COLLATERAL);
  const faults: [RegExp, () => Uint8Array][] = [
    [/No such file/, () => {
      throw new Deno.errors.NotFound("No such file");
    }],
    [/collateral-malformed/, () => whole().subarray(1)],
    [/expected 8388608 at most/, () => new Uint8Array(MAX_COLLATERAL_JSON + 1)],
  ];
  for (const [expected, file] of faults) {
    stage.file = file;
    for (let i = 0; i < 3; i++) equal(await source.fetch(), undefined);
    const [line, ...more] = stage.said();
    ok(expected.test(line), line);
    ok(line.startsWith("warn collateral source failed collateral.json "), line);
    deepEqual(more, []);
  }
  stage.file = whole;
  deepEqual(await source.fetch(), COLLATERAL);
  stage.file = faults.at(-1)![1];
  await source.fetch();
  equal(stage.said().length, 1, "it failed anew");
});

Deno.test("source: a service is asked for the four parts of a family", async () => {
  const stage = new Stage(), source = stage.source("https://pccs:8081/x/");
  deepEqual(await source.fetch(FAMILY), COLLATERAL);
  deepEqual(stage.asked.map(({ url }) => url.href), [
    "https://pccs:8081/x/tdx/certification/v4/tcb?fmspc=de0000000001",
    "https://pccs:8081/x/tdx/certification/v4/qe/identity",
    "https://pccs:8081/x/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
    "https://pccs:8081/x/sgx/certification/v4/rootcacrl",
  ]);
  ok(stage.asked.every(({ init }) => init.redirect === "error"));
  deepEqual([stage.said(), stage.clock.pending], [[], 0]);
  equal(await source.fetch(), undefined, "a service has nothing without a family");
});

Deno.test("source: credentials go into a header, to their own host only, and never into a log", async () => {
  const stage = new Stage(), source = stage.source("https://us%40er:p%3Aw@pccs:8081");
  await source.fetch(FAMILY);
  for (const { url, init } of stage.asked) {
    equal(`${url.username}${url.password}`, "");
    equal(new Headers(init.headers).get("authorization"), `Basic ${btoa("us@er:p:w")}`);
  }
  stage.respond = () => Promise.reject(new TypeError("no route"));
  equal(await source.fetch(FAMILY), undefined);
  deepEqual(stage.said(), [
    "warn collateral source failed https://pccs:8081/ de0000000001/platform no route",
  ]);
  const intel = new Stage(), { host } = new URL(INTEL_PCS);
  await intel.source(`https://user:pw@${host}`).fetch(FAMILY);
  const last = intel.asked.at(-1)!;
  equal(last.url.href, INTEL_ROOT_CRL);
  equal(new Headers(last.init.headers).get("authorization"), null);
});

Deno.test("source: an answer other than 200 gives nothing, and one line says which", async () => {
  for (const status of [204, 301, 404, 429, 500, 503]) {
    const stage = new Stage(), source = stage.source("https://pccs");
    let cancelled = false;
    stage.respond = (url) => {
      if (!url.pathname.endsWith("pckcrl")) return answer(url);
      const body = new ReadableStream({ cancel: () => void (cancelled = true) });
      return new Response(status === 204 ? null : body, { status });
    };
    equal(await source.fetch(FAMILY), undefined);
    const line = "warn collateral source failed https://pccs/ de0000000001/platform pckCrl: status";
    deepEqual(stage.said(), [`${line} ${status}`]);
    equal(cancelled, status !== 204);
    ok(stage.asked.every(({ init }) => init.signal!.aborted), "nothing goes on");
  }
});

Deno.test("source: a body without end is read as far as its bound", async () => {
  const stage = new Stage(), source = stage.source("https://pccs");
  let given = 0, cancelled = false;
  const endless = () =>
    new ReadableStream({
      pull(controller) {
        given += 65_536;
        controller.enqueue(new Uint8Array(65_536).fill(0x30));
      },
      cancel: () => void (cancelled = true),
    });
  stage.respond = (url) => url.pathname.endsWith("tcb") ? new Response(endless()) : answer(url);
  equal(await source.fetch(FAMILY), undefined);
  const most = MAX_PCS_BYTES.tcbInfo;
  ok(stage.said()[0].endsWith(`tcbInfo: more than ${most} bytes`));
  ok(cancelled && given < most + 4 * 65_536, `${given} bytes`);
});

Deno.test("source: a service that does not answer in time is given up", async () => {
  const silent: Stage["respond"][] = [
    () => new Promise(() => {}),
    () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
  ];
  for (const respond of silent) {
    const stage = new Stage(), source = stage.source("https://pccs");
    stage.respond = respond;
    const fetched = source.fetch(FAMILY);
    equal(stage.clock.fire(SERVICE_MS - 1), 0);
    equal(stage.clock.fire(1), 1);
    equal(await fetched, undefined);
    ok(stage.said()[0].endsWith("no answer within 15000 ms"));
    ok(stage.asked.every(({ init }) => init.signal!.aborted));
  }
});

Deno.test("source: answers that are none of a service give nothing", async () => {
  const stage = new Stage(), source = stage.source("https://pccs");
  stage.respond = () => new Response("<html>", { status: 200 });
  equal(await source.fetch(FAMILY), undefined);
  ok(/pcs-malformed.*tcbInfo/.test(stage.said()[0]));
});
