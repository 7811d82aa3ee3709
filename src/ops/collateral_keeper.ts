/**
 * Keeps the collateral of a process fresh: loads the operator's files at start and looks at them
 * every minute, asks services for each family in use once half of its life is over, and says in
 * good time when nothing newer comes. What the book has seen is kept over restarts.
 */
import type { TrustAnchor } from "../attest/anchor.ts";
import type { Collateral } from "../attest/collateral.ts";
import { CollateralBook } from "../attest/collateral_book.ts";
import { MAX_FAMILIES } from "../attest/collateral_marks.ts";
import { type Family, familyName } from "../attest/family.ts";
import { AttestationError } from "../attest/reasons.ts";
import type { Environment } from "../universe/environment.ts";
import type { CollateralSource } from "./collateral_source.ts";
import { StoreError } from "./files.ts";
import type { Store } from "./store.ts";

/** How often files are read and families looked at, ms. */
export const LOOK_MS = 60_000;
/** The shortest and the longest wait after a family could not be renewed, ms; it doubles. */
export const RETRY_MS = 60_000, MAX_RETRY_MS = 3_600_000;
/** After so many failures in a row a family that was never had gives way to another one. */
export const TRIES = 3;
/** Name of the marks in a data folder. */
export const MARKS_NAME = "collateral";

/** What a keeper is made of. */
export interface KeeperOptions {
  readonly anchor: TrustAnchor;
  readonly sources: readonly CollateralSource[];
  /** Where marks are kept. */
  readonly store: Store;
  readonly environment: Environment;
}

/** What the keeper knows of a family. */
interface Watched {
  readonly family: Family;
  /** Whether someone asked for it, be it in use or not. */
  wanted: boolean;
  failures: number;
  /** Not asked for again before, Unix ms. */
  retryAt: number;
  /** How late after half its life it is renewed, as a part of the time left until the warning. */
  jitter: number;
  told: "" | "collateral expires" | "collateral expired";
}

/** Keeps one book. */
export class CollateralKeeper {
  readonly book: CollateralBook;
  readonly #options: KeeperOptions;
  readonly #watched = new Map<string, Watched>();
  /** Why the collateral of a source was refused last. */
  readonly #refused = new Map<string, string>();
  #work: Promise<void> = Promise.resolve();
  #cancel = () => {};
  #stopped = false;

  /** Throws a `StoreError` if the marks that were kept are damaged. */
  constructor(options: KeeperOptions) {
    this.#options = options;
    this.book = openBook(options);
    this.book.onChange(() => this.#keepMarks());
  }

  /** Loads what there is, and then keeps it fresh. Ends when all sources were asked once. */
  start(): Promise<void> {
    return this.#look(() => {
      if (this.#stopped) return;
      this.#cancel = this.#options.environment.clock.after(LOOK_MS, () => void this.start());
    });
  }

