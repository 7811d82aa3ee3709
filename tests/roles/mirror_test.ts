/** Whom a reader asks, what it serves on, and holders that lie, lack or hold back. */
import assert from "node:assert/strict";
import { compare, hex, Reader, u64, Writer } from "../../src/protocol/bytes.ts";
import { encodeCertified } from "../../src/protocol/record.ts";
import { encodeOpened, type OpenedHeader } from "../../src/protocol/opened.ts";
import { signStatement } from "../../src/protocol/statements.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { feedHolders, MAX_MIRRORS } from "../../src/roles/holders.ts";
import { BEHIND_MS } from "../../src/roles/lag.ts";
import { ReaderRole, type Seen } from "../../src/roles/reader.ts";
import { memoryArchive } from "../../src/roles/records.ts";
import { Mirror } from "../../src/roles/mirror.ts";
import { instanceStreams, SERVER_REGISTRY } from "../../src/roles/streams.ts";
import type { Peer } from "../../src/universe/network.ts";
import { Play } from "../protocol/play.ts";
import { lineageOf } from "./changes.ts";
import { extendLog } from "./log.ts";
import { peerOf, type Wire, Wires } from "./wire.ts";

/** A reader that others can dial. */
function mirrorOf(secret: Uint8Array): Peer {
  return { ...peerOf("reader", secret), addresses: ["/memory/x"] };
}

/** A reader that knows so many others who serve, and the servers, and what it did. */
async function reading(seed: number, mirrors: number) {
  const play = new Play(seed), { manifest } = play;
  const wires = new Wires("reader", play.random.bytes(32)), log: Seen[] = [];
  const others = Array.from({ length: mirrors }, () => mirrorOf(play.random.bytes(32)));
  wires.known.push(...others, ...play.servers.map((s) => peerOf("server", s.seed)));
  const stopped: string[] = [];
  const role = new ReaderRole({
    network: wires,
    environment: wires.environment,
    epochs: new Epochs([manifest]),
    from: 0,
    record: (seen) => void log.push(seen),
    stopped: (error) => void stopped.push(error.message),
  });
  await wires.pass(1);
  const { broadcasts, liveRound } = instanceStreams(manifest.parameters);
  const stream = () => wires.to(broadcasts)[0], live = () => wires.to(liveRound)[0];
  const rounds = () => log.map(({ record }) => record.header.round);
  return { play, wires, role, log, stopped, stream, live, rounds };
}

/** A header that all servers opened, as it travels. */
function opened(play: Play, spoil = false): Uint8Array {
  const header = play.header({ round: play.head.round + 1, carry: false, messageBytes: 0 });
  const sign = (signer: Play["servers"][number]["signer"]) =>
    signStatement(signer, { kind: "open", header: header.hash }).signature;
  const opens = play.servers.map(({ signer }) => sign(signer));
  const frame: OpenedHeader = {
    header,
    opens: spoil ? opens.with(0, new Uint8Array(64)) : opens,
  };
  return new Writer().vector(encodeOpened(frame)).end();
}

Deno.test("aggregators and readers that serve come before servers, spread, a few readers at most", () => {
  const play = new Play(2_200),
    made = (n: number) => Array.from({ length: n }, () => play.random.bytes(32));
  const mirrors = made(10).map(mirrorOf), aggregators = made(2).map((s) => peerOf("aggregator", s));
  const servers = made(3).map((s) => peerOf("server", s)), mute = peerOf("reader", made(1)[0]);
  const firsts = new Map<string, number>();
  for (const secret of made(60)) {
    const wires = new Wires("reader", secret);
    wires.known.push(...servers, ...mirrors, mute, ...aggregators);
    const order = feedHolders(wires, "records"), roles = order.map(({ role }) => role);
    assert.equal(order.length, 15, "all but the one that cannot be dialed");
    assert.equal(roles.slice(0, 6).filter((role) => role === "reader").length, MAX_MIRRORS);
    assert.deepEqual(roles.slice(6, 9), ["server", "server", "server"]);
    assert.deepEqual(order, feedHolders(wires, "records"), "the same every time");
    firsts.set(order[0].id, (firsts.get(order[0].id) ?? 0) + 1);
  }
  assert.ok(firsts.size >= 8 && Math.max(...firsts.values()) <= 20, [...firsts.values()].join());
});

