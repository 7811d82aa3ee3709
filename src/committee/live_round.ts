/**
 * What a server owes the live round, step by step: OPEN, PREPARE, PARTIAL, FINAL. Each step looks at
 * the state anew and does nothing where its turn has not come, so it may be called at any time.
 */
import { type Aggregate, decodeAggregate, participants } from "../protocol/aggregate.ts";
import { equal, type HeaderHash, hex } from "../protocol/bytes.ts";
import { checkBundles, decodeHeader, type Header } from "../protocol/header.ts";
import type { Signer } from "../protocol/keys.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { checkExtends, type OpenedHeader } from "../protocol/opened.ts";
import { padCipher } from "../protocol/pad.ts";
import type { Roster } from "../protocol/roster.ts";
import {
  createShare,
  decodeShare,
  encodeShare,
  type Share,
  shareCommitment,
} from "../protocol/share.ts";
import type { Signed, Statement } from "../protocol/statements.ts";
import type { Environment } from "../universe/environment.ts";
import type { Attendance } from "./attendance.ts";
import { createDecline, type Decline } from "./decline.ts";
import { openRecord } from "./evidence.ts";
import type { Exchange } from "./exchange.ts";
import type { Heads } from "./heads.ts";
import type { Keys } from "./member_keys.ts";
import type { Phases } from "./member_terms.ts";
import type { Proposals } from "./proposals.ts";
import type { Decision, Facts, HeaderView, ReleaseRules } from "./release.ts";
import type { CommitteeState } from "./state.ts";
import type { Live } from "./state_terms.ts";
import type { Vouching } from "./vouching.ts";

/** What a server works with in every round. */
export interface Bench {
  readonly manifest: Manifest;
  readonly self: number;
  readonly signer: Signer;
  readonly environment: Environment;
  readonly rules: ReleaseRules;
  readonly keys: Keys;
  readonly exchange: Exchange;
  readonly proposals: Proposals;
  readonly heads: Heads;
  readonly attendance: Attendance;
  /** Clients whose admission this server checked before, by hex. */
  readonly admitted: Set<string>;
  readonly admits: (client: Uint8Array) => string | undefined;
  /** This server's vouches, where clients must have them. */
  readonly vouching?: Vouching;
}

/** When each phase was over at this server, Unix ms. */
export interface Times {
  readonly seen: number;
  opened?: number;
  aggregated?: number;
  prepared?: number;
  released?: number;
}

/** A header as the rules look at it. */
export function viewOf(header: Header, self: number): HeaderView {
  return { ...header, nonce: header.bundles[self].nonce };
}

/** One server's work on one live header. */
export class LiveRound {
  readonly times: Times;
  readonly #shares: (Share | undefined)[];
  #header: Header | undefined;
  #roster: Roster | undefined;
  #aggregate: Aggregate | undefined;
  /** My share for the participants of `#aggregate`, and what it is committed to by. */
  #share: { readonly share: Share; readonly commitment: Uint8Array } | undefined;
  #pushed = false;
  /** What I said last of not going on. */
  #declined: Decline | undefined;
  #live: Live | undefined;

  constructor(readonly bench: Bench, readonly hash: HeaderHash) {
    this.times = { seen: bench.environment.clock.now() };
    this.#shares = bench.manifest.servers.map(() => undefined);
  }

  /** The header, once it is here. */
  get header(): Header | undefined {
    return this.#header;
  }
  /** The roster that the header names. */
  get roster(): Roster | undefined {
    return this.#roster;
  }

  /** How long each phase took, once all of them but the last are over. */
  get phases(): Phases | undefined {
    const { seen, opened, aggregated, prepared, released } = this.times;
    if (!opened || !aggregated || !prepared || !released) return undefined;
    return {
      open: opened - seen,
      fold: aggregated - opened,
      prepare: prepared - aggregated,
      unblind: released - prepared,
      finalize: this.bench.environment.clock.now() - released,
    };
  }

