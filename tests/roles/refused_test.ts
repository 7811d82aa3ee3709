/** Roles as programs and processes run them, whose committee changes or is lost. */
import assert from "node:assert/strict";

import { decodeLineage } from "../../src/protocol/lineage.ts";
import { Refused, Shutdown, Zipnet } from "../../src/mod.ts";
import { Aggregator } from "../../src/roles/aggregator.ts";
import { Client } from "../../src/roles/client.ts";
import { ReaderRole } from "../../src/roles/reader.ts";
import { followLog } from "../../src/roles/reading.ts";
import { telemetry } from "../../src/roles/telemetry.ts";
import { watchCommittee } from "../../src/roles/watch.ts";
import { instanceStreams, SERVER_REGISTRY } from "../../src/roles/streams.ts";
import { Play } from "../protocol/play.ts";
import { committeeOf, incomplete, lineageOf, registryOf } from "./changes.ts";
import { Sender } from "./sender.ts";
import { peerOf, Wires } from "./wire.ts";

/** Whoever is asked for the lineage lies, for some rounds of ten seconds each. */
async function lies(wires: Wires, lineage: Uint8Array, rounds: number, round = () => {}) {
  for (let i = 0; i < rounds; i++) {
    registryOf(wires)?.frame(lineage);
    round();
    await wires.pass(10_000);
  }
}

Deno.test("lying holders do not end a client that takes part, and do once its committee is gone", async () => {
  const s = await new Sender(550).begin(), refused: string[] = [];
  // It stays at its aggregator, silent or not, where there is no other.
  const { known } = s.wires, { id } = s.live.peer;
  known.splice(known.findIndex((peer) => peer.role === "aggregator" && peer.id !== id), 1);
  s.play.round();
  const lie = incomplete(s.play.next([0, 1], 1), [2]);
  Object.assign(s.play, { head: new Play(550).head });
  const watch = watchCommittee({
    network: s.wires,
    environment: s.wires.environment,
    instance: { id: s.play.manifest.instance, name: "example" },
    committee: { epochs: s.epochs, lineage: new Uint8Array() },
    timeout: 30_000,
    refused: (error) => void refused.push(`${error.exitCode} ${error.message}`),
  });
  s.alive = watch.alive;
  await s.wires.pass(1);
  await lies(s.wires, lie, 20, () => s.broadcasts.frame(s.record()));
  assert.equal(s.rounds, 20);
  await lies(
    s.wires,
    lie,
    20,
    () => assert.ok(s.show({ round: s.play.head.round + 1 + s.envelopes })),
  );
  assert.deepEqual(refused, [], "headers are a sign too");
  await lies(s.wires, lie, 4);
  assert.equal(refused.length, 1);
  assert.match(
    refused[0],
    /^4 example: epoch 1 lacks the signature of server .*: if you trust it, pin /,
  );
});

/** A program's node, which has met a committee, and one that lies about the next. */
function program(seed: number) {
  const play = new Play(seed), wires = new Wires("reader", play.random.bytes(32));
  wires.known.push(...play.servers.map((s) => peerOf("server", s.seed)));
  const meets = lineageOf(play);
  const bound = Zipnet.bind("mosaik.universe", "example", {
    network: () => wires,
    environment: wires.environment,
    connectTimeout: 30_000,
  });
  /** The first one asked answers, and later all lie. */
  const meet = async <T>(opening: Promise<T>): Promise<T> => {
    await wires.pass(1);
    registryOf(wires)!.frame(meets);
    return await opening;
  };
  const record = play.round().bytes;
  const lose = async () => {
    await wires.pass(1);
    await lies(wires, incomplete(play.next([0, 1], 1), [2]), 5);
  };
  return { play, wires, bound, meet, lose, record };
}

Deno.test("the iterations of a program's reader end with `Refused` after what was read", async () => {
  const { wires, bound, meet, lose, record, play } = program(551);
  const reader = await meet(bound.reader()), records = reader.records()[Symbol.asyncIterator]();
  await wires.pass(1);
  wires.to(instanceStreams(play.parameters).broadcasts)[0].frame(record);
  const first = await records.next(), next = records.next().catch((error) => error);
  assert.equal(first.value.round, 1);
  await lose();
  const error = await next;
  assert.ok(error instanceof Refused);
  assert.match(error.message, /^example: epoch 1 lacks the signature/);
  assert.equal(wires.opened.length, 0, "it asks nobody any more");
  await bound.close();
});

