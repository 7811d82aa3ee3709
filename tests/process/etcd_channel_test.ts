/** A whole channel whose servers' commands an etcd orders: three servers, three members. */
import { equal, ok } from "node:assert/strict";
import { EtcdCluster, whyNoEtcd } from "./etcd_cluster.ts";
import { Instance, sameStory } from "./instance.ts";

/** Rounds that must go on after each step. */
const ROUNDS = 3;

/** How often a server said that it lost etcd. */
const outages = (log: string) => log.split("engine unreachable").length - 1;

const why = await whyNoEtcd();

Deno.test({
  name: `a channel over etcd: rounds go on as members and servers die${why}`,
  ignore: why !== "",
  async fn(t) {
    await using cluster = await EtcdCluster.start("channel");
    await using it = new Instance("etcd", 3, (index) => [
      ...["--engine", "etcd", "--etcd", cluster.urls[index]],
    ]);
    await it.start(3);
    const [a, b] = it.readers;
    let sent = 0;
    const rounds = async () => {
      const before = [a, b].map(({ records }) => records.at(-1)?.round ?? 0);
      const id = `m${sent++}`;
      it.clients[0].child.say({ id, payload: btoa(id) });
      await it.until(`${ROUNDS} rounds, and what was said`, () =>
        it.clients[0].outcomes.has(id) &&
        [a, b].every(({ records }, reader) =>
          records.filter(({ round }) => round > before[reader]).length >= ROUNDS
        ));
      equal(it.clients[0].outcomes.get(id)!.outcome, "landed");
    };

    await t.step("rounds finalize", rounds);

    const leader = await cluster.leader();
    await t.step("etcd's leader is killed", async () => {
      await cluster.kill(leader);
      await it.until("its server says so", () => outages(it.servers[leader].log) > 0);
    });

    await t.step("and comes back: rounds go on", async () => {
      await cluster.restart(leader);
      await rounds();
    });

    await t.step("a server is killed and comes back", async () => {
      it.servers[1] = await it.killed(it.servers[1]);
      await rounds();
    });

    await t.step("all members are killed and come back", async () => {
      const said = it.servers.map(({ log }) => outages(log));
      await cluster.kill(0, 1, 2);
      await it.until("every server says so", () =>
        it.servers.every(({ log }, index) => outages(log) > said[index]));
      await cluster.restart(0, 1, 2);
      await rounds();
    });

    sameStory(a.records, b.records);
    ok(!it.logs.includes("equivocation"));
  },
});
