/**
 * The release rules (protocol.md 3.6 and 8) as a pure state machine with a sign-once register: what
 * an honest server signs, whatever the leader, the engine and all other servers do.
 *
 * Every guard is one line with its own refusal code, and every decision is durable before its
 * signature exists: a `Store` whose `save` throws means no signature and no change. The boot nonce
 * is never stored as mine, so a lost or rolled-back register opens nothing of an earlier boot.
 */
import { compare, type Fingerprint, type HeaderHash, type RecordHash } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { sharesHash } from "../protocol/share.ts";
import { conviction, type Signed, type Statement } from "../protocol/statements.ts";
import {
  decodeRegister,
  encodeRegister,
  MAX_RELEASED_PER_HEAD,
  type Register,
} from "./register.ts";
import type {
  Closing,
  Decision,
  Evidence,
  Facts,
  HeaderView,
  NextEpoch,
  Refusal,
  ReleaseOptions,
} from "./release_terms.ts";

export * from "./release_terms.ts";

type Of<K extends Statement["kind"]> = Extract<Statement, { kind: K }>;

/** Most rounds that a header may skip: nobody burns the numbers. */
export const MAX_ROUND_GAP = 2 ** 20;
/** Most milliseconds between a header's time and a server's clock. */
export const MAX_SKEW_MS = 60_000;

/** The rules of one server in one epoch; see the module comment. */
export class ReleaseRules {
  readonly #options: ReleaseOptions;
  readonly #nonce: Uint8Array;
  #register: Register;
  /** I signed PARTIAL and FINAL for this head in this boot, so I know all that I released on it. */
  #vouched = false;

