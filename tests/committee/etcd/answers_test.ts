/** Whatever etcd answers: one warning in an outage, no harm, and on when it answers well. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { EtcdError, whole } from "../../../src/committee/etcd/json.ts";
import { after, decodeState, encodeState, placeOf } from "../../../src/committee/etcd/keys.ts";
import { hex } from "../../../src/protocol/bytes.ts";
import { Mesh } from "../engine_mesh.ts";
import { etcdGroup } from "./world.ts";

const command = (number: number) => Uint8Array.of(1, 2, number >> 8, number);
const offers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => [i % 3, command(from + i)] as const);

type Twist = (path: string, text: string) => string | Uint8Array;

/** Answers to a path changed, as text. */
const on = (wanted: string, change: (text: string) => string | Uint8Array): Twist => (path, text) =>
  path === wanted ? change(text) : text;

/** Answers that no etcd gives. */
const TWISTS: Readonly<Record<string, Twist>> = {
  "nothing": () => "",
  "a page of a web server": () => "<html>\n<body>hello</body></html>",
  "bytes that are no text": () => Uint8Array.of(0x22, 0xff, 0xfe, 0x22),
  "a list": () => "[]",
  "null": () => "null",
  "an error with control characters": () => JSON.stringify({ error: "\u001b[31mred\n" }),
  "an error without words": () => JSON.stringify({ error: { code: 5 } }),
  "no end": (_, text) => text.replace(/\n?$/, " ".repeat(9 * 2 ** 20)),
  "a lease without an id": on("lease/grant", () => '{"TTL":"2"}'),
  "a lease for ever": on("lease/grant", () => '{"ID":"1","TTL":"999999"}'),
  "a lease of no time": on("lease/grant", () => '{"ID":"1"}'),
  "no header": on("kv/txn", (text) => text.replace('"header"', '"head"')),
  "a revision that is a number": on(
    "kv/txn",
    (text) => text.replaceAll(/"revision":"(\d+)"/g, '"revision":$1'),
  ),
  "a revision that is too high": on(
    "kv/txn",
    (text) => text.replaceAll(/"revision":"(\d+)"/g, '"revision":"9999999999999999"'),
  ),
  "fewer answers": on("kv/txn", (text) => text.replace(/"responses":.*/, '"responses":[]}')),
  "a key that is no base64": on("kv/txn", (text) => text.replaceAll('"key":"', '"key":"*')),
  "a state of another kind": on(
    "kv/txn",
    (text) => text.replace(/"value":"[^"]*"/, `"value":"${btoa("hello")}"`),
  ),
  "a log without revisions": on("kv/range", (text) => text.replaceAll("mod_revision", "revision")),
  "a page without end": on("kv/range", (text) => text.replace("{", '{"more":true,')),
  "events that are none": on("watch", (text) =>
    text.replace("events", 'created_at":1,"events')
      .replace('"events":[', '"events":[7,')),
  "events of another type": on("watch", (text) => text.replace('{"kv"', '{"type":"MOVE","kv"')),
  "events out of order": on(
    "watch",
    (text) => text.replaceAll(/"mod_revision":"\d+"/g, '"mod_revision":"1"'),
  ),
  "a watch that ends": on("watch", () => '{"result":{"canceled":true}}\n'),
};

for (const [what, twist] of Object.entries(TWISTS)) {
  Deno.test(`etcd answers ${what}: one warning, and no harm`, async () => {
    const group = etcdGroup(3, what);
    const mesh = new Mesh(group, 3);
    mesh.startAll();
    await mesh.led();
    await mesh.order(offers(0, 10));
    const before = [...await mesh.same()];
    // From the start and amid a session: member 0 begins anew, member 1 goes on.
    mesh.stop(0);
    for (const member of [0, 1]) group.members[member].twist = twist;
    mesh.start(0);
    const warnings = () => group.said.filter(({ level }) => level === "warn");
    await mesh.until("it is noticed", () => {
      mesh.places[2].engine!.propose(command(10));
      return warnings().length > 0;
    });
    await group.world.advance(20_000);
    ok(warnings().length <= 2, `${warnings().length} warnings`);
    for (const { event, fields } of warnings()) {
      equal(event, "engine unreachable");
      ok(/^[ -~]{10,250}$/.test(`${fields.reason}`), `${fields.reason}`);
    }
    for (const { list } of mesh.places) {
      const known = list.slice(0, before.length);
      deepEqual(known, before.slice(0, known.length));
    }
    for (const member of group.members) member.twist = (_, text) => text;
    await mesh.order(offers(11, 20));
    deepEqual((await mesh.same()).slice(0, before.length), before);
    await mesh.close();
  });
}

