/**
 * One of three members whose order is measured: a process of its own with a journal on disk, its
 * streams over libp2p. Speaks JSON lines: `{up}` first, then what it measured, at whoever leads.
 */
import { Exchange } from "../../src/committee/exchange.ts";
import { raftEngine } from "../../src/committee/raft_engine.ts";
import { openFolder } from "../../src/ops/folder.ts";
import { systemClock, systemRandom } from "../../src/ops/system.ts";
import { concat, Reader, u64 } from "../../src/protocol/bytes.ts";
import { Link } from "../../src/roles/link.ts";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import type { Stream } from "../../src/universe/network.ts";
import { identity } from "../../src/universe/node.ts";

const MEMBERS = 3;
const KIND = { name: "bench", maxFrame: 32 * 2 ** 20, maxBuffered: 256 * 2 ** 20, maxPerPeer: 2 };

const started = performance.now();
const [index, folder, bootstrap] = [Number(Deno.args[0]), Deno.args[1], Deno.args[2]];
const seed = (i: number) => new Uint8Array(32).fill(i + 1);
const ids = Array.from({ length: MEMBERS }, (_, i) => identity(seed(i)).id);
const environment = { clock: systemClock, random: systemRandom, observe() {} };
const network = libp2pNetwork({
  environment,
  secret: seed(index),
  universe: new Uint8Array(32),
  instance: new Uint8Array(32),
  role: "server",
  listen: ["/ip4/127.0.0.1/tcp/0"],
  bootstrap: bootstrap ? [bootstrap] : [],
});
for (const id of ids) network.favour(id);
const journal = openFolder(folder).journal("order");

/** Commands under way, by their number. */
const waiting = new Map<number, () => void>();
let applied = 0;
const make = await raftEngine(environment);
const engine = make(MEMBERS, journal)({
  send: (to, message) => exchange.engine(to, message),
  apply(commands) {
    applied += commands.length;
    for (const command of commands) {
      const number = new Reader(command, "command").u64();
      waiting.get(number)?.();
      waiting.delete(number);
    }
  },
  snapshot: () => u64(applied),
  restore() {},
}, index);
const exchange = new Exchange(
  systemClock,
  {
    engine: (from, bytes) => engine.receive(from, bytes),
    head() {},
    word() {},
    evidenceOf: () => [],
  },
  64,
  256 * 2 ** 20,
);

const events = (stream: Stream) => {
  const place = ids.indexOf(stream.peer.id);
  systemClock.after(0, () => {
    exchange.connected(place, (frame) => stream.send(frame), []);
    engine.connected(place);
  });
  return {
    frame: (bytes: Uint8Array) => exchange.receive(place, bytes),
    closed: () => {
      exchange.disconnected(place);
      engine.disconnected(place);
    },
  };
};
network.serve(KIND, events);
await network.start();
const say = (value: unknown) => console.log(JSON.stringify(value));
say({ up: true, ms: performance.now() - started, address: network.self.addresses[0] });
for (const id of ids.slice(0, index)) {
  new Link({
    network,
    clock: systemClock,
    kind: KIND,
    candidates: () => network.peers("server").filter((peer) => peer.id === id),
    events,
  });
}
engine.start();

let next = 0;
/** Milliseconds from a proposal to its commit, with a blob of so many bytes pushed before it. */
async function once(bytes: number): Promise<number> {
  const number = next++, command = concat(u64(number), systemRandom(56));
  const blob = new Uint8Array(bytes), from = performance.now();
  if (bytes > 0) exchange.push(command.subarray(0, 32), blob);
  await new Promise<void>((done) => {
    waiting.set(number, done);
    engine.propose(command);
  });
  return performance.now() - from;
}

async function series(bytes: number, count: number) {
  const times: number[] = [];
  for (let i = 0; i < count; i++) times.push(await once(bytes));
  times.sort((a, b) => a - b);
  const at = (q: number) => +times[Math.floor(q * (count - 1))].toFixed(2);
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

async function measure(): Promise<void> {
  await series(0, 50);
  say({ what: "64 B command", ...await series(0, 500) });
  say({ what: "with 100 KB beside it", ...await series(100_000, 200) });
  await series(1_000_000, 10);
  say({ what: "with 1 MB beside it", ...await series(1_000_000, 100) });
  const count = 3_000, from = performance.now();
  const lane = async () => {
    for (let i = 0; i < count / 64; i++) await once(0);
  };
  await Promise.all(Array.from({ length: 64 }, lane));
  const seconds = (performance.now() - from) / 1_000;
  say({ what: "commands per second, 64 under way", perSecond: Math.round(count / seconds) });
  say({ over: true });
}

const led = () => {
  const all = engine.leader === index && engine.present.size === MEMBERS;
  if (all && next === 0) measure();
  else systemClock.after(50, led);
};
led();