Deno.test("a program's submitter ends with `Refused`, and says so to who sends", async () => {
  const { bound, meet, lose } = program(552);
  const submitter = await meet(bound.submitter()), sent = submitter.send(Uint8Array.of(1));
  await lose();
  assert.deepEqual(await sent.outcome, { kind: "expired", reason: "refused" });
  assert.throws(
    () => submitter.send(Uint8Array.of(1)),
    (error) => error instanceof Refused && /epoch 1 lacks the signature/.test(error.message),
  );
  await bound.close();
});

for (const what of ["submitter", "reader"] as const) {
  Deno.test(`a ${what} that still joins when its program closes is not opened any more`, async () => {
    const { wires, bound, meet } = program(554);
    const opening = bound[what]().then(() => "opened", (error) => error);
    await wires.pass(0);
    await bound.close();
    const outcome = await meet(opening);
    assert.ok(outcome instanceof Shutdown, `${outcome}`);
    await wires.pass(60_000);
    assert.equal(wires.opened.length, 0, "it asks nobody any more");
  });
}

Deno.test("a reader's JSON has the lineage first, and again before an epoch's first record", async () => {
  const zero = new Play(553), wires = new Wires("reader", zero.random.bytes(32));
  wires.known.push(...zero.servers.map((s) => peerOf("server", s.seed)));
  const committee = committeeOf(zero), lines: Record<string, unknown>[] = [];
  const instance = { id: zero.manifest.instance, name: "example" };
  await followLog(
    {
      network: wires,
      environment: wires.environment,
      instance,
      options: { json: true, listen: [] },
      print: (line: string) => lines.push(JSON.parse(line)) > 0,
      up: () => Promise.resolve(),
      meet: () => Promise.resolve(committee),
      watch: (committee: Parameters<typeof watchCommittee>[0]["committee"], changed: () => void) =>
        watchCommittee({
          network: wires,
          environment: wires.environment,
          instance,
          committee,
          timeout: 30_000,
          changed,
          refused: assert.fail,
        }),
      onStop: () => {},
      telemetry: telemetry("reader", instance, undefined, wires.environment),
      fail: assert.fail,
    } as unknown as Parameters<typeof followLog>[0],
  );
  await wires.pass(1);
  const { broadcasts } = instanceStreams(zero.parameters);
  wires.to(broadcasts)[0].frame(zero.round().bytes);
  const one = zero.next([0, 1], 2);
  wires.to(SERVER_REGISTRY)[0].frame(lineageOf(one));
  await wires.pass(1_000);
  wires.to(broadcasts)[0].frame(one.round().bytes);
  const epochs = (line: Record<string, unknown>) =>
    decodeLineage(
      Uint8Array.from(atob(String(line.manifest)), (c) => c.charCodeAt(0)),
      instance.id,
    ).length;
  assert.deepEqual(
    lines.map((line) => "manifest" in line ? `epochs ${epochs(line)}` : line.round),
    [
      "epochs 1",
      1,
      "epochs 2",
      2,
    ],
  );
});

Deno.test("a role that was stopped listens to no change any more", () => {
  const play = new Play(554), { epochs, lineage } = committeeOf(play), subscribe = epochs.onChange;
  let listeners = 0;
  epochs.onChange = (listener) => {
    const end = subscribe.call(epochs, listener);
    listeners++;
    return () => {
      listeners--;
      end();
    };
  };
  const wires = new Wires("reader", play.random.bytes(32)), { environment } = wires;
  const common = { network: wires, environment, signer: play.clients[0].signer };
  const record = () => {};
  const reader = new ReaderRole({ ...common, epochs, from: 0, record, stopped: assert.fail });
  const client = new Client({ ...common, epochs, minParticipants: 3 });
  const aggregator = new Aggregator(common);
  aggregator.start({ epochs, lineage });
  assert.equal(listeners, 5);
  reader.stop();
  client.stop("over");
  aggregator.stop();
  assert.equal(listeners, 0);
});