Deno.test("etcd: a command that no server writes is passed over by all alike", async () => {
  const group = etcdGroup(3, "foreign", 20);
  const mesh = new Mesh(group, 3);
  mesh.startAll();
  await mesh.led();
  await mesh.order(offers(0, 5));
  group.store.write(`${group.prefix}order/log/zz-long`, "x".repeat(1_025));
  group.store.write(`${group.prefix}order/log/zz-none`, "");
  group.store.write(`${group.prefix}order/server/900`, "");
  group.store.write(`${group.prefix}order/else`, "");
  await mesh.order(offers(5, 10));
  equal(new Set(await mesh.same()).size, 10);
  mesh.stop(2);
  mesh.start(2);
  await mesh.order(offers(10, 15));
  equal(new Set(await mesh.same()).size, 15);
  ok(group.said.some(({ event }) => event === "engine command refused"));
  equal(group.said.filter(({ event }) => event === "engine unreachable").length, 0);
  await mesh.close();
});

for (
  const [what, damaged, reason] of [
    ["too short", (chunk: string) => chunk.slice(1), /ends after \d+ bytes/],
    ["too long", (chunk: string) => `${chunk} `, /is not there, or too long/],
    ["of another kind", (chunk: string) => "?".repeat(chunk.length), /a snapshot that is no list/],
  ] as const
) {
  Deno.test(`etcd: a snapshot ${what} is one warning`, async () => {
    const group = etcdGroup(3, what, 20);
    const mesh = new Mesh(group, 3);
    mesh.startAll();
    await mesh.led();
    await mesh.order(offers(0, 60));
    await mesh.same();
    await group.world.advance(2_000);
    const chunk = group.store.names.find((it) => it.includes("/snapshot/"))!;
    group.store.write(chunk, damaged(group.store.read(chunk)));
    mesh.stop(2);
    mesh.start(2);
    await group.world.advance(20_000);
    const [warning, ...more] = group.said.filter(({ level }) => level === "warn");
    ok(reason.test(`${warning.fields.reason}`), `${warning.fields.reason}`);
    equal(more.length, 0);
    equal(mesh.places[2].engine!.leader, undefined);
    await mesh.close();
  });
}

Deno.test("etcd: the state's encoding, places and ranges", () => {
  const order = hex(new Uint8Array(16).fill(7));
  for (
    const state of [
      { order, revision: 0, snapshot: "", chunks: 0, length: 0 },
      { order, revision: 2 ** 48, snapshot: "1-7587000-42", chunks: 48, length: 48 * 2 ** 20 },
    ]
  ) deepEqual(decodeState(new TextEncoder().encode(encodeState(state))), state);
  const refused = [
    ...["", "x", `${order} 1 none 1 5`, `${order} 1 1-2-3 0 0`, `${order} -1 none 0 0`],
    ...[`${order} 1 ../../x 1 5`, `${order} 1 none 0 0 `, `${order}0 1 none 0 0`],
  ];
  for (const text of refused) {
    throws(() => decodeState(new TextEncoder().encode(text)), EtcdError, text);
  }
  deepEqual(["0", "2", "3", "02", "-1", "", "1e0"].map((it) => placeOf(it, 3)), [
    ...[0, 2],
    ...[undefined, undefined, undefined, undefined, undefined],
  ]);
  equal(after("/a/"), "/a0");
  deepEqual([undefined, "0", "9007199254740991"].map((it) => whole(it, "n")), [0, 0, 2 ** 53 - 1]);
  for (const it of ["9007199254740992", "-1", "1.5", "", 7, null]) {
    throws(() => whole(it, "n"), EtcdError, `${it}`);
  }
});