  /** Throws a `ProtocolError` for a register that is damaged, another's, or of this very nonce. */
  constructor(options: ReleaseOptions) {
    this.#options = options;
    this.#nonce = options.nonce.slice();
    const { servers, self, manifest } = options;
    const owner = { key: servers[self], manifest: manifest.fingerprint };
    const bytes = options.store.load();
    this.#register = bytes === undefined
      ? { owner, head: options.genesis, released: [] }
      : decodeRegister(bytes, owner);
    const { opened } = this.#register;
    if (opened && equal(opened.nonce, this.#nonce)) {
      throw new ProtocolError("key", "a boot nonce of an earlier boot: take 32 fresh random bytes");
    }
  }

  /** The last record that I signed FINAL for or adopted. */
  get head(): { readonly round: number; readonly hash: RecordHash } {
    return this.#register.head;
  }

  /** What was stored with the head. */
  get attachment(): Uint8Array | undefined {
    return this.#register.attachment;
  }

  /** The next epoch, once I signed its manifest: but for VOIDs nothing more is signed in this one. */
  get closed(): Fingerprint | undefined {
    return this.#register.closed;
  }

  /** The header that I opened last, in any boot. */
  get opened(): { readonly round: number; readonly hash: HeaderHash } | undefined {
    return this.#register.opened;
  }

  /** Whether I signed PARTIAL for a header that extends my head, in any boot. */
  released(h: HeaderHash): boolean {
    return this.#register.released.some(({ header }) => equal(header, h));
  }

  /** My boot nonce in a header that I opened last or released on my head, in any boot. */
  nonceIn(h: HeaderHash): Uint8Array | undefined {
    const { opened, released } = this.#register;
    const entry = released.find(({ header }) => equal(header, h));
    return entry?.nonce ?? (this.#isOpened(h) ? opened!.nonce : undefined);
  }

  /** Headers that extend my head for which I signed PARTIAL, with my boot nonce in each. */
  get releases(): readonly { readonly header: HeaderHash; readonly nonce: Uint8Array }[] {
    return this.#register.released;
  }

  /** Whether I gave up the header that I opened last. */
  voided(h: HeaderHash): boolean {
    return this.#isOpened(h) && this.#register.opened!.voided;
  }

  /** Carry 1: in this boot I signed FINAL for my head, and I released nothing on it. */
  mayCarry(): boolean {
    if (!this.#vouched) return false;
    return this.#register.released.length === 0;
  }

  /** OPEN(h). `content` says what the caller found false in the header (3.7), if anything. */
  open(header: HeaderView, now: number, content?: string): Decision<Of<"open">> {
    const { head, opened, closed } = this.#register;
    const statement = { kind: "open", header: header.hash } as const;
    if (closed !== undefined) return refuse("open-closed");
    if (this.#isOpened(header.hash) && this.#isMine(opened!)) return this.#sign(statement);
    const last = Math.max(head.round, opened?.round ?? 0);
    if (!(header.round > last)) return refuse("open-behind");
    if (header.round > last + MAX_ROUND_GAP) return refuse("open-ahead");
    if (!equal(header.previous, head.hash)) return refuse("open-head");
    if (!this.#isMine(header)) return refuse("open-nonce");
    if (!(Math.abs(header.time - now) <= MAX_SKEW_MS)) return refuse("open-time");
    if (header.carry && !this.mayCarry()) return refuse("open-carry");
    if (content !== undefined) return refuse("open-content");
    const { hash, round, nonce } = header;
    this.#save({ opened: { hash: hash.slice(), round, nonce: nonce.slice(), voided: false } });
    return this.#sign(statement);
  }

  /** PREPARE(h, D, p): `digest` is D, `share` my commitment p. */
  prepare(
    header: HeaderView,
    digest: Uint8Array,
    share: Uint8Array,
    facts: Facts,
  ): Decision<Of<"prepare">> {
    const statement = { kind: "prepare", header: header.hash, digest, share } as const;
    const forbidden = this.#forbids(header, facts);
    if (forbidden !== undefined) return refuse(forbidden);
    const opened = this.#register.opened!, before = opened.prepared;
    const same = before && equal(before.digest, digest) && equal(before.share, share);
    if (same) return this.#sign(statement);
    if (before !== undefined) return refuse("prepare-twice");
    const prepared = { digest: digest.slice(), share: share.slice() };
    this.#save({ opened: { ...opened, prepared } });
    return this.#sign(statement);
  }

  /** PARTIAL(h, P) on the PREPAREs of all servers in manifest order; P is computed from them. */
  partial(
    header: HeaderView,
    prepares: readonly (Signed | undefined)[],
    facts: Facts,
  ): Decision<Of<"partial">> {
    const { released, opened, closed } = this.#register;
    const { servers, self, scheme } = this.#options;
    if (closed !== undefined) return refuse("partial-closed");
    const all = prepares.filter((signed) => signed !== undefined);
    if (all.length !== servers.length) return refuse("partial-missing");
    if (!this.#oneEach(all)) return refuse("partial-server");
    const said = all.map(({ statement }) => statement).filter(isPrepare);
    if (!all.every((s) => names(s, "prepare", header.hash))) return refuse("partial-header");
    const digest = said[0].digest;
    if (!said.every((s) => equal(s.digest, digest))) return refuse("partial-digest");
    const shares = sharesHash(header.hash, digest, said.map(({ share }) => share));
    const statement = { kind: "partial", header: header.hash, shares } as const;
    const before = released.find((entry) => equal(entry.header, header.hash));
    const again = before && this.#isMine(before) && equal(before.shares, shares);
    if (again) return this.#sign(statement);
    if (before !== undefined) return refuse("partial-twice");
    const forbidden = this.#forbids(header, facts);
    if (forbidden !== undefined) return refuse(forbidden);
    const mine = opened?.prepared, told = said[self];
    const kept = mine && equal(mine.digest, told.digest) && equal(mine.share, told.share);
    if (!kept) return refuse("partial-mine");
    if (!all.every((signed) => scheme.verify(signed))) return refuse("partial-signature");
    const entry = { header: header.hash.slice(), nonce: header.nonce.slice(), shares };
    this.#save({ released: [...released, entry] });
    return this.#sign(statement);
  }

  /** PARTIAL(h, P) once more, if I signed it in this boot for a header that extends my head. */
  repeat(h: HeaderHash): Signed<Of<"partial">> | undefined {
    const { released, closed } = this.#register, { scheme } = this.#options;
    if (closed !== undefined) return undefined;
    const before = released.find((entry) => equal(entry.header, h) && this.#isMine(entry));
    return before && scheme.sign({ kind: "partial", header: before.header, shares: before.shares });
  }

  /**
   * VOID(h, my nonce). For a header of this boot: I did not and will not release, so only where
   * that is known, on my head and for a round that I can no longer open. Else: that boot is over.
   */
  void(header: HeaderView): Decision<Of<"void">> {
    const { head, opened } = this.#register;
    const mine = this.#isMine(header);
    if (mine && this.released(header.hash)) return refuse("void-released");
    if (mine && !equal(header.previous, head.hash)) return refuse("void-head");
    if (mine && !(header.round <= (opened?.round ?? 0))) return refuse("void-ahead");
    if (opened && this.#isOpened(header.hash) && !opened.voided) {
      this.#save({ opened: { ...opened, voided: true } });
    }
    return this.#sign({ kind: "void", header: header.hash, nonce: this.#nonce });
  }

  /** FINAL(round, record hash) on the PARTIALs of all servers; moves the head and stores `attachment`. */
  final(
    record: {
      readonly hash: RecordHash;
      readonly round: number;
      readonly previous: RecordHash;
      readonly header: HeaderHash;
    },
    partials: readonly (Signed | undefined)[],
    facts: { readonly sharesMatch: boolean },
    attachment: Uint8Array,
  ): Decision<Of<"final">> {
    const { head, released, closed } = this.#register;
    const { servers, scheme, genesis } = this.#options;
    const statement = { kind: "final", round: record.round, record: record.hash } as const;
    if (closed !== undefined) return refuse("final-closed");
    const same = head.round > genesis.round && record.round === head.round &&
      equal(record.hash, head.hash);
    if (same) return this.#sign(statement);
    if (!(record.round > head.round)) return refuse("final-behind");
    if (!equal(record.previous, head.hash)) return refuse("final-head");
    const all = partials.filter((signed) => signed !== undefined);
    if (all.length !== servers.length) return refuse("final-missing");
    if (!this.#oneEach(all)) return refuse("final-server");
    const said = all.map(({ statement }) => statement).filter(isPartial);
    if (!all.every((s) => names(s, "partial", record.header))) return refuse("final-header");
    if (!said.every((s) => equal(s.shares, said[0].shares))) return refuse("final-shares");
    if (!all.every((signed) => scheme.verify(signed))) return refuse("final-signature");
    if (!facts.sharesMatch) return refuse("final-match");
    // A PARTIAL of an earlier boot may stand for a record that was my head before I lost my disk.
    const vouched = released.some((entry) =>
      equal(entry.header, record.header) && this.#isMine(entry)
    );
    this.#moveHead(record, attachment, vouched);
    return this.#sign(statement);
  }

  /** Takes a record that all servers have signed as head, if it is higher. */
  adopt(
    record: { readonly hash: RecordHash; readonly round: number },
    finals: readonly (Signed | undefined)[],
    attachment: Uint8Array,
  ): boolean {
    const all = finals.filter((signed) => signed !== undefined);
    if (this.closed !== undefined) return false;
    if (!(record.round > this.head.round)) return false;
    if (all.length !== this.#options.servers.length || !this.#oneEach(all)) return false;
    const certified = all.every((signed) =>
      signed.statement.kind === "final" && signed.statement.round === record.round &&
      equal(signed.statement.record, record.hash) && this.#options.scheme.verify(signed)
    );
    if (!certified) return false;
    this.#moveHead(record, attachment, false);
    return true;
  }

  /**
   * My signature under the manifest of the next epoch, which starts from my head and ends this epoch
   * for me; the same manifest may be signed again. `certified`: all FINALs for the head are there.
   * `content` says what the caller found false in the manifest, if anything.
   */
  close(next: NextEpoch, facts: { readonly certified: boolean }, content?: string): Closing {
    const { head, closed } = this.#register, { manifest, scheme } = this.#options;
    const same = closed && equal(closed, next.fingerprint);
    if (same) return { signature: scheme.signManifest(next.fingerprint) };
    if (closed !== undefined) return refuse("close-twice");
    if (!equal(next.previous, manifest.fingerprint)) return refuse("close-manifest");
    if (next.epoch !== manifest.epoch + 1) return refuse("close-epoch");
    if (!equal(next.start, head.hash)) return refuse("close-head");
    if (!facts.certified) return refuse("close-uncertified");
    if (content !== undefined) return refuse("close-content");
    this.#save({ closed: next.fingerprint.slice() });
    return { signature: scheme.signManifest(next.fingerprint) };
  }

  /** Replaces what is stored with the head. */
  attach(attachment: Uint8Array): void {
    this.#save({ attachment: attachment.slice() });
  }

  /** What PREPARE asks, and PARTIAL asks again: the rule that is broken, if any. */
  #forbids(header: HeaderView, facts: Facts): Refusal | undefined {
    const { head, opened, released, closed } = this.#register;
    const min = Math.max(2, this.#options.minParticipants);
    const others = released.filter((entry) => !equal(entry.header, header.hash));
    if (closed !== undefined) return "prepare-closed";
    if (opened === undefined || !this.#isOpened(header.hash)) return "prepare-opened";
    if (!this.#isMine(opened)) return "prepare-boot";
    if (opened.voided) return "prepare-voided";
    if (!equal(header.previous, head.hash)) return "prepare-head";
    if (!facts.holdsBytes) return "prepare-bytes";
    if (facts.strangers !== 0) return "prepare-strangers";
    if (!(facts.participants >= min)) return "prepare-few";
    if (others.length >= MAX_RELEASED_PER_HEAD) return "prepare-full";
    const proven = (h: HeaderHash) => facts.evidence.some((evidence) => this.#proves(evidence, h));
    if (!others.every((entry) => proven(entry.header))) return "prepare-unproven";
    return undefined;
  }

  /** Whether somebody's VOID of, or conviction on, a header is valid. */
  #proves(evidence: Evidence, h: HeaderHash): boolean {
    const pair = "void" in evidence ? [evidence.void] : evidence.convicts;
    const about = ({ statement }: Signed) =>
      statement.kind !== "final" && equal(statement.header, h);
    if (!pair.some(about)) return false;
    if (!pair.every((signed) => this.#isServers(signed))) return false;
    if ("void" in evidence) return evidence.void.statement.kind === "void";
    return conviction(pair[0], pair[1], evidence.context) !== undefined;
  }

  #isServers(signed: Signed): boolean {
    const { servers, scheme } = this.#options;
    return servers.some((key) => equal(key, signed.server)) && scheme.verify(signed);
  }

  /** One statement per server, in manifest order. */
  #oneEach(all: readonly Signed[]): boolean {
    return all.every(({ server }, i) => equal(server, this.#options.servers[i]));
  }

  #isOpened(h: HeaderHash): boolean {
    const { opened } = this.#register;
    return opened !== undefined && equal(opened.hash, h);
  }

  #isMine({ nonce }: { readonly nonce: Uint8Array }): boolean {
    return equal(nonce, this.#nonce);
  }

  /** Head and attachment in one write; what was said on the old head is over. */
  #moveHead(
    { hash, round }: { readonly hash: RecordHash; readonly round: number },
    attachment: Uint8Array,
    vouched: boolean,
  ): void {
    const head = { hash: hash.slice(), round };
    this.#save({ head, attachment: attachment.slice(), released: [] });
    this.#vouched = vouched;
  }

  /** Durable first: if the store throws, nothing has changed here. */
  #save(change: Partial<Register>): void {
    const next = { ...this.#register, ...change };
    this.#options.store.save(encodeRegister(next));
    this.#register = next;
  }

  #sign<S extends Statement>(statement: S): Decision<S> {
    return { signed: this.#options.scheme.sign(statement) };
  }
}

/** All that is compared here is public: no need for constant time. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compare(a, b) === 0;
}

function refuse(refused: Refusal): { readonly refused: Refusal } {
  return { refused };
}

function isPrepare(s: Statement): s is Of<"prepare"> {
  return s.kind === "prepare";
}

function isPartial(s: Statement): s is Of<"partial"> {
  return s.kind === "partial";
}

function names({ statement: s }: Signed, kind: "prepare" | "partial", h: HeaderHash): boolean {
  return s.kind === kind && equal(s.header, h);
}
