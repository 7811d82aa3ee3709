/**
 * All servers are restarted, one at a time, while messages flow: none is lost. Three such rounds
 * change the secret that the committee shares; after the last the old one opens nothing.
 */
import { equal, ok } from "node:assert/strict";
import { Instance, sameStory } from "./instance.ts";

const MAIN = "ZIPNET_COMMITTEE_SECRET", OTHER = "ZIPNET_COMMITTEE_SECRET_OTHER";
const NEW = "the secret that the committee shares from now on";

Deno.test("a rolling restart loses no message, and changes the committee's secret", async (t) => {
  await using it = new Instance("rolling");
  await it.start(4);
  const [a, b] = it.readers, old = it.site.committeeSecret;
  const sent = new Map<unknown, string>();
  const speak = () => {
    for (const { child } of it.clients) {
      const id = `m${sent.size}`;
      const payload = crypto.getRandomValues(new Uint8Array(1 + sent.size % 200)).toBase64();
      sent.set(id, payload);
      child.say({ id, payload });
    }
  };
  const told = () => it.clients.flatMap(({ outcomes }) => [...outcomes.values()]);
  const rounds = () => Math.min(...[a, b].map(({ records }) => records.at(-1)?.round ?? 0));
  /** Restarts every server with these variables; each goes on before the next one is stopped. */
  const roll = async (env: Readonly<Record<string, string | undefined>>) => {
    for (const index of it.servers.keys()) {
      speak();
      const node = it.servers[index], stood = rounds();
      await it.kill(node, "SIGTERM");
      equal(node.ending!.code, 0, node.log);
      it.servers[index] = await it.again(node, env);
      await it.until("rounds go on", () => rounds() > stood + 1);
      await it.until("every message has its outcome", () => told().length === sent.size);
    }
  };

  await t.step("the new secret is accepted too", () => roll({ [OTHER]: NEW }));
  await t.step("it is the main one", () => roll({ [MAIN]: NEW, [OTHER]: old }));
  await t.step("the old one is gone", () => roll({ [OTHER]: undefined }));

  await t.step("who knows just the old one is refused", async () => {
    const node = it.servers[2], stood = rounds();
    await it.kill(node, "SIGTERM");
    const outsider = await it.again(node, { [MAIN]: old });
    await it.until("it is told so", () => /did not prove the committee secret/.test(outsider.log));
    equal(rounds() <= stood + 1, true, "no round goes on without it");
    await it.kill(outsider, "SIGTERM");
    it.servers[2] = await it.again(node);
    await it.until("rounds go on", () => rounds() > stood + 1);
  });

  await t.step("every message landed once, where its sender was told, in one chain", async () => {
    for (const { id, outcome, reason } of told()) equal(outcome, "landed", `${id}: ${reason}`);
    const last = Math.max(...told().map(({ round }) => Number(round)));
    await it.until("both readers have it", () => rounds() >= last);
    sameStory(a.records, b.records);
    const landed = a.records.flatMap(({ messages }) => messages.map(({ payload }) => payload));
    equal(new Set(landed).size, landed.length, "a message landed twice");
    equal(landed.length, sent.size);
    for (const payload of sent.values()) ok(landed.includes(payload));
    ok(!it.logs.includes(NEW) && !it.logs.includes(old));
  });
});
