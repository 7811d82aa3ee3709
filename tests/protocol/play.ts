/**
 * A committee and clients that play rounds by hand, without roles or a network: the stage of the
 * tests on this floor and of `scripts/vectors.ts`. Everything follows from one seed.
 */
import { type Aggregate, Fold, participants } from "../../src/protocol/aggregate.ts";
import { type Bundle, createBundle } from "../../src/protocol/bundle.ts";
import { genesis, type Head, headOf } from "../../src/protocol/chain.ts";
import {
  createEnvelope,
  type Envelope,
  joinVectors,
  splitVectors,
  type Vectors,
} from "../../src/protocol/envelope.ts";
import { createHeader, type Header, type HeaderFields } from "../../src/protocol/header.ts";
import { compare, hex, u64 } from "../../src/protocol/bytes.ts";
import {
  type Agreement,
  agreement,
  pairKey,
  type Signer,
  signer,
} from "../../src/protocol/keys.ts";
import { gatherEpoch, type SignedManifest } from "../../src/protocol/lineage.ts";
import {
  createManifest,
  type Manifest,
  type ManifestFields,
  signManifest,
} from "../../src/protocol/manifest.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import type { OpenedHeader } from "../../src/protocol/opened.ts";
import { applyPads, xchacha20 } from "../../src/protocol/pad.ts";
import { type Parameters, PRESETS, scheduleBytes } from "../../src/protocol/parameters.ts";
import { type CertifiedRecord, createRecord, encodeCertified } from "../../src/protocol/record.ts";
import { Roster } from "../../src/protocol/roster.ts";
import { createEntry, insertEntry } from "../../src/protocol/schedule.ts";
import {
  createShare,
  openVectors,
  type Share,
  shareCommitment,
  sharesHash,
} from "../../src/protocol/share.ts";
import { commitment, createSlot } from "../../src/protocol/slot.ts";
import { Random } from "./random.ts";

/** Small sizes, so that 64 cells and short vectors are enough. */
export const SMALL: Parameters = {
  ...PRESETS.dev,
  maxClients: 16,
  maxTalkers: 16,
  maxMessageBytes: 108,
  maxVectorBytes: 1_024,
};

/** A server or a client: its secrets as bytes, and what is made of them. */
export interface Party {
  readonly seed: Uint8Array;
  readonly secret: Uint8Array;
  readonly signer: Signer;
  readonly agreement: Agreement;
}

/** A server with the bundle of its boot. */
export interface Server extends Party {
  readonly bundle: Bundle;
}

/** Everything that one round made. */
export interface PlayedRound {
  readonly opened: OpenedHeader;
  readonly envelopes: readonly Envelope[];
  readonly aggregate: Aggregate;
  readonly shares: readonly Share[];
  readonly commitments: readonly Uint8Array[];
  readonly sharesHash: Uint8Array;
  readonly certified: CertifiedRecord;
  readonly bytes: Uint8Array;
}

function party(random: Random): Party {
  const seed = random.bytes(32), secret = random.bytes(32);
  return { seed, secret, signer: signer(seed), agreement: agreement(secret.slice()) };
}

/** A change of servers: the places of those who stay, and how many join. */
export interface Change {
  readonly from: Play;
  readonly stay: readonly number[];
  /** What a test wants to be different in the manifest. */
  readonly other?: Partial<ManifestFields>;
}

/** A committee, its clients and the chain they make, in one epoch. */
export class Play {
  random: Random;
  readonly manifest: Manifest;
  readonly servers: readonly Server[];
  readonly clients: readonly Party[];
  readonly aggregator: Party;
  readonly roster = new Roster();
  /** The epoch before, if there was one. */
  readonly before: Play | undefined;
  head: Head;

  /** In a later epoch `size.servers` are those who join. */
  constructor(
    readonly seed: number,
    size = { servers: 3, clients: 3 },
    parameters = SMALL,
    change?: Change,
  ) {
    const random = this.random = new Random(seed), before = this.before = change?.from;
    const servers = [
      ...Array.from({ length: size.servers }, () => party(random)),
      ...(change?.stay ?? []).map((at) => change!.from.servers[at]),
    ].sort((a, b) => compare(a.signer.key, b.signer.key));
    this.manifest = createManifest({
      instance: instanceId(universeId(), "example"),
      epoch: before ? before.manifest.epoch + 1 : 0,
      previous: before?.manifest.fingerprint ?? new Uint8Array(32),
      start: before?.head.hash ?? new Uint8Array(32),
      servers: servers.map((s) => s.signer.key),
      parameters,
      ...change?.other,
    });
    this.servers = servers.map((s) => ({
      ...s,
      bundle: createBundle(s.signer, this.manifest, {
        nonce: random.bytes(32),
        keyEpoch: 0,
        agreement: s.agreement.key,
      }),
    }));
    this.clients = before?.clients ??
      Array.from({ length: size.clients }, () => party(random));
    this.clients.forEach((c, i) =>
      this.roster.set(i, { client: c.signer.key, agreement: c.agreement.key })
    );
    this.aggregator = before?.aggregator ?? party(random);
    this.head = genesis(this.manifest, before?.head.round);
  }

  /** The next epoch, from the head on: some servers stay, others join; the clients are the same. */
  next(stay: readonly number[], join: number, other: Partial<ManifestFields> = {}): Play {
    const size = { servers: join, clients: 0 };
    return new Play(this.seed + 1, size, this.parameters, { from: this, stay, other });
  }

