/**
 * What an honest server must never have said, judged from its statements alone: the meanings of
 * protocol.md 3.6, 4 and 8, with none of the state that `ReleaseRules` keeps.
 */
import type { Facts, HeaderView, NextEpoch } from "../../src/committee/release.ts";
import { sharesHash } from "../../src/protocol/share.ts";
import type { Signed, Statement } from "../../src/protocol/statements.ts";

/** What can go wrong, worst first. */
export const VIOLATIONS = [
  "double opening",
  "fork",
  "past close",
  "two successors",
  "false successor",
  "self-conviction",
  "changed share",
  "share not committed",
  "certified without all",
  "not durable",
  "unreadable register",
  "key gone",
  "small set",
  "strangers",
  "bytes not held",
  "not proven void",
  "past head",
  "false header",
  "numbers burnt",
] as const;

/** One of `VIOLATIONS`. */
export type Violation = typeof VIOLATIONS[number];

/** A header of the model; `lie` says what is false in its contents. */
export interface ModelHeader extends HeaderView {
  readonly lie: string | undefined;
  /** Fingerprint of the manifest that it names. */
  readonly committee: Uint8Array;
}

/** The manifest of a next epoch in the model; `lie` says what is false in it. */
export interface ModelManifest extends NextEpoch {
  readonly lie: string | undefined;
}

/** An aggregate of the model: who takes part, as bits. */
export interface ModelAggregate {
  readonly digest: Uint8Array;
  readonly set: number;
  readonly strangers: number;
  readonly held: boolean;
}

/** A record of the model. `changed`: some server's share is not what it committed to. */
export interface ModelRecord {
  readonly hash: Uint8Array;
  readonly round: number;
  readonly previous: Uint8Array;
  readonly header: Uint8Array;
  readonly shares: Uint8Array;
  readonly changed: boolean;
}

/** The honest server's state of affairs when it was asked. */
export interface Situation {
  readonly head: Uint8Array;
  readonly nonce: Uint8Array;
  readonly now: number;
  /** The epoch that it is asked in. */
  readonly manifest: { readonly fingerprint: Uint8Array; readonly epoch: number };
  /** Whether it knew that epoch to be closed. */
  readonly closed: boolean;
}

/** A number that names 32 bytes of the model. */
export function id(bytes: Uint8Array): number {
  let out = 0;
  for (let i = 5; i >= 0; i--) out = out * 256 + bytes[i];
  return out;
}

/** The facts about an aggregate, as an honest caller would state them. */
export function factsOf(aggregate: ModelAggregate, evidence: Facts["evidence"]): Facts {
  let participants = 0;
  for (let set = aggregate.set; set; set &= set - 1) participants++;
  return { participants, strangers: aggregate.strangers, holdsBytes: aggregate.held, evidence };
}

/** Everything that was ever signed in one schedule, and the verdicts on it. */
export class Oracle {
  readonly headers = new Map<number, ModelHeader>();
  readonly aggregates = new Map<number, ModelAggregate>();
  readonly records = new Map<number, ModelRecord>();
  /** Records that all have signed. */
  readonly certified = new Set<number>();
  /** Set once the honest server lost its disk: it may fork the log, and close an epoch again, then. */
  amnesic = false;
  /** FINALs of the honest server, by record. */
  readonly finals = new Map<number, Signed>();
  readonly #issued = new Set<Signed>();
  /** Servers that signed PARTIAL, by header and P. */
  readonly #partials = new Map<string, Set<Uint8Array>>();
  /** PREPAREs of one server for one header, for convictions. */
  readonly #prepares = new Map<string, number>();
  /** Headers of which somebody said VOID or on which somebody is convicted. */
  readonly #excused = new Set<number>();
  /** Single-valued claims of the honest server: a second value convicts it. */
  readonly #claims = new Map<string, number>();
  /** Participants by the slots that their PARTIAL opened. */
  readonly #openings = new Map<string, number>();
  readonly #opened = new Set<number>();
  readonly #releases: ModelHeader[] = [];

  constructor(readonly servers: readonly Uint8Array[], readonly self: Uint8Array) {}

  /** Makes a statement valid. */
  issue(signed: Signed): void {
    const { statement: s, server } = signed;
    this.#issued.add(signed);
    if (s.kind === "partial") {
      const key = `${id(s.header)} ${id(s.shares)}`;
      const signers = this.#partials.get(key) ?? new Set();
      this.#partials.set(key, signers.add(server));
    } else if (s.kind === "final") {
      if (server === this.self) this.finals.set(id(s.record), signed);
    } else if (s.kind === "void") this.#excused.add(id(s.header));
    else if (s.kind === "prepare") {
      const key = `${id(server)} ${id(s.header)}`, value = id(s.digest) + id(s.share) / 2 ** 26;
      const before = this.#prepares.get(key);
      if (before !== undefined && before !== value) this.#excused.add(id(s.header));
      this.#prepares.set(key, value);
    }
  }

  /** Unforgeable: valid if it was issued. */
  valid(signed: Signed): boolean {
    return this.#issued.has(signed);
  }

