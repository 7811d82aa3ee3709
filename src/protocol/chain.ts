/**
 * The chain of records, followed by someone who holds nothing but the manifest, from any source.
 */
import { participants } from "./aggregate.ts";
import { equal, type HeaderHash, hex, type RecordHash } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { type Layout, layoutOf, NO_GRANTS } from "./layout.ts";
import type { Manifest } from "./manifest.ts";
import { type CertifiedRecord, checkCertificate, decodeCertified, type Record } from "./record.ts";
import { readSlot } from "./slot.ts";

/** The end of a chain: what the next header and record must extend. */
export interface Head {
  readonly round: number;
  /** Unix ms of its header; 0 at genesis. */
  readonly time: number;
  readonly hash: RecordHash;
  /** Hash of its header: what the granted commitments were made under. Absent at genesis. */
  readonly header?: HeaderHash;
  /** What it grants to the next round. */
  readonly layout: Layout;
}

/** A message that landed. */
export interface Message {
  /** The round whose record it stands in. */
  readonly round: number;
  /** Its place in the round, from 0. */
  readonly slot: number;
  /** A stranger's bytes, 1 to `maxMessageBytes`. */
  readonly payload: Uint8Array;
}

/** A record that extends the chain, with what was read from it. */
export interface Verified extends CertifiedRecord {
  readonly messages: readonly Message[];
  /** Indices of those who took part. */
  readonly participants: readonly number[];
  /** Slots granted for this round that did not hold what was reserved. */
  readonly badSlots: number;
  /** Whether the record before it was known, so that link, layout and slots could be checked. */
  readonly linked: boolean;
}

/** The head before the first round of a manifest. */
export function genesis(manifest: Manifest): Head {
  return { round: 0, time: 0, hash: manifest.root, layout: NO_GRANTS };
}

/** The head that a record makes. */
export function headOf(record: Record, manifest: Manifest): Head {
  const { round, time, hash } = record.header;
  return {
    round,
    time,
    hash: record.hash,
    header: hash,
    layout: layoutOf(record, manifest.parameters),
  };
}

/** Throws unless a record may follow `head`: link, rising round, message bytes of the layout. */
export function checkLink(record: Record, head: Head, manifest: Manifest): void {
  const { header } = record;
  const fail = (what: string): never => {
    throw new ProtocolError("chain", `record ${header.round} ${what}`);
  };
  if (header.round <= head.round) fail(`after round ${head.round}: rounds must rise`);
  if (!equal(header.previous, head.hash)) {
    fail(
      `follows ${hex(header.previous).slice(0, 16)}, expected ${
        hex(head.hash).slice(0, 16)
      } of round ${head.round}`,
    );
  }
  const expected = header.carry ? head.layout.bytes : 0;
  if (header.messageBytes !== expected) {
    fail(`has ${header.messageBytes} message bytes, expected ${expected}`);
  }
  if (header.carry && head.header === undefined) fail("carries grants that genesis does not have");
  checkParticipants(record, manifest);
}

function checkParticipants(record: Record, manifest: Manifest): void {
  const count = participants(record.bitmap).length, least = manifest.parameters.minParticipants;
  if (count < least) {
    throw new ProtocolError(
      "chain",
      `record ${record.header.round} has ${count} participants, expected at least ${least}`,
    );
  }
}

/** Follows a chain of certified records. */
export class Chain {
  #head: Head;
  #linked: boolean;

  /**
   * Starts at genesis, or, with `anywhere`, at whatever certified record comes first: its own link
   * cannot be checked then, all later ones can.
   */
  constructor(readonly manifest: Manifest, options: { readonly anywhere?: boolean } = {}) {
    this.#head = genesis(manifest);
    this.#linked = !options.anywhere;
  }

  /** The last record verified, or genesis. */
  get head(): Head {
    return this.#head;
  }

  /** Verifies one encoded certified record and moves on to it; a `ProtocolError` changes nothing. */
  extend(bytes: Uint8Array): Verified {
    const certified = decodeCertified(bytes, this.manifest);
    const { record } = certified;
    const linked = this.#linked || equal(record.header.previous, this.#head.hash);
    if (linked) checkLink(record, this.#head, this.manifest);
    else checkParticipants(record, this.manifest);
    checkCertificate(this.manifest, certified);
    const { messages, badSlots } = linked
      ? readMessages(record, this.#head, this.manifest)
      : { messages: [], badSlots: 0 };
    this.#head = headOf(record, this.manifest);
    this.#linked = true;
    return { ...certified, messages, badSlots, participants: participants(record.bitmap), linked };
  }
}

/** The good slots of a record, in slot order, against the grants of the head before it. */
export function readMessages(
  record: Record,
  before: Head,
  manifest: Manifest,
): { readonly messages: readonly Message[]; readonly badSlots: number } {
  const messages: Message[] = [];
  let badSlots = 0;
  if (record.header.carry && before.header !== undefined) {
    for (const [slot, grant] of before.layout.grants.entries()) {
      const bytes = record.messages.subarray(grant.offset, grant.offset + grant.length);
      const reading = readSlot(bytes, grant, before.header, manifest.parameters);
      if (reading.good) {
        messages.push({ round: record.header.round, slot, payload: reading.payload });
      } else badSlots++;
    }
  }
  return { messages, badSlots };
}