Deno.test("who serves itself follows aggregators, then readers with lower keys alone, then servers", () => {
  const play = new Play(2_201),
    made = (n: number) => Array.from({ length: n }, () => play.random.bytes(32));
  const mirrors = made(3).map(mirrorOf), aggregator = peerOf("aggregator", made(1)[0]);
  const server = peerOf("server", made(1)[0]), follows = new Map<string, Set<string>>();
  for (const self of mirrors) {
    const wires = new Wires("reader", play.random.bytes(32));
    Object.assign(wires, { self });
    wires.known.push(server, ...mirrors.filter((it) => it !== self), aggregator);
    const order = feedHolders(wires, "headers"), at = order.indexOf(server);
    assert.equal(order[0], aggregator);
    assert.ok(order.slice(1, at).every(({ key }) => compare(key, self.key) < 0));
    assert.ok(order.slice(at + 1).every(({ key }) => compare(key, self.key) > 0));
    follows.set(self.id, new Set(order.slice(1, at).map(({ id }) => id)));
  }
  assert.deepEqual([...follows.values()].map(({ size }) => size).sort(), [0, 1, 2]);
});

Deno.test("a record that a reader forged ends nobody: it is passed over, and reading goes on elsewhere", async () => {
  const r = await reading(2_202, 2), liars = new Set<string>();
  const first = r.play.round(), second = r.play.round();
  r.stream().frame(first.bytes);
  const forged = encodeCertified({
    ...second.certified,
    certificate: second.certified.certificate.with(1, new Uint8Array(64)),
  });
  for (let i = 0; i < 2; i++) {
    const wire = r.stream();
    assert.equal(wire.peer.role, "reader");
    liars.add(wire.peer.id);
    wire.frame(forged);
    assert.ok(wire.closed !== undefined);
    assert.deepEqual([r.rounds(), r.stopped], [[1], []]);
    await r.wires.pass(1_000);
  }
  assert.equal(liars.size, 2);
  const honest = r.stream();
  assert.equal(honest.peer.role, "server");
  honest.frame(second.bytes);
  assert.deepEqual([r.rounds(), r.stopped], [[1, 2], []]);
  const said = r.wires.log.filter(({ event }) => event === "record refused");
  assert.deepEqual(said.map(({ fields }) => fields!.peer), [...liars]);
  await r.wires.pass(600_000);
  assert.ok(!liars.has(r.stream().peer.id), "they are not asked again");
});

Deno.test("a header that a reader forged is refused, and another holder is asked", async () => {
  const r = await reading(2_203, 2);
  for (let i = 0; i < 2; i++) {
    const wire = r.live();
    assert.equal(wire.peer.role, "reader");
    assert.throws(() => wire.frame(opened(r.play, true)), /OPEN of server 0/);
    await r.wires.pass(1_000);
  }
  assert.equal(r.live().peer.role, "server");
  r.live().frame(opened(r.play));
  assert.ok(r.live().closed === undefined);
});

Deno.test("a holder that keeps to itself what a header shows is left, and soon", async () => {
  const r = await reading(2_204, 1), mirror = r.stream();
  assert.equal(mirror.peer.role, "reader");
  const first = r.play.round();
  r.live().frame(opened(r.play));
  await r.wires.pass(BEHIND_MS - 2);
  assert.equal(r.stream(), mirror);
  await r.wires.pass(1_000);
  assert.equal(mirror.closed, "it is behind others");
  assert.equal(r.stream().peer.role, "server");
  r.stream().frame(first.bytes);
  assert.deepEqual([r.rounds(), r.stopped], [[1], []]);
});

Deno.test("holders that say nothing at all are left one after the other, less and less often", async () => {
  const r = await reading(2_205, 0), { roundDeadline, roundPeriod } = r.play.parameters;
  const silence = 2 * (roundDeadline + roundPeriod), times: number[] = [];
  let last: Wire | undefined = r.stream();
  const began = r.wires.now;
  while (times.length < 5) {
    await r.wires.pass(500);
    if (r.stream() === undefined || r.stream() === last) continue;
    last = r.stream();
    times.push(r.wires.now - began);
    assert.ok(r.wires.now - began < 40 * silence);
  }
  const gaps = times.map((at, i) => at - (times[i - 1] ?? 0));
  gaps.forEach((gap, i) => assert.ok(gap > silence * 2 ** i - 1_000, `${gaps}`));
});

Deno.test("a listener that is slow makes no holder late", async () => {
  const r = await reading(2_206, 1), slow = Promise.withResolvers<void>();
  const role = new ReaderRole({
    network: r.wires,
    environment: r.wires.environment,
    epochs: new Epochs([r.play.manifest]),
    from: 0,
    record: () => slow.promise,
    stopped: assert.fail,
  });
  r.role.stop();
  await r.wires.pass(1);
  const wire = r.stream(), first = r.play.round();
  wire.frame(first.bytes);
  r.live().frame(opened(r.play));
  await r.wires.pass(600_000);
  assert.equal(wire.closed, undefined);
  assert.deepEqual(wire.sent, [u64(0)]);
  slow.resolve();
  await r.wires.pass(1);
  assert.deepEqual(wire.sent, [u64(0), u64(2)]);
  role.stop();
});

