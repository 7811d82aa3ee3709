/**
 * What every engine must do. An engine brings a group in a world and says what it promises beyond
 * that; the cases are the same.
 */
import { deepEqual, equal, notEqual, ok, throws } from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { MAX_COMMAND_BYTES } from "../../src/committee/engine.ts";
import { type Capabilities, type Group, Mesh, type Place } from "./engine_mesh.ts";

/** An engine to be tested. */
export interface Subject extends Capabilities {
  readonly name: string;
  /** A new group of so many servers; the label makes its randomness. */
  open(servers: number, label: string): Group | Promise<Group>;
}

/** One case, to be run as a test of its own. */
export interface Case {
  readonly name: string;
  run(): Promise<void>;
}

type Body = (mesh: Mesh, subject: Subject) => Promise<void>;

/** A command that is found again by its number. */
function command(number: number, length = 100): Uint8Array {
  const out = new Uint8Array(length).fill(number);
  new DataView(out.buffer).setUint32(0, number);
  return out;
}

/** Commands `from` to before `to`, offered at the places in turn. */
function offers(mesh: Mesh, from: number, to: number, among = mesh.up) {
  return Array.from({ length: to - from }, (_, i) =>
    [
      among[i % among.length].index,
      command(from + i),
    ] as const);
}

/** What all of one list says, before the other goes on: neither has a gap. */
function prefix(short: readonly string[], long: readonly string[]): void {
  deepEqual(short, long.slice(0, short.length));
}

