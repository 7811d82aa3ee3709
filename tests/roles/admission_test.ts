/** The gate before a server's streams: bounds, pauses, and what the log says. */
import assert from "node:assert/strict";
import { Dialing } from "../../src/committee/handshake.ts";
import {
  FREE_FAILURES,
  HANDSHAKE_MS,
  MAX_PAUSE_MS,
  MAX_UNPROVEN,
  PAUSE_MS,
} from "../../src/roles/admission.ts";
import { concat, hex, u64 } from "../../src/protocol/bytes.ts";
import { PRESETS } from "../../src/protocol/parameters.ts";
import { committeeStream, genesisStream } from "../../src/roles/streams.ts";
import type { Peer } from "../../src/universe/network.ts";
import { Random } from "../protocol/random.ts";
import { answers, COMMITTEE_SECRET, gateOf, joins, peerOf, type Wire, Wires } from "./wire.ts";

const COMMITTEE = committeeStream(0), GENESIS = genesisStream(PRESETS.dev);

const INSTANCE = new Uint8Array(32).fill(7), SEED = (n: number) => new Uint8Array(32).fill(n);
const WRONG = new TextEncoder().encode("not the secret of it");
const [ONE, TWO] = [peerOf("server", SEED(11)), peerOf("server", SEED(12))];

/** A server's gate on one kind, and what came through it. */
function gate(refuses: (peer: Peer) => string | undefined = () => undefined) {
  const wires = new Wires("server", SEED(1)), it = gateOf(wires, INSTANCE);
  const heard: string[] = [];
  it.serve(COMMITTEE, refuses, (stream) => {
    stream.send(new TextEncoder().encode("welcome"));
    return {
      frame: (bytes) => void heard.push(new TextDecoder().decode(bytes)),
      closed: (reason) => void heard.push(`closed: ${reason}`),
    };
  });
  return { wires, it, heard };
}

/** A peer tries a secret that is wrong. */
async function fails(wires: Wires, peer: Peer): Promise<Wire> {
  const wire = wires.dial(peer, COMMITTEE), { random } = wires.environment;
  const channel = {
    instance: INSTANCE,
    kind: COMMITTEE.name,
    dialer: peer.key,
    answerer: wires.self.key,
  };
  const dialing = new Dialing(random, channel, WRONG, 0);
  wire.frame(dialing.first);
  wire.frame(dialing.reply(wire.sent[0]));
  await Promise.resolve();
  return wire;
}

Deno.test("gate: who proves the secret is heard, in order, and the owner may send at once", () => {
  const { wires, heard } = gate();
  const wire = joins(wires, ONE, COMMITTEE, INSTANCE);
  assert.deepEqual(wire.sent.map((bytes) => new TextDecoder().decode(bytes)), ["welcome"]);
  assert.equal(wire.longest, COMMITTEE.maxFrame);
  for (const word of ["a", "b"]) wire.frame(new TextEncoder().encode(word));
  assert.deepEqual(heard, ["a", "b"]);
});

Deno.test("gate: a wrong secret sees its stream closed; the reason, and no secret, is in the log", async () => {
  const { wires, heard } = gate();
  const wire = await fails(wires, ONE);
  assert.equal(wire.sent.length, 1, "no confirmation was sent");
  assert.ok(wire.closed);
  assert.deepEqual(heard, []);
  const [line] = wires.log.filter(({ event }) => event === "server refused");
  assert.equal(line.fields!.peer, ONE.id);
  assert.match(String(line.fields!.reason), /did not prove .*another committee secret/);
  assert.ok(!JSON.stringify(wires.log).includes(new TextDecoder().decode(COMMITTEE_SECRET)));
});

Deno.test("gate: whom the owner refuses gets no share", () => {
  const { wires } = gate(({ role }) => role === "server" ? undefined : `${role}s never`);
  for (const role of ["aggregator", "client", "reader"] as const) {
    assert.throws(() => wires.dial(peerOf(role, SEED(20)), COMMITTEE), /refused/);
  }
  assert.deepEqual(
    wires.log.map(({ event, fields }) => `${event}: ${fields!.reason}`),
    ["aggregators never", "clients never", "readers never"].map((it) => `server refused: ${it}`),
  );
});

Deno.test("gate: a guess is a connection, and after some failures there are pauses that grow", async () => {
  const { wires } = gate();
  const pauses: number[] = [];
  await fails(wires, ONE);
  for (let n = 0; n < 12; n++) {
    let pause = 0;
    for (;; pause += 500) {
      try {
        joins(wires, TWO, COMMITTEE, INSTANCE).close(); // another peer does not wait
        await fails(wires, ONE);
        break;
      } catch (error) {
        assert.match(String(error), /again/);
        await wires.pass(500);
      }
    }
    pauses.push(pause);
  }
  const expected = Array.from(
    { length: 12 },
    (_, n) =>
      n + 1 < FREE_FAILURES ? 0 : Math.min(PAUSE_MS * 2 ** (n + 1 - FREE_FAILURES), MAX_PAUSE_MS),
  );
  assert.deepEqual(pauses, expected);
  await wires.pass(MAX_PAUSE_MS);
  joins(wires, ONE, COMMITTEE, INSTANCE);
  await fails(wires, ONE);
  assert.ok(wires.dial(ONE, COMMITTEE), "success forgives what was before");
});