  /** The verdict on a statement of the honest server, which was made upon what others `said`. */
  judge(s: Statement, said: readonly (Signed | undefined)[], at: Situation): Violation | undefined {
    if (s.kind !== "void" && this.#isClosed(at)) return "past close";
    if (s.kind === "final") return this.#final(this.records.get(id(s.record))!, at);
    const header = this.headers.get(id(s.header))!, h = id(s.header);
    const boot = id(header.nonce);
    switch (s.kind) {
      case "open":
        if (this.#opened.has(h)) return undefined;
        this.#opened.add(h);
        if (this.#differs(`open ${header.round} ${boot}`, h)) return "self-conviction";
        if (header.round > 2 ** 32) return "numbers burnt";
        if (boot !== id(at.nonce)) return "key gone";
        if (id(header.previous) !== id(at.head) || header.lie) return "false header";
        return Math.abs(header.time - at.now) > 60_000 ? "false header" : undefined;
      case "prepare":
        if (this.#differs(`prepare ${h}`, id(s.digest) + id(s.share) / 2 ** 26)) {
          return "self-conviction";
        }
        return undefined;
      case "void":
        if (id(s.nonce) !== boot) return undefined;
        return this.#differs(`released ${h}`, 0) ? "self-conviction" : undefined;
      case "partial":
        if (this.#claims.get(`partial ${h}`) === id(s.shares)) return undefined;
        return this.#released(s, header, said, at);
    }
  }

  /** The verdict on its signature under the manifest of a next epoch. */
  close(next: ModelManifest, at: Situation): Violation | undefined {
    const { fingerprint, epoch } = at.manifest, name = `closed ${id(fingerprint)}`;
    const again = this.#claims.get(name) === id(next.fingerprint);
    if (this.#differs(name, id(next.fingerprint)) && !this.amnesic) return "two successors";
    if (again) return undefined;
    if (id(next.previous) !== id(fingerprint) || next.epoch !== epoch + 1 || next.lie) {
      return "false successor";
    }
    if (!this.certified.has(id(next.start))) return "false successor";
    if (id(next.start) !== id(at.head)) return "false successor";
    const beyond = !this.amnesic && this.#claims.has(`final after ${id(next.start)}`);
    return beyond ? "past close" : undefined;
  }

  /** Whether the honest server ended an epoch; where it lost its disk, as far as it knew. */
  #isClosed({ manifest, closed }: Situation): boolean {
    return closed || (!this.amnesic && this.#claims.has(`closed ${id(manifest.fingerprint)}`));
  }

  #released(
    s: Extract<Statement, { kind: "partial" }>,
    header: ModelHeader,
    said: readonly (Signed | undefined)[],
    at: Situation,
  ): Violation | undefined {
    const h = id(s.header);
    const prepares = said.filter((signed) => signed !== undefined).map(({ statement }) => statement)
      .filter((statement) => statement.kind === "prepare");
    const aggregate = this.aggregates.get(id(prepares[0].digest))!;
    const mine = said.find((signed) => signed?.server === this.self)?.statement;
    const opened = mine?.kind === "prepare" ? this.aggregates.get(id(mine.digest))! : aggregate;
    if (this.#reveals(header, opened.set)) return "double opening";
    if (this.#differs(`partial ${h}`, id(s.shares))) return "self-conviction";
    if (this.#differs(`released ${h}`, 1)) return "self-conviction";
    const committed = this.servers.every((server) =>
      said.some((signed) =>
        signed?.server === server && this.valid(signed) && signed.statement.kind === "prepare" &&
        id(signed.statement.header) === h && id(signed.statement.digest) === id(aggregate.digest)
      )
    );
    const shares = sharesHash(s.header, aggregate.digest, prepares.map(({ share }) => share));
    if (!committed || id(shares) !== id(s.shares)) return "share not committed";
    if (id(header.nonce) !== id(at.nonce)) return "key gone";
    const facts = factsOf(aggregate, []);
    if (facts.participants < 2) return "small set";
    if (facts.strangers > 0) return "strangers";
    if (!facts.holdsBytes) return "bytes not held";
    if (id(header.previous) !== id(at.head)) return "past head";
    const excused = this.#releases.every((other) =>
      id(other.previous) !== id(header.previous) ||
      id(other.committee) !== id(header.committee) ||
      (this.amnesic && id(other.nonce) !== id(header.nonce)) ||
      this.#excused.has(id(other.hash))
    );
    this.#releases.push(header);
    return excused ? undefined : "not proven void";
  }

  /** Whether slots that clients sent under OPENed headers were opened before for another set. */
  #reveals(header: ModelHeader, set: number): boolean {
    if (!this.#opened.has(id(header.hash))) return false;
    const slots = [`under ${id(header.hash)}`];
    if (header.carry && this.records.has(id(header.previous))) {
      slots.push(`granted ${id(header.previous)}`);
    }
    return slots.some((name) => {
      const before = this.#openings.get(name);
      this.#openings.set(name, set);
      return before !== undefined && before !== set;
    });
  }

  #final(record: ModelRecord, at: Situation): Violation | undefined {
    const hash = id(record.hash), again = hash === id(at.head);
    if (!this.amnesic && this.#differs(`final after ${id(record.previous)}`, hash)) return "fork";
    if (!this.amnesic && !again && id(record.previous) !== id(at.head)) return "fork";
    if (!this.amnesic && this.#differs(`final ${record.round}`, hash)) return "self-conviction";
    if (again) return undefined;
    if (record.changed) return "changed share";
    const signers = this.#partials.get(`${id(record.header)} ${id(record.shares)}`);
    return signers?.size === this.servers.length ? undefined : "certified without all";
  }

  /** Whether another value was claimed before. */
  #differs(claim: string, value: number): boolean {
    const before = this.#claims.get(claim);
    if (before === undefined) this.#claims.set(claim, value);
    return before !== undefined && before !== value;
  }
}
