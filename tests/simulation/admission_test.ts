/** Committees form over the simulated network, and whoever does not belong stays out. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { PRESETS } from "../../src/protocol/parameters.ts";
import type { Seat } from "../../src/committee/change.ts";
import type { Formed } from "../../src/committee/formed.ts";
import type { Store } from "../../src/committee/release.ts";
import { Gate } from "../../src/roles/admission.ts";
import { Gathering } from "../../src/roles/gathering.ts";
import { SimulatedInstance } from "../../src/roles/simulated.ts";
import { durable, type DurableDisk } from "../../src/roles/simulated_disk.ts";
import { committeeStream, genesisStream } from "../../src/roles/streams.ts";
import type { Fields } from "../../src/universe/environment.ts";
import { MemoryUniverse } from "../../src/universe/memory.ts";
import type { Network, Role } from "../../src/universe/network.ts";

const COMMITTEE = committeeStream(0), GENESIS = genesisStream(PRESETS.dev);
/** A server that formed its committee, and no more. */
const IDLE: Seat = {
  closed: undefined,
  settled: undefined,
  hold() {},
  close: () => ({ refused: "close-head" }),
};

const text = new TextEncoder();
const SECRET = text.encode("a secret for simulations"), WRONG = text.encode("another one of them");

interface Options {
  readonly secrets?: readonly Uint8Array[];
  readonly size?: number;
  readonly roundPeriod?: number;
  readonly store?: Store;
  readonly instance?: string;
}

/** One server that gathers. */
interface Server {
  readonly network: Network;
  readonly key: string;
  readonly log: { event: string; fields: Fields }[];
  formed?: Formed;
  failed?: Error;
}

/** A universe with servers that gather, and no more. */
class World {
  readonly universe: MemoryUniverse;
  readonly #known: string[] = [];

  constructor(readonly seed: number, loss = 0) {
    this.universe = new MemoryUniverse({ seed, loss, delay: [1, 40] });
  }

  node(name: string, role: Role, log: Server["log"], instance = "gather") {
    const secret = this.universe.randomness(`secret of ${name}`).bytes(32);
    const environment = this.universe.environment(
      name,
      (_level, event, fields = {}) => void log.push({ event, fields }),
    );
    const network = this.universe.network({
      environment,
      secret,
      universe: universeId(),
      instance: instanceId(universeId(), instance),
      role,
      listen: role === "server" ? ["/memory/0"] : [],
      bootstrap: [...this.#known],
    });
    return { environment, network, signer: signer(secret) };
  }

  async server(name: string, options: Options = {}): Promise<Server> {
    const { secrets = [SECRET], size = 3, roundPeriod = 300, store = durable() } = options;
    const log: Server["log"] = [], { instance = "gather" } = options;
    const { environment, network, signer } = this.node(name, "server", log, instance);
    const it: Server = { network, key: hex(signer.key), log };
    const id = instanceId(universeId(), instance);
    const gathering = new Gathering({
      network,
      environment,
      gate: new Gate({ network, environment, instance: id, secrets }),
      signer,
      instance: id,
      size,
      parameters: { ...PRESETS.dev, roundPeriod },
      store,
      stands: (formed) => {
        it.formed = formed;
        return IDLE;
      },
      failed: (error) => void (it.failed = error as Error),
    });
    await network.start();
    this.#known.push(`/memory/${it.key}`);
    gathering.start();
    return it;
  }

  run(until: () => boolean, ms = 60_000): Promise<boolean> {
    return this.universe.run(until, ms);
  }
}

/** The one fingerprint that all of them stand on. */
function fingerprint(servers: readonly Server[]): string {
  const all = new Set(servers.map(({ formed }) => hex(formed!.manifest.fingerprint)));
  assert.equal(all.size, 1);
  return [...all][0];
}

const reasons = ({ log }: Server, event: string) =>
  log.filter((line) => line.event === event).map(({ fields }) => String(fields.reason ?? ""));

for (const [size, loss] of [[3, 0], [3, 0.2], [5, 0], [5, 0.2]]) {
  Deno.test(`${size} servers meet and form their committee, ${100 * loss} % loss`, async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const world = new World(seed, loss), servers: Server[] = [];
      for (let i = 0; i < size; i++) {
        servers.push(await world.server(`${i}`, { size }));
        await world.universe.advance(world.universe.randomness(`wait ${i}`).real() * 400);
      }
      assert.ok(await world.run(() => servers.every(({ formed }) => formed)), `seed ${seed}`);
      fingerprint(servers);
      const { formed } = servers[0];
      assert.equal(formed!.manifest.servers.length, size);
    }
  });
}

Deno.test("a server with a wrong secret stays out, and is not counted", async () => {
  const world = new World(20);
  const servers = [await world.server("0"), await world.server("1")];
  const wrong = await world.server("wrong", { secrets: [WRONG] });
  await world.universe.advance(30_000);
  for (const { formed } of [...servers, wrong]) assert.equal(formed, undefined);
  servers.push(await world.server("2"));
  assert.ok(await world.run(() => servers.every(({ formed }) => formed)));
  assert.ok(!servers[0].formed!.manifest.servers.some((key) => hex(key) === wrong.key));
  assert.equal(wrong.formed, undefined);
  for (const it of [...servers.slice(0, 2), wrong]) {
    assert.ok(reasons(it, "server refused").some((it) => /did not prove .* secret/.test(it)));
  }
  // Guesses are few: pauses grow.
  assert.ok(reasons(servers[0], "server refused").length < 30);
});

