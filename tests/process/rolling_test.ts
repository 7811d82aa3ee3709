/**
 * All servers are restarted, one at a time, while messages flow: none is lost. Three such rounds
 * change the secret that the committee shares; after the last the old one opens nothing. Then the
 * aggregator and a client change their seeds.
 */
import { equal, ok } from "node:assert/strict";
import { Instance } from "./instance.ts";
import { Talk } from "./talk.ts";

const MAIN = "ZIPNET_COMMITTEE_SECRET", OTHER = "ZIPNET_COMMITTEE_SECRET_OTHER";
const NEW = "the secret that the committee shares from now on";

const seed = () => crypto.getRandomValues(new Uint8Array(32)).toHex();

Deno.test("a rolling restart loses no message, and changes the committee's secret", async (t) => {
  await using it = new Instance("rolling");
  await it.start(4);
  const talk = new Talk(it), old = it.site.committeeSecret;
  /** Restarts every server with these variables; each goes on before the next one is stopped. */
  const roll = async (env: Readonly<Record<string, string | undefined>>) => {
    for (const index of it.servers.keys()) {
      talk.speak();
      const node = it.servers[index], stood = talk.rounds;
      await it.kill(node, "SIGTERM");
      equal(node.ending!.code, 0, node.log);
      it.servers[index] = await it.again(node, env);
      await it.until("rounds go on", () => talk.rounds > stood + 1);
      await talk.over();
    }
  };

  await t.step("the new secret is accepted too", () => roll({ [OTHER]: NEW }));
  await t.step("it is the main one", () => roll({ [MAIN]: NEW, [OTHER]: old }));
  await t.step("the old one is gone", () => roll({ [OTHER]: undefined }));

  await t.step("who knows just the old one is refused", async () => {
    const node = it.servers[2], stood = talk.rounds;
    await it.kill(node, "SIGTERM");
    const outsider = await it.again(node, { [MAIN]: old });
    await it.until("it is told so", () => /did not prove the committee secret/.test(outsider.log));
    equal(talk.rounds <= stood + 1, true, "no round goes on without it");
    await it.kill(outsider, "SIGTERM");
    it.servers[2] = await it.again(node);
    await it.until("rounds go on", () => talk.rounds > stood + 1);
  });

  await t.step("the aggregator comes back with another seed: clients find it", async () => {
    const stood = talk.rounds, ZIPNET_SECRET = seed();
    await it.kill(it.aggregator, "SIGTERM");
    it.aggregator = await it.again(it.aggregator, { ZIPNET_SECRET });
    talk.speak();
    await talk.over();
    ok(talk.rounds > stood);
  });

  await t.step("every message landed once, where its sender was told", async () => {
    await talk.judge();
    ok(!it.logs.includes(NEW) && !it.logs.includes(old));
  });

  await t.step("a client comes back with another seed: as another client", async () => {
    const [before] = it.clients, ZIPNET_SECRET = seed();
    await it.kill(before, "SIGTERM");
    const after = await it.again(before, { ZIPNET_SECRET });
    after.child.say({ id: "new", payload: btoa("under another key") });
    await it.until("its message landed", () => after.outcomes.get("new")?.outcome === "landed");
    ok(after.client !== undefined && after.client !== before.client);
  });
});
