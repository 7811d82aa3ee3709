/**
 * This server's head: the last record that it signed FINAL for, with what it takes to convince
 * others of it, until its certificate is complete and after.
 */
import { equal, type RecordHash } from "../protocol/bytes.ts";
import { genesis, type Head, headOf } from "../protocol/chain.ts";
import type { Manifest } from "../protocol/manifest.ts";
import type { CertifiedRecord, Record } from "../protocol/record.ts";
import type { Signed } from "../protocol/statements.ts";
import type { Observe } from "../universe/environment.ts";
import { decodeEvidence, encodeEvidence, type Pending } from "./evidence.ts";
import type { Proposals } from "./proposals.ts";
import type { ReleaseRules } from "./release.ts";
import type { CommitteeState } from "./state.ts";

/** What a head needs around it. */
export interface HeadsOptions {
  readonly manifest: Manifest;
  /** Round of the record that the epoch starts from. */
  readonly start: number;
  readonly self: number;
  readonly rules: ReleaseRules;
  readonly proposals: Proposals;
  readonly observe: Observe;
  /** A record became the head by this server's FINAL. */
  readonly signed: (record: Record) => void;
  /** A record was certified that came from elsewhere, not from a round of ours. */
  readonly adopted: (certified: CertifiedRecord) => void;
}

/** See the module comment. */
export class Heads {
  #head: Head;
  #certified: CertifiedRecord | undefined;
  /** What the head rests on, while its certificate is not complete. */
  #pending: Pending | undefined;
  /** The record before a pending head: who starts cold needs it to finish the head. */
  #before: CertifiedRecord | undefined;

  constructor(readonly options: HeadsOptions) {
    const { manifest, start, rules } = options;
    this.#head = genesis(manifest, start);
    if (!rules.attachment) return;
    const evidence = decodeEvidence(rules.attachment, manifest);
    if ("certified" in evidence) this.#certified = evidence.certified;
    else this.#pending = evidence.pending;
    this.#head = headOf((this.#certified ?? this.#pending!).record, manifest);
  }

  /** What the next header must extend. */
  get head(): Head {
    return this.#head;
  }
  /** The head's record with its certificate, once that is complete. */
  get certified(): CertifiedRecord | undefined {
    return this.#certified;
  }
  /** The evidence as it goes to other servers, in the order in which they can use it. */
  get evidence(): readonly Uint8Array[] {
    const { attachment } = this.options.rules;
    const before = this.#before && encodeEvidence({ certified: this.#before });
    return [before, attachment].filter((bytes) => bytes !== undefined);
  }

  /** Signs FINAL for a record whose shares are all here, if the rules allow, and moves to it. */
  finalize(pending: Pending): void {
    const { rules, observe, manifest, proposals, signed } = this.options;
    const { record, partials } = pending, { round, previous, hash } = record.header;
    const known = this.#pending === pending;
    const decision = rules.final(
      { hash: record.hash, round, previous, header: hash },
      partials,
      { sharesMatch: true },
      known ? rules.attachment! : encodeEvidence({ pending }),
    );
    if ("refused" in decision) {
      return observe("warn", "FINAL refused", { round, rule: decision.refused });
    }
    if (!known) {
      this.#head = headOf(record, manifest);
      this.#before = this.#certified;
      this.#certified = undefined;
      this.#pending = pending;
      signed(record);
    }
    proposals.statement(decision.signed);
  }

  /** The state is behind this head: help it there. */
  offer(state: CommitteeState): void {
    const { manifest, self, proposals } = this.options;
    if (this.#certified) {
      for (const signed of finalsOf(this.#certified, manifest)) proposals.statement(signed);
    } else if (this.#pending) {
      if (!state.signed(self, this.#pending.record.hash)) this.finalize(this.#pending);
    }
  }

  /** Another server's evidence: a certified record is adopted, a pending one is finished. */
  learn(bytes: Uint8Array): void {
    const { manifest, rules, adopted } = this.options;
    const evidence = decodeEvidence(bytes, manifest);
    if ("pending" in evidence) {
      if (equal(evidence.pending.record.header.previous, rules.head.hash)) {
        this.finalize(evidence.pending);
      }
      return;
    }
    const { certified } = evidence, { record } = certified;
    if (equal(rules.head.hash, record.hash)) {
      if (!this.#certified) adopted(this.certify(record, certified.certificate));
    } else if (
      rules.adopt(
        { hash: record.hash, round: record.header.round },
        finalsOf(certified, manifest),
        bytes,
      )
    ) {
      this.#head = headOf(record, manifest);
      this.#certified = certified;
      this.#pending = this.#before = undefined;
      adopted(certified);
    }
  }

  /** The record that waits for its certificate, if it is the one of that hash. */
  waiting(record: RecordHash): Record | undefined {
    return this.#pending && equal(this.#pending.record.hash, record)
      ? this.#pending.record
      : undefined;
  }

  /** All servers signed FINAL for the head. */
  certify(record: Record, certificate: readonly Uint8Array[]): CertifiedRecord {
    const certified = { record, certificate };
    this.options.rules.attach(encodeEvidence({ certified }));
    this.#certified = certified;
    this.#pending = this.#before = undefined;
    return certified;
  }
}

function finalsOf({ record, certificate }: CertifiedRecord, manifest: Manifest): Signed[] {
  return manifest.servers.map((server, i) => ({
    statement: { kind: "final", round: record.header.round, record: record.hash },
    server,
    signature: certificate[i],
  }));
}