  /** Ends it; a request under way ends by itself. */
  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /**
   * Keeps a family fresh from now on though no quote of it comes, as that of the own machine. Ends
   * when all sources were asked for it, or at once if it is fresh. Anyone can make up a quote, so of
   * more than `MAX_FAMILIES` such families the one that was asked for in vain most often gives way;
   * where each may still be had the further one is passed over.
   */
  want(family: Family): Promise<void> {
    const wanted = [...this.#watched.values()].filter((it) => it.wanted);
    const known = wanted.some((it) => familyName(it.family) === familyName(family));
    if (known || (wanted.length >= MAX_FAMILIES && !this.#makeRoom(wanted))) return this.#work;
    this.#watch(family).wanted = true;
    return this.#look();
  }

  #makeRoom(wanted: readonly Watched[]): boolean {
    const [vain] = wanted
      .filter(({ family, failures }) => failures >= TRIES && !this.book.lifetime(family))
      .sort((a, b) => b.failures - a.failures);
    return vain !== undefined && this.#watched.delete(familyName(vain.family));
  }

  /** One look after the other: each sees what the one before brought. */
  #look(then = () => {}): Promise<void> {
    this.#work = this.#work.then(() => this.#lookNow()).catch((error) => {
      this.#observe("error", "collateral look failed", { reason: String(error) });
    }).then(then);
    return this.#work;
  }

  async #lookNow(): Promise<void> {
    if (this.#stopped) return;
    for (const source of this.#options.sources) {
      if (source.kind === "file") await this.#offer(source, await source.fetch());
    }
    this.#update();
    for (const watched of [...this.#watched.values()]) {
      if (this.#isDue(watched)) await this.#renew(watched);
      this.#warn(watched);
    }
  }

  /** Watches what is in use or wanted, and nothing else. */
  #update(): void {
    const used = new Set(
      this.book.inUse(this.#now()).map((it) => familyName(this.#watch(it).family)),
    );
    for (const [name, { wanted }] of this.#watched) {
      if (!wanted && !used.has(name)) this.#watched.delete(name);
    }
  }

  #watch(family: Family): Watched {
    const name = familyName(family), known = this.#watched.get(name);
    if (known) return known;
    const rest = {
      wanted: false,
      failures: 0,
      retryAt: 0,
      jitter: this.#fraction(),
      told: "",
    } as const;
    const watched: Watched = { family, ...rest };
    this.#watched.set(name, watched);
    return watched;
  }

  /** Half of its life is over, and a little more, lest all ask at the same time. */
  #isDue({ family, retryAt, jitter }: Watched): boolean {
    const now = this.#now(), life = this.book.lifetime(family);
    return this.#options.environment.clock.now() >= retryAt &&
      (!life || now >= life.refresh + jitter * (life.warn - life.refresh) / 4);
  }

  /** Asks service after service until one has something fresh. */
  async #renew(watched: Watched): Promise<void> {
    const { family } = watched;
    const isFresh = () => this.#now() < (this.book.lifetime(family)?.refresh ?? -Infinity);
    for (const source of this.#options.sources) {
      if (this.#stopped || isFresh()) break;
      if (source.kind === "service") await this.#offer(source, await source.fetch(family));
    }
    watched.jitter = this.#fraction();
    if (isFresh()) {
      watched.failures = watched.retryAt = 0;
      return;
    }
    const wait = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** watched.failures);
    watched.failures = Math.min(watched.failures + 1, 16);
    watched.retryAt = this.#options.environment.clock.now() + wait * (1 + watched.jitter) / 2;
  }

  async #offer({ name, kind }: CollateralSource, given: Collateral | undefined): Promise<void> {
    if (!given) return;
    try {
      const offered = await this.book.offer(given, this.#now());
      if (offered === "new") this.#observe("info", "collateral renewed", { source: name });
      this.#refused.delete(name);
    } catch (error) {
      if (!(error instanceof AttestationError)) throw error;
      // A file is read every minute; what is wrong with it is said once.
      if (kind === "file" && this.#refused.get(name) === error.code) return;
      this.#refused.set(name, error.code);
      this.#observe("warn", "collateral refused", { source: name, reason: error.message });
    }
  }

  /** Says once that a family's collateral is about to end, and once that it did. */
  #warn(watched: Watched): void {
    const life = this.book.lifetime(watched.family), now = this.#now();
    const late = life && now > life.until, soon = life && now > life.warn;
    const event = late ? "collateral expired" : soon ? "collateral expires" : "";
    if (life && event !== "" && event !== watched.told) {
      const seconds = Math.floor((life.until - now) / 1000);
      this.#observe(late ? "error" : "warn", event, {
        family: familyName(watched.family),
        seconds,
      });
    }
    watched.told = event;
  }

  #keepMarks(): void {
    try {
      this.#options.store.save(this.book.marks());
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#observe("error", "collateral marks not kept", { reason: error.message });
    }
  }

  #now(): number {
    return this.#options.environment.clock.wall();
  }

  get #observe() {
    return this.#options.environment.observe;
  }

  /** A number in [0, 1). */
  #fraction(): number {
    const [a, b] = this.#options.environment.random(2);
    return (256 * a + b) / 65_536;
  }
}

function openBook({ anchor, store }: KeeperOptions): CollateralBook {
  try {
    return new CollateralBook(anchor, { marks: store.load() });
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    const what = `the file "${MARKS_NAME}" of the data folder cannot be used (${error.message})`;
    const then = "restore it, or delete it and older collateral may be believed again";
    throw new StoreError("damaged", `${what}: ${then}`, { cause: error });
  }
}
