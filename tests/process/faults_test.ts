/** Processes are killed while messages are sent: all land, nobody signs twice, rounds go on. */
import { equal, ok } from "node:assert/strict";
import { Instance, ready, sameStory } from "./instance.ts";

/** Clients that are never killed: what they send must land. */
const SPEAKERS = [0, 1, 2, 3];

Deno.test("SIGKILL and return of a client, the aggregator and a server", async (t) => {
  await using it = new Instance("faults");
  await it.start(5);
  const [a, b] = it.readers;
  const sent = new Map<unknown, string>();
  const speak = () => {
    for (const index of SPEAKERS) {
      const id = `m${sent.size}`;
      const payload = crypto.getRandomValues(new Uint8Array(1 + sent.size % 200)).toBase64();
      sent.set(id, payload);
      it.clients[index].child.say({ id, payload });
    }
  };
  /** Speaks in each of the next rounds that have at least so many participants. */
  const rounds = async (count: number, participants: number) => {
    for (let i = 0; i < count; i++) {
      const before = [a, b].map(({ records }) => records.at(-1)?.round ?? 0);
      speak();
      await it.until(`a round of ${participants}`, () =>
        [a, b].every(({ records }, reader) =>
          records.some((record) =>
            record.round > before[reader] && record.participants >= participants
          )
        ));
    }
  };

  await t.step("a client", async () => {
    await rounds(2, 5);
    speak();
    it.clients[4] = await it.killed(it.clients[4]);
    await it.until("it takes part again", () => ready(it.clients[4]));
    await rounds(2, 5);
  });

  await t.step("the aggregator", async () => {
    speak();
    it.aggregator = await it.killed(it.aggregator);
    await rounds(3, 5);
  });

  for (const server of [0, 1, 2]) {
    const name = server === 0 ? "a server, whom all met first" : "a server";
    await t.step(name, async () => {
      speak();
      it.servers[server] = await it.killed(it.servers[server]);
      await rounds(3, 5);
    });
  }

  await t.step("all land where their senders were told, at both readers alike", async () => {
    const told = () => SPEAKERS.flatMap((index) => [...it.clients[index].outcomes.values()]);
    await it.until("every message has its outcome", () => told().length === sent.size);
    const last = Math.max(...told().map(({ round }) => Number(round)));
    await it.until("both readers have it", () =>
      [a, b].every(({ records }) => records.at(-1)!.round >= last));
    sameStory(a.records, b.records);
    const places = new Map(
      a.records.flatMap(({ round, messages }) =>
        messages.map(({ slot, payload }) => [`${round}/${slot}`, payload])
      ),
    );
    for (const { id, outcome, round, slot } of told()) {
      equal(outcome, "landed", `${id}`);
      equal(places.get(`${round}/${slot}`), sent.get(id), `${id} in round ${round}`);
    }
    ok(!it.logs.includes("equivocation"));
  });
});
