/** Watching over children and ending them, with children that are played. */
import { deepEqual, equal, match, throws } from "node:assert/strict";
import type { Clock } from "../../src/universe/environment.ts";
import type { Process } from "../../testnet/child.ts";
import type { Command } from "../../testnet/command.ts";
import { Fleet } from "../../testnet/fleet.ts";

const UP = '{"up":true,"role":"client","peer":"ab","addresses":[]}\n';

/** A clock that a test moves. */
function manualClock() {
  const timers = new Set<() => void>();
  const clock: Clock = {
    now: () => 0,
    wall: () => 0,
    after(_, task) {
      timers.add(task);
      return () => timers.delete(task);
    },
  };
  return { clock, timers, fire: () => [...timers].forEach((task) => task()) };
}

/** A process that does as it is told. */
class Played implements Process {
  readonly signals: string[] = [];
  readonly heard: string[] = [];
  readonly #out = new TransformStream<Uint8Array, Uint8Array>();
  readonly #log = new TransformStream<Uint8Array, Uint8Array>();
  readonly #end = Promise.withResolvers<{ code: number; signal: string | null }>();
  readonly stdin = new WritableStream<Uint8Array>({
    write: (chunk) => void this.heard.push(new TextDecoder().decode(chunk)),
    close: () => void this.heard.push("end"),
  });
  readonly stdout = this.#out.readable;
  readonly stderr = this.#log.readable;
  readonly status = this.#end.promise;
  readonly #say = this.#out.writable.getWriter();
  readonly #warn = this.#log.writable.getWriter();
  constructor(readonly obeys: readonly string[]) {}
  say(text: string) {
    return this.#say.write(new TextEncoder().encode(text));
  }
  warn(text: string) {
    return this.#warn.write(new TextEncoder().encode(text));
  }
  kill(signal: "SIGTERM" | "SIGKILL") {
    this.signals.push(signal);
    if (this.obeys.includes(signal)) this.end(0, signal);
  }
  end(code: number, signal: string | null = null) {
    this.#end.resolve({ code, signal });
    this.#say.close().catch(() => {});
    this.#warn.close().catch(() => {});
  }
}

const ALL = ["SIGTERM", "SIGKILL"];
const command = (name: string): Command => ({ role: "client", name, args: [], env: {} });

function fleet(...played: Played[]) {
  const time = manualClock();
  const waiting = [...played];
  return { ...time, fleet: new Fleet(() => waiting.shift()!, time.clock) };
}

Deno.test("a child says that it is up, then is heard line by line", async () => {
  const process = new Played(ALL);
  const { fleet: it } = fleet(process);
  const said = Promise.withResolvers<unknown>();
  const child = it.start(command("client 0"), { said: said.resolve });
  process.say(UP.slice(0, 20));
  process.say(UP.slice(20) + '{"ready":true}\n');
  deepEqual((await child.up).addresses, []);
  deepEqual(await said.promise, { ready: true });
  child.say({ id: "c0-0", message: "a\nb" });
  await it.stop();
  deepEqual(process.heard, ['{"id":"c0-0","message":"a\\nb"}\n', "end"]);
});

Deno.test("a child that dies before its first line is reported as that, with its last words", async () => {
  const process = new Played(ALL);
  const { fleet: it, timers, fire } = fleet(process);
  const child = it.start(command("server 1"));
  process.warn("cannot listen\n");
  process.end(3);
  await child.ended;
  equal(timers.size, 1, "a grace first: Ctrl-C may have reached it before us");
  fire();
  const { name, wasUp, code, lastWords } = await it.broken;
  deepEqual([name, wasUp, code, lastWords], ["server 1", false, 3, ["cannot listen"]]);
  await it.stop();
});

Deno.test("what dies in the grace before a stop is no accident", async () => {
  const process = new Played(ALL);
  const { fleet: it, fire } = fleet(process);
  let broken = false;
  it.broken.then(() => broken = true);
  const child = it.start(command("client 0"));
  process.end(0);
  await child.ended;
  const stopped = it.stop();
  fire();
  await stopped;
  equal(broken, false);
});

Deno.test("output that is no JSON, and a first line that is another, end a child", async () => {
  for (
    const [text, expected] of [["panic\n", /expected a JSON line/], ["{}\n", /first line/]] as const
  ) {
    const process = new Played(ALL);
    const { fleet: it } = fleet(process);
    const child = it.start(command("reader 0"));
    process.say(text).catch(() => {});
    match((await child.ended).fault!, expected);
    deepEqual(process.signals, ["SIGKILL"]);
  }
});

Deno.test("stop asks, then kills who did not listen; twice is once; nothing starts after it", async () => {
  const polite = new Played(ALL), deaf = new Played(["SIGKILL"]);
  const { fleet: it, fire } = fleet(polite, deaf);
  it.start(command("client 0"));
  it.start(command("client 1"));
  const stopped = it.stop();
  equal(it.stop(), stopped);
  throws(() => it.start(command("client 2")), /the testnet stops/);
  deepEqual(deaf.signals, ["SIGTERM"]);
  fire();
  await stopped;
  deepEqual(deaf.signals, ["SIGTERM", "SIGKILL"]);
  deepEqual(polite.heard, ["end"]);
});
