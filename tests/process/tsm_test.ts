/** A TSM item as files: real reads and writes, and what is said where there is none. */
import assert from "node:assert/strict";
import { trustAnchor } from "../../src/attest/anchor.ts";
import { verifyCollateral } from "../../src/attest/collateral.ts";
import { createPolicy } from "../../src/attest/policy.ts";
import { parseQuote } from "../../src/attest/quote.ts";
import { simulatedCollateral } from "../../src/attest/simulated_collateral.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import { decodeTicket, makeTicket, TICKET_MS, verifyTicket } from "../../src/attest/ticket.ts";
import { MAX_OUTBLOB_BYTES } from "../../src/attest/tsm.ts";
import { systemClock, systemRandom } from "../../src/ops/system.ts";
import { tdxSource, tsmItem } from "../../src/ops/tsm_item.ts";
import { authority, NOW } from "../attest/stage.ts";

const STAND_IN = ["run", "-q", "-A", "--no-prompt", "tests/process/tsm_stand_in.ts"];

/** A folder that goes with its owner. */
class Folder implements Disposable {
  readonly path: string;
  constructor(files: Record<string, string | Uint8Array> = {}) {
    Deno.mkdirSync(".testnet", { recursive: true });
    this.path = Deno.makeTempDirSync({ dir: ".testnet" });
    for (const [name, content] of Object.entries(files)) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      Deno.writeFileSync(`${this.path}/${name}`, bytes);
    }
  }
  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** The stand-in, serving in a folder of its own. */
class StandIn implements AsyncDisposable {
  readonly #folder = new Folder();
  readonly #child: Deno.ChildProcess;
  readonly path = this.#folder.path;

  private constructor(what: "pipes" | "fuse") {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...STAND_IN, what, this.path],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
  }

  static async start(what: "pipes" | "fuse"): Promise<StandIn> {
    const it = new StandIn(what);
    try {
      let said = "";
      for await (const text of it.#child.stdout.pipeThrough(new TextDecoderStream())) {
        said += text;
        if (said === "ready\n") return it;
      }
      throw new Error(`the stand-in ended; it said ${JSON.stringify(said)}`);
    } catch (error) {
      await it[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
    this.#folder[Symbol.dispose]();
  }
}

/** What follows a test's name where a stand-in cannot be had; empty where it can. */
async function whyNo(what: "pipes" | "fuse"): Promise<string> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...STAND_IN, "why", what],
  }).output();
  const why = success ? new TextDecoder().decode(stdout).trim() : "the look at it failed";
  return why && ` (skipped: ${why})`;
}

const [noPipes, noFuse] = await Promise.all([whyNo("pipes"), whyNo("fuse")]);

/** Asserts that tickets made at once by the item at `path` are accepted. */
async function makesTickets(path: string): Promise<void> {
  const source = tdxSource(path, systemClock);
  const anchor = await trustAnchor(authority.root.der);
  const collateral = await verifyCollateral(simulatedCollateral(authority, NOW), anchor, NOW);
  const { mrTd, rtmr1, rtmr2 } = simulatedMeasurements("zipnet");
  const policy = createPolicy({ allowed: { mrTd: [mrTd], rtmr1: [rtmr1], rtmr2: [rtmr2] } });
  const before = await tsmItem(path).generation();
  const peers = Array.from({ length: 5 }, () => ({
    instance: systemRandom(32),
    role: "server" as const,
    key: systemRandom(32),
  }));
  await Promise.all(peers.map(async (peer) => {
    const times = { from: NOW, until: NOW + TICKET_MS, freshness: systemRandom(40) };
    const terms = { ...peer, ...times, anchor: anchor.fingerprint };
    const ticket = await makeTicket(source, terms);
    const judge = { ...peer, collateral, policy, now: NOW + 1 };
    assert.equal((await verifyTicket(decodeTicket(ticket), judge)).status, "UpToDate");
  }));
  assert.equal(await tsmItem(path).generation(), before + peers.length);
}

Deno.test({
  name:
    `an item of named pipes: tickets of a guest, padded by its host, as many as asked${noPipes}`,
  ignore: noPipes !== "",
  async fn() {
    await using standIn = await StandIn.start("pipes");
    await makesTickets(standIn.path);
  },
});

