/** What etcd does to servers when it is away, slow, full, emptied or put back. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { hex } from "../../../src/protocol/bytes.ts";
import { Mesh } from "../engine_mesh.ts";
import { type EtcdGroup, etcdGroup } from "./world.ts";

/** A command that is found again by its number. */
function command(number: number, length = 100): Uint8Array {
  const out = new Uint8Array(length).fill(number);
  new DataView(out.buffer).setUint32(0, number);
  return out;
}

function offers(from: number, to: number, length?: number) {
  return Array.from(
    { length: to - from },
    (_, i) => [i % 3, command(from + i, length)] as const,
  );
}

/** A test with three servers that have one leader and ten commands in order. */
function test(
  name: string,
  body: (mesh: Mesh, group: EtcdGroup, leader: number) => Promise<void>,
  snapshotCommands?: number,
): void {
  Deno.test(`etcd: ${name}`, async () => {
    const group = etcdGroup(3, name, snapshotCommands);
    const mesh = new Mesh(group, 3);
    mesh.startAll();
    const leader = await mesh.led();
    await mesh.order(offers(0, 10));
    await mesh.same();
    await body(mesh, group, leader);
    await mesh.close();
  });
}

const outages = ({ said }: EtcdGroup) => said.filter(({ event }) => event === "engine unreachable");

test("one that is gone is told once, asked less and less, and found again", async (mesh, group) => {
  for (const member of group.members) member.mood = "gone";
  await mesh.until(
    "nobody leads",
    () => mesh.up.every(({ engine }) => engine!.leader === undefined),
  );
  for (const { engine } of mesh.up) engine!.propose(command(99));
  const before = group.members[0].asked.get("kv/txn")!;
  await group.world.advance(120_000);
  const asked = group.members[0].asked.get("kv/txn")! - before;
  ok(asked > 20 && asked < 40, `${asked} requests in two minutes`);
  equal(outages(group).length, 3);
  for (const { fields, level } of outages(group)) {
    equal(level, "warn");
    equal(fields.etcd, "http://etcd.test:2379");
    ok(/^[ -~]{1,200}$/.test(`${fields.reason}`), `${fields.reason}`);
  }
  for (const member of group.members) member.mood = "well";
  await mesh.led();
  await mesh.order(offers(10, 20));
  ok(!(await mesh.same()).includes(hex(command(99))), "what was proposed meanwhile was dropped");
  await mesh.until(
    "all say so",
    () => group.said.filter(({ event }) => event === "engine reachable").length === 3,
  );
});

test("no two servers ever lead at one time", async (mesh, group, leader) => {
  const leading = () => mesh.up.filter(({ engine, index }) => engine!.leader === index);
  await group.world.advance(5_000);
  group.members[leader].mood = "silent";
  await mesh.until("another leads", () => {
    ok(leading().length <= 1, "two lead");
    return leading().some(({ index }) => index !== leader);
  });
  ok(/^etcd did not answer within \d+ ms$/.test(`${outages(group)[0].fields.reason}`));
  group.members[leader].mood = "well";
  await mesh.led();
  await mesh.order(offers(10, 20));
  await mesh.same();
});

test("a leader that restarts does not lead by the key it left", async (mesh, group, leader) => {
  mesh.stop(leader);
  mesh.start(leader);
  const { engine } = mesh.places[leader];
  ok(!await group.world.run(() => engine!.leader === leader, 1_000), "its key is another's");
  await mesh.led();
  await mesh.order(offers(10, 20));
  await mesh.same();
});

test("present is who holds a key and has a way open", async (mesh, _, leader) => {
  const { engine } = mesh.places[leader], other = (leader + 1) % 3;
  const present = () => [...engine!.present].sort().join();
  await mesh.until("all are present", () => present() === "0,1,2");
  engine!.disconnected(other);
  ok(!engine!.present.has(other), "no way is open");
  engine!.connected(other);
  equal(present(), "0,1,2");
});

test("a watch that falls silent while all else is well is noticed", async (mesh, group, leader) => {
  const other = (leader + 1) % 3;
  group.members[other].deaf = true;
  const rest = mesh.up.filter(({ index }) => index !== other);
  await mesh.order([[leader, command(10)]], rest);
  await mesh.until("it is noticed", () => outages(group).length > 0);
  equal(outages(group)[0].fields.reason, "the watch of etcd stands still");
  group.members[other].deaf = false;
  await mesh.order(offers(11, 20));
  await mesh.same();
});

test("who was away while the log was cut and compacted gets everything", async (mesh, group) => {
  mesh.leave(2);
  const { restores } = mesh.places[2];
  const rest = mesh.up.slice(0, 2);
  await mesh.led(rest);
  await mesh.order(offers(10, 200).map(([at, it]) => [at % 2, it]), rest);
  await mesh.until("a snapshot is made", () => group.store.names.some((it) => /snapshot/.test(it)));
  group.store.compact();
  mesh.join(2);
  await mesh.order(offers(200, 210));
  equal(new Set(await mesh.same()).size, 210);
  equal(mesh.places[2].restores, restores + 1);
}, 50);

