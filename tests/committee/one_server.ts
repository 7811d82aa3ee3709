/**
 * One server under the release rules, with real signatures: its disk, its boots, what it is asked.
 */
import assert from "node:assert/strict";
import {
  type Decision,
  type Evidence,
  type Facts,
  type HeaderView,
  type NextEpoch,
  type Refusal,
  type ReleaseOptions,
  ReleaseRules,
  type Store,
} from "../../src/committee/release.ts";
import { hash } from "../../src/protocol/hash.ts";
import { signer } from "../../src/protocol/keys.ts";
import { sharesHash } from "../../src/protocol/share.ts";
import {
  type Signed,
  signStatement,
  type Statement,
  verifyStatement,
} from "../../src/protocol/statements.ts";

export const NOW = 1_700_000_000_000;
export const SIGNERS = [7, 8, 9].map((n) => signer(new Uint8Array(32).fill(n)));
export const SERVERS = SIGNERS.map(({ key }) => key);
export const MANIFEST = { fingerprint: named("manifest"), epoch: 0 } as const;
export const GENESIS = { round: 0, hash: named("genesis") } as const;

export function named(name: string): Uint8Array {
  return hash("record", new TextEncoder().encode(name));
}

/** A disk that can fail, and that logs what happened when. */
export class Disk implements Store {
  bytes: Uint8Array | undefined;
  fails = false;
  readonly log: string[] = [];
  load() {
    return this.bytes;
  }
  save(bytes: Uint8Array) {
    if (this.fails) throw new Error("disk full");
    this.log.push("save");
    this.bytes = bytes.slice();
  }
}

/** What the rules of epoch 0 go by. */
const EPOCH_0 = { manifest: MANIFEST, genesis: GENESIS };

export function boot(
  disk: Disk,
  name = "boot 1",
  minParticipants = 3,
  epoch: Partial<Pick<ReleaseOptions, "manifest" | "genesis">> = {},
): ReleaseRules {
  const scheme = {
    sign: <S extends Statement>(statement: S) => {
      disk.log.push(statement.kind);
      return signStatement(SIGNERS[0], statement);
    },
    verify: verifyStatement,
    signManifest: (fingerprint: Uint8Array) => {
      disk.log.push("manifest");
      return SIGNERS[0].sign("sign-manifest", fingerprint);
    },
  };
  const common = { servers: SERVERS, self: 0, minParticipants, ...EPOCH_0, ...epoch };
  return new ReleaseRules({ ...common, scheme, store: disk, nonce: named(name) });
}

export function header(round: number, change: Partial<HeaderView> = {}): HeaderView {
  const common = { previous: GENESIS.hash, carry: false, nonce: named("boot 1") };
  return { hash: named(`header ${round}`), round, time: NOW, ...common, ...change };
}

export const FACTS: Facts = { participants: 3, strangers: 0, holdsBytes: true, evidence: [] };
/** D and my p, wherever nothing else is said. */
export const DIGEST = named("D"), SHARE = named("p 0");

export function says(server: number, statement: Statement): Signed {
  return signStatement(SIGNERS[server], statement);
}
export function prepares(h: HeaderView, digest = DIGEST): Signed[] {
  const statement = { kind: "prepare", header: h.hash, digest } as const;
  return SIGNERS.map((_, i) => says(i, { ...statement, share: named(`p ${i}`) }));
}
export function partials(h: HeaderView, digest = DIGEST): Signed[] {
  const shares = sharesHash(h.hash, digest, SIGNERS.map((_, i) => named(`p ${i}`)));
  return SIGNERS.map((_, i) => says(i, { kind: "partial", header: h.hash, shares }));
}
export function recordOf(h: HeaderView, name = "") {
  const { round, previous, hash } = h;
  return { hash: named(`record ${round} ${name}`), round, previous, header: hash };
}
/** The manifest after epoch 0's that starts from a record. */
export function nextFrom(start: Uint8Array, change: Partial<NextEpoch> = {}): NextEpoch {
  const common = { epoch: 1, previous: MANIFEST.fingerprint, start };
  return { fingerprint: named("next manifest"), ...common, ...change };
}
export function voidOf(h: HeaderView, server = 1): Evidence {
  return { void: says(server, { kind: "void", header: h.hash, nonce: named("its") }) };
}
export function withOne<T>(list: readonly T[], at: number, one: T): T[] {
  return list.map((item, i) => i === at ? one : item);
}

export function signed<S extends Statement>(decision: Decision<S>): Signed<S> {
  assert.ok("signed" in decision, `refused: ${"refused" in decision && decision.refused}`);
  assert.ok(verifyStatement(decision.signed));
  return decision.signed;
}
export function refused(decision: Decision, rule: Refusal): void {
  assert.deepEqual(decision, { refused: rule });
}

/** Opens, prepares and releases. */
export function release(
  rules: ReleaseRules,
  h: HeaderView,
  evidence: readonly Evidence[] = [],
): void {
  const facts = { ...FACTS, evidence };
  signed(rules.open(h, NOW));
  signed(rules.prepare(h, DIGEST, SHARE, facts));
  signed(rules.partial(h, prepares(h), facts));
}
export function finish(rules: ReleaseRules, h: HeaderView) {
  release(rules, h);
  const record = recordOf(h);
  signed(rules.final(record, partials(h), { sharesMatch: true }, named("attachment")));
  return record;
}
