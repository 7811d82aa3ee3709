/**
 * Keeps an archive whole, a server's or a reader's: each certified record is added that follows the
 * one before. What the archive lacks (a disk that was wiped, a crash before a record was written, a
 * member that is new) comes from others, verified, until it links up with what is certified here.
 */
import { StoreError } from "../ops/files.ts";
import { equal } from "../protocol/bytes.ts";
import { checkLink, genesis, type Head, headOf, type Verified } from "../protocol/chain.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { peekPlace } from "../protocol/header.ts";
import type { Manifest } from "../protocol/manifest.ts";
import {
  type CertifiedRecord,
  checkCertificate,
  encodeCertified,
  type Record,
} from "../protocol/record.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer } from "../universe/network.ts";
import type { Epochs } from "./epochs.ts";
import { Follower } from "./follower.ts";
import type { Archive } from "./records.ts";

/** What it works with. */
export interface ArchivistOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly epochs: Epochs;
  readonly archive: Archive;
  /** A record was added that came from others. */
  readonly grown?: () => void;
  /** Whom it asks for what is missing, best first; the servers unless given. */
  readonly candidates?: () => readonly Peer[];
}

/** See the module comment. */
export class Archivist {
  /** What the next record of the archive must extend, in the epoch of `#manifest`. */
  #head: Head;
  #manifest: Manifest;
  /** Newest round that is known to be certified. */
  #newest = 0;
  #follower: Follower | undefined;
  #running = false;
  /** The newest record that the archive held at the start. */
  readonly newest: Verified | undefined;

  /** Throws a `StoreError` where the newest record of the archive is not of this committee. */
  constructor(readonly options: ArchivistOptions) {
    const { archive, epochs } = options;
    this.#manifest = epochs.all[0];
    this.#head = genesis(this.#manifest);
    const last = this.#last();
    if (!last) return;
    try {
      this.newest = epochs.chain().extend(last);
      this.#manifest = this.newest.manifest;
      this.#head = headOf(this.newest.record, this.#manifest);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      // No peer is at fault, whatever was just heard from one: this process cannot go on.
      throw new StoreError(
        "damaged",
        `record ${archive.newest}, the newest of the archive, does not verify ` +
          `(${error.message}): move the archive away, and it comes from the other servers`,
      );
    }
  }

  /** From now on what is missing may be asked for. */
  start(): void {
    this.#running = true;
    this.#fill();
  }

  /** Ends whatever it asks for. */
  stop(): void {
    this.#running = false;
    this.#close();
  }

  /** The record of this round is certified, wherever it may be. */
  expect(round: number): void {
    this.#newest = Math.max(this.#newest, round);
    this.#fill();
  }

  /** A record was certified. One of an epoch that is not known yet comes later, from the others. */
  record(certified: CertifiedRecord): void {
    const { record } = certified;
    const manifest = this.options.epochs.of(peekPlace(record.header.bytes).committee);
    if (!manifest) return;
    this.#newest = Math.max(this.#newest, record.header.round);
    if (record.header.round <= this.options.archive.newest) return;
    if (!equal(record.header.previous, this.#head.hash)) return this.#fill();
    const before = manifest === this.#manifest ? this.#head : genesis(manifest, this.#head.round);
    checkLink(record, before, manifest);
    checkCertificate(manifest, certified);
    this.#append(record, manifest, encodeCertified(certified));
  }

  /** Rounds do not wait for a disk that is full: what was not written is fetched again later. */
  #append(record: Record, manifest: Manifest, bytes: Uint8Array): void {
    const { archive, environment } = this.options, { round } = record.header;
    try {
      archive.append(round, bytes);
    } catch (error) {
      const { message: reason } = error as Error;
      environment.observe("error", "archive not written", { round, reason });
      return this.#close();
    }
    this.#manifest = manifest;
    this.#head = headOf(record, manifest);
    if (this.#head.round >= this.#newest) this.#close();
  }

  /** Asks the other servers for what is missing, if anything is. */
  #fill(): void {
    const { archive, network, environment, epochs } = this.options;
    if (!this.#running || this.#follower || this.#newest <= archive.newest) return;
    environment.observe("info", "archive behind", { has: archive.newest, newest: this.#newest });
    this.#follower = new Follower({
      network,
      environment,
      epochs,
      from: 0,
      after: this.#last(),
      complete: Infinity,
      candidates: this.options.candidates ?? (() => network.peers("server")),
      live: false,
      events: {
        record: (verified) => {
          if (verified.record.header.round <= archive.newest) return;
          this.#append(verified.record, verified.manifest, encodeCertified(verified));
          this.options.grown?.();
        },
        gap: (from, to) => environment.observe("warn", "history lost", { from, to }),
        bad: () => true,
      },
    });
  }

  #close(): void {
    this.#follower?.close();
    this.#follower = undefined;
  }

  /** The newest record of the archive. */
  #last(): Uint8Array | undefined {
    const { archive } = this.options;
    return archive.newest === 0 ? undefined : archive.read(archive.newest, 1, Infinity)[0].bytes;
  }
}
