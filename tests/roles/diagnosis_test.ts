/** What a program is told that does not meet its instance: the case, the numbers, and what to do. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { ConnectTimeout, Zipnet } from "../../src/mod.ts";
import { SimulatedInstance } from "../../src/roles/simulated.ts";
import type { NetworkOptions } from "../../src/universe/node.ts";

const UNIVERSE = "mosaik.universe";
const TIMEOUT = 5_000;

/** The first server of an instance, alone: it waits for two more. */
async function waiting(seed: number): Promise<SimulatedInstance> {
  const world = new SimulatedInstance({ seed, clients: 0, aggregators: 0, readers: 0 });
  await world.startServer(0);
  await world.universe.advance(1_000);
  return world;
}

/** What `Zipnet.bind` rejects with, as a client and as a reader: the same line. */
async function told(
  { universe: memory, servers }: SimulatedInstance,
  where: { instance?: string; universe?: string; bootstrap?: readonly string[] },
): Promise<string> {
  const { instance: name = "simulated", universe = UNIVERSE } = where;
  const bootstrap = where.bootstrap ?? [`/memory/${servers[0]!.network.self.id}`];
  const lines: string[] = [];
  for (const role of ["submitter", "reader"] as const) {
    const environment = memory.environment(role);
    const id = universeId(universe), instance = instanceId(id, name);
    const options = { environment, universe: id, instance, listen: [], bootstrap };
    const zipnet = Zipnet.bind(universe, name, {
      environment,
      connectTimeout: TIMEOUT,
      network: (role, secret) =>
        memory.network({ ...options, role, secret } satisfies NetworkOptions),
    });
    const error = await memory.settle(zipnet[role]().then(() => "met", (error) => error));
    assert.ok(error instanceof ConnectTimeout, String(error));
    assert.equal(error.exitCode, 3);
    lines.push(error.message);
    await memory.settle(zipnet.close());
  }
  assert.equal(lines[0], lines[1]);
  const sought =
    `looked for ${name} as ${hex(instanceId(universeId(universe), name)).slice(0, 16)} ` +
    `in ${universe} for ${TIMEOUT} ms; saw `;
  assert.ok(lines[0].startsWith(sought), lines[0]);
  assert.ok(!lines[0].includes("\n"));
  return lines[0].slice(sought.length);
}

Deno.test("no bootstrap address: how to give one, and how to do without", async () => {
  const line = await told(await waiting(600), { bootstrap: [] });
  assert.match(line, /^0 peers of this universe, 0 of this instance; nearest announced names are/);
  assert.match(line, /nowhere to begin: give ZIPNET_BOOTSTRAP .* or set ZIPNET_DHT=mainline/);
});

Deno.test("bootstrap addresses at which nobody answers are named, each with its reason", async () => {
  const world = await waiting(601);
  const gone = ["/memory/gone", "/memory/left", "/memory/away"];
  const line = await told(world, { bootstrap: gone });
  assert.match(line, /^0 peers of this universe, 0 of this instance; /);
  const reason = "nobody answers at the known addresses";
  assert.ok(
    line.includes(`answered at ${gone[0]} (${reason}), ${gone[1]} (${reason}) and 1 more: check`),
    line,
  );
});

Deno.test("a peer of another universe is nobody of this one", async () => {
  const world = await waiting(602), address = `/memory/${world.servers[0]!.network.self.id}`;
  const line = await told(world, { universe: "mosaic.universe" });
  assert.match(line, /^0 peers of this universe, 0 of this instance; /);
  assert.ok(line.includes(`no peer of mosaic.universe answered at ${address} (`), line);
  assert.match(line, /check ZIPNET_BOOTSTRAP and ZIPNET_UNIVERSE/);
});

Deno.test("a universe without the instance: the name, or its committee", async () => {
  const line = await told(await waiting(603), { instance: "simulatd" });
  assert.match(line, /^1 peer of this universe, 0 of this instance; /);
  assert.match(
    line,
    /no server or aggregator of simulatd .*: check the spelling of ZIPNET_INSTANCE/,
  );
});

Deno.test("an instance without a committee: servers seen, and servers needed", async () => {
  const world = await waiting(604);
  const one = await told(world, {});
  assert.match(
    one,
    /^1 peer of this universe, 1 of this instance; .* saw 1 server of it, needed 3/,
  );
  await world.startServer(1);
  const two = await told(world, {});
  assert.match(
    two,
    /^2 peers of this universe, 2 of this instance; .* saw 2 servers of it, needed 3/,
  );
  await world.startServer(2);
  await world.run(() => world.servers.every((server) => server!.joined), 60_000);
  assert.ok(world.servers.every((server) => server!.joined));
  await world.universe.advance(2_000);
  const { catalog } = world.servers[0]!.network;
  const tags = catalog.peers().flatMap(({ tags }) => [...tags]);
  assert.deepEqual(tags, ["server", "server"], "nobody waits any more");
});

Deno.test("servers that are known and cannot be reached: one of them, and why", async () => {
  const world = await waiting(605), { id } = world.servers[0]!.network.self;
  const environment = world.universe.environment("stranger"), universe = universeId(UNIVERSE);
  const stranger = world.universe.network({
    environment,
    secret: environment.random(32),
    universe,
    instance: instanceId(universe, "another"),
    role: "server",
    listen: ["/memory/0"],
    bootstrap: [`/memory/${id}`],
  });
  await stranger.start();
  await world.universe.advance(2_000);
  world.crash(world.servers[0]!);
  const line = await told(world, { bootstrap: stranger.self.addresses });
  assert.match(
    line,
    /^2 peers of this universe, 1 of this instance; .* saw 1 server of it, needed 3, /,
  );
  assert.ok(line.includes(`, ${id.slice(0, 16)} could not be asked (nobody answers at`), line);
});