  /** The manifest as all its members signed it, and those of the epoch before but for `silent`. */
  signed(silent: readonly number[] = []): SignedManifest {
    const old = (this.before?.servers ?? []).filter((_, at) => !silent.includes(at));
    const all = new Map(
      [...old, ...this.servers].map(({ signer }) => [
        hex(signer.key),
        signManifest(signer, this.manifest),
      ]),
    );
    return gatherEpoch(this.manifest, (key) => all.get(hex(key)), this.before?.manifest)!;
  }

  /** The epochs up to this one. */
  get lineage(): readonly SignedManifest[] {
    return [...this.before?.lineage ?? [], this.signed()];
  }

  get parameters(): Parameters {
    return this.manifest.parameters;
  }

  /** The header that extends the head, with whatever a test wants to be different. */
  header(other: Partial<HeaderFields> = {}): Header {
    const carry = other.carry ?? this.head.header !== undefined;
    return createHeader(this.manifest, {
      round: this.head.round + 1,
      time: 1_800_000_000_000 + 1_000 * this.head.round,
      previous: this.head.hash,
      carry,
      messageBytes: carry ? this.head.layout.bytes : 0,
      rosterSize: this.roster.size,
      rosterRoot: this.roster.root,
      bundles: this.servers.map((s) => s.bundle),
      ...other,
    });
  }

  /** The header with every server's OPEN. */
  open(header: Header): OpenedHeader {
    return { header, opens: this.servers.map((s) => s.signer.sign("open", header.hash)) };
  }

  /** The pair key of two of its members, as either end computes it. */
  pair(client: number, server: number): Uint8Array {
    const c = this.clients[client], s = this.servers[server];
    return pairKey(c.agreement.shared(s.agreement.key), {
      instance: this.manifest.instance,
      client: { key: c.signer.key, agreement: c.agreement.key },
      server: { key: s.signer.key, agreement: s.agreement.key },
    });
  }

  /** A slot with a new salt, and its reservation's commitment under `header`. */
  slot(header: Header, text: string): { slot: Uint8Array; commitment: Uint8Array } {
    const payload = new TextEncoder().encode(text);
    const slot = createSlot(this.random.bytes(16), payload, this.parameters);
    return { slot, commitment: commitment(header.hash, slot) };
  }

  /** Vectors of a client that reserves for a slot, talks at the head's grants, or does neither. */
  vectors(header: Header, does: { reserve?: Uint8Array; talk?: Uint8Array } = {}): Vectors {
    const schedule = new Uint8Array(scheduleBytes(this.parameters));
    const messages = new Uint8Array(header.messageBytes);
    if (does.reserve) {
      const c = commitment(header.hash, does.reserve);
      insertEntry(
        schedule,
        header.hash,
        createEntry(header.hash, c, does.reserve.length / 64),
      );
    }
    if (does.talk) {
      const c = commitment(this.head.header!, does.talk);
      const grant = this.head.layout.grants.find((g) => compare(g.commitment, c) === 0)!;
      messages.set(does.talk, grant.offset);
    }
    return { schedule, messages };
  }

  /** What client `index` sends: the vectors under all pads, signed. */
  envelope(index: number, header: Header, vectors: Vectors = this.vectors(header)): Envelope {
    const keys = this.servers.map((_, s) => this.pair(index, s));
    const padded = applyPads(xchacha20, keys, header.hash, joinVectors(vectors));
    return createEnvelope(
      this.clients[index].signer,
      header.hash,
      index,
      splitVectors(padded, this.parameters),
    );
  }

  /** The aggregate of some envelopes of a header. */
  fold(header: Header, envelopes: readonly Envelope[]): Aggregate {
    const fold = new Fold(header, this.parameters);
    for (const envelope of envelopes) fold.add(envelope);
    return fold.seal(this.aggregator.signer);
  }

  /** Plays a round to its certificate and moves the head; `vectors` by client, cover by default. */
  round(
    vectors: readonly (Vectors | undefined)[] = [],
    header: Header = this.header(),
  ): PlayedRound {
    const envelopes = this.clients.map((_, i) => this.envelope(i, header, vectors[i]));
    const aggregate = this.fold(header, envelopes);
    const shares = this.servers.map((_, s) =>
      createShare(
        xchacha20,
        participants(aggregate.bitmap).map((c) => this.pair(c, s)),
        header,
        this.random.bytes(32),
        this.parameters,
      )
    );
    const commitments = shares.map((share, s) =>
      shareCommitment(share, aggregate.digest, this.servers[s].signer.key)
    );
    const all = sharesHash(header.hash, aggregate.digest, commitments);
    const opened = openVectors(aggregate, shares, this.parameters);
    const record = createRecord(this.manifest, header, aggregate, all, opened);
    const certificate = this.servers.map((s) =>
      s.signer.sign("final", u64(record.header.round), record.hash)
    );
    this.head = headOf(record, this.manifest);
    return {
      opened: this.open(header),
      envelopes,
      aggregate,
      shares,
      commitments,
      sharesHash: all,
      certified: { record, certificate },
      bytes: encodeCertified({ record, certificate }),
    };
  }

  /** Plays a round in which each text's client reserves, then one in which each talks. */
  talk(texts: readonly (string | undefined)[]): {
    reserved: PlayedRound;
    before: Head;
    talked: PlayedRound;
    slots: readonly (Uint8Array | undefined)[];
  } {
    const first = this.header();
    const slots = texts.map((text) => text === undefined ? undefined : this.slot(first, text).slot);
    const reserved = this.round(slots.map((reserve) => this.vectors(first, { reserve })), first);
    const before = this.head, second = this.header();
    const talked = this.round(slots.map((talk) => this.vectors(second, { talk })), second);
    return { reserved, before, talked, slots };
  }
}
