/** The testnet's bookkeeping, without a process. */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { Agreement, Disagreement } from "../../testnet/agreement.ts";
import { reader, server } from "../../testnet/command.ts";
import { Course, SILENT_ROUNDS } from "../../testnet/course.ts";
import { Ledger, summaryLine } from "../../testnet/ledger.ts";
import { Lines, Tail } from "../../testnet/lines.ts";
import { OptionError, type Options, parseOptions } from "../../testnet/options.ts";
import { parseRecord, type RoundRecord } from "../../testnet/record.ts";
import { Talk } from "../../testnet/talk.ts";
import { endingLines, jsonView, textView, visible } from "../../testnet/view.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A record with these payloads; every round extends the one before. */
function record(round: number, texts: string[] = [], more: Partial<RoundRecord> = {}): RoundRecord {
  return {
    round,
    hash: `h${round}`,
    previous: `h${round - 1}`,
    participants: 3,
    roster: 3,
    void: 0,
    phases: { open: 12.4, fold: 130, release: 25 },
    messages: texts.map((text, slot) => ({ slot, payload: bytes(text).toBase64(), text })),
    ...more,
  };
}

Deno.test("options: defaults, and what was given", () => {
  deepEqual(parseOptions([]), {
    ...{ servers: 3, clients: 5, rounds: undefined, messages: [], json: false, keep: false },
    ...{ unattested: false, aggregators: 1, page: undefined },
  });
  deepEqual(
    parseOptions(
      "--servers=5 --aggregators 2 --clients 9 --rounds 20 --message a --message=-b --json --keep --unattested"
        .split(" "),
    ),
    {
      ...{ servers: 5, clients: 9, rounds: 20, messages: ["a", "-b"], json: true, keep: true },
      ...{ unattested: true, aggregators: 2, page: undefined },
    },
  );
  const page = (...args: string[]) => (parseOptions(args) as Options).page;
  equal(page("--page"), 8_080);
  equal(page("--page", "--page-port", "9000"), 9_000);
  equal(page("--page-port=0"), 0);
  const two = parseOptions(["--servers", "2", "--allow-two"]);
  equal(two === "help" ? 0 : two.servers, 2);
  equal(parseOptions(["-h"]), "help");
  equal(parseOptions(["--help", "--json"]), "help");
});

