/**
 * What the processes of an instance tell whoever operates them, at their most talkative, links no
 * client to a message: nothing of a payload, commitment or slot stands in any log, metric or span,
 * but for the sender's own standard output. The same search finds each of them where one is planted.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { Chain } from "../../src/protocol/chain.ts";
import { decodeLineage } from "../../src/protocol/lineage.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { INSTANCE } from "../../testnet/command.ts";
import { Collector, value } from "./collector.ts";
import { Instance, type Node } from "./instance.ts";

/** Messages of each client. */
const EACH = 5, CLIENTS = 4;

/** One thing that must not be told, under the name by which a finding calls it. */
interface Secret {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** How bytes may stand in a text: as they are, in hex, in base64 at each of its three places. */
function spellings(bytes: Uint8Array): string[] {
  const base64 = [0, 1, 2].map((shift) => {
    const shifted = new Uint8Array(shift + bytes.length);
    shifted.set(bytes, shift);
    const text = shifted.toBase64();
    // The characters that depend on what stands before and after are left out.
    return text.slice(shift === 0 ? 0 : shift + 1, Math.floor((shift + bytes.length) * 8 / 6));
  });
  const raw = new TextDecoder().decode(bytes);
  return [
    hex(bytes),
    ...base64,
    ...base64.map((it) => it.replaceAll("+", "-").replaceAll("/", "_")),
  ]
    .concat(raw.includes("\ufffd") ? [] : [raw]);
}

/** What of the secrets, or of slots beside a client, stands in what a process told. */
function search(told: string, secrets: readonly Secret[], clients: readonly string[]): string[] {
  const lower = told.toLowerCase(), found: string[] = [];
  for (const { name, bytes } of secrets) {
    for (const text of spellings(bytes)) {
      if (told.includes(text) || lower.includes(text.toLowerCase())) found.push(name);
    }
  }
  for (const line of told.split("\n")) {
    const named = clients.some((client) => line.includes(client.slice(0, 16)));
    if (named && /slot|commit(?!tee)|payload|offset|message/i.test(line)) {
      found.push(`beside: ${line}`);
    }
  }
  return found;
}

/** What a process told its operator: its log, and its metrics. */
async function told(node: Node): Promise<string> {
  return node.log + await (await fetch(`http://${node.metrics}/metrics`)).text();
}

Deno.test("no log, no metric and no span links a client to a message", async (t) => {
  await using collector = new Collector();
  await using it = new Instance("unlinkable", 3, () => [], undefined, true);
  const env = it.site.env as Record<string, string>;
  env.ZIPNET_METRICS = "127.0.0.1:0";
  env.ZIPNET_LOG = "debug";
  Object.assign(env, collector.env);
  await it.start(CLIENTS);
  const [reader] = it.readers, marks: Secret[] = [];
  for (let i = 0; i < EACH * CLIENTS; i++) {
    // Half of the marks are text, which a log could show as it is.
    const bytes = crypto.getRandomValues(new Uint8Array(24));
    const mark = i % 2 ? new TextEncoder().encode(`mark-${hex(bytes.subarray(12))}`) : bytes;
    marks.push({ name: `mark ${i}`, bytes: mark });
    it.clients[i % CLIENTS].child.say({ id: i, payload: mark.toBase64() });
  }
  const outcomes = () => it.clients.flatMap((client) => [...client.outcomes.values()]);
  await it.until("all have their outcome", () => outcomes().length === marks.length);
  equal(outcomes().filter(({ outcome }) => outcome === "landed").length, marks.length);
  const last = Math.max(...outcomes().map(({ round }) => Number(round)));
  await it.until("the reader has all", () => reader.records.at(-1)!.round >= last);

  const lineage = decodeLineage(
    Uint8Array.fromBase64(reader.lines[0].manifest as string),
    instanceId(universeId(), INSTANCE),
  );
  const chain = new Chain(lineage[0].manifest), commitments: Secret[] = [];
  for (const { record, certificate } of reader.lines.slice(1)) {
    const parts = [record as string, ...certificate as string[]].map((it) =>
      Uint8Array.fromBase64(it)
    );
    const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
    chain.extend(bytes);
    for (const { commitment } of chain.head.layout.grants) {
      commitments.push({ name: `commitment ${commitments.length}`, bytes: commitment });
    }
  }
  ok(commitments.length >= marks.length, `${commitments.length} commitments`);
  const secrets = [...marks, ...commitments];
  const clients = it.clients.map(({ client }) => client!);
  equal(new Set(clients).size, CLIENTS);
  const nodes = [...it.servers, it.aggregator, ...it.clients, ...it.readers];

  await t.step("nothing of it is anywhere", async () => {
    for (const node of nodes) {
      const text = await told(node);
      ok(text.length > 2_000, `${node.command.name} told ${text.length} characters`);
      deepEqual(search(text, secrets, clients), [], node.command.name);
    }
    const last = reader.records.at(-1)!.round;
    await collector.until(() =>
      collector.spans.some((span) => Number(value(span, "zipnet.round")) > last)
    );
    deepEqual(search(collector.text, secrets, clients), [], "spans");
  });

  await t.step("what is planted is found, in every spelling", async () => {
    const text = await told(it.servers[0]);
    for (const secret of [marks[0], marks[1], commitments[0]]) {
      for (const spelling of spellings(secret.bytes)) {
        deepEqual(search(`${text}\n${spelling}`, secrets, clients)[0], secret.name);
      }
    }
    const line = `{"event":"sent","client":"${clients[0]}","slot":3}`;
    equal(search(`${text}\n${line}`, secrets, clients).length, 1);
  });
});
