/**
 * Run with all permissions by `partition_test.ts`, which may only start Deno: five servers as
 * processes in a network of their own, which is cut in two and three and heals. The aggregator, the
 * clients and one reader are with the three, the other reader is with the two.
 */
import { equal, ok } from "node:assert/strict";
import { SILENT_MS } from "../../src/universe/meet.ts";
import type { Command } from "../../testnet/command.ts";
import { Instance, type Node, sameStory, startPiped } from "./instance.ts";
import { Netns, SUBNET } from "./netns.ts";

/** Servers by side. */
const SIDES = [[0, 1, 2], [3, 4]] as const;
const CLIENTS = 4;
/** A cut that no connection dies of, in ms. */
const SHORT_MS = 1_000;

/** One cut, in Unix ms: from when nothing crosses any more to right before something may again. */
interface Cut {
  readonly from: number;
  readonly to: number;
}

/** Host of a process: each server has its own, the others share a server's. */
function hostOf(name: string): number {
  const [role, index] = name.split(" ");
  return role === "server" ? Number(index) : role === "reader" && index === "1" ? 3 : 0;
}

/** Lines of a server's log with this event. */
function events(node: Node, event: string, from = 0): Record<string, unknown>[] {
  return node.log.slice(from).split("\n").filter((line) => line.includes(`"event":"${event}"`))
    .map((line) => JSON.parse(line));
}

/** Records as a reader printed them, with the time at which each was opened. */
function records({ lines }: Node): { readonly round: number; readonly time: number }[] {
  return lines.filter((line) => "record" in line)
    .map(({ round, time }) => ({ round: Number(round), time: Number(time) }));
}

async function story(network: Netns): Promise<void> {
  const spawn = (command: Command) => {
    const [program, args] = network.on(hostOf(command.name), Deno.execPath(), command.args);
    return startPiped(program, args, { ...command.env, PATH: Deno.env.get("PATH")! });
  };
  const address = (name: string) => network.address(hostOf(name));
  const world = { net: { allow: SUBNET, address }, spawn };
  await using it = new Instance("partition", 5, () => ["--log", "debug"], world);
  await it.start(CLIENTS);
  const sent = new Map<unknown, string>();
  const speak = () => {
    for (const { child } of it.clients) {
      const id = `m${sent.size}`;
      const payload = crypto.getRandomValues(new Uint8Array(8 + sent.size % 200)).toBase64();
      sent.set(id, payload);
      child.say({ id, payload });
    }
  };
  const told = () => it.clients.flatMap(({ outcomes }) => [...outcomes.values()]);
  /** Waits until both readers have a round that was opened from now on. */
  const goesOn = async () => {
    const since = Date.now();
    const fresh = (node: Node) => records(node).some(({ time }) => time >= since);
    await it.until("rounds go on", () => it.readers.every(fresh));
    return Date.now() - since;
  };
  const cuts: Cut[] = [];
  const cut = async (name: string, healed: () => Promise<void>) => {
    speak();
    network.cut();
    const from = Date.now();
    speak();
    await healed();
    const to = Date.now();
    for (const [index, reader] of it.readers.entries()) {
      const fresh = records(reader).filter(({ time }) => time > from);
      equal(fresh.length, 0, `reader ${index} has rounds opened in the cut: ${fresh[0]?.round}`);
    }
    network.heal();
    cuts.push({ from, to });
    speak();
    const back = await goesOn();
    await it.until("every message has its outcome", () => told().length === sent.size);
    console.log(`${name}: cut for ${to - from} ms, rounds ${back} ms after it`);
  };
  /** Whether every server gave up on all servers of the other side, and each side dialed in vain. */
  const parted = (marks: readonly number[]) => () =>
    SIDES.every((side, here) => {
      const since = (event: string) =>
        side.map((index) => events(it.servers[index], event, marks[index]));
      return since("peer not reached").flat().length > 0 &&
        since("server away").every((lines) =>
          SIDES[1 - here].every((far) => lines.some(({ peer }) => peer === it.keys[far]))
        );
    });
  await goesOn();

  // Its length is the fault itself: nothing else here rests on a time.
  const short = () => new Promise<void>((resolve) => setTimeout(resolve, SHORT_MS));
  for (let i = 0; i < 3; i++) await cut("short", short);
  const marks = it.servers.map(({ log }) => log.length);
  await cut("long", () => it.until("all gave up on the other side", parted(marks)));
  ok(cuts.at(-1)!.to - cuts.at(-1)!.from >= SILENT_MS);

  for (const { id, outcome, reason } of told()) equal(outcome, "landed", `${id}: ${reason}`);
  const last = Math.max(...told().map(({ round }) => Number(round)));
  await it.until("both readers have it", () =>
    it.readers.every((reader) => (records(reader).at(-1)?.round ?? 0) >= last));
  const [a, b] = it.readers;
  sameStory(a.records, b.records);
  a.records.slice(1).forEach(({ previous }, i) => equal(previous, a.records[i].hash));
  judgeMessages(a, told(), sent);
  judgeCuts(it, cuts);
  ok(!it.logs.includes("equivocation"));
  console.log(`${sent.size} messages landed, 0 lost, 0 twice`);
}

/** Each message is where its sender was told, and nowhere else. */
function judgeMessages(
  reader: Node,
  told: readonly Record<string, unknown>[],
  sent: ReadonlyMap<unknown, string>,
): void {
  const landed = reader.records.flatMap(({ round, messages }) =>
    messages.map(({ slot, payload }) => ({ place: `${round}/${slot}`, payload }))
  );
  const places = new Map(landed.map(({ place, payload }) => [place, payload]));
  for (const { id, round, slot } of told) {
    equal(places.get(`${round}/${slot}`), sent.get(id), `${id} in round ${round}`);
  }
  equal(landed.length, sent.size, "a message landed twice");
}

/** What a server finalized in a cut was opened before it. */
function judgeCuts({ servers, readers }: Instance, cuts: readonly Cut[]): void {
  const opened = new Map(records(readers[0]).map(({ round, time }) => [round, time]));
  servers.forEach((server, index) => {
    const finalized = events(server, "round finalized");
    ok(finalized.length > 0, `server ${index} logs what it finalizes`);
    for (const { time, round } of finalized) {
      const at = Date.parse(String(time));
      const cut = cuts.find(({ from, to }) => at > from && at < to);
      if (cut) {
        ok(opened.get(Number(round))! <= cut.from, `server ${index} finalized ${round} in a cut`);
      }
    }
  });
}

if (import.meta.main) {
  using network = new Netns([SIDES[0].length, SIDES[1].length]);
  await story(network);
}