const stranger = (n: number) => peerOf("server", concat(u64(100 + n), new Uint8Array(24)));

Deno.test("gate: unproven streams are few, short and small", async () => {
  const { wires } = gate();
  const silent = Array.from(
    { length: MAX_UNPROVEN },
    (_, n) => wires.dial(stranger(n), COMMITTEE),
  );
  await wires.pass(HANDSHAKE_MS);
  assert.ok(silent.every(({ closed }) => closed?.includes(`within ${HANDSHAKE_MS} ms`)));
  const wire = wires.dial(ONE, COMMITTEE);
  wire.frame(new Uint8Array(97));
  assert.match(wire.closed!, /over 96 bytes/);
});

Deno.test("gate: however many say nothing, who proves the secret gets to it", async () => {
  const { wires } = gate();
  const silent = Array.from({ length: 3 * MAX_UNPROVEN }, (_, n) => {
    const wire = wires.dial(stranger(n), COMMITTEE);
    joins(wires, stranger(1_000 + n), COMMITTEE, INSTANCE);
    return wire;
  });
  const open = silent.filter(({ closed }) => closed === undefined);
  assert.deepEqual(open, silent.slice(1 - MAX_UNPROVEN), "the oldest gave way");
  await Promise.resolve();
  for (let tries = 0; tries < FREE_FAILURES; tries++) wires.dial(stranger(0), COMMITTEE);
  assert.ok(wires.dial(stranger(0), COMMITTEE), "who gave way failed nothing");
});

Deno.test("gate: a peer has one unproven stream, the newest", () => {
  const { wires } = gate(), first = wires.dial(stranger(0), COMMITTEE);
  const rest = Array.from(
    { length: MAX_UNPROVEN - 1 },
    (_, n) => wires.dial(stranger(n + 1), COMMITTEE),
  );
  const second = wires.dial(stranger(0), COMMITTEE);
  assert.match(first.closed!, /took its place/);
  assert.deepEqual([second, ...rest].filter(({ closed }) => closed !== undefined), []);
});

Deno.test("gate: who proved the secret once keeps its place while others push", async () => {
  const { wires } = gate();
  joins(wires, ONE, COMMITTEE, INSTANCE).close();
  await Promise.resolve();
  const wire = wires.dial(ONE, COMMITTEE);
  for (let n = 0; n < 2 * MAX_UNPROVEN; n++) wires.dial(stranger(n), COMMITTEE);
  assert.equal(wire.closed, undefined);
});

for (const leaves of [true, false]) {
  const how = leaves ? "leaves" : "says nothing";
  Deno.test(`gate: who ${how} before the proof pauses, like who says something wrong`, async () => {
    const { wires } = gate();
    for (let n = 0; n < FREE_FAILURES; n++) {
      const wire = wires.dial(ONE, COMMITTEE);
      if (leaves) wire.close("closed by the peer");
      await wires.pass(leaves ? 1 : HANDSHAKE_MS);
    }
    assert.throws(() => wires.dial(ONE, COMMITTEE), /again in/);
    await wires.pass(PAUSE_MS);
    assert.ok(wires.dial(ONE, COMMITTEE));
  });
}

Deno.test("gate: garbage ends the stream and nothing else, whatever it is", async () => {
  const { wires, heard } = gate();
  const random = new Random(4_100);
  for (let n = 0; n < 200; n++) {
    const wire = wires.dial(peerOf("server", random.bytes(32)), COMMITTEE);
    for (let k = 0; k < 3 && wire.closed === undefined; k++) {
      wire.frame(random.bytes(random.pick([0, 1, 33, 64, 96, 97, random.below(200)])));
    }
    assert.ok(wire.closed !== undefined, `seed 4100, run ${n}`);
    await Promise.resolve();
  }
  assert.deepEqual(heard, []);
});

Deno.test("gate: a dialer holds the other side to the secret too, and pauses after guesses", async () => {
  const wires = new Wires("server", SEED(1)), it = gateOf(wires, INSTANCE), heard: string[] = [];
  const dial = async () => {
    await wires.open(
      ONE,
      GENESIS,
      it.dialing(GENESIS, () => {
        heard.push("proven");
        return { frame: (bytes) => void heard.push(String(bytes)), closed: () => {} };
      }),
    );
    return wires.to(GENESIS)[0];
  };
  answers(wires, await dial(), INSTANCE).frame(Uint8Array.of(5));
  assert.deepEqual(heard, ["proven", "5"]);
  wires.opened.length = 0;
  for (let n = 0; n < FREE_FAILURES; n++) {
    assert.ok(it.ready(ONE));
    const wire = await dial();
    assert.throws(() => answers(wires, wire, new Uint8Array(32)), /another committee secret/);
    assert.equal(wire.closed, undefined, "the answerer closes it");
    wire.close("closed by the peer");
    await Promise.resolve();
  }
  assert.deepEqual(heard, ["proven", "5"]);
  assert.ok(!it.ready(ONE), "an answerer gets its guess by being dialed");
  assert.ok(it.ready(TWO));
  await wires.pass(PAUSE_MS);
  assert.ok(it.ready(ONE));
});