Deno.test("what was verified is served on from an archive, and the lineage with it", () => {
  const play = new Play(2_207), { manifest } = play, epochs = new Epochs([manifest]);
  const wires = new Wires("reader", play.random.bytes(32)),
    archive = memoryArchive(Infinity, Infinity);
  const entries = extendLog(play, 20), described: Uint8Array[] = [];
  const committee = { epochs, lineage: lineageOf(play) };
  const mirror = new Mirror({
    network: wires,
    environment: wires.environment,
    committee,
    archive: {
      ...archive,
      read: archive.read,
      append: archive.append,
      describe: (it) => void described.push(it),
      get newest() {
        return archive.newest;
      },
      get oldest() {
        return archive.oldest;
      },
    },
  });
  const chain = epochs.chain();
  for (const { bytes } of entries) mirror.record(chain.extend(bytes));
  assert.deepEqual([archive.oldest, archive.newest, mirror.newest], [1, 20, 20]);
  const { broadcasts } = instanceStreams(manifest.parameters);
  const wire = wires.dial(peerOf("reader", play.random.bytes(32)), broadcasts);
  wire.frame(u64(3));
  assert.deepEqual(wire.sent.map(hex), entries.slice(2, 10).map(({ bytes }) => hex(bytes)));
  const curious = wires.dial(peerOf("reader", play.random.bytes(32)), SERVER_REGISTRY);
  assert.deepEqual(curious.sent, [committee.lineage]);
  const later = lineageOf(play.next([0, 1, 2], 1));
  mirror.hand(later);
  assert.deepEqual([curious.sent[1], described], [later, [committee.lineage, later]]);
  curious.frame(Uint8Array.of(1));
  assert.ok(curious.closed !== undefined, "nothing is expected there");
  mirror.stop();
});

Deno.test("what an archive lacks is fetched; meanwhile the newest is served from memory", async () => {
  const play = new Play(2_208), { manifest } = play, epochs = new Epochs([manifest]);
  const wires = new Wires("reader", play.random.bytes(32)),
    archive = memoryArchive(Infinity, Infinity);
  wires.known.push(mirrorOf(play.random.bytes(32)));
  const entries = extendLog(play, 6), environment = wires.environment;
  const committee = { epochs, lineage: lineageOf(play) };
  const mirror = new Mirror({ network: wires, environment, committee, archive });
  const chain = epochs.chain(), { broadcasts } = instanceStreams(manifest.parameters);
  for (const { bytes } of entries.slice(3)) mirror.record(chain.extend(bytes));
  assert.deepEqual([archive.newest, mirror.newest], [0, 6]);
  const late = wires.dial(peerOf("reader", play.random.bytes(32)), broadcasts);
  late.frame(u64(1));
  assert.equal(new Reader(late.sent[0], "offer").u64(), 4);
  await wires.pass(1);
  const [asked] = wires.to(broadcasts);
  for (const { bytes } of entries) asked.frame(bytes);
  assert.deepEqual([archive.oldest, archive.newest], [1, 6]);
  const other = wires.dial(peerOf("reader", play.random.bytes(32)), broadcasts);
  other.frame(u64(1));
  assert.deepEqual(other.sent.map(hex), entries.map(({ bytes }) => hex(bytes)));
  mirror.stop();
});

Deno.test("the live round is one value: overwrite_keeps_latest, and a record ends it", () => {
  const play = new Play(2_209), { manifest } = play, epochs = new Epochs([manifest]);
  const wires = new Wires("reader", play.random.bytes(32)),
    { liveRound } = instanceStreams(play.parameters);
  const committee = { epochs, lineage: lineageOf(play) };
  const mirror = new Mirror({ network: wires, environment: wires.environment, committee });
  const dial = () => wires.dial(peerOf("reader", play.random.bytes(32)), liveRound);
  const early = dial();
  assert.deepEqual(early.sent, [], "there is none yet");
  const [one, two] = [1, 2].map((round) => play.open(play.header({ round })));
  for (const each of [one, two, one]) mirror.opened(each);
  const frame = (it: OpenedHeader) => new Writer().vector(encodeOpened(it)).end();
  assert.deepEqual(early.sent, [frame(one), frame(two)]);
  assert.deepEqual(dial().sent, [frame(two)], "who comes late gets the newest alone");
  const [, second] = extendLog(play, 2);
  mirror.record(epochs.chain().extend(second.bytes));
  assert.deepEqual(dial().sent, [], "it is over");
});
