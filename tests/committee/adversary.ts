/**
 * A random adversary against the release rules: one honest server of three. The corrupt two sign
 * anything and decide what the honest one is asked, in which epoch, when it restarts, and, where
 * amnesia is allowed, what its disk holds then. Most moves are valid, so that rounds get far; some
 * are spoiled.
 */
import { MAX_RELEASED_PER_HEAD } from "../../src/committee/register.ts";
import type { Evidence, ReleaseRules } from "../../src/committee/release.ts";
import { sharesHash } from "../../src/protocol/share.ts";
import type { Signed } from "../../src/protocol/statements.ts";
import type { Attempt, Stage } from "./attempt.ts";
import { factsOf, id, type ModelAggregate, type ModelRecord, type Violation } from "./oracle.ts";
import { count, type ModelEpoch, SERVERS, Subject, type Tally, Violated } from "./subject.ts";

/** How much the adversary does. */
export interface Attack {
  readonly seed: number;
  readonly schedules: number;
  readonly steps: number;
  /** One schedule in so many starts with a head on which as much was released as may be. */
  readonly longHead: number;
}

/** Runs the schedules `seed`, `seed + 1`, ... against an implementation of the rules. */
export function attack(rules: typeof ReleaseRules, options: Attack): Tally {
  const tally: Tally = {
    schedules: 0,
    finalized: 0,
    signed: new Map(),
    refused: new Map(),
    violations: new Map(),
    seeds: new Map(),
  };
  for (let i = 0; i < options.schedules; i++) {
    const seed = options.seed + i;
    const bad = new Schedule(rules, seed, tally).run(options.steps, seed % options.longHead === 0);
    tally.schedules++;
    if (bad === undefined) continue;
    count(tally.violations, bad);
    if (!tally.seeds.has(bad)) tally.seeds.set(bad, seed);
  }
  return tally;
}

class Schedule extends Subject {
  readonly #stages = new Map<ModelEpoch, Stage>();
  /** The header opened last, in this boot. */
  #live: Attempt | undefined;
  #finals = 0;