Deno.test("gate: servers that change their secret one after the other meet at every step", async () => {
  const [old, fresh] = [COMMITTEE_SECRET, WRONG];
  const steps = [[old], [old, fresh], [fresh, old], [fresh]];
  for (const [a, mine] of steps.entries()) {
    for (const [b, theirs] of steps.entries()) {
      const near = new Wires("server", SEED(1)), far = new Wires("server", SEED(2));
      let proven = 0, dials = 0;
      gateOf(far, INSTANCE, theirs).serve(COMMITTEE, () => undefined, () => {
        proven++;
        return { frame() {}, closed() {} };
      });
      const it = gateOf(near, INSTANCE, mine);
      while (proven === 0 && dials < 4) {
        if (!it.ready(far.self)) await Promise.all([near.pass(2_000), far.pass(2_000)]);
        await near.open(
          far.self,
          COMMITTEE,
          it.dialing(COMMITTEE, () => {
            proven++;
            return { frame() {}, closed() {} };
          }),
        );
        const out = near.to(COMMITTEE)[0], back = far.dial(near.self, COMMITTEE);
        back.frame(out.sent[0]);
        out.frame(back.sent[0]);
        back.frame(out.sent[1]);
        if (back.closed) out.close("closed by the peer");
        else out.frame(back.sent[1]);
        await Promise.resolve();
        dials++;
      }
      const shared = mine.some((secret) => theirs.includes(secret));
      assert.equal(proven, shared ? 2 : 0, `step ${a} dials step ${b}`);
      if (Math.abs(a - b) < 2) assert.ok(dials <= 2, `${dials} runs from step ${a} to ${b}`);
    }
  }
});

/** Servers with a ticket, and who listens for changes. */
class Tickets {
  readonly held = new Set<string>();
  readonly #listeners: ((key: Uint8Array, refusal: string | undefined) => void)[] = [];
  refusal(key: Uint8Array): string | undefined {
    return this.held.has(hex(key)) ? undefined : "no ticket";
  }
  onChange(listener: (key: Uint8Array, refusal: string | undefined) => void): () => void {
    this.#listeners.push(listener);
    return () => {};
  }
  set(peer: Peer, refusal?: string): void {
    if (refusal === undefined) this.held.add(peer.id);
    else this.held.delete(peer.id);
    for (const listener of this.#listeners) listener(peer.key, refusal);
  }
}

Deno.test("gate: without a ticket nobody comes near the handshake, whose ticket ends is cut", async () => {
  const wires = new Wires("server", SEED(1)), tickets = new Tickets();
  const it = gateOf(wires, INSTANCE, undefined, tickets), heard: string[] = [];
  it.serve(COMMITTEE, () => undefined, () => ({
    frame: () => void heard.push("frame"),
    closed: (reason) => void heard.push(reason),
  }));
  assert.throws(() => wires.dial(ONE, COMMITTEE), "it is not answered");
  assert.equal(it.ready(ONE), false);
  tickets.set(ONE);
  tickets.set(TWO);
  assert.equal(it.ready(ONE), true);
  const one = joins(wires, ONE, COMMITTEE, INSTANCE), two = joins(wires, TWO, COMMITTEE, INSTANCE);
  tickets.set(ONE, "ticket-expired");
  await Promise.resolve();
  assert.ok(one.closed);
  assert.equal(two.closed, undefined);
  assert.deepEqual(heard, ["ticket-expired"]);
  // One whose ticket ends in the midst of the handshake does not come in either.
  const wire = wires.dial(TWO, COMMITTEE), { random } = wires.environment;
  const channel = { instance: INSTANCE, kind: COMMITTEE.name };
  const keys = { dialer: TWO.key, answerer: wires.self.key };
  const dialing = new Dialing(random, { ...channel, ...keys }, COMMITTEE_SECRET, 0);
  wire.frame(dialing.first);
  tickets.set(TWO, "pck-revoked");
  wire.frame(dialing.reply(wire.sent[0]));
  await Promise.resolve();
  assert.ok(wire.closed);
});

Deno.test("gate: who keeps coming without a ticket is logged, once", async () => {
  const wires = new Wires("server", SEED(1));
  const it = gateOf(wires, INSTANCE, undefined, new Tickets());
  it.serve(COMMITTEE, () => undefined, () => ({ frame() {}, closed() {} }));
  const told = () => wires.log.filter(({ event }) => event === "server refused");
  for (let second = 0; second < 10; second++) {
    assert.throws(() => wires.dial(ONE, COMMITTEE));
    assert.equal(told().length, second < 6 ? 0 : 1);
    await wires.pass(1_000);
  }
  assert.match(String(told()[0].fields!.reason), /it is not attested: no ticket/);
});
