/** The etcd engine over a real etcd of three members, each server with one of them. */
import { etcdEngine } from "../../src/committee/etcd/engine.ts";
import { systemClock, systemRandom } from "../../src/ops/system.ts";
import { conformance } from "../committee/engine_conformance.ts";
import type { Group, World } from "../committee/engine_mesh.ts";
import { EtcdCluster, whyNoEtcd } from "./etcd_cluster.ts";

/** Between two looks at a condition, in ms. */
const LOOK_MS = 5;

const pause = (ms: number) => new Promise<void>((resolve) => systemClock.after(ms, resolve));

/** The machine's time: conditions are asked again and again. */
const world: World = {
  environment: () => ({ clock: systemClock, random: systemRandom, observe: () => {} }),
  async run(until, limitMs) {
    const end = systemClock.now() + limitMs;
    while (!until()) {
      if (systemClock.now() > end) return false;
      await pause(LOOK_MS);
    }
    return true;
  },
  advance: pause,
};

/** A new committee in the cluster. */
function group(cluster: EtcdCluster, servers: number): Group {
  const away = new Set<number>();
  const cuts = Array.from({ length: servers }, () => new AbortController());
  const manifest = {
    instance: systemRandom(32),
    fingerprint: systemRandom(32),
    servers: Array.from({ length: servers }, () => new Uint8Array(32)),
  };
  return {
    world,
    engine(i, host, environment) {
      const url = cluster.urls[i % cluster.urls.length];
      return etcdEngine({
        url,
        manifest,
        environment,
        snapshotCommands: 500,
        async fetch(url, request) {
          if (away.has(i)) throw new TypeError("cut off");
          const signal = AbortSignal.any([request.signal, cuts[i].signal]);
          return await fetch(url, { ...request, signal });
        },
      })(host, i);
    },
    forget: () => {},
    cut(i, cut) {
      if (!cut) return void away.delete(i);
      away.add(i);
      cuts[i].abort();
      cuts[i] = new AbortController();
    },
    close: () => Promise.resolve(),
  };
}

const why = await whyNoEtcd();

Deno.test({
  name: `etcd, three members: what every engine must do${why}`,
  ignore: why !== "",
  async fn(t) {
    await using cluster = await EtcdCluster.start("engine");
    const subject = {
      name: "etcd",
      failover: true,
      durable: true,
      open: (servers: number) => group(cluster, servers),
    };
    for (const { name, run } of conformance(subject, [3, 5])) await t.step(name, run);
  },
});