Deno.test("other roles and other instances get nothing", async () => {
  const world = new World(21);
  const servers = [await world.server("0"), await world.server("1"), await world.server("2")];
  const far = await world.server("far", { instance: "other" });
  for (const role of ["aggregator", "client", "reader"] as const) {
    const { network } = world.node(role, role, []);
    await network.start();
    assert.ok(await world.run(() => network.peers("server").length === 3));
    for (const kind of [GENESIS, COMMITTEE]) {
      const heard: Uint8Array[] = [];
      const [peer] = network.peers("server");
      const open = network.open(peer, kind, () => ({
        frame: (bytes) => void heard.push(bytes),
        closed: () => {},
      }));
      await assert.rejects(world.universe.settle(open));
      assert.equal(heard.length, 0);
    }
  }
  assert.ok(await world.run(() => servers.every(({ formed }) => formed)));
  assert.equal(far.formed, undefined);
  const told = servers.flatMap((it) => reasons(it, "server refused"));
  for (const role of ["aggregator", "client", "reader"]) {
    assert.ok(told.includes(`${role}s are not of the committee`), role);
  }
});

Deno.test("an outsider with the secret waits, and says for what", async () => {
  const world = new World(22);
  const servers = [await world.server("0"), await world.server("1"), await world.server("2")];
  assert.ok(await world.run(() => servers.every(({ formed }) => formed)));
  const late = await world.server("late");
  await world.universe.advance(61_000);
  assert.equal(late.formed, undefined);
  const said = late.log.filter(({ event }) => event === "waiting").map(({ fields }) => fields.for);
  assert.deepEqual(said, [`not in the committee ${fingerprint(servers)}; waits to be added`]);
  assert.ok(
    servers.some((it) =>
      reasons(it, "server refused").includes("it knows the secret and is not in the committee")
    ),
  );
});

Deno.test("ephemeral servers that all restart form the same committee again", async () => {
  const world = new World(23);
  let before: string | undefined;
  for (let boot = 0; boot < 2; boot++) {
    const servers: Server[] = [];
    for (const name of ["2", "0", "1"]) servers.push(await world.server(name));
    assert.ok(await world.run(() => servers.every(({ formed }) => formed)));
    before ??= fingerprint(servers);
    assert.equal(fingerprint(servers), before);
    for (const { network } of servers) world.universe.crash(network);
  }
});

Deno.test("who lost the manifest gets it; with other parameters it is refused", async () => {
  const world = new World(24);
  const servers = [await world.server("0"), await world.server("1"), await world.server("2")];
  assert.ok(await world.run(() => servers.every(({ formed }) => formed)));
  world.universe.crash(servers[0].network);
  const back = await world.server("0");
  assert.ok(await world.run(() => back.formed !== undefined));
  fingerprint([...servers, back]);
  world.universe.crash(back.network);
  const other = await world.server("0", { roundPeriod: 1_000 });
  assert.ok(await world.run(() => other.failed !== undefined));
  assert.match(
    other.failed!.message,
    /cannot join its committee: .*roundPeriod 300 there, 1000 here/,
  );
  assert.equal((other.failed as Error & { exitCode: number }).exitCode, 4);
});

Deno.test("a store that cannot be written ends the server, and nothing was signed", async () => {
  const world = new World(25);
  const broken: Store = {
    load: () => undefined,
    save() {
      throw new Error("the disk is full");
    },
  };
  const servers = [
    await world.server("0"),
    await world.server("1"),
    await world.server("2", { store: broken }),
  ];
  assert.ok(await world.run(() => servers[2].failed !== undefined));
  assert.equal(servers[2].failed!.message, "the disk is full");
  await world.universe.advance(10_000);
  for (const { formed } of servers) assert.equal(formed, undefined);
});

Deno.test("the secret is changed one server after the other, while all go on", async () => {
  const steps = [[SECRET], [SECRET, WRONG], [WRONG, SECRET], [WRONG]];
  const world = new World(26), servers: Server[] = [];
  for (const [step, secrets] of steps.entries()) {
    for (let i = 0; i < 3; i++) {
      if (step > 0) world.universe.crash(servers[i].network);
      // Without its manifest, so that the others have to let it in.
      servers[i] = await world.server(`${i}`, { secrets });
      if (step === 0 && i < 2) continue;
      assert.ok(await world.run(() => servers.every(({ formed }) => formed)), `step ${step}, ${i}`);
    }
  }
  fingerprint(servers);
});

Deno.test("a crashed server of a running instance returns without its manifest, and rounds go on", async () => {
  const log: string[] = [];
  const world = new SimulatedInstance({
    seed: 27,
    clients: 3,
    observe: (who, _level, event, fields) => {
      if (event === "committee formed") log.push(`${who} ${fields!.fingerprint}`);
    },
  });
  await world.start();
  assert.ok(await world.run(() => world.rounds > 3, 60_000));
  world.crash(world.servers[1]!);
  (world.disks[1] as DurableDisk).lose("manifest");
  await world.startServer(1);
  const before = world.rounds;
  assert.ok(await world.run(() => world.rounds > before + 2, 60_000));
  const all = [0, 1, 2, 1].map((i) => `server ${i} ${hex(world.manifest.fingerprint)}`);
  assert.deepEqual([...log].sort(), all.sort());
});
