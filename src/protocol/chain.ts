/**
 * The chain of records, followed by someone who holds nothing but the manifest, from any source;
 * over changes of the committee by someone who holds the manifests of all epochs on the way.
 */
import { participants } from "./aggregate.ts";
import { equal, type HeaderHash, hex, type RecordHash } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { type Layout, layoutOf, NO_GRANTS } from "./layout.ts";
import { checkSuccession, type Manifest } from "./manifest.ts";
import { type CertifiedRecord, checkCertificate, decodeCertified, type Record } from "./record.ts";
import { readSlot } from "./slot.ts";

/** The end of a chain: what the next header and record must extend. */
export interface Head {
  readonly round: number;
  /** Unix ms of its header; 0 where an epoch begins. */
  readonly time: number;
  readonly hash: RecordHash;
  /** Hash of its header: what the granted commitments were made under. Absent where an epoch begins. */
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
  /** The manifest of its epoch. */
  readonly manifest: Manifest;
  readonly messages: readonly Message[];
  /** Indices of those who took part. */
  readonly participants: readonly number[];
  /** Slots granted for this round that did not hold what was reserved. */
  readonly badSlots: number;
  /** Whether the record before it was known, so that link, layout and slots could be checked. */
  readonly linked: boolean;
}

/**
 * The head before the first round of a manifest: it grants nothing, so the first header has carry 0.
 * `round` is that of the record which a later epoch starts from; whoever does not know it gives none
 * and takes any round for the first.
 */
export function genesis(manifest: Manifest, round = 0): Head {
  return { round, time: 0, hash: manifest.root, layout: NO_GRANTS };
}

/** Heads by their record's hash, which covers all that they follow from: many roles may ask here. */
const heads = new Map<string, Head>();
const MAX_HEADS = 16;

/** The head that a record makes. */
export function headOf(record: Record, manifest: Manifest): Head {
  const name = hex(record.hash), known = heads.get(name);
  if (known) return known;
  const { round, time, hash } = record.header;
  const layout = layoutOf(record, manifest.parameters);
  const head = { round, time, hash: record.hash, header: hash, layout };
  if (heads.size >= MAX_HEADS) heads.delete(heads.keys().next().value!);
  heads.set(name, head);
  return head;
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

/**
 * Follows a chain of certified records, from epoch to epoch: with the record that the next epoch
 * starts from, the present one is over and its grants have lapsed.
 */
export class Chain {
  /** Successive manifests from the first one known on. */
  readonly #epochs: Manifest[];
  /** The place among them of the one whose records come next. */
  #at = 0;
  #head: Head;
  #linked: boolean;

  /**
   * Starts at genesis, or, with `anywhere`, at whatever certified record comes first: its own link
   * cannot be checked then, all later ones can.
   */
  constructor(manifest: Manifest, options: { readonly anywhere?: boolean } = {}) {
    this.#epochs = [manifest];
    this.#head = genesis(manifest);
    this.#linked = !options.anywhere;
  }

  /** The last record verified, or what the epoch starts from. */
  get head(): Head {
    return this.#head;
  }

  /** The manifest of the epoch whose records come next. */
  get manifest(): Manifest {
    return this.#epochs[this.#at];
  }

  /** The newest manifest known. */
  get newest(): Manifest {
    return this.#epochs[this.#epochs.length - 1];
  }

  /**
   * Learns of the epoch after the newest one known; whether it is to be trusted is for the caller
   * to judge (`acceptLineage`). A manifest that is known already changes nothing; a `ProtocolError`
   * for one that does not follow.
   */
  adopt(next: Manifest): void {
    if (this.#epochs.some(({ fingerprint }) => equal(fingerprint, next.fingerprint))) return;
    checkSuccession(this.newest, next);
    this.#epochs.push(next);
    this.#arrive();
  }

  /** Verifies one encoded certified record and moves on to it; a `ProtocolError` changes nothing. */
  extend(bytes: Uint8Array): Verified {
    const at = this.#epochOf(bytes), manifest = this.#epochs[at];
    const certified = decodeCertified(bytes, manifest);
    const { record } = certified;
    const before = at === this.#at ? this.#head : genesis(manifest);
    const linked = this.#linked || equal(record.header.previous, before.hash);
    if (linked) checkLink(record, before, manifest);
    else checkParticipants(record, manifest);
    checkCertificate(manifest, certified);
    const { messages, badSlots } = linked
      ? readMessages(record, before, manifest)
      : { messages: [], badSlots: 0 };
    this.#at = at;
    this.#head = headOf(record, manifest);
    this.#linked = true;
    this.#arrive();
    const taking = participants(record.bitmap);
    return { ...certified, manifest, messages, badSlots, participants: taking, linked };
  }

  /** The place of the manifest that a record's header names; the present one, once linked. */
  #epochOf(bytes: Uint8Array): number {
    const committee = committeeOf(bytes);
    const at = this.#epochs.findIndex(({ fingerprint }) => equal(fingerprint, committee));
    // Of no epoch known: what reads the header says so.
    if (at < 0 || at === this.#at) return this.#at;
    if (!this.#linked) return at;
    const { epoch, start } = this.#epochs[Math.max(at, this.#at)], { hash, round } = this.#head;
    throw new ProtocolError(
      "chain",
      at > this.#at
        ? `a record of epoch ${epoch}, which starts from ${hex(start).slice(0, 16)}, after ${
          hex(hash).slice(0, 16)
        } of round ${round}`
        : `a record of epoch ${this.#epochs[at].epoch} after the start of epoch ${epoch}`,
    );
  }

  /** Goes on to the next epoch, if it starts here; there may be nothing in it but its successor. */
  #arrive(): void {
    while (this.#at + 1 < this.#epochs.length) {
      const next = this.#epochs[this.#at + 1];
      if (!equal(next.start, this.#head.hash)) return;
      this.#at++;
      this.#head = genesis(next, this.#head.round);
    }
  }
}

/** The fingerprint that a record's header names; empty if there are too few bytes. */
function committeeOf(bytes: Uint8Array): Uint8Array {
  return bytes instanceof Uint8Array ? bytes.subarray(32, 64) : new Uint8Array(0);
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
