/** The gate: predicates and validators, which of several tickets counts, what is asked anew. */
import assert from "node:assert/strict";
import type { CatalogView, PeerInfo } from "../../../src/universe/discovery/view.ts";
import { Gate, type Judgement } from "../../../src/universe/streams/gate.ts";
import { rttBelow, tagged, type TicketValidator } from "../../../src/universe/streams/options.ts";
import { simulated } from "./memory.ts";

const NOW = 1_800_000_000_000;

/** A peer that shows these tickets, written `class hash`. */
function peer(tickets: readonly string[], tags: readonly string[] = []): PeerInfo {
  return {
    id: "aa",
    key: new Uint8Array(32),
    addresses: [],
    tags: new Set(tags),
    streams: new Set(),
    instances: new Set(),
    tickets: tickets.map((it) => ({ class: it.split(" ")[0], hash: it.split(" ")[1] })),
  };
}

/** Bodies by hash, and how often each was asked for. */
class Bodies implements Pick<CatalogView, "ticket"> {
  readonly asked: string[] = [];
  constructor(readonly bodies: Readonly<Record<string, string>>) {}
  ticket(_: string, hash: string): Promise<Uint8Array | undefined> {
    this.asked.push(hash);
    const body = this.bodies[hash];
    if (body === "lost") return Promise.reject(new Error("nobody answers"));
    return Promise.resolve(body === undefined ? undefined : new TextEncoder().encode(body));
  }
}

/** A validator for which the body says until when, in milliseconds from now. */
function validator(name: string): TicketValidator {
  return {
    class: name,
    check(body) {
      const text = new TextDecoder().decode(body);
      const ms = Number(text);
      return Promise.resolve(
        Number.isNaN(ms) ? { refused: `not ${text}` } : { until: NOW + ms },
      );
    },
  };
}

function gateOf(names: readonly string[], bodies: Bodies, require = [tagged()]) {
  const environment = simulated().environment("gate", () => {});
  return new Gate(require, names.map(validator), bodies as never, environment);
}

const until = (ms: number): Judgement => ({ kind: "admitted", until: NOW + ms });

Deno.test("gate: the longest ticket of a class, the earliest of the classes", async () => {
  const bodies = new Bodies({ x: "100", y: "300", z: "200", old: "-1", bad: "good" });
  const gate = gateOf(["a", "b"], bodies);
  const judge = (...tickets: string[]) => gate.judge(peer(tickets), new Map());
  assert.deepEqual(await judge("a x", "a y", "b z"), until(200));
  assert.deepEqual(await judge("a x", "b z"), until(100));
  assert.deepEqual(await judge("a old", "a x", "b z"), until(100));
  assert.deepEqual(await judge("a bad", "a x", "b z"), until(100));
  assert.equal((await judge("a x")).kind, "refused");
  assert.equal((await judge("a x", "c z")).kind, "refused", "of another class");
  assert.equal((await judge("a old", "b z")).kind, "expired");
  const refused = await judge("a bad", "b z");
  assert.deepEqual(refused, { kind: "refused", reason: "not good" });
  assert.deepEqual(
    await gateOf([], bodies).judge(peer([]), new Map()),
    { kind: "admitted", until: Infinity },
  );
});

Deno.test("gate: a ticket that cannot be had is unknown, not refused", async () => {
  const bodies = new Bodies({ x: "100", gone: "lost" });
  const gate = gateOf(["a"], bodies);
  assert.equal((await gate.judge(peer(["a nowhere"]), new Map())).kind, "unknown");
  assert.equal((await gate.judge(peer(["a gone"]), new Map())).kind, "unknown");
  assert.equal((await gate.judge(peer(["a gone", "a x"]), new Map())).kind, "admitted");
  assert.equal((await gate.judge(undefined, new Map())).kind, "unknown");
});

Deno.test("gate: a validator that fails has refused nobody: it is asked again", async () => {
  const said: unknown[] = [];
  const environment = simulated().environment("gate", (...words) => said.push(words.slice(1)));
  const bodies = new Bodies({ x: "100" }), verdicts = new Map(), good = validator("a");
  let fails = true;
  const check: TicketValidator["check"] = (...words) => {
    if (fails) throw new Error("no list of keys now");
    return good.check(...words);
  };
  const gate = new Gate([], [{ class: "a", check }], bodies as never, environment);
  const judge = () => gate.judge(peer(["a x"]), verdicts);
  assert.equal((await judge()).kind, "unknown");
  const fields = { peer: "aa", class: "a", reason: "no list of keys now" };
  assert.deepEqual(said, [["validator failed", fields]]);
  fails = false;
  assert.deepEqual(await judge(), until(100));
});

Deno.test("gate: what was checked is not checked again while the entry names it", async () => {
  const bodies = new Bodies({ x: "100", y: "bad" });
  const gate = gateOf(["a"], bodies), verdicts = new Map();
  for (let i = 0; i < 3; i++) await gate.judge(peer(["a x", "a y"]), verdicts);
  assert.deepEqual(bodies.asked, ["x", "y"]);
  await gate.judge(peer(["a y"]), verdicts);
  assert.equal(verdicts.size, 1, "what is not named any more is forgotten");
  await gate.judge(peer(["a x", "a y"]), verdicts);
  assert.deepEqual(bodies.asked, ["x", "y", "x"]);
  const many = Array.from({ length: 100 }, (_, i) => `a h${i}`);
  const before = bodies.asked.length;
  await gate.judge(peer(many), new Map());
  assert.equal(bodies.asked.length - before, 8, "no more than eight of a class");
});

Deno.test("gate: predicates are ANDed, and one that throws refuses", async () => {
  const bodies = new Bodies({});
  const gate = (...require: ((peer: PeerInfo) => boolean)[]) => gateOf([], bodies, require);
  const kind = async (it: Gate, tags: string[], rtt?: number) =>
    (await it.judge({ ...peer([], tags), ...(rtt !== undefined && { rtt }) }, new Map())).kind;
  assert.equal(await kind(gate(tagged("x"), tagged("y")), ["x", "y"]), "admitted");
  assert.equal(await kind(gate(tagged("x"), tagged("y")), ["x"]), "refused");
  assert.equal(await kind(gate(tagged("x", "y")), ["y"]), "refused");
  assert.equal(await kind(gate(rttBelow(100)), [], 100), "refused");
  assert.equal(await kind(gate(rttBelow(100)), [], 99), "admitted");
  assert.equal(await kind(gate(rttBelow(100)), []), "admitted");
  const throws = () => {
    throw new Error("a predicate's mistake");
  };
  assert.equal(await kind(gate(throws), []), "refused");
});
