/** What the clients of an instance of processes say, and whether all of it landed, once. */
import { equal, ok } from "node:assert/strict";
import { type Instance, sameStory } from "./instance.ts";

/** Messages of every client of an instance, each of its own. */
export class Talk {
  /** Payloads by the id under which their sender is told what became of them. */
  readonly sent = new Map<unknown, string>();

  constructor(readonly instance: Instance) {}

  /** Every client says something. */
  speak(): void {
    for (const { child } of this.instance.clients) {
      const id = `m${this.sent.size}`;
      const payload = crypto.getRandomValues(new Uint8Array(1 + this.sent.size % 200)).toBase64();
      this.sent.set(id, payload);
      child.say({ id, payload });
    }
  }

  /** Outcomes that clients were told. */
  get told(): Record<string, unknown>[] {
    return this.instance.clients.flatMap(({ outcomes }) => [...outcomes.values()]);
  }

  /** Highest round that all readers have. */
  get rounds(): number {
    return Math.min(...this.instance.readers.map(({ records }) => records.at(-1)?.round ?? 0));
  }

  /** Waits until every message has its outcome. */
  async over(): Promise<void> {
    await this.instance.until(
      "every message has its outcome",
      () => this.told.length === this.sent.size,
    );
  }

  /** Every message landed, once, where its sender was told, and two readers tell one story. */
  async judge(): Promise<void> {
    await this.over();
    for (const { id, outcome, reason } of this.told) equal(outcome, "landed", `${id}: ${reason}`);
    const last = Math.max(...this.told.map(({ round }) => Number(round)));
    await this.instance.until("both readers have it", () => this.rounds >= last);
    const [a, b] = this.instance.readers;
    sameStory(a.records, b.records);
    const landed = a.records.flatMap(({ round, messages }) =>
      messages.map(({ slot, payload }) => ({ place: `${round}/${slot}`, payload }))
    );
    const places = new Map(landed.map(({ place, payload }) => [place, payload]));
    for (const { id, round, slot } of this.told) {
      equal(places.get(`${round}/${slot}`), this.sent.get(id), `${id} in round ${round}`);
    }
    equal(new Set(landed.map(({ payload }) => payload)).size, landed.length, "landed twice");
    equal(landed.length, this.sent.size);
    ok(!this.instance.logs.includes("equivocation"));
    console.log(`${landed.length} messages landed, 0 lost, 0 twice`);
  }
}