  /** Ids of all that went between the servers for this round beside the order. */
  get blobs(): Uint8Array[] {
    const { digest, prepares = [] } = this.#live ?? {};
    const shares = prepares.flatMap((signed, i) => signed ? [commitmentOf(this.#live!, i)] : []);
    return [this.hash, ...digest ? [digest] : [], ...shares];
  }

  /** Whether another state's live round is this one, with the same set and roster. */
  stands({ live, registry }: CommitteeState): boolean {
    if (!live || !equal(live.header, this.hash)) return false;
    const digest = this.#aggregate?.digest, root = this.#roster?.root;
    return (!digest || (live.digest !== undefined && equal(digest, live.digest))) &&
      (!root || equal(root, registry.roster.root));
  }

  /** The header with its OPENs, once all servers signed. */
  opened(live: Live): OpenedHeader | undefined {
    if (!this.#header || live.opens.includes(undefined)) return undefined;
    return { header: this.#header, opens: live.opens.map((signed) => signed!.signature) };
  }

  /** Does what is owed now; `opened` is told once when all have OPENed. */
  owe(
    live: Live,
    state: CommitteeState,
    opened: (header: OpenedHeader, roster: Roster) => void,
  ): void {
    const { self } = this.bench;
    this.#live = live;
    const header = this.#header ??= this.#findHeader(state);
    if (!header) return this.#oweLost(state);
    if (!live.opens[self]) this.#oweOpen(live, state, header);
    const all = this.opened(live);
    if (!all) return;
    if (this.times.opened === undefined) {
      this.#reached("opened");
      opened(all, this.#roster!);
    }
    if (live.givingUp !== undefined && !live.partials[self]) sayVoid(this.bench, state, header);
    if (live.digest === undefined) return;
    const aggregate = this.#aggregate ??= this.#findAggregate(live.digest, header);
    if (!aggregate) return;
    this.#reached("aggregated");
    if (!live.prepares[self]) this.#owePrepare(live, state, header, aggregate);
    if (live.prepares.includes(undefined)) return;
    this.#reached("prepared");
    if (!live.partials[self]) this.#owePartial(live, state, header, aggregate);
    if (live.partials.includes(undefined)) return;
    this.#reached("released");
    this.#oweFinal(live, state, header, aggregate);
  }

  /** A phase is over at this server. */
  #reached(phase: "opened" | "aggregated" | "prepared" | "released"): void {
    if (this.times[phase] !== undefined) return;
    const { clock, observe } = this.bench.environment;
    this.times[phase] = clock.now();
    observe("debug", "phase", { round: this.#header!.round, phase });
  }

  get #late(): boolean {
    const { environment, manifest } = this.bench;
    return environment.clock.now() - this.times.seen > manifest.parameters.roundDeadline;
  }

  /** Nobody has the header any more: all who had it died. My boot in it is over, then: say so. */
  #oweLost(state: CommitteeState): void {
    if (this.#late) sayOver(this.bench, state, this.hash);
  }

  #oweOpen(live: Live, state: CommitteeState, header: Header): void {
    const { rules, keys, self, environment } = this.bench;
    if (live.declined.has(self)) return;
    const objection = this.#objection(header, live, state);
    const decision = rules.open(viewOf(header, self), environment.clock.wall(), objection);
    if ("signed" in decision) keys.use(header.bundles[self]);
    this.#say(live, decision, objection);
  }

  #owePrepare(live: Live, state: CommitteeState, header: Header, aggregate: Aggregate): void {
    const { rules, keys, self, environment, manifest } = this.bench;
    if (live.declined.has(self)) return;
    const entries = this.#participants(aggregate), { root, size } = this.#roster!;
    // An engine may make up another state after OPEN: pads are for the roster of the header only.
    if (size !== header.rosterSize || !equal(root, header.rosterRoot)) {
      return this.#decline(live, "another roster than opened");
    }
    if (!keys.opens(header.bundles[self])) {
      return this.#decline(live, "the key of this header is gone");
    }
    if (!this.#share) {
      const pairs = entries.flatMap((entry) => entry ? [keys.pair(entry)] : []);
      const cipher = padCipher(manifest.parameters.suite);
      const blind = environment.random(32);
      const share = createShare(cipher, pairs, header, blind, manifest.parameters);
      const commitment = shareCommitment(share, aggregate.digest, manifest.servers[self]);
      this.#share = { share, commitment };
    }
    const { commitment } = this.#share, facts = this.#facts(aggregate, state);
    this.#say(live, rules.prepare(viewOf(header, self), aggregate.digest, commitment, facts));
  }

  #owePartial(live: Live, state: CommitteeState, header: Header, aggregate: Aggregate): void {
    const { rules, self, exchange, keys } = this.bench;
    if (live.declined.has(self)) return;
    if (!this.#share || !keys.opens(header.bundles[self])) {
      return this.#decline(live, "the key of this header is gone");
    }
    // The order may show PREPAREs of one set beside the aggregate of another. The rules hold the
    // statements to each other; what leaves is held to them here, or a header would open twice.
    if (!equal(this.#share.commitment, commitmentOf(live, self))) {
      return this.#decline(live, "the share is for another set than PREPARE");
    }
    const decision = rules.partial(
      viewOf(header, self),
      live.prepares,
      this.#facts(aggregate, state),
    );
    if ("signed" in decision && !this.#pushed) {
      // Once: whoever misses it asks.
      this.#pushed = true;
      exchange.push(commitmentOf(live, self), encodeShare(this.#share.share));
    }
    this.#say(live, decision);
  }

  #oweFinal(live: Live, state: CommitteeState, header: Header, aggregate: Aggregate): void {
    const { heads, manifest, keys, self } = this.bench;
    if (heads.head.round >= header.round) return;
    manifest.servers.forEach((server, i) => {
      this.#shares[i] ??= this.#findShare(live, header, aggregate, server, i);
    });
    const shares = this.#shares.filter((share) => share !== undefined);
    if (shares.length < manifest.servers.length) {
      // A share of mine from an earlier boot that nobody has is lost with its key: say so, in the end.
      const lost = !this.#shares[self] && !keys.opens(header.bundles[self]);
      if (lost && this.#late) sayVoid(this.bench, state, header);
      return;
    }
    const prepares = live.prepares as Signed[], partials = live.partials as Signed[];
    const record = openRecord(manifest, header, aggregate, prepares, partials, shares);
    if (record) heads.finalize({ record, aggregate, prepares, partials, shares });
  }

  /** What is false in a header beyond the rules that need memory, or undefined. */
  #objection(header: Header, live: Live, state: CommitteeState): string | undefined {
    const { manifest, keys, self, heads, attendance, vouching, environment } = this.bench;
    const { roster } = state.registry, wall = environment.clock.wall();
    try {
      if (header.round !== live.round) return "another round than proposed";
      checkExtends(header, heads.head);
      checkBundles(manifest, header, keys.checked);
      if (!equal(header.bundles[self].bytes, keys.newest.bytes)) return "an older bundle of mine";
      if (header.rosterSize !== roster.size || !equal(header.rosterRoot, roster.root)) {
        return "another roster";
      }
      const wronged = attendance.wronged(roster, environment.clock.now());
      if (wronged) return `client ${wronged.slice(0, 16)} was left out, yet took part lately`;
      for (const [, { client }] of roster.clients()) {
        const refused = vouching?.admits(client, state, wall) === false
          ? "no vouch of mine"
          : this.#refusal(client);
        if (refused) return `client ${hex(client).slice(0, 16)} is not admitted here: ${refused}`;
      }
    } catch (error) {
      return (error as Error).message;
    }
    return undefined;
  }

  /** Why a client may not take part, whatever it shows; what was admitted once stays so. */
  #refusal(client: Uint8Array): string | undefined {
    const { admits, admitted } = this.bench, name = hex(client);
    if (admitted.has(name)) return undefined;
    const refused = admits(client);
    if (refused === undefined) admitted.add(name);
    return refused;
  }

  #findHeader(state: CommitteeState): Header | undefined {
    return this.bench.exchange.get(this.hash, (bytes) => {
      const header = decodeHeader(bytes, this.bench.manifest);
      if (!equal(header.hash, this.hash)) return undefined;
      this.#roster = state.registry.roster.clone();
      this.bench.environment.observe("debug", "header seen", { round: header.round });
      return header;
    });
  }

  #findAggregate(digest: Uint8Array, header: Header): Aggregate | undefined {
    return this.bench.exchange.get(digest, (bytes) => {
      const aggregate = decodeAggregate(bytes, header, this.bench.manifest.parameters);
      return equal(aggregate.digest, digest) ? aggregate : undefined;
    });
  }

  #findShare(
    live: Live,
    header: Header,
    aggregate: Aggregate,
    server: Uint8Array,
    index: number,
  ): Share | undefined {
    const id = commitmentOf(live, index);
    return this.bench.exchange.get(id, (bytes) => {
      const share = decodeShare(bytes, header, this.bench.manifest.parameters);
      return equal(shareCommitment(share, aggregate.digest, server), id) ? share : undefined;
    });
  }

  #participants(aggregate: Aggregate) {
    return participants(aggregate.bitmap).map((index) => this.#roster!.at(index));
  }

  #facts(aggregate: Aggregate, state: CommitteeState): Facts {
    const entries = this.#participants(aggregate);
    return {
      participants: entries.length,
      strangers: entries.filter((entry) => entry === undefined).length,
      holdsBytes: true,
      evidence: [...state.voids.values()].flat().map((signed) => ({ void: signed })),
    };
  }