test("who was away for a while goes on where it was", async (mesh) => {
  mesh.leave(2);
  const { restores } = mesh.places[2];
  const rest = mesh.up.slice(0, 2);
  await mesh.led(rest);
  await mesh.order(offers(10, 50).map(([at, it]) => [at % 2, it]), rest);
  mesh.join(2);
  await mesh.order(offers(50, 60));
  await mesh.same();
  equal(mesh.places[2].restores, restores);
});

for (const part of ["", "order/state"]) {
  test(`where ${part || "everything"} is deleted the order begins anew`, async (mesh, group) => {
    group.store.wipe(group.prefix + part);
    await mesh.until("all begin anew", () => mesh.up.every(({ list }) => list.length === 0));
    await mesh.led();
    await mesh.order(offers(10, 20));
    equal(new Set(await mesh.same()).size, 10);
    mesh.stop(2);
    mesh.start(2);
    await mesh.order(offers(20, 30));
    equal(new Set(await mesh.same()).size, 20);
  });
}

test("a backup that is put back is followed from where it stands", async (mesh, group) => {
  const backup = group.store.backup();
  const before = [...mesh.places[0].list];
  await mesh.order(offers(10, 60));
  for (const member of group.members) {
    member.mood = "gone";
    member.store = backup;
    member.mood = "well";
  }
  // What no lease keeps any more is what an operator takes away after a restore.
  backup.wipe(`${group.prefix}order/leader`);
  await mesh.until("all went back", () => mesh.up.every(({ list }) => list.length < 60));
  await mesh.led();
  await mesh.order(offers(60, 70));
  const list = await mesh.same();
  deepEqual(list.slice(0, before.length), before);
});

test("one that is full is told, and the order goes on once it is not", async (mesh, group) => {
  group.store.full = "etcdserver: mvcc: database space exceeded";
  for (const { engine } of mesh.up) engine!.propose(command(10));
  await group.world.advance(30_000);
  equal(outages(group).length, 3);
  ok(`${outages(group)[0].fields.reason}`.includes("database space exceeded"));
  group.store.full = undefined;
  await mesh.led();
  await mesh.order(offers(10, 20));
  await mesh.same();
});

test("the log is cut by snapshots, and of those one is kept", async (mesh, group) => {
  for (let from = 10; from < 600; from += 30) await mesh.order(offers(from, from + 30));
  await mesh.same();
  await group.world.advance(1_000);
  const count = (part: string) => group.store.names.filter((it) => it.includes(part)).length;
  ok(count("/order/log/") < 120, `${count("/order/log/")} commands in the log`);
  equal(count("/snapshot/"), 1);
}, 50);

test("a snapshot of many chunks", async (mesh, group) => {
  for (let from = 10; from < 1_510; from += 300) await mesh.order(offers(from, from + 300, 1_024));
  await group.world.advance(5_000);
  const chunks = group.store.names.filter((it) => it.includes("/snapshot/")).length;
  ok(chunks > 2, `${chunks} chunks`);
  mesh.stop(2);
  mesh.start(2);
  await mesh.order(offers(1_510, 1_520));
  equal(new Set(await mesh.same()).size, 1_520);
}, 400);

test(
  "who leads dies amid its snapshot: nothing is lost, and no chunk stays",
  async (mesh, group) => {
    let cut: number | undefined;
    for (const [index, member] of group.members.entries()) {
      const { fetch } = member;
      // The first transaction that names a snapshot is a chunk; its writer ends there.
      Object.assign(member, {
        fetch: (...[url, request]: Parameters<typeof fetch>) => {
          const answer = fetch(url, request);
          const parts = JSON.parse(request.body).success as { request_put?: { key: string } }[];
          const chunk = parts?.some((it) => atob(it.request_put?.key ?? "").includes("/snapshot/"));
          if (chunk && cut === undefined) {
            cut = index;
            group.world.environment("cut").clock.after(6, () => member.mood = "gone");
          }
          return answer;
        },
      });
    }
    for (const { index } of mesh.up) mesh.stop(index);
    mesh.startAll();
    await mesh.led();
    const offered = mesh.order(offers(10, 200, 1_024), mesh.up);
    await offered.catch(() => {});
    ok(cut !== undefined, "a chunk was written");
    const rest = mesh.up.filter(({ index }) => index !== cut);
    await mesh.led(rest);
    group.members[cut].mood = "well";
    await mesh.order(offers(200, 400));
    equal(new Set(await mesh.same()).size, 400);
    await group.world.advance(1_000);
    equal(group.store.names.filter((it) => it.includes("/snapshot/")).length, 1);
  },
  100,
);
