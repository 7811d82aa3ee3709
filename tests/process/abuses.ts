/**
 * What strangers may do to an instance, each with the limit that holds it: what the instance shows
 * while the limit holds, and the harm where it is lifted.
 */
import { ok } from "node:assert/strict";
import { LINES_PER_PEER } from "../../src/ops/calm.ts";
import { systemRandom } from "../../src/ops/system.ts";
import { concat, u64 } from "../../src/protocol/bytes.ts";
import { agreement, signer } from "../../src/protocol/keys.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import type { Limits, Rate } from "../../src/universe/limits.ts";
import { INSTANCE, type Report, UNIVERSE, type WorldOptions } from "./abuse_world.ts";
import type { Abused } from "./abused.ts";
import { Abuser, answered, dispose, framed, HALF_A_HANDSHAKE, silent } from "./abuser.ts";

const MiB = 2 ** 20;
const ANY = 1e9, ANY_RATE: Rate = { perSecond: ANY, burst: ANY };

/** Limits that a small attack reaches. */
export const TIGHT: Partial<Limits> = {
  connections: 48,
  connectionsPerHost: 48,
  connectionsPerPeer: 4,
  connectsPerHost: { perSecond: 100, burst: 1_000 },
  handshakes: 32,
  handshakesPerHost: 32,
  handshakeMs: 3_000,
  unproven: 32,
  helloMs: 2_000,
  streamsPerPeer: 16,
  opensPerPeer: { perSecond: 8, burst: 32 },
  controls: { perSecond: 500, burst: 2_000 },
  framesPerPeer: { perSecond: 100, burst: 400 },
  waitingPerPeer: MiB,
  waiting: 4 * MiB,
  unfinishedPerPeer: MiB,
  unfinished: 4 * MiB,
  barMs: 3_000,
};
/** Connections that are no stranger's: those of three servers, an aggregator, and dialed ones. */
const OTHERS = 12;
/** Streams, and lines, of those who do no harm meanwhile. */
const HONEST = 20;
const SIZES = { maxClients: 64, maxMessageBytes: 65_536, maxVectorBytes: 524_288 };

/** The world in which limits hold, or some of them. */
export function world(limits: Partial<Limits> = {}, more: Partial<WorldOptions> = {}) {
  return { limits: { ...TIGHT, ...limits }, parameters: SIZES, says: 24_000, ...more };
}

/** What came of it. */
export interface Acted {
  /** Who did it, as the log may name them. */
  readonly who: readonly string[];
  /** How often it was done, where that is what counts. */
  readonly times?: number;
  end(): Promise<void>;
}

/** One of them. */
export interface Abuse {
  readonly name: string;
  /** The world without its limit. */
  readonly lifted: WorldOptions;
  /** Does it; it lasts until `end`. */
  readonly act: (it: Abused) => Promise<Acted>;
  /** One number of it, the bound that holds, and the least that shows the harm. */
  readonly measure: (during: readonly Report[], before: Report, times: number) => number;
  readonly bound: number;
  /** How much the bound grows with each second that it lasts, where a rate holds it. */
  readonly perSecond?: number;
  readonly harm: number;
  /** What it is a number of. */
  readonly of: string;
  /** Whether somebody new can still come: asked while it lasts. */
  readonly newcomer?: boolean;
  /** Whether nobody new can come without the limit. */
  readonly shut?: boolean;
}

const most = (pick: (report: Report) => number) => (during: readonly Report[]) =>
  Math.max(...during.map(pick));
const grown = (pick: (report: Report) => number) => (during: readonly Report[], before: Report) =>
  Math.max(...during.map(pick)) - pick(before);
const host = "127.0.0.1";
/** Every kind of stream that somebody answers; Yamux ends a connection that begins with over ten. */
const KINDS = [
  ...["meet", "server-registry", "client-registry", "voids", "live-round", "broadcasts"],
  ...["submit", "aggregate", "genesis", "committee-0"],
];

