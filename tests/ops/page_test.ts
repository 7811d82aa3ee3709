/** The page's server: what it hands out, to whom, and how a watcher takes it up again. */
import assert from "node:assert/strict";
import { Page } from "../../src/ops/page.ts";
import type { Fields } from "../../src/universe/environment.ts";
import { systemClock, systemRandom } from "../../src/ops/system.ts";

function serve() {
  const said: Fields[] = [];
  const page = new Page({
    address: { host: "127.0.0.1", port: 0, loopback: true },
    environment: {
      clock: systemClock,
      random: systemRandom,
      observe: (_level, _event, fields = {}) => void said.push(fields),
    },
    files: new Map([["index.html", new TextEncoder().encode("<p>hello")]]),
  });
  return { page, base: String(said[0].address) };
}

/** The first `count` events of a watcher. */
async function events(base: string, count: number, headers: HeadersInit = {}) {
  const response = await fetch(`${base}events`, { headers });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const whole = () => text.split("\n\n").slice(0, -1).filter((part) => part.includes("data:"));
  while (whole().length < count) text += (await reader.read()).value;
  await reader.cancel();
  return whole();
}

Deno.test("page: its files, with a policy that lets nothing else in", async () => {
  const { page, base } = serve();
  const response = await fetch(base);
  assert.equal(await response.text(), "<p>hello");
  const policy = response.headers.get("content-security-policy")!;
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  for (
    const [path, init, status] of [
      ["nothing", {}, 404],
      ["../deno.json", {}, 404],
      ["", { method: "POST", body: "x" }, 405],
    ] as const
  ) {
    const answer = await fetch(base + path, init);
    assert.equal(answer.status, status, path);
    await answer.body?.cancel();
  }
  await page.stop();
});

Deno.test("page: who comes late hears what was, who comes back what is new", async () => {
  const { page, base } = serve();
  page.introduce("instance", "{}");
  for (const id of [3, 4, 7]) page.publish(id, "round", `{"round":${id}}`);
  const all = await events(base, 4);
  assert.deepEqual(all.map((event) => /id: (\d+)/.exec(event)?.[1]), [undefined, "3", "4", "7"]);
  const since = await events(base, 2, { "last-event-id": "4" });
  assert.deepEqual(since.map((event) => /id: (\d+)/.exec(event)?.[1]), [undefined, "7"]);
  const other = await events(base, 4, { "last-event-id": "900" });
  assert.equal(other.length, 4, "it saw another log: all anew");
  const watching = events(base, 5);
  while (page.watchers === 0) await fetch(base).then((answer) => answer.body?.cancel());
  page.publish(8, "round", '{"round":8}');
  assert.match((await watching)[4], /id: 8\nevent: round\ndata: \{"round":8\}/);
  await page.stop();
});

Deno.test("page: what is kept and who may watch is bounded", async () => {
  const { page, base } = serve();
  for (let id = 1; id <= 1_000; id++) page.publish(id, "round", String(id));
  assert.equal((await events(base, 256)).length, 256);
  for (let id = 1_001; id <= 1_010; id++) page.publish(id, "round", "x".repeat(2 ** 20));
  assert.ok((await events(base, 3)).length <= 4, "at most 4 MiB are kept");
  for (let id = 1_101; id <= 1_110; id++) page.publish(id, "round", "中".repeat(2 ** 19));
  const kept = await events(base, 2);
  assert.deepEqual(kept.map((event) => /id: (\d+)/.exec(event)?.[1]), ["1109", "1110"], "in bytes");
  const open = [];
  for (let i = 0; i < 64; i++) open.push(await fetch(`${base}events`));
  const refused = await fetch(`${base}events`);
  assert.equal(refused.status, 503);
  await refused.body?.cancel();
  // Nobody reads: each is cut as soon as too much waits for it.
  for (let id = 2_000; id < 2_020; id++) page.publish(id, "round", "y".repeat(2 ** 20));
  while (page.watchers > 0) page.publish(3_000 + page.watchers, "round", "z".repeat(2 ** 20));
  for (const { body } of open) await body?.cancel().catch(() => {});
  await page.stop();
});
