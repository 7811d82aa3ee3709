/** A program at an attested instance: what it names, what it shows, and what it is told. */
import assert from "node:assert/strict";
import { simulatedSource } from "../../src/attest/quote_source.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import { type BindOptions, Zipnet } from "../../src/mod.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { SimulatedInstance } from "../../src/roles/simulated.ts";

const names = (image: string) => {
  const { mrTd, rtmr1, rtmr2 } = simulatedMeasurements(image);
  return { mrTd: [hex(mrTd)], rtmr1: [hex(rtmr1)], rtmr2: [hex(rtmr2)] };
};

/** An attested instance, and a program that binds to it. */
async function stage(clients: boolean) {
  const world = new SimulatedInstance({ seed: 5, clients: 3, attested: { clients } });
  await world.start();
  assert.ok(await world.run(() => world.rounds >= 2, 60_000));
  const anchor = world.attestation!.authority.root.der;
  const bind = (options: BindOptions) =>
    Zipnet.bind("mosaik.universe", "simulated", { ...world.binding("me"), ...options });
  const quote = (data: Uint8Array) =>
    simulatedSource(world.attestation!.platform("me")).quote(data);
  return { world, anchor, bind, quote };
}

const failure = async (promise: Promise<unknown>) =>
  await promise.then(() => assert.fail("it was let in"), (error: Error) => error);

Deno.test("sdk: measurements and a quote of one's own are enough to publish and to read", async () => {
  const { world, anchor, bind, quote } = await stage(true);
  const zipnet = bind({ anchor, measurements: names("zipnet"), quote });
  const submitter = await world.settle(zipnet.submitter());
  const { outcome } = submitter.send(new TextEncoder().encode("hello"));
  assert.equal((await world.settle(outcome)).kind, "landed");
  const reader = await world.settle(zipnet.reader());
  const { value } = await world.settle(reader[Symbol.asyncIterator]().next());
  assert.equal(new TextDecoder().decode(value.payload), "hello");
  await world.settle(zipnet.close());
});

Deno.test("sdk: other measurements, another root, or none where quotes are asked for", async () => {
  const { world, anchor, bind } = await stage(false);
  const refused = async (options: BindOptions, told: RegExp) => {
    const error = await world.settle(failure(bind(options).reader()));
    assert.equal(error.name, "Attestation", error.message);
    assert.match(error.message, told);
  };
  const measurements = names("other");
  await refused({ anchor, measurements, connectTimeout: 5_000 }, /^server .* not attested: mrtd: /);
  await refused({ measurements }, /under the anchor [0-9a-f]{64}, expected 44a0196b.*, Intel's$/);
  const odd = await failure(bind({ measurements: { mrTd: ["ab"] } }).reader());
  assert.equal(odd.name, "Protocol");
  assert.match(odd.message, /^mrTd: expected 96 hex digits/);
  const unattested = new SimulatedInstance({ seed: 6, clients: 3 });
  await unattested.start();
  const options = { ...unattested.binding("me"), measurements };
  const zipnet = Zipnet.bind("mosaik.universe", "simulated", options);
  const error = await unattested.settle(failure(zipnet.reader()));
  assert.match(error.message, /show no quotes/);
});

Deno.test("sdk: a publisher without a quote is told that one is asked for", async () => {
  const { world, anchor, bind } = await stage(true);
  const zipnet = bind({ anchor, measurements: names("zipnet") });
  const submitter = await world.settle(zipnet.submitter());
  const told = () => {
    try {
      submitter.send(new Uint8Array(1));
      return false;
    } catch (error) {
      assert.match((error as Error).message, /asks for an attested ticket/);
      return true;
    }
  };
  assert.ok(await world.run(told, 60_000));
  await world.settle(zipnet.close());
});