  run(steps: number, longHead: boolean): Violation | "threw" | undefined {
    try {
      this.boot();
      if (longHead) this.#fill();
      for (let i = 0; i < steps; i++) this.#step();
      if (this.#finals > 0) this.tally.finalized++;
      return undefined;
    } catch (error) {
      return error instanceof Violated ? error.what : "threw";
    }
  }

  get #stage(): Stage {
    let stage = this.#stages.get(this.here);
    if (!stage) {
      stage = { attempts: [], records: [], successors: [] };
      this.#stages.set(this.here, stage);
    }
    return stage;
  }
  get #attempts(): Attempt[] {
    return this.#stage.attempts;
  }
  get #records(): ModelRecord[] {
    return this.#stage.records;
  }

  override boot(): void {
    this.#live = undefined;
    super.boot();
  }

  override restart(): void {
    const before = this.#live, { here } = this;
    if (this.chance(0.3)) this.here = this.pick(this.epochs);
    super.restart();
    if (before && here === this.here && this.chance(0.4)) {
      this.#prepare(before);
      this.#partial(before);
    }
    // What was signed before it forgot is signed still: the same log may be finished again.
    if (this.oracle.amnesic && this.chance(0.5)) {
      const head = id(this.rules.head.hash);
      const next = this.#attempts.find((other) => other.record && id(other.previous) === head);
      if (next) this.#final(next);
    }
  }

  #step(): void {
    this.calm = 1;
    if (this.rules.closed && this.chance(0.08)) return this.goOn();
    if (this.chance(0.66)) {
      this.calm = 0.25;
      const live = this.#live;
      if (!live || live.record || this.rules.voided(live.hash)) this.#open(this.#propose());
      else if (!live.prepare) this.#prepare(live);
      else if (!live.partials[this.self]) this.#partial(live);
      else if (this.chance(0.75)) this.#final(live);
      else this.#open(this.#propose());
      return;
    }
    const move = this.below(100);
    const old = this.#attempts.length ? this.pick(this.#attempts, 6) : this.#propose();
    if (move < 15) this.#open(this.#propose());
    else if (move < 20) this.#open(old);
    else if (move < 22) {
      const header = this.#propose();
      this.#void(header);
      this.#open(header);
    } else if (move < 40) this.#prepare(old);
    else if (move < 60) this.#partial(old);
    else if (move < 76) this.#final(old);
    else if (move < 82) this.#void(this.chance(0.3) ? this.#live ?? old : old);
    else if (move < 87) this.restart();
    else if (move < 93) this.#adopt();
    else if (move < 94) this.#repeat(old);
    else if (move < 98) this.#close();
    else this.now += this.below(50_000);
  }

  #propose(): Attempt {
    const { head, opened } = this.rules, last = Math.max(head.round, opened?.round ?? 0);
    const wrong = this.spoil(0.3) ? this.below(6) : -1;
    const carry = this.rules.mayCarry() ? this.chance(0.85) : this.spoil(0.3);
    const header: Attempt = {
      hash: this.fresh(),
      round: wrong === 0
        ? 1 + this.below(last + 1)
        : wrong === 1
        ? last + 2 ** 40
        : last + 1 + this.below(2),
      time: wrong === 2 ? this.now + (this.chance(0.5) ? 60_001 : -60_001) : this.now,
      previous: wrong !== 3
        ? head.hash
        : this.#records.length
        ? this.pick(this.#records).hash
        : this.here.genesis.hash,
      nonce: wrong === 4 || (wrong === 0 && this.chance(0.5))
        ? this.pick(this.nonces)
        : this.nonces.at(-1)!,
      lie: wrong === 5 ? "another roster" : undefined,
      committee: this.here.manifest.fingerprint,
      carry,
      aggregates: [],
      commitments: new Map(),
      partials: [],
    };
    this.#attempts.push(header);
    this.oracle.headers.set(id(header.hash), header);
    return header;
  }

  #open(header: Attempt): void {
    if (this.ask(() => this.rules.open(header, this.now, header.lie))) this.#live = header;
  }

  /** An aggregate under a header: the same again, or another. */
  #aggregate(header: Attempt): ModelAggregate {
    if (header.aggregates.length && !this.spoil(0.4)) return this.pick(header.aggregates);
    const wrong = this.spoil(0.3) ? this.below(3) : -1;
    const aggregate = {
      digest: this.fresh(),
      set: wrong === 0 ? 1 << this.below(5) : 3 << this.below(4) | this.below(32),
      strangers: wrong === 1 ? 1 : 0,
      held: wrong !== 2,
    };
    header.aggregates.push(aggregate);
    this.oracle.aggregates.set(id(aggregate.digest), aggregate);
    return aggregate;
  }

  #commitment(header: Attempt, { digest }: ModelAggregate, server: number): Uint8Array {
    const list = header.commitments.get(id(digest)) ?? [];
    header.commitments.set(id(digest), list);
    if (this.spoil(0.1)) return this.fresh();
    return list[server] ??= this.fresh();
  }

  #prepare(header: Attempt): void {
    const aggregate = this.#aggregate(header), { digest } = aggregate;
    const share = this.#commitment(header, aggregate, this.self);
    const facts = factsOf(aggregate, this.#evidence(header));
    const signed = this.ask(() => this.rules.prepare(header, digest, share, facts));
    if (signed) header.prepare = signed;
  }

  #partial(header: Attempt): void {
    const mine = header.prepare?.statement;
    let aggregate = mine?.kind === "prepare"
      ? header.aggregates.find(({ digest }) => digest === mine.digest)!
      : this.#aggregate(header);
    if (this.spoil(0.1)) aggregate = this.#aggregate(header);
    const prepare = (server: number, of = aggregate) => ({
      kind: "prepare" as const,
      header: header.hash,
      digest: of.digest,
      share: this.#commitment(header, of, server),
    });
    let all: (Signed | undefined)[] = SERVERS.map((_, i) =>
      i !== this.self
        ? this.says(i, prepare(i))
        : header.prepare ?? (this.chance(0.5) ? this.forged(i, prepare(i)) : undefined)
    );
    // The very same again, now and then.
    if (header.prepares && !this.spoil(0.5)) all = [...header.prepares];
    if (this.spoil(0.5)) {
      const i = this.liar(), wrong = this.below(8);
      if (wrong === 0) all = all.filter((_, j) => j !== i);
      if (wrong === 1) all[i] = undefined;
      if (wrong === 2) all[i] = all[this.below(3)];
      if (wrong === 3) all[i] = this.says(i, prepare(i, this.#aggregate(header)));
      if (wrong === 4) all[i] = this.forged(i, prepare(i));
      if (wrong === 5) all[this.self] = this.forged(this.self, prepare(this.self));
      if (wrong === 6) all[i] = this.says(i, { ...prepare(i), header: this.fresh() });
      if (wrong === 7) all[i] = this.says(i, { ...prepare(i), share: this.fresh() });
    }
    const facts = factsOf(aggregate, this.#evidence(header));
    const signed = this.ask(() => this.rules.partial(header, all, facts), all);
    if (!signed) return;
    header.partials[this.self] ??= signed;
    header.prepares ??= all;
    header.excuse = undefined;
  }

  #void(header: Attempt): void {
    this.ask(() => this.rules.void(header));
    if (this.chance(0.4)) this.#partial(header);
  }

  #final(header: Attempt): void {
    const mine = header.partials[this.self]?.statement;
    const shares = mine?.kind === "partial"
      ? mine.shares
      : sharesHash(header.hash, header.hash, [header.hash]);
    const say = (server: number, of = shares, h: Uint8Array = header.hash): Signed =>
      this.says(server, { kind: "partial", header: h, shares: of });
    const liar = this.liar(), wrong = this.spoil(0.4) ? this.below(7) : -1;
    const all = SERVERS.map((_, i) => {
      if (i === this.self || i !== liar || wrong < 0 || wrong > 4) {
        return header.partials[i] ?? (i === this.self ? undefined : header.partials[i] = say(i));
      }
      if (wrong === 0) return undefined;
      if (wrong === 1) return header.partials[(i + 1) % 3] ?? say((i + 1) % 3);
      if (wrong === 2) return say(i, shares, this.fresh());
      if (wrong === 3) return say(i, this.fresh());
      return this.forged(i, { kind: "partial", header: header.hash, shares });
    });
    let record = header.record ?? this.#record(header, shares);
    if (mine) header.record ??= record;
    if (wrong === 5) record = this.#record(header, shares, { changed: true });
    if (wrong === 6) {
      const { round, hash: previous } = this.rules.head;
      record = this.#record(header, shares, { round, previous });
    }
    const facts = { sharesMatch: !record.changed };
    const signed = this.ask(() => this.rules.final(record, all, facts, record.hash));
    if (signed) this.#finals++;
  }

  #record(header: Attempt, shares: Uint8Array, change: Partial<ModelRecord> = {}): ModelRecord {
    const { round, previous, hash } = header;
    const said = { round, previous, header: hash, shares, changed: false };
    const record = { hash: this.fresh(), ...said, ...change };
    this.#records.push(record);
    this.oracle.records.set(id(record.hash), record);
    return record;
  }

  #adopt(): void {
    if (!this.#records.length) return;
    const record = this.pick(this.#records, 6);
    const final = { kind: "final", round: record.round, record: record.hash } as const;
    const all = SERVERS.map((_, i) =>
      i === this.self
        ? this.oracle.finals.get(id(record.hash)) ??
          (this.chance(0.5) ? undefined : this.forged(i, final))
        : this.says(i, final)
    );
    if (this.spoil(0.1)) all[this.liar()] = all[this.below(3)];
    if (this.spoil(0.1)) all.reverse();
    const { head, closed } = this.rules;
    const adopted = this.rules.adopt(record, all, record.hash);
    if (!adopted) return;
    if (closed) throw new Violated("past close");
    if (!this.oracle.finals.has(id(record.hash))) throw new Violated("certified without all");
    if (!this.oracle.amnesic || record.round <= head.round) throw new Violated("fork");
  }

  #repeat(header: Attempt): void {
    const again = this.rules.repeat(header.hash);
    if (again) this.ask(() => ({ signed: again }));
  }

  /** Asks for the end of the epoch: for the same manifest again, or for another. */
  #close(): void {
    const { head } = this.rules, { manifest } = this.here, { successors, records } = this.#stage;
    const { certified } = this.oracle, wrong = this.spoil(0.4) ? this.below(4) : -1;
    if (head.round > this.here.genesis.round && this.chance(0.6)) certified.add(id(head.hash));
    const next = successors.length && this.chance(0.4) ? this.pick(successors) : {
      fingerprint: this.fresh(),
      epoch: manifest.epoch + (wrong === 0 ? 2 * this.below(2) : 1),
      previous: wrong === 1 ? this.fresh() : manifest.fingerprint,
      start: wrong === 2 && records.length ? this.pick(records).hash : head.hash,
      lie: wrong === 3 ? "other parameters" : undefined,
    };
    successors.push(next);
    const facts = { certified: certified.has(id(head.hash)) };
    if (!this.askClose(() => this.rules.close(next, facts, next.lie), next)) return;
    this.epoch(next, this.rules.head.round, next.start);
  }

  /** What is needed to release another header on this head. */
  #evidence(header: Attempt): Evidence[] {
    const out: Evidence[] = [], head = id(this.rules.head.hash);
    for (const other of this.#attempts) {
      if (other === header || id(other.previous) !== head) continue;
      if (!this.rules.released(other.hash)) continue;
      other.stubborn ??= this.chance(0.06);
      if (other.stubborn || this.spoil(0.05)) out.push(...this.#falseExcuse(other));
      else out.push(other.excuse ??= this.#excuse(other));
    }
    return out;
  }

  #excuse({ hash: header }: Attempt): Evidence {
    const liar = this.liar();
    if (this.chance(0.7)) {
      return { void: this.says(liar, { kind: "void", header, nonce: this.fresh() }) };
    }
    const any = () => ({ header, digest: this.fresh(), share: this.fresh() });
    const prepare = () => this.says(liar, { kind: "prepare", ...any() });
    return { convicts: [prepare(), prepare()] };
  }

  #falseExcuse(other: Attempt): Evidence[] {
    const wrong = this.below(5), liar = this.liar();
    const statement = { kind: "void", header: other.hash, nonce: this.fresh() } as const;
    if (wrong === 0) return [{ void: this.forged(liar, statement) }];
    if (wrong === 1) return [{ void: this.says(liar, { ...statement, header: this.fresh() }) }];
    if (wrong === 2) {
      const partial = { kind: "partial", header: other.hash, shares: this.fresh() } as const;
      return [{ convicts: [this.says(liar, partial), this.forged(liar, partial)] }];
    }
    const once = other.prepares?.find((signed) => signed?.server === SERVERS[liar]);
    if (once === undefined) return [];
    if (wrong === 3) return [{ convicts: [once, once] }];
    return [{ void: once }];
  }

  /** Tries to release one more on one head than may be, each after a false VOID, and restarts. */
  #fill(): void {
    this.calm = 0;
    for (let i = 0; i <= MAX_RELEASED_PER_HEAD; i++) {
      const header = this.#propose();
      header.stubborn = false;
      this.#open(header);
      this.#prepare(header);
      this.#partial(header);
    }
    this.boot();
  }
}