  #say(live: Live, decision: Decision<Statement>, objection?: string): void {
    if ("signed" in decision) this.bench.proposals.statement(decision.signed);
    else this.#decline(live, decision.refused === "open-content" ? objection! : decision.refused);
  }

  #decline({ header }: Live, reason: string): void {
    const { self: server, signer, proposals } = this.bench;
    if (this.#declined?.reason !== reason) {
      this.#declined = createDecline(signer, header, reason);
    }
    proposals.offer("decline", { kind: "decline", server, decline: this.#declined });
  }
}

/** Signs VOID for a header, unless this server did or the rules forbid it. */
export function sayVoid(bench: Bench, state: CommitteeState, header: Header): void {
  if (hasVoid(bench, state, header.hash)) return;
  const decision = bench.rules.void(viewOf(header, bench.self));
  if ("signed" in decision) bench.proposals.statement(decision.signed);
}

/** Signs VOID for a header of an earlier boot, of which no more than my nonce in it is known. */
function sayOver(bench: Bench, state: CommitteeState, hash: HeaderHash): void {
  const { rules, heads, proposals } = bench, nonce = rules.nonceIn(hash);
  if (!nonce || equal(nonce, bench.keys.nonce) || hasVoid(bench, state, hash)) return;
  const { round, time, hash: previous } = heads.head;
  const decision = rules.void({ hash, nonce, round, time, previous, carry: false });
  if ("signed" in decision) proposals.statement(decision.signed);
}