const REFUSED: [string[], RegExp][] = [
  [["--mesage", "a"], /unknown option --mesage, did you mean --message\?/],
  [["--\x1b[2J"], /unknown option --\\x1b\[2J; --help/],
  [["--servers", "1", "--allow-two"], /committee of 1/],
  [["--servers", "2"], /needs --allow-two/],
  [["--servers", "4", "--allow-two"], /odd number, got 4/],
  [["--servers", "65"], /from 3 to 63/],
  [["--aggregators", "0"], /from 1 to 16, got "0"/],
  [["--clients", "2"], /from 3 to 200, got "2"/],
  [["--clients", "3.5"], /from 3 to 200, got "3.5"/],
  [["--clients=-3"], /expected a number/],
  [["--rounds", "0"], /from 1 to/],
  [["--rounds", "1", "--rounds", "2"], /given 2 times/],
  [["--rounds"], /got none/],
  [["--message", ""], /expected a text/],
  [["--message="], /expected a value/],
  [["--message", "ż".repeat(2_049)], /at most 4096 bytes, got 4098/],
  [["--rounds", "1", ..."abcdef".split("").map((c) => `--message=${c}`)], /at most 5 in 1 rounds/],
  [["stray"], /unexpected argument/],
];

Deno.test("options: everything else is refused in one line", () => {
  for (const [args, expected] of REFUSED) {
    throws(() => parseOptions(args), (error: Error) => {
      ok(error instanceof OptionError, String(error));
      match(error.message, expected);
      ok(!/\p{C}/u.test(error.message));
      return true;
    }, args.join(" "));
  }
  const longest = parseOptions(["--message", "ż".repeat(2_048)]);
  equal(longest === "help" ? 0 : longest.messages.length, 1);
});

Deno.test("lines: put together across chunks and characters, bounded", () => {
  const lines = new Lines(10);
  const whole = bytes("ab\nżółw\n\ncd");
  const got = [...whole].flatMap((byte) => lines.push(Uint8Array.of(byte)));
  deepEqual([...got, lines.end()], ["ab", "żółw", "", "cd"]);
  throws(() => lines.push(bytes("123456789")), /over 10 characters/);
});

Deno.test("the tail keeps the last lines only, in bounded memory", () => {
  const tail = new Tail(20, 2);
  for (let i = 0; i < 1_000; i++) tail.push(bytes(`line ${i}\n`));
  deepEqual(tail.lines(), ["line 998", "line 999"]);
  tail.push(bytes("x".repeat(100)));
  deepEqual(tail.lines(), ["x".repeat(20)]);
});

Deno.test("a record's line is checked field by field", () => {
  const line = { ...record(1, ["a"]), record: "AA==", certificate: [] };
  deepEqual(parseRecord(line), record(1, ["a"]));
  for (const field of Object.keys(record(1))) {
    throws(() => parseRecord({ ...line, [field]: undefined }), new RegExp(field));
  }
  throws(() => parseRecord({ ...line, round: -1 }), /round is -1/);
  throws(() => parseRecord({ ...line, messages: [{ slot: 0, payload: "" }] }), /text/);
});

Deno.test("the readers agree over the rounds that both have", () => {
  const agreement = new Agreement();
  const round = (it: RoundRecord) => it.round;
  deepEqual(agreement.add(0, record(5)), []);
  deepEqual(agreement.add(0, record(6)), []);
  deepEqual(agreement.add(1, record(6)).map(round), [6]);
  deepEqual(agreement.add(1, record(7)), []);
  deepEqual(agreement.add(0, record(7)).map(round), [7]);
  throws(() => agreement.add(0, record(9)), /round 9 does not extend round 7/);
});

Deno.test("the readers differ: another hash, a missing record", () => {
  const fork = new Agreement();
  fork.add(0, record(1));
  fork.add(1, record(1));
  fork.add(0, record(2));
  throws(() => fork.add(1, record(2, [], { hash: "x" })), Disagreement);
  const gap = new Agreement();
  gap.add(0, record(1));
  gap.add(1, record(1));
  gap.add(0, record(2));
  throws(() => gap.add(1, record(3, [], { previous: "h1" })), /reader 1 has no record of round 2/);
});

Deno.test("the ledger: landed is what the record has, at that slot, once", () => {
  const ledger = new Ledger();
  const payload = (text: string) => bytes(text).toBase64();
  for (const id of ["early", "late", "twice", "liar", "gone", "mute"]) {
    ledger.sent(id, payload(id === "twice" ? "early" : id));
  }
  ledger.outcome("early", { outcome: "landed", round: 2, slot: 0 });
  equal(ledger.waiting, 6);
  ledger.record(record(1, [], { void: 7, participants: 1 }), false);
  ledger.record(record(2, ["early", "late"], { void: 3 }), true);
  equal(ledger.waiting, 5);
  ledger.outcome("late", { outcome: "landed", round: 2, slot: 1 });
  ledger.outcome("twice", { outcome: "landed", round: 2, slot: 0 });
  ledger.outcome("liar", { outcome: "landed", round: 2, slot: 5 });
  ledger.outcome("gone", { outcome: "expired", reason: "20 rounds" });
  ledger.outcome("stranger", { outcome: "landed", round: 2, slot: 0 });
  ledger.record(record(4, [], { void: 1, participants: 2 }), true);
  equal(ledger.waiting, 1);
  ledger.close();
  const { summary } = ledger;
  deepEqual(summary, { rounds: 2, participants: 2, landed: 2, lost: 4, void: 1 });
  equal(summaryLine(summary), "2 rounds, 2 participants, 2 messages landed, 4 lost, 1 void");
  deepEqual(ledger.losses.map(({ id }) => id), ["twice", "liar", "gone", "mute"]);
});

Deno.test("talk: every message once, through another client in turn, in the rounds there are", () => {
  const messages = ["a", "b", "c", "d", "e"];
  for (const rounds of [undefined, 2, 3, 5, 50]) {
    const talk = new Talk({ clients: 3, rounds, messages });
    const said = Array.from({ length: rounds ?? 10 }, () => talk.next()).flat();
    deepEqual(said.map(({ text }) => text), messages);
    deepEqual(said.map(({ client }) => client), [0, 1, 2, 0, 1]);
    deepEqual(talk.next(), []);
  }
  const own = new Talk({ clients: 3, rounds: 6, messages: [] });
  const lines = Array.from({ length: 10 }, () => own.next());
  deepEqual(lines.map((it) => it.length), [1, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
});

/** A course and what it did. */
function course(options: { clients: number; rounds?: number; messages: string[] }) {
  const did = { said: [] as string[], rounds: [] as number[], over: 0 };
  const it = new Course(options, {
    say: (_, { id }) => did.said.push(id),
    round: ({ round }, counts) => counts && did.rounds.push(round),
    over: () => did.over++,
  });
  const both = (next: RoundRecord) => {
    it.reader(0, next);
    it.reader(1, next);
  };
  const ready = () => [0, 1, 2].forEach((index) => it.client(index, { ready: true }));
  return { it, did, both, ready };
}

Deno.test("a course counts from the round in which all take part, and ends with the last fate", () => {
  const { it, did, both, ready } = course({ clients: 3, rounds: 2, messages: ["a", "b"] });
  both(record(1));
  ready();
  both(record(2, [], { participants: 2 }));
  deepEqual(did, { said: [], rounds: [], over: 0 });
  both(record(3));
  both(record(4));
  deepEqual(did.said, ["c0-0", "c1-1"]);
  both(record(5, ["a", "b"]));
  it.client(0, { id: "c0-0", retrying: "collision", attempt: 2 });
  it.client(0, { id: "c0-0", outcome: "landed", round: 5, slot: 0 });
  equal(did.over, 0);
  it.client(1, { id: "c1-1", outcome: "landed", round: 6, slot: 0 });
  equal(did.over, 0);
  both(record(6, ["b"]));
  deepEqual([did.over, it.succeeded], [1, true]);
  deepEqual(it.summary, { rounds: 4, participants: 3, landed: 2, lost: 0, void: 0 });
  throws(() => it.client(0, { id: "c0-0", outcome: "vanished" }), /vanished/);
});

Deno.test("a course gives up after 20 silent rounds; the message is lost", () => {
  const { it, did, both, ready } = course({ clients: 3, rounds: 1, messages: ["a"] });
  ready();
  for (let round = 1; round <= SILENT_ROUNDS; round++) both(record(round));
  equal(did.over, 0);
  both(record(SILENT_ROUNDS + 1));
  deepEqual([did.over, it.succeeded, it.summary.lost], [1, false, 1]);
});

Deno.test("what a client drops because it was asked to stop is not lost", () => {
  const { it, both, ready } = course({ clients: 3, messages: ["a"] });
  ready();
  both(record(1));
  it.client(0, { id: "c0-0", outcome: "expired", reason: "shutdown" });
  it.client(0, { id: "c0-0", outcome: "refused", reason: "outbox is closed: shutdown" });
  equal(it.summary.lost, 0);
  it.client(0, { id: "c0-0", outcome: "expired", reason: "20 rounds" });
  equal(it.summary.lost, 1);
});

Deno.test("a course where nothing landed did not succeed", () => {
  const { it, did, both, ready } = course({ clients: 3, rounds: 2, messages: ["a"] });
  ready();
  both(record(1));
  it.client(0, { id: "c0-0", outcome: "refused", reason: "too long" });
  both(record(2));
  deepEqual([did.over, it.succeeded, it.summary.landed], [1, false, 0]);
});

Deno.test("the view: no escape sequence of a stranger passes, and printable text stays", () => {
  const evil = record(7, ["\x1b]0;title\x07\u202e", "back\\slash"], { void: 2 });
  for (const view of [jsonView, textView(false)]) {
    for (const line of view.round(evil)) ok(!/\p{C}/u.test(line), line);
  }
  deepEqual(textView(false).round(evil), [
    "round    7  3/3 participants  2 messages  open 12 + fold 130 + release 25 ms  2 void before it",
    "  \\x1b]0;title\\x07\\u{202e}",
    "  back\\slash",
  ]);
  equal(visible(visible("a\\x1b\x1b\\")), visible("a\\x1b\x1b\\"));
  const words = endingLines({
    ...{
      name: "server 1",
      wasUp: true,
      code: 5,
      signal: null,
      lastWords: ["\x1b[31mdata damaged"],
    },
  });
  deepEqual(words, [
    "server 1 ended unexpectedly with exit code 5",
    "its last words:",
    "  \\x1b[31mdata damaged",
  ]);
});

Deno.test("a role gets its own folder and no more; a secret is never an argument", () => {
  const committeeSecret = "cd".repeat(32);
  const site = { folder: ".testnet/x", env: { HOME: "/h" }, committeeSecret };
  const { args, env } = server(site, 1, 3, "ab".repeat(32), ["/ip4/127.0.0.1/tcp/9/p2p/z"]);
  for (const flag of ["-P=server", "--allow-net=127.0.0.1", "--allow-read=.testnet/x/server-1"]) {
    ok(args.includes(flag), flag);
  }
  ok(args.indexOf("src/server.ts") > args.indexOf("--allow-write=.testnet/x/server-1"));
  ok(!/abab|cdcd/.test(args.join()));
  deepEqual(env, {
    HOME: "/h",
    ZIPNET_SECRET: "ab".repeat(32),
    ZIPNET_COMMITTEE_SECRET: committeeSecret,
  });
  deepEqual(reader(site, 0, []).env, { HOME: "/h" });
});
