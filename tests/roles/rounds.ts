/** A model of rounds for the outbox: real schedules, layouts and slots; no keys, no pads. */
import { hex, u32, xorInto } from "../../src/protocol/bytes.ts";
import type { Head } from "../../src/protocol/chain.ts";
import type { Vectors } from "../../src/protocol/envelope.ts";
import { hash } from "../../src/protocol/hash.ts";
import type { Header } from "../../src/protocol/header.ts";
import { layoutOf, NO_GRANTS } from "../../src/protocol/layout.ts";
import { PRESETS, scheduleBytes } from "../../src/protocol/parameters.ts";
import type { Record } from "../../src/protocol/record.ts";
import { Outbox } from "../../src/roles/outbox.ts";
import type { Random } from "../../src/universe/environment.ts";

/** Small enough that grants run out. */
export const parameters = {
  ...PRESETS.dev,
  maxTalkers: 8,
  maxMessageBytes: 200,
  maxVectorBytes: 1_024,
};

/** Bytes from a seed. */
export function seeded(seed: number): Random {
  let count = 0, pool: Uint8Array = new Uint8Array(0);
  return (length) => {
    if (pool.length < length) pool = hash("order", u32(seed), u32(count++));
    const out = pool.slice(0, length);
    pool = pool.subarray(length);
    return out;
  };
}

/**
 * An outbox, what it said, and its salts: the arrays, and as they were drawn. Waits are drawn from
 * `draws`, then 0.
 */
export function client(seed = 1) {
  const source = seeded(seed), draws: number[] = [], salts: Uint8Array[] = [], drawn: string[] = [];
  const warnings: string[] = [], clock = { now: 1_000 };
  const random = (length: number) => {
    if (length === 1) return Uint8Array.of(draws.shift() ?? 0);
    salts.push(source(length));
    drawn.push(hex(salts.at(-1)!));
    return salts.at(-1)!;
  };
  const onWarning = (warning: string) => warnings.push(warning);
  const outbox = new Outbox({ parameters, random, now: () => clock.now, onWarning });
  return { outbox, draws, salts, drawn, warnings, clock };
}

/** What happens in a round; clients by their index. */
export interface Faults {
  /** Whether grants stand; true if absent, false after genesis. */
  carry?: boolean;
  /** No record comes. */
  lost?: boolean;
  /** Left out of the aggregate. */
  out?: number[];
  /** See the header, make no envelope. */
  skip?: number[];
  /** Never see the header. */
  unseen?: number[];
  /** Every slot is spoiled. */
  garble?: boolean;
  /** The schedule does not decode. */
  jam?: boolean;
}

/** A round that was composed for, and the record if one came. */
export interface Round {
  header: Header;
  vectors: (Vectors | undefined)[];
  faults: Faults;
  before: Head;
  record?: Record;
}

/** The chain as its servers see it. */
export class Rounds {
  head: Head = { round: 0, time: 0, hash: new Uint8Array(32), layout: NO_GRANTS };
  #round = 0;

  /** The next header on the head. */
  header(carry = true): Header {
    const round = ++this.#round, stands = carry && this.head.header !== undefined;
    return {
      round,
      time: round,
      previous: this.head.hash,
      carry: stands,
      messageBytes: stands ? this.head.layout.bytes : 0,
      rosterSize: 20,
      rosterRoot: new Uint8Array(32),
      bundles: [],
      bytes: u32(round),
      hash: hash("header", u32(round)),
    };
  }

  /** A round of all clients. */
  play(clients: readonly Outbox[], faults: Faults = {}): Round {
    const header = this.header(faults.carry), before = this.head;
    const vectors = clients.map((client, i) => {
      if (faults.unseen?.includes(i)) return;
      if (!faults.skip?.includes(i)) return client.compose(header, before);
      client.skip(header);
    });
    const round = { header, vectors, faults, before };
    return faults.lost ? round : this.certify(clients, round);
  }

  /** Opens a round and tells the clients, but those that miss it. */
  certify(clients: readonly Outbox[], round: Round, missed: readonly number[] = []): Round {
    const { header, vectors, faults, before } = round;
    const schedule = new Uint8Array(scheduleBytes(parameters));
    const messages = new Uint8Array(header.messageBytes);
    const took = vectors.map((v, i) => v !== undefined && !faults.out?.includes(i));
    vectors.forEach((v, i) => {
      if (v === undefined || !took[i]) return;
      xorInto(schedule, v.schedule);
      xorInto(messages, v.messages);
    });
    if (faults.jam) schedule.forEach((byte, i) => schedule[i] = byte ^ 0x5a);
    if (faults.garble) {
      for (const { offset } of before.layout.grants) {
        messages[offset + 16] ^= 1;
      }
    }
    const zero = new Uint8Array(32);
    const record: Record = {
      header,
      schedule,
      messages,
      bitmap: new Uint8Array(3),
      root: zero,
      sum: zero,
      shares: zero,
      hash: hash("record", header.hash, schedule, messages),
      bytes: zero,
    };
    const { round: number, time, hash: under } = header;
    const layout = layoutOf(record, parameters);
    this.head = { round: number, time, hash: record.hash, header: under, layout };
    clients.forEach((client, i) => {
      if (!missed.includes(i)) client.record(record, before, this.head, took[i]);
    });
    return { ...round, record };
  }
}