/** Does something so many times, and lets the rest go on between. */
async function again(times: number, act: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < times; i++) {
    await act();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

function crowd(all: readonly Abuser[]) {
  return { who: all.map(({ id }) => id), end: () => dispose(all) };
}

export const ABUSES: readonly Abuse[] = [
  {
    name: "a flood of connections",
    lifted: world({ connections: ANY, connectionsPerHost: ANY }),
    async act({ up }) {
      const all: Abuser[] = [];
      for (let i = 0; i < 10; i++) {
        const some = await Abuser.crowd(10, up!.aggregator);
        await Promise.all(some.map((one) => one.open("meet", "client")));
        all.push(...some);
      }
      return { ...crowd(all), who: [...crowd(all).who, host] };
    },
    measure: most(({ aggregator }) => aggregator.connections),
    bound: TIGHT.connections! + OTHERS,
    harm: 90,
    of: "connections",
  },
  {
    name: "handshakes that hang, at their start and half done",
    lifted: world({ handshakes: ANY, handshakesPerHost: ANY, handshakeMs: 60_000 }),
    async act({ up }) {
      const mute = await silent(75, up!.aggregator, new Uint8Array(0));
      const half = await silent(75, up!.aggregator, HALF_A_HANDSHAKE);
      const end = () => {
        for (const one of [...mute, ...half]) one.close();
        return Promise.resolve();
      };
      return { who: [host], end };
    },
    measure: most(({ aggregator }) => aggregator.handshakes),
    bound: TIGHT.handshakes!,
    harm: 150,
    of: "handshakes",
    newcomer: true,
  },
  {
    name: "slow readers of both feeds",
    lifted: world({ waiting: ANY, waitingPerPeer: ANY }),
    async act(it) {
      await it.until("a window of records", () => it.now.rounds > 10);
      const all = await Abuser.crowd(24, it.up!.aggregator);
      for (const one of all) {
        for (const kind of ["broadcasts", "broadcasts", "live-round"]) {
          const stream = await one.open(kind, "reader");
          if (kind === "broadcasts") stream?.send(framed(u64(0)));
          stream?.pause();
        }
      }
      return crowd(all);
    },
    measure: most(({ aggregator }) => aggregator.waiting),
    bound: TIGHT.waiting!,
    harm: 1.5 * TIGHT.waiting!,
    of: "bytes waiting",
    newcomer: true,
  },
  {
    name: "frames too long, and frames that do not end",
    lifted: world({ unfinished: ANY * 16, unfinishedPerPeer: ANY * 16, bytesPerPeer: ANY_RATE }, {
      lift: ["frames"],
    }),
    async act({ up }) {
      const all = await Abuser.crowd(8, up!.aggregator);
      for (const one of all) {
        (await one.open("broadcasts", "reader"))?.send(framed(new Uint8Array(3 * MiB), 2 ** 31));
        (await one.open("submit", "client"))?.send(framed(new Uint8Array(3 * MiB), 2 ** 31));
        for (let i = 0; i < 2; i++) {
          (await one.open("submit", "client"))?.send(framed(new Uint8Array(400_000), 500_000));
        }
      }
      return crowd(all);
    },
    measure: most(({ aggregator }) => aggregator.unfinished),
    bound: TIGHT.unfinished!,
    harm: 8 * TIGHT.unfinished!,
    of: "bytes of unfinished frames",
    newcomer: true,
  },
  {
    name: "garbage on every kind of stream",
    lifted: world({ opensPerPeer: ANY_RATE, streamsPerPeer: ANY }),
    async act({ up }) {
      const all = [await Abuser.make(up!.aggregator), await Abuser.make(up!.server)];
      // Before the handshake, in its midst, and under the streams.
      const bare = [
        ...await silent(5, up!.aggregator, systemRandom(300)),
        ...await silent(5, up!.aggregator, concat(HALF_A_HANDSHAKE, systemRandom(300))),
      ];
      const crowded = await Abuser.crowd(5, up!.aggregator);
      for (const one of crowded) one.garble(systemRandom(300));
      await Promise.all(all.map((one) =>
        again(50, () =>
          Promise.all(KINDS.map(async (kind) => {
            const stream = await one.open(kind, kind === "aggregate" ? "aggregator" : "server");
            const bytes = systemRandom(1 + systemRandom(1)[0]);
            if (stream?.status === "open") stream.send(bytes[0] % 2 ? framed(bytes) : bytes);
          })))
      ));
      for (const one of bare) one.close();
      return crowd([...all, ...crowded]);
    },
    measure: grown(({ accepted }) => accepted),
    bound: 2 * TIGHT.opensPerPeer!.burst + HONEST,
    perSecond: 2 * TIGHT.opensPerPeer!.perSecond,
    harm: 300,
    of: "streams accepted",
  },
  {
    name: "registrations in masses, from one peer",
    lifted: world({ framesPerPeer: ANY_RATE }, {
      desk: { ownKey: false, registrationsPerPeer: ANY_RATE, registrations: ANY_RATE },
    }),
    async act({ up }) {
      const one = await Abuser.make(up!.server);
      const stream = await one.open("client-registry", "client");
      const instance = instanceId(universeId(UNIVERSE), INSTANCE);
      const register = () => {
        const pair = agreement(systemRandom(32)), session = Date.now();
        const fields = { instance, agreement: pair.key, session };
        const { bytes } = createRegistration("register", signer(systemRandom(32)), fields);
        return framed(concat(Uint8Array.of(0), bytes));
      };
      for (let i = 0; i < 2_000; i++) {
        if (stream?.status === "open") stream.send(register());
        if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
      }
      return crowd([one]);
    },
    measure: most(({ roster }) => roster),
    bound: 12,
    harm: 60,
    of: "clients in the roster",
    newcomer: true,
    shut: true,
  },
  {
    name: "one peer that opens streams in a loop",
    lifted: world({ opensPerPeer: ANY_RATE, streamsPerPeer: ANY }),
    async act({ up }) {
      const one = await Abuser.make(up!.aggregator);
      await again(80, () =>
        Promise.all(
          KINDS.slice(0, 7).map(async (kind) => {
            const stream = await one.open(kind, "reader");
            if (stream) await answered(stream);
            stream?.abort(new Error("again"));
          }),
        ));
      return crowd([one]);
    },
    measure: grown(({ accepted }) => accepted),
    bound: TIGHT.opensPerPeer!.burst + HONEST,
    perSecond: TIGHT.opensPerPeer!.perSecond,
    harm: 250,
    of: "streams accepted",
  },
  {
    name: "peers that never read, and ask",
    lifted: world({ controls: ANY_RATE }),
    async act(it) {
      const all = await Abuser.crowd(3, it.up!.aggregator);
      for (const one of all) {
        await one.open("live-round", "reader");
        one.deafen();
      }
      let times = 0;
      for (let i = 0; i < 8; i++) {
        for (const one of all) times += one.ping(20_000);
        await it.pass(1);
      }
      return { ...crowd(all), times };
    },
    measure: (_during, _before, times) => times,
    bound: 240_000,
    harm: 480_000,
    of: "control frames taken",
  },
  {
    name: "streams that say no hello",
    lifted: world({ unproven: ANY, helloMs: 60_000 }),
    async act({ up }) {
      const all = await Abuser.crowd(6, up!.aggregator);
      for (const one of all) {
        for (const kind of KINDS.slice(0, 7)) for (const _ of [1, 2]) await one.open(kind);
      }
      return crowd(all);
    },
    measure: most(({ aggregator }) => aggregator.unproven),
    bound: TIGHT.unproven!,
    harm: 50,
    of: "streams without a hello",
    newcomer: true,
  },
  {
    name: "a peer that comes and goes in a loop",
    lifted: world({ connectsPerHost: ANY_RATE, opensPerPeer: ANY_RATE }, { lift: ["log"] }),
    async act({ up }) {
      const all = await Abuser.crowd(4, up!.aggregator);
      await Promise.all(all.map((one) =>
        again(40, async () => {
          await one.open("meet", "client");
          one.leave();
        })
      ));
      return crowd(all);
    },
    measure: grown(({ lines }) => lines),
    bound: 4 * LINES_PER_PEER.burst + HONEST,
    perSecond: 4 * LINES_PER_PEER.perSecond,
    harm: 200,
    of: "lines about peers",
  },
];

/** Throws unless rounds went on and all that was said landed. */
export function goesOn(during: readonly Report[], before: Report): void {
  const after = during.at(-1)!;
  const rounds = after.rounds - before.rounds, landed = after.landed - before.landed;
  ok(rounds > 0 && landed > 0, `${rounds} rounds, ${landed} messages landed`);
  ok(after.lost === 0, `${after.lost} messages lost`);
}
