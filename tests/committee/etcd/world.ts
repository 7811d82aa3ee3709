/** Groups of etcd engines over a played etcd, in virtual time. */
import { etcdEngine } from "../../../src/committee/etcd/engine.ts";
import type { EngineHost } from "../../../src/committee/engine.ts";
import type { Environment, Fields } from "../../../src/universe/environment.ts";
import type { Group } from "../engine_mesh.ts";
import { virtualWorld } from "../virtual_world.ts";
import { Member } from "./member.ts";
import { Store } from "./store.ts";

/** What one server was heard to say. */
export interface Said {
  readonly level: string;
  readonly event: string;
  readonly fields: Fields;
}

/** A group, with all that a test may change behind it. */
export interface EtcdGroup extends Group {
  readonly store: Store;
  /** The member that each server uses. */
  readonly members: readonly Member[];
  readonly said: Said[];
  /** All keys of this committee start so. */
  readonly prefix: string;
}

/** A group of so many servers, each with a member of its own. */
export function etcdGroup(servers: number, label: string, snapshotCommands?: number): EtcdGroup {
  const said: Said[] = [];
  const world = virtualWorld(label, (level, event, fields = {}) => {
    if (event !== "event failed") said.push({ level, event, fields });
  });
  const { universe } = world;
  const store = new Store(universe.clock);
  const members = Array.from(
    { length: servers },
    () => new Member(store, universe.clock, universe.random),
  );
  const manifest = {
    instance: new Uint8Array(32).fill(0xab),
    fingerprint: new Uint8Array(32).fill(0xcd),
    servers: members.map(() => new Uint8Array(32)),
  };
  return {
    world,
    store,
    members,
    said,
    prefix: `/zipnet/${"ab".repeat(32)}/${"cd".repeat(32)}/`,
    engine(i: number, host: EngineHost, environment: Environment) {
      const { fetch } = members[i];
      const url = "http://etcd.test:2379";
      return etcdEngine({ url, fetch, manifest, environment, snapshotCommands })(host, i);
    },
    forget: () => {},
    cut: (i, away) => members[i].mood = away ? "gone" : "well",
    async close() {
      // Leases run out and answers arrive; nobody is left to hear of it.
      await world.advance(10_000);
    },
  };
}