const CASES: Readonly<Record<string, Body>> = {
  "commands offered at every server reach all, in one order": async (mesh) => {
    mesh.startAll();
    await mesh.led();
    await mesh.order(offers(mesh, 0, 30));
    const list = await mesh.same();
    equal(new Set(list).size, 30);
  },

  "a burst of commands from everywhere": async (mesh) => {
    mesh.startAll();
    await mesh.led();
    await mesh.order(offers(mesh, 0, 600));
    equal(new Set(await mesh.same()).size, 600);
  },

  "all that one server offers in one go is applied in that order": async (mesh) => {
    mesh.startAll();
    const leader = await mesh.led();
    for (const { index } of [mesh.places[leader], mesh.places.at(-1)!]) {
      const own = Array.from({ length: 20 }, (_, i) => [index, command(1000 * index + i)] as const);
      await mesh.order(own);
      const names = own.map(([, it]) => hex(it));
      const seen = [...new Set((await mesh.same()).filter((it) => names.includes(it)))];
      deepEqual(seen, names);
    }
  },

  "the leader knows who is present": async (mesh) => {
    mesh.startAll();
    const leader = await mesh.led();
    const present = () => [...mesh.places[leader].engine!.present].sort().join();
    await mesh.until("all are present", () => present() === mesh.places.map((_, i) => i).join());
    const other = mesh.up.findLast(({ index }) => index !== leader)!.index;
    mesh.stop(other);
    await mesh.until("one is away", () =>
      present() === mesh.up.map(({ index }) => index).join() &&
      mesh.places[leader].engine!.leader === leader);
  },

  "who comes late gets everything": async (mesh) => {
    const late = mesh.places.at(-1)!.index;
    for (const { index } of mesh.places) mesh.start(index);
    await mesh.led();
    await mesh.order(offers(mesh, 0, 20));
    mesh.stop(late);
    await mesh.order(offers(mesh, 20, 60));
    mesh.group.forget(late);
    mesh.start(late);
    await mesh.order(offers(mesh, 60, 80));
    equal(new Set(await mesh.same()).size, 80);
  },

  "a server that restarts with its memory gets everything": async (mesh) => {
    mesh.startAll();
    const leader = await mesh.led();
    const other = mesh.up.find(({ index }) => index !== leader)!.index;
    await mesh.order(offers(mesh, 0, 20));
    mesh.stop(other);
    await mesh.order(offers(mesh, 20, 40));
    mesh.start(other);
    await mesh.order(offers(mesh, 40, 60));
    equal(new Set(await mesh.same()).size, 60);
  },

  "so long an order that snapshots are made, and who comes late": async (mesh) => {
    const late = mesh.places.at(-1)!.index;
    mesh.startAll();
    await mesh.led();
    await mesh.order(offers(mesh, 0, 700));
    mesh.stop(late);
    for (let from = 700; from < 2_800; from += 700) {
      await mesh.order(offers(mesh, from, from + 700));
    }
    mesh.group.forget(late);
    mesh.start(late);
    await mesh.order(offers(mesh, 2_800, 2_830));
    equal(new Set(await mesh.same()).size, 2_830);
  },

  "a server whose links end and come back": async (mesh) => {
    mesh.startAll();
    const leader = await mesh.led();
    const other = mesh.places.find(({ index }) => index !== leader)!;
    await mesh.order(offers(mesh, 0, 20));
    mesh.leave(other.index);
    await mesh.until("it is not led", () => other.engine!.leader === undefined);
    const before = [...other.list];
    const rest = mesh.up.filter((place) => place !== other);
    await mesh.led(rest);
    other.engine!.propose(command(99));
    await mesh.order(offers(mesh, 20, 40, rest), rest);
    deepEqual(other.list, before);
    mesh.join(other.index);
    await mesh.led();
    await mesh.order([...offers(mesh, 40, 60), [other.index, command(99)]]);
    const list = await mesh.same();
    equal(new Set(list).size, 61);
    prefix(before, list);
  },

  "the leader ends": async (mesh, { failover, durable }) => {
    mesh.startAll();
    const first = await mesh.led();
    await mesh.order(offers(mesh, 0, 20));
    const before = [...await mesh.same()];
    mesh.stop(first);
    if (failover) {
      const second = await mesh.led();
      notEqual(second, first);
      await mesh.order(offers(mesh, 20, 40));
      prefix(before, await mesh.same());
    } else {
      await mesh.until(
        "nobody is led",
        () => mesh.up.every(({ engine }) => engine!.leader === undefined),
      );
      for (const { engine } of mesh.up) engine!.propose(command(20));
      await mesh.group.world.advance(2_000);
      for (const { list } of mesh.up) deepEqual(list, before);
    }
    mesh.start(first);
    await mesh.led();
    await mesh.order(offers(mesh, 40, 60));
    const list = await mesh.same();
    if (failover || durable) prefix(before, list);
  },

  "the leader is cut off, and comes back": async (mesh, { failover }) => {
    mesh.startAll();
    const first = await mesh.led();
    await mesh.order(offers(mesh, 0, 20));
    const before = [...await mesh.same()];
    mesh.leave(first);
    const rest = mesh.up.filter(({ index }) => index !== first);
    if (failover) {
      await mesh.led(rest);
      mesh.places[first].engine!.propose(command(77));
      await mesh.order(offers(mesh, 20, 40, rest), rest);
    }
    mesh.join(first);
    await mesh.led();
    await mesh.order(offers(mesh, 40, 60));
    prefix(before, await mesh.same());
  },

  "all end and come back": async (mesh, { durable }) => {
    mesh.startAll();
    await mesh.led();
    await mesh.order(offers(mesh, 0, 50));
    const before = [...await mesh.same()];
    for (const { index } of mesh.up) mesh.stop(index);
    mesh.startAll();
    await mesh.led();
    await mesh.order(offers(mesh, 50, 60));
    const list = await mesh.same();
    if (durable) prefix(before, list);
    else equal(new Set(list).size, 10);
  },

  "a command is at most as long as is said": async (mesh) => {
    mesh.startAll();
    await mesh.led();
    for (const { engine } of mesh.up) {
      const long = new Uint8Array(MAX_COMMAND_BYTES + 1);
      throws(() => engine!.propose(long), (error) => error instanceof ProtocolError);
    }
    await mesh.order(mesh.up.map(({ index }) => [index, command(index, MAX_COMMAND_BYTES)]));
    equal(new Set(await mesh.same()).size, mesh.places.length);
  },

  "what is applied may propose": async (mesh) => {
    mesh.startAll();
    const leader = await mesh.led();
    const chain = (place: Place) => {
      place.onApply = (applied) => {
        const number = parseInt(applied.slice(0, 8), 16);
        if (number < 10) place.engine!.propose(command(number + 1));
      };
    };
    chain(mesh.places[leader]);
    chain(mesh.places.at(-1)!);
    await mesh.order([[leader, command(0)]]);
    const last = hex(command(10));
    await mesh.until("the chain ends", () => mesh.up.every(({ list }) => list.includes(last)));
    await mesh.same();
  },

  "noise of a server that does not lead is refused or does nothing": async (mesh) => {
    mesh.startAll();
    const leader = await mesh.led();
    await mesh.order(offers(mesh, 0, 10));
    const liar = mesh.up.findLast(({ index }) => index !== leader)!.index;
    const { random } = mesh.places[liar].environment;
    const lengths = [0, 1, 2, 8, 33, 200, MAX_COMMAND_BYTES + 1, 2 ** 20];
    const heads = [0, 1, 2, 3, 4, 5, 6, 7, 8, 127, 255];
    for (const { index, engine } of mesh.up) {
      if (index === liar) continue;
      for (const length of lengths) {
        for (const head of heads) {
          const noise = random(length);
          if (length > 0) noise[0] = head;
          try {
            engine!.receive(liar, noise);
          } catch (error) {
            ok(error instanceof ProtocolError, `${error}`);
          }
        }
      }
    }
    await mesh.led();
    await mesh.order(offers(mesh, 10, 30));
    await mesh.same();
  },

  "a stopped engine does nothing": async (mesh) => {
    mesh.startAll();
    await mesh.led();
    const engines = mesh.up.map(({ engine }) => engine!);
    for (const { engine } of mesh.up) engine!.propose(command(1));
    for (const { index } of [...mesh.up]) mesh.stop(index);
    await mesh.until("nothing is under way", () => mesh.flying === 0);
    for (const engine of engines) {
      engine.stop();
      engine.propose(command(2));
      engine.connected(0);
      engine.disconnected(0);
    }
    await mesh.group.world.advance(3_000);
    for (const { late } of mesh.places) equal(late, 0, "calls or timers after the end");
  },
};

/** All cases, for groups of these sizes. */
export function conformance(subject: Subject, sizes: readonly number[] = [3, 5]): Case[] {
  return sizes.flatMap((servers) =>
    Object.entries(CASES).map(([title, body]) => {
      const name = `${subject.name}, ${servers} servers: ${title}`;
      return {
        name,
        async run() {
          const mesh = new Mesh(await subject.open(servers, name), servers);
          try {
            await body(mesh, subject);
          } catch (error) {
            for (const { index } of mesh.up) mesh.stop(index);
            await mesh.group.close();
            throw error;
          }
          await mesh.close();
        },
      };
    })
  );
}
