/** Clients come, go and die: the roster follows, and a place is not given on before it was empty. */
import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { Trial } from "./trial.ts";

const base = { clients: 5, servers: 3 };

/** Clients that stand in the roster, as every server has it. */
function standing(trial: Trial): number[] {
  return trial.world.servers.map((server) => server!.role.member.state.registry.size);
}

Deno.test("a client leaves and returns", () =>
  Trial.run({ ...base, seed: 11 }, async (trial) => {
    const { role, network } = trial.world.clients[1];
    role.stop("away");
    await network.stop();
    await trial.until("it left", () => standing(trial).every((size) => size === 4));
    await trial.goesOn();
    await trial.world.startClient(1);
    await trial.until("it is back", () => trial.world.clients[1].role !== role && trial.ready);
    assert.deepEqual(standing(trial), [5, 5, 5]);
    trial.everybodySpeaks();
    await trial.judge();
  }));

Deno.test("a dead client's place ends with its lease, is shown empty, then given on", () =>
  Trial.run({ ...base, seed: 12, parameters: { leaseRounds: 4 } }, async (trial) => {
    const { clients, servers } = trial.world, [first] = servers;
    const key = clients[3].role.options.signer.key;
    const place = first!.role.member.state.registry.roster.indexOf(key)!;
    /** Who stood there, header by header. */
    const shown: { readonly round: number; readonly who: string }[] = [];
    const watch = () => {
      const { live } = first!.role.member;
      if (!live || live.opened.header.round === shown.at(-1)?.round) return;
      const entry = live.roster.at(place);
      shown.push({ round: live.opened.header.round, who: entry ? hex(entry.client) : "nobody" });
    };
    trial.world.crash(clients[3]);
    const since = trial.world.rounds;
    const at = () => first!.role.member.state.registry.roster.at(place);
    await trial.until("the lease ends", () => (watch(), at() === undefined), 10_000);
    const records = trial.world.rounds - since;
    assert.ok(records >= 3 && records <= 6, `after ${records} records`);
    // One who comes before it was shown empty does not get it, one who comes after that may.
    await trial.world.startClient(5);
    await trial.until("it is shown empty", () => (watch(), shown.at(-1)!.who === "nobody"), 5_000);
    await trial.world.startClient(6);
    const given = () => (watch(), shown.at(-1)!.who !== "nobody");
    await trial.until("the place is given on", given, 5_000);
    const owners = shown.map(({ who }) => who).filter((who, i, all) => who !== all[i - 1]);
    const later = [5, 6].map((i) => hex(clients[i].role.options.signer.key));
    assert.deepEqual(owners.slice(0, 2), [hex(key), "nobody"]);
    assert.ok(owners.length === 3 && later.includes(owners[2]), `${owners}`);

    const dead = clients[3];
    await trial.world.startClient(3);
    await trial.until("the dead one returns", () => clients[3] !== dead && clients[3].role.ready);
    await trial.goesOn();
    assert.deepEqual(standing(trial), [7, 7, 7]);
    trial.everybodySpeaks();
    await trial.judge();
  }));

Deno.test("a server that restarts while a dead client's lease runs does not hold its end up", () =>
  Trial.run({ ...base, seed: 12, parameters: { leaseRounds: 8 } }, async (trial) => {
    const { clients, servers, rounds } = trial.world;
    trial.world.crash(clients[3]);
    await trial.until("it is missed", () => trial.world.rounds >= rounds + 3, 5_000);
    const follower = servers.findIndex((server) => !server!.role.member.leading);
    trial.crashServer(follower);
    await trial.startServer(follower);
    await trial.until("the lease ends", () => {
      return servers.every((server) =>
        server?.joined && server.role.member.state.registry.size === 4
      );
    }, 20_000);
    await trial.goesOn();
    assert.deepEqual(standing(trial), [4, 4, 4]);
    assert.deepEqual([...trial.voids.values()].filter((why) => why.includes("left out")), []);
    await trial.world.startClient(3);
    await trial.until("it returns", () => trial.ready);
    trial.everybodySpeaks();
    await trial.judge();
  }));

Deno.test("a client registers in a round that a dead server holds up", async () => {
  for (const server of [1, 2]) {
    await Trial.run({ ...base, seed: 13 }, async (trial) => {
      await trial.crashServerAt(server, { nth: 2, durable: true });
      await trial.world.startClient(5);
      const { servers } = trial.world;
      const waits = () => servers[0]!.role.member.state.waiting.size > 0;
      await trial.until("the registration waits", waits, 2_000);
      await trial.startServer(server);
      await trial.goesOn();
      await trial.until("it stands in the roster", () => standing(trial).every((n) => n === 6));
      trial.everybodySpeaks();
      await trial.judge();
    });
  }
});
