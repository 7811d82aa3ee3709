/** What every role tells over HTTP while an attested instance runs, and what it must not tell. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Instance, type Node } from "./instance.ts";

async function get(node: Node, path: string, headers: HeadersInit = {}) {
  const response = await fetch(`http://${node.metrics}${path}`, { headers });
  return { status: response.status, text: await response.text() };
}

/** Who led, one after the other, by a server's log. */
function leaders({ log }: Node): string[] {
  return [...log.matchAll(/"event":"leader","server":("?)(\w+)\1/g)].map(([, , who]) => who);
}

/** Samples by name and own labels. */
async function samples(node: Node): Promise<Map<string, number>> {
  const { text } = await get(node, "/metrics");
  return new Map(
    [...text.matchAll(/^zipnet_(\w+)\{(.*)\} (\S+)$/gm)].map(([, name, labels, value]) => {
      const own = labels.split(",").filter((label) => !label.startsWith("instance="));
      return [own.length > 0 ? `${name}{${own.join(",")}}` : name, Number(value)];
    }),
  );
}

Deno.test("metrics and health of every role, while rounds go on and a server is killed", async (t) => {
  await using it = new Instance("metrics", 3, () => [], undefined, true);
  (it.site.env as Record<string, string>).ZIPNET_METRICS = "127.0.0.1:0";
  await it.start(4);
  const nodes = () => [...it.servers, it.aggregator, ...it.clients, ...it.readers];
  const [reader] = it.readers;
  it.clients[0].child.say({ id: "m", payload: btoa("counted once") });
  await it.until("it landed", () => it.clients[0].outcomes.size === 1);
  const seen = reader.records.length;
  await it.until("further rounds", () => reader.records.length > seen + 3);

  await t.step("all run and do their work", async () => {
    for (const node of nodes()) {
      deepEqual(await get(node, "/healthz"), { status: 200, text: "ok\n" });
      deepEqual(await get(node, "/readyz"), { status: 200, text: "ready\n" }, node.command.name);
      const found = await samples(node);
      equal(found.get("up"), 1);
      equal(found.get("ready"), 1);
      ok(found.get("resident_bytes")! > 3e7);
      ok(found.get("cpu_seconds_total")! > 0);
    }
  });

  await t.step("servers say how rounds go, and who leads", async () => {
    const all = await Promise.all(it.servers.map(samples));
    equal(all.filter((found) => found.get("leader_is_local") === 1).length, 1);
    for (const found of all) {
      ok(found.get("rounds_finalized_total")! > 3);
      equal(found.get('messages_total{outcome="landed"}'), 1);
      // Where the machine is busy, one may be late.
      ok(found.get("last_participants")! >= 3);
      equal(found.get("client_registry_size"), 4);
      equal(found.get("server_registry_size"), 3);
      equal(found.get("epoch"), 0);
      ok(found.get("round")! > 3);
      ok(found.get("committed_index")! > 20);
      equal([...found].filter(([name, up]) => name.startsWith("bonds{") && up === 1).length, 2);
      const life = found.get("quote_expiry_seconds")!;
      ok(life > 3_000 && life <= 3_600, `${life}`);
      ok(found.get("collateral_expiry_seconds")! > 3_600);
      ok(found.get('round_phase_seconds_count{phase="fold"}')! > 3);
      ok(found.get("partials_submitted_total")! > 3);
    }
    const admitted = all.map((found) => found.get('admissions_total{result="admitted"}')!);
    equal(admitted.reduce((sum, one) => sum + one), 4);
    const aggregator = await samples(it.aggregator);
    ok(aggregator.get('envelopes_total{result="folded"}')! >= 12);
    const envelopes = aggregator.get('bytes_total{stream="submit",direction="received"}')!;
    const length = envelopes / aggregator.get('envelopes_total{result="folded"}')!;
    ok(length > 100 && length < 100_000, `${length} bytes an envelope`);
    ok(aggregator.get('subscribers{stream="live-round"}')! >= 4);
    ok(aggregator.get("connections")! >= 4 + 3 && aggregator.get("streams")! > 8);
    equal(aggregator.get('limit_hits_total{limit="framesPerPeer"}'), 0);
    equal(all[0].get('limit_hits_total{limit="admissions"}'), 0);
    ok(aggregator.get("round")! > 3);
    ok((await samples(reader)).get("round")! > 3);
  });

  await t.step("nothing names a client, and a client counts nothing that it says", async () => {
    const keys = it.clients.map(({ client }) => client!);
    equal(new Set(keys).size, 4);
    for (const node of nodes()) {
      const { text } = await get(node, "/metrics");
      for (const key of keys) ok(!text.includes(key.slice(0, 12)), node.command.name);
    }
    for (const node of it.clients) {
      for (const name of (await samples(node)).keys()) {
        ok(!/message|round|envelope|submission/.test(name), name);
      }
    }
  });

  await t.step("a client that was asked to counts what became of its own messages", async () => {
    const { command } = it.clients[1], ZIPNET_SECRET = crypto.randomUUID();
    const asking = await it.up({
      ...command,
      env: { ...command.env, ZIPNET_SECRET },
      args: [...command.args, "--metrics-messages"],
    });
    asking.child.say({ id: "own", payload: btoa("counted by who said it") });
    await it.until("it landed", () => asking.outcomes.size === 1);
    const found = await samples(asking);
    equal(found.get('messages_total{outcome="landed"}'), 1);
    equal(found.get("submission_rounds_count"), 1);
    ok(
      found.get("submission_rounds_sum")! >= 2,
      "it is reserved in one round and lands in a later",
    );
    await it.kill(asking, "SIGTERM");
  });

  await t.step(
    "only who asks this machine by its own name is answered, and only reads",
    async () => {
      equal((await get(it.clients[0], "/nothing")).status, 404);
      const at = `http://${it.clients[0].metrics}/metrics`;
      const posted = await fetch(at, { method: "POST", body: "x" });
      equal(posted.status, 405);
      await posted.body?.cancel();
    },
  );

  await t.step("nobody found a fault in another", () => {
    ok(!it.logs.includes("peer scored down"), `${/.*peer scored down.*/.exec(it.logs)}`);
  });

  await t.step(
    "a dead server is a bond less at the others, and they are not ready without two",
    async () => {
      await it.kill(it.servers[2]);
      const [first, second] = it.servers;
      const bonds = async (node: Node) =>
        [...await samples(node)].filter(([name, up]) => name.startsWith("bonds{") && up === 1)
          .length;
      await it.until("it is missed", () => first.log.includes('"event":"server away"'));
      equal(await bonds(first), 1);
      // Whoever leads says so.
      const told = () => /round void|"waiting"/.test(first.log + second.log);
      await it.until("a round is void, or waits", told);
      await it.kill(second);
      // Which makes one of three: nobody can lead any more.
      await it.until("nobody leads", () => leaders(first).at(-1) === "none");
      const { status: code, text } = await get(first, "/readyz");
      equal(code, 503);
      match(text, /a leader: a majority of the servers must be here/);
      equal((await get(first, "/healthz")).status, 200);
    },
  );
});

Deno.test("an address that cannot be served, or that others reach, is refused in one line", async () => {
  await using it = new Instance("metrics-refused", 3);
  const blocker = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = blocker.addr as Deno.NetAddr;
  try {
    const taken = await it.ends(
      it.serverCommand(0, []),
      (args) => [...args, "--metrics", `127.0.0.1:${port}`],
    );
    equal(taken.code, 2);
    match(taken.line, new RegExp(`metrics cannot be served at 127.0.0.1:${port}: it is in use`));
  } finally {
    blocker.close();
  }
});
