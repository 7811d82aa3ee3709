/** The load tool's options, talk, sums, report and plot, without a process. */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { Book, type Watched } from "../../testnet/load/book.ts";
import { chart, MAX_POINTS, thinned } from "../../testnet/load/chart.ts";
import { shares } from "../../testnet/load/crowd.ts";
import { lateSlope, LEAST_POINTS, leastSquares, percentile } from "../../testnet/load/figures.ts";
import { MetricsAddress, parseUsage } from "../../testnet/load/meter.ts";
import { parseLoadOptions } from "../../testnet/load/options.ts";
import { plot } from "../../testnet/load/plot.ts";
import { figures, report } from "../../testnet/load/report.ts";
import { drawSize, MAX_SIZE, parseSizes, type Sizes } from "../../testnet/load/sizes.ts";
import { type Call, talk } from "../../testnet/load/talk.ts";
import { OptionError } from "../../testnet/options.ts";
import { Seeded } from "../../src/universe/seeded.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("load options: defaults, and what was given", () => {
  deepEqual(parseLoadOptions([]), {
    ...{ servers: 3, aggregators: 1, clients: 100, rounds: 100, period: 1_000, rate: 5 },
    ...{ sizes: { kind: "fixed", bytes: 200 }, seed: 1, plot: undefined },
  });
  const given = "--servers 5 --aggregators=2 --clients 9 --rounds 20 --period 500ms --rate 0.5 " +
    "--sizes uniform:10-2000 --seed 7 --plot .testnet/a.svg";
  deepEqual(parseLoadOptions(given.split(" ")), {
    ...{ servers: 5, aggregators: 2, clients: 9, rounds: 20, period: 500, rate: 0.5 },
    ...{ sizes: { kind: "uniform", least: 10, most: 2_000 }, seed: 7, plot: ".testnet/a.svg" },
  });
  equal(parseLoadOptions(["-h"]), "help");
});

const REFUSED: [string, RegExp][] = [
  ["--client 5", /unknown option --client, did you mean --clients\?/],
  ["--clients 2", /--clients: expected a number from 3 to 1000, got "2"/],
  ["--clients", /got none/],
  ["--rounds 0", /--rounds: expected a number from 1/],
  ["--servers 4", /odd number/],
  ["--servers 2", /committee of 2/],
  ["--seed 1 --seed 2", /given 2 times/],
  ["--seed=-1", /--seed/],
  ["--rate 0", /--rate: expected messages a second, above 0 and at most 1000, got "0"/],
  ["--rate 1001", /--rate/],
  ["--rate many", /got "many"/],
  ["--rate 1e2", /--rate/],
  ["--period 99ms", /--period: expected a time from 100ms to 60000ms, got "99ms"/],
  ["--period 500", /--period/],
  ["--sizes 200", /--sizes: expected fixed:N, uniform:A-B or exponential:MEAN/],
  ["--sizes normal:3", /--sizes/],
  ["--plot=", /--plot/],
  ["stray", /unexpected argument/],
];

Deno.test("load options: everything else is refused in one line", () => {
  for (const [args, expected] of REFUSED) {
    throws(() => parseLoadOptions(args.split(" ")), (error: Error) => {
      ok(error instanceof OptionError, `${args}: ${error}`);
      match(error.message, expected);
      ok(!error.message.includes("\n"));
      return true;
    });
  }
});

Deno.test("sizes: what is a distribution, and what is none", () => {
  deepEqual(parseSizes("exponential:300"), { kind: "exponential", mean: 300 });
  deepEqual(parseSizes(`fixed:${MAX_SIZE}`), { kind: "fixed", bytes: MAX_SIZE });
  deepEqual(parseSizes("uniform:5-5"), { kind: "uniform", least: 5, most: 5 });
  const none = ["", "fixed", "fixed:", "fixed:0", "fixed:4097", "fixed:1-2", "fixed:1:2"];
  none.push(
    "uniform:5",
    "uniform:9-5",
    "uniform:1-2-3",
    "exponential:1-2",
    "fixed:-5",
    "fixed:1e3",
  );
  for (const text of none) equal(parseSizes(text), undefined, text);
});