Deno.test({
  name: `an item as the kernel has it: tickets, and what each of its errors becomes${noFuse}`,
  ignore: noFuse !== "",
  async fn() {
    await using standIn = await StandIn.start("fuse");
    const { path } = standIn, item = tsmItem(path);
    /** What becomes of the requests to come. */
    const next = async (words: string) => {
      using file = await Deno.open(`${path}/next`, { write: true });
      await file.write(new TextEncoder().encode(words));
    };
    await makesTickets(path);
    await next("padded padded padded padded padded");
    await makesTickets(path);
    const hurried = tdxSource(path, { now: () => 0, wall: () => 0, after: pauseNot });
    for (const words of ["EBUSY", "EBUSY EINTR EINVAL EAGAIN EBUSY EBUSY EBUSY"]) {
      await next(words);
      const before = await item.generation(), reportData = systemRandom(64);
      const { report } = parseQuote(await hurried.quote(reportData));
      assert.deepEqual(report.reportData, reportData);
      assert.equal(await item.generation(), before + 1 + words.split(" ").length);
    }
    const lines: [string, RegExp][] = [
      ["EBUSY ".repeat(8), /8 attempts, the last: the host is still busy with an earlier request/],
      ["ETIMEDOUT", /the host did not answer in time: .*\(QGS\) works; .*os error 110/],
      ["EIO", /the host refused the request: .*\(QGS\) works; .*os error 5/],
      ["ENOTTY", /the guest's TDX driver is gone: load the kernel module tdx_guest; /],
      ["ENXIO", /the guest's TDX driver is gone: /],
      ["EACCES", /may not be used; .*outblob must be of this process's user/],
      ["ENOMEM", /the TSM item cannot be read or written; .*os error 12/],
      ["empty", /the host gave an empty answer: /],
      ["short", /the host's answer is no quote \(quote-truncated/],
    ];
    for (const [words, line] of lines) {
      await next(words);
      await fails(path, line);
    }
    // What is written counts when it is closed, whatever comes of it.
    const before = await item.generation();
    await item.writeInblob(new Uint8Array(63));
    assert.equal(await item.generation(), before + 1);
    await assert.rejects(item.readOutblob(), /did not hold 64 bytes of report data/);
    await assert.rejects(item.writeInblob(new Uint8Array(65)), /os error 27/);
    await makesTickets(path);
  },
});

/** Asserts that a quote by the item at `path` is refused with a line like this. */
async function fails(path: string, line: RegExp): Promise<void> {
  const atOnce = { now: () => 0, wall: () => 0, after: pauseNot };
  await assert.rejects(tdxSource(path, atOnce).quote(new Uint8Array(64)), (error: Error) => {
    assert.equal(error.name, "QuoteSourceError", String(error));
    assert.match(error.message, line);
    return !error.message.includes("\n");
  });
}

/** Pauses between attempts end at once; the caller's patience does not. */
function pauseNot(ms: number, task: () => void): () => void {
  if (ms < 60_000) queueMicrotask(task);
  return () => {};
}

Deno.test("where no item is, both reasons are said, and where it should be", async () => {
  using empty = new Folder();
  const either = "either this machine is no TDX guest .*, or the item is not mounted there; ";
  const nowhere = `${empty.path}/nowhere`;
  await fails(nowhere, RegExp(`ZIPNET_PLATFORM says: ${either}${nowhere} is not there: mount`));
  await fails(empty.path, RegExp(`${either}${empty.path} is there but has no provider: nothing`));
});

Deno.test("what Deno may not open is said with the way out", async () => {
  await fails("/run/zipnet-tsm", /--allow-read=\/run\/zipnet-tsm --allow-write=\/run\/zipnet-tsm/);
  await fails(
    "/sys/kernel/config/tsm/report/zipnet",
    /Deno opens nothing in \/sys, .*: bind-mount the item/,
  );
});

Deno.test("files that are no item's are refused by what is wrong with them", async () => {
  const item = { provider: "tdx_guest\n", generation: "1\n", inblob: "", outblob: "" };
  const cases: [RegExp, Record<string, string | Uint8Array>][] = [
    [/provider is "sev_guest", expected "tdx_guest"/, { provider: "sev_guest\n" }],
    [/provider has over 64 bytes$/, { provider: "x".repeat(65) }],
    [/generation: expected digits, got "one\\n1"$/, { generation: "one\n1\n" }],
    [/generation: expected digits, got ""$/, { generation: "" }],
    [/outblob has over 65536 bytes$/, { outblob: new Uint8Array(MAX_OUTBLOB_BYTES + 1) }],
    [/8 attempts, the last: the item did not take the report data$/, {}],
  ];
  for (const [line, files] of cases) {
    using folder = new Folder({ ...item, ...files });
    await fails(folder.path, line);
  }
});

Deno.test("report data is written as it is, into what was there", async () => {
  using folder = new Folder({ inblob: new Uint8Array(70).fill(7) });
  const bytes = systemRandom(64);
  await tsmItem(folder.path).writeInblob(bytes);
  const held = Deno.readFileSync(`${folder.path}/inblob`);
  // Opened without cutting it: the end is still there.
  assert.deepEqual(held, Uint8Array.of(...bytes, 7, 7, 7, 7, 7, 7));
  Deno.removeSync(`${folder.path}/inblob`);
  await assert.rejects(tsmItem(folder.path).writeInblob(bytes), /has no inblob/);
});