/** VOIDs of headers on this head that somebody released and that are live no more. */
export function oweVoids(bench: Bench, state: CommitteeState): void {
  for (const { header: hash, partials } of state.released.values()) {
    if (state.live && equal(state.live.header, hash)) continue;
    if (partials[bench.self] || hasVoid(bench, state, hash)) continue;
    const header = bench.exchange.get(hash, (bytes) => decodeHeader(bytes, bench.manifest));
    if (header && equal(header.hash, hash)) sayVoid(bench, state, header);
  }
}

/**
 * What this server released on its head and the order does not know, for it began anew: its PARTIAL
 * again, so that somebody says VOID; of an earlier boot, its own VOID.
 */
export function oweReleases(bench: Bench, state: CommitteeState): void {
  const { rules, proposals, self } = bench;
  for (const { header: hash } of rules.releases) {
    if (state.live && equal(state.live.header, hash)) continue;
    if (state.released.get(hex(hash))?.partials[self] || hasVoid(bench, state, hash)) continue;
    const again = rules.repeat(hash);
    if (again) proposals.statement(again);
    else sayOver(bench, state, hash);
  }
}

function hasVoid({ manifest, self }: Bench, state: CommitteeState, header: HeaderHash): boolean {
  const voids = state.voids.get(hex(header)) ?? [];
  return voids.some((signed) => equal(signed.server, manifest.servers[self]));
}

function commitmentOf(live: Live, server: number): Uint8Array {
  return (live.prepares[server] as Signed<Extract<Statement, { kind: "prepare" }>>).statement.share;
}
