/** The channel as processes over libp2p: what lands, who can check it, and how a role refuses. */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { Chain } from "../../src/protocol/chain.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { decodeLineage } from "../../src/protocol/lineage.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { client, INSTANCE, reader } from "../../testnet/command.ts";
import { Instance, type Node, sameStory } from "./instance.ts";

const LENGTHS = [1, 1, 2, 43, 44, 45, 64, 100, 256, 300, 512, 700, 1_000, 1_024];
const MORE = [2_000, 2_048, 3_000, 4_095, 4_096, 4_096];

/** The manifest and the records in a reader's output, as bytes. */
function story({ lines }: Node) {
  const bytes = (value: unknown) => Uint8Array.fromBase64(value as string);
  const id = instanceId(universeId(), INSTANCE);
  const [first, ...rest] = lines;
  const records = rest.map(({ record, certificate }) =>
    concat(bytes(record), ...(certificate as string[]).map(bytes))
  );
  return { manifest: decodeLineage(bytes(first.manifest), id)[0].manifest, records };
}

/** Other values for options that are there, and options that are not. */
function but(values: Record<string, string>) {
  return (args: readonly string[]) => {
    const out = [...args];
    for (const [name, value] of Object.entries(values)) {
      const at = out.indexOf(name);
      if (at < 0) out.push(name, value);
      else out[at + 1] = value;
    }
    return out;
  };
}

Deno.test("20 messages of five clients land in one order that anyone can verify", async (t) => {
  await using it = new Instance("channel");
  await it.start(5);
  const [a, b] = it.readers;
  const sent = new Map<string, string>();

  await t.step("all land where their senders were told, at both readers alike", async () => {
    for (const [i, length] of [...LENGTHS, ...MORE].entries()) {
      const payload = crypto.getRandomValues(new Uint8Array(length)).toBase64();
      sent.set(`m${i}`, payload);
      it.clients[i % 5].child.say({ id: `m${i}`, payload });
    }
    const told = () => it.clients.flatMap(({ outcomes }) => [...outcomes.values()]);
    await it.until("all have their outcome", () => told().length === sent.size);
    const last = Math.max(...told().map(({ round }) => Number(round)));
    await it.until("both readers have it", () => {
      return [a, b].every(({ records }) => (records.at(-1)?.round ?? 0) >= last);
    });
    sameStory(a.records, b.records);
    for (const { records } of [a, b]) {
      const places = new Map(
        records.flatMap(({ round, messages }) =>
          messages.map(({ slot, payload }) => [`${round}/${slot}`, payload])
        ),
      );
      for (const { id, outcome, round, slot } of told()) {
        equal(outcome, "landed");
        equal(places.get(`${round}/${slot}`), sent.get(id as string));
      }
    }
  });

  const { manifest, records } = story(a);

  await t.step("the reader's output is verified with nothing but the manifest", () => {
    deepEqual(manifest.servers.map(hex), [...it.keys].sort());
    const chain = new Chain(manifest);
    const payloads = records.flatMap((bytes) => chain.extend(bytes).messages)
      .map(({ payload }) => payload.toBase64());
    for (const payload of sent.values()) ok(payloads.includes(payload));
  });

  await t.step("one altered bit in one record is refused at that record", () => {
    const middle = records.length >> 1, { length } = records[middle];
    for (const at of [0, 60, 200, length >> 1, length - 192, length - 1]) {
      const chain = new Chain(manifest);
      records.slice(0, middle).forEach((bytes) => chain.extend(bytes));
      const altered = records[middle].slice();
      altered[at] ^= 1;
      const { round } = chain.head;
      throws(() => chain.extend(altered), ProtocolError);
      equal(chain.head.round, round);
      chain.extend(records[middle]);
    }
    const gap = new Chain(manifest);
    throws(() => gap.extend(records[1]), ProtocolError);
  });

  const { bootstrap } = it, soon = { "--connect-timeout": "2s" };
  const command = client(it.site, 9, bootstrap);

  for (const [name, value] of [["--instance", "dev.tostnet"], ["--universe", "elsewhere"]]) {
    await t.step(`another ${name}: exit 3 and one line that says so`, async () => {
      const { code, line } = await it.ends(command, but({ ...soon, [name]: value }));
      equal(code, 3);
      match(line, /ConnectTimeout: looked for .*, 0 of this instance; /);
    });
  }

  await t.step("another committee than the pinned one: exit 4", async () => {
    for (const role of [command, reader(it.site, 9, bootstrap)]) {
      const { code, line } = await it.ends(role, but({ "--committee": "ab".repeat(32) }));
      equal(code, 4);
      match(line, new RegExp(`Refused: .*${hex(manifest.fingerprint)}, expected the pinned abab`));
    }
  });

  await t.step("options that make no sense: exit 2", async () => {
    for (const wrong of [["--cadence", "often"], ["--instanse", "x"], ["--listen", "here"]]) {
      equal((await it.ends(command, but({ [wrong[0]]: wrong[1] }))).code, 2);
    }
  });

  await t.step("a second server on the same data: exit 5", async () => {
    equal((await it.ends(it.serverCommand(1), but({}))).code, 5);
  });

  await t.step("none of this disturbed the rounds", async () => {
    const before = a.records.length;
    await it.until("three more rounds", () => a.records.length >= before + 3);
    ok(!it.logs.includes("equivocation"));
  });
});