Deno.test("sizes: draws keep to their bounds and means", () => {
  const random = new Seeded(3),
    draws = (sizes: Sizes) => Array.from({ length: 20_000 }, () => drawSize(sizes, random.real()));
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  const near = (value: number, expected: number) =>
    ok(Math.abs(value / expected - 1) < 0.03, `${value}, expected about ${expected} (seed 3)`);
  deepEqual(new Set(draws({ kind: "fixed", bytes: 7 })), new Set([7]));
  const uniform = draws({ kind: "uniform", least: 10, most: 19 });
  deepEqual([...new Set(uniform)].sort(), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  near(mean(uniform), 14.5);
  const exponential = draws({ kind: "exponential", mean: 300 });
  near(mean(exponential), 300.5);
  near(exponential.filter((it) => it > 300).length, 20_000 / Math.E);
  const long = draws({ kind: "exponential", mean: MAX_SIZE });
  equal(Math.max(...long), MAX_SIZE);
  ok(long.every((it) => Number.isInteger(it) && it >= 1));
  equal(drawSize({ kind: "exponential", mean: 5 }, 0), 1);
});

Deno.test("talk: the same seed says the same, at the rate asked for, through every client", () => {
  const options = { rate: 20, sizes: { kind: "uniform", least: 1, most: 40 }, clients: 9 } as const;
  const calls = (seed: number): Call[] => [...talk({ ...options, seed }).take(4_000)];
  const first = calls(1);
  deepEqual(calls(1), first);
  ok(JSON.stringify(calls(2).map(({ at }) => at)) !== JSON.stringify(first.map(({ at }) => at)));
  const seconds = first.at(-1)!.at / 1_000;
  ok(Math.abs(4_000 / seconds / 20 - 1) < 0.06, `4,000 messages in ${seconds} s (seed 1)`);
  ok(first.every(({ at }, i) => i === 0 || at >= first[i - 1].at));
  deepEqual([...new Set(first.map(({ client }) => client))].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  ok(first.every(({ payload }) => payload.length >= 1 && payload.length <= 40));
});

Deno.test("figures: percentiles are values that were there", () => {
  const values = [5, 1, 4, 2, 3, 10, 9, 8, 7, 6];
  deepEqual([0.5, 0.9, 0.99, 1, 0].map((part) => percentile(values, part)), [5, 9, 10, 10, 1]);
  equal(percentile([], 0.5), undefined);
  equal(values[0], 5);
});

Deno.test("figures: a slope by least squares, over the second half alone", () => {
  equal(leastSquares([{ x: 0, y: 1 }, { x: 1, y: 3 }, { x: 2, y: 5 }]), 2);
  equal(leastSquares([{ x: 0, y: 0 }, { x: 1, y: 3 }, { x: 2, y: 0 }]), 0);
  equal(leastSquares([{ x: 1, y: 3 }]), undefined);
  const grows = Array.from({ length: LEAST_POINTS }, (_, x) => ({ x, y: x < 20 ? 9 * x : 3 * x }));
  ok(Math.abs(lateSlope(grows)! - 3) < 1e-9);
  equal(lateSlope(grows.slice(1)), undefined);
});

Deno.test("clients are shared out evenly among few processes", () => {
  deepEqual(shares(99, 50), [49, 50]);
  deepEqual(shares(2, 50), [2]);
  deepEqual(shares(101, 50), [33, 34, 34]);
});

Deno.test("meters: the address is found in a log of chunks, and the numbers on the page", async () => {
  const address = new MetricsAddress();
  address.push(bytes('{"event":"start"}\n{"event":"metr'));
  address.push(bytes('ics","address":"127.0.0.1:4321"}\n'));
  equal(await address.found, "127.0.0.1:4321");
  const page = [
    "# TYPE zipnet_resident_bytes gauge",
    'zipnet_resident_bytes{instance="a"} 1500000',
    'zipnet_cpu_seconds_total{instance="a"} 2.25',
  ];
  const none = { sent: undefined, received: undefined };
  deepEqual(parseUsage(page.join("\n")), { resident: 1_500_000, cpu: 2.25, ...none });
  page.push('zipnet_bytes_total{stream="submit",direction="received",instance="a"} 40');
  page.push('zipnet_bytes_total{stream="submit",direction="sent",instance="a"} 3');
  page.push('zipnet_bytes_total{stream="meet",direction="received",instance="a"} 2');
  const both = { sent: 3, received: 42 };
  deepEqual(parseUsage(page.join("\n")), { resident: 1_500_000, cpu: 2.25, ...both });
  throws(() => parseUsage(page.slice(0, 2).join("\n")), /expected the metric zipnet_cpu_seconds/);
});

/** A book of a run of `rounds` rounds, with a void before each hundredth; memory grows 5 MB a thousand. */
function written(rounds: number): Book {
  const book = new Book();
  const node = (name: string, role: string, clients = 0): Watched => {
    const made = { name, role, clients, samples: [] };
    book.nodes.push(made);
    return made;
  };
  const small = node("server 0", "server"), large = node("server 1", "server");
  const crowd = node("crowd 0", "crowd", 4);
  for (let i = 1; i <= rounds; i++) {
    const payload = bytes(`message ${i}`);
    book.say(`m${i}`, payload);
    book.told({ id: `m${i}`, outcome: "landed", round: i, slot: 0, ms: 100 + i });
    const messages = [{ slot: 0, payload: payload.toBase64(), text: "" }];
    book.record(
      {
        ...{ round: i, hash: `h${i}`, previous: `h${i - 1}`, participants: 4, roster: 4, messages },
        ...{ void: Number(i % 100 === 0), phases: {} },
      },
      true,
      500 * i,
    );
    const usage = { cpu: i / 100, sent: 3_000 * i, received: 2_000 * i };
    book.sample(small, { ...usage, resident: 1e8 }, 500 * i);
    book.sample(large, { ...usage, cpu: i / 50, resident: 2e8 + 5_000 * i }, 500 * i);
    book.sample(crowd, { ...usage, resident: 3e8, sent: undefined, received: undefined }, 500 * i);
  }
  return book;
}

Deno.test("report: what every role used, percentiles, and the summary as its last line", () => {
  const book = written(200), [server, crowd] = figures(book.nodes);
  equal(server.processes, 2);
  equal(Math.round(server.lastMB), 201);
  ok(Math.abs(server.slopeMB! - 5) < 1e-6, `${server.slopeMB} MB`);
  ok(Math.abs(server.cpuMsPerRound - 15) < 1e-6);
  deepEqual([server.sentKBPerRound, server.receivedKBPerRound], [3, 2]);
  equal(crowd.sentKBPerRound, undefined);
  deepEqual(report(book, "a.svg"), [
    "latency   p50 200  p90 280  p99 298  max 300 ms, from send to landed",
    "rounds    p50 500  p90 500  p99 500  max 500 ms, from record to record",
    "messages  200 sent, 200 landed, 0 lost, 0 expired",
    "server    2: 200 to 201 MB, +5.0 MB per 1,000 rounds; 15.0 ms of CPU a round; " +
    "2.0 KB in and 3.0 KB out a round",
    "crowd     1 of up to 4 clients: 300 to 300 MB, +0.0 MB per 1,000 rounds; " +
    "10.0 ms of CPU a round",
    "plot      a.svg",
    "200 rounds, 4 participants, 200 messages landed, 0 lost, 2 void",
  ]);
});

Deno.test("book: expired is what its client was told of; lost is what no record has, or no one told", () => {
  const book = written(3);
  for (const id of ["e", "l", "n"]) book.say(id, bytes(id));
  book.told({ id: "e", outcome: "expired", reason: "deadline", ms: 9 });
  book.told({ id: "l", outcome: "landed", round: 3, slot: 0, ms: 9 });
  equal(book.waiting, 1);
  book.close();
  deepEqual([book.sent, book.summary.landed, book.expired, book.summary.lost], [6, 3, 1, 2]);
  match(book.losses[0].reason, /round 3, but the readers' record does not have it/);
  match(book.losses[1].reason, /no word/);
});

/** Whether tags open and close in order, and nothing is left; a picture is read by no laxer rule. */
function wellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, close, name, attributes, self] of svg.matchAll(/<(\/?)([a-z]+)([^<>]*?)(\/?)>/g)) {
    match(attributes, /^( [a-zA-Z-]+="[^"<>&]*(&#\d+;[^"<>&]*)*")*$/, attributes);
    if (close) equal(open.pop(), name);
    else if (!self) open.push(name);
  }
  deepEqual(open, []);
  equal(svg.replaceAll(/<\/?[a-z]+[^<>]*>/g, "").match(/[<>]|&(?!#\d+;)/), null);
  ok(!/NaN|Infinity|undefined/.test(svg));
}

Deno.test("plot: it is well-formed, its text is text, and every point and void is in it", () => {
  const svg = plot(written(200), 'a < b & "c"');
  wellFormed(svg);
  equal(svg.match(/<circle /g)?.length, 200);
  equal(svg.match(/<path class="mark" /g)?.length, 2);
  equal(svg.match(/<path class="line [^>]* d="M[^"]*L[^"]*"/g)?.length, 4);
  for (const text of ["a &#60; b &#38; &#34;c&#34;", "200 rounds, 4 participants", "crowd of 4"]) {
    ok(svg.includes(`>${text}`) || svg.includes(`● ${text}`), text);
  }
  match(svg, /prefers-color-scheme:dark/);
  wellFormed(plot(new Book(), "nothing happened"));
  wellFormed(plot(written(1), "one round"));
});

Deno.test("chart: the highest point is the highest drawn, of however many", () => {
  const points = Array.from({ length: 10 * MAX_POINTS }, (_, x) => ({ x, y: x === 4_321 ? 9 : 1 }));
  equal(thinned(points).length, MAX_POINTS);
  deepEqual(thinned(points).filter(({ y }) => y === 9), [{ x: 4_321, y: 9 }]);
  const two = [{ x: 0, y: 0 }, { x: 10, y: 50 }];
  const drawn = chart(["t"], [{
    ...{ title: "p", x: "x", y: "y" },
    series: [{ name: "s", kind: "line", points: two }],
  }]);
  const [, from, to] = /d="M\d+ ([\d.]+)L\d+ ([\d.]+)"/.exec(drawn)!;
  ok(Number(from) > Number(to), "what is more stands higher");
});
