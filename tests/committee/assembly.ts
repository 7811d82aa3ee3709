/** Servers that form a committee and its epochs, as cores: links, losses, crashes and disks are the test's. */
import assert from "node:assert/strict";
import type { Seat } from "../../src/committee/change.ts";
import type { Formed } from "../../src/committee/formed.ts";
import { Membership } from "../../src/committee/membership.ts";
import { ReleaseRules, type Store } from "../../src/committee/release.ts";
import { encodeWish } from "../../src/committee/wish.ts";
import { compare, hex, type RecordHash, ZERO32 } from "../../src/protocol/bytes.ts";
import { type Signer, signer } from "../../src/protocol/keys.ts";
import { createManifest, type Manifest, serverIndex } from "../../src/protocol/manifest.ts";
import { type Parameters, PRESETS } from "../../src/protocol/parameters.ts";
import { Random } from "../protocol/random.ts";

export const INSTANCE = new Uint8Array(32).fill(3);

/** The process died while it wrote. */
class Death extends Error {}

/** What a server logged or was told. */
export interface Said {
  readonly event: string;
  readonly fields: Record<string, unknown>;
}

/** One server, through all its boots. */
export class Party {
  readonly signer: Signer;
  core: Membership | undefined;
  /** What it has on disk by name. */
  readonly disk = new Map<string, Uint8Array>();
  /** The newest epoch that it is a member of, and the newest that stands. */
  formed: Formed | undefined;
  stands: Formed | undefined;
  /** Whether it opens no further round. */
  held = false;
  /** A round is in progress. */
  busy = false;
  /** The head that it believes in, where that is not the last one: it forgot. */
  forgot: Uint8Array | undefined;
  wish: Uint8Array | undefined;
  refused: string | undefined;
  readonly said: Said[] = [];
  /** Fingerprints that it ever signed; those of first manifests, and those that ended its epoch. */
  readonly signed = new Set<string>();
  readonly closed = new Map<number, Set<string>>();
  /** The write at which it dies, counted from 1, and whether that write reaches the disk. */
  dies: { left: number; durable: boolean } | undefined;
  size: number;
  parameters: Parameters = PRESETS.dev;

  constructor(readonly name: string, seed: Uint8Array, size: number) {
    this.signer = signer(seed);
    this.size = size;
    const { sign } = this.signer;
    this.signer.sign = (label, ...parts) => {
      if (label === "sign-manifest") this.signed.add(hex(parts[0]));
      return sign(label, ...parts);
    };
  }

  /** A file of its disk; `write` is asked before and after. */
  store(name: string, write: () => { readonly durable: boolean; done(): void }): Store {
    return {
      load: () => this.disk.get(name)?.slice(),
      save: (bytes) => {
        const { durable, done } = write();
        if (durable) this.disk.set(name, bytes.slice());
        done();
      },
    };
  }

  /** The server in an epoch: real rules on its disk, no records. */
  seat({ manifest, start, record }: Formed, store: Store): Seat {
    const verify = () => true;
    const rules = new ReleaseRules({
      servers: manifest.servers,
      self: serverIndex(manifest, this.key),
      scheme: {
        sign: (statement) => ({ statement, server: this.key, signature: new Uint8Array(64) }),
        verify,
        signManifest: (fingerprint) => this.signer.sign("sign-manifest", fingerprint),
      },
      store,
      nonce: new Uint8Array(32),
      manifest,
      genesis: start,
      minParticipants: 3,
    });
    // deno-lint-ignore no-this-alias
    const party = this;
    return {
      get closed() {
        return rules.closed;
      },
      get settled() {
        const hash = party.forgot ?? start.hash;
        return party.held && !party.busy ? { hash: hash as RecordHash, record } : undefined;
      },
      hold: (on) => void (this.held = on),
      close: (next) => {
        const closing = rules.close(next, { certified: true });
        if ("signature" in closing) {
          const of = this.closed.get(manifest.epoch) ?? new Set();
          this.closed.set(manifest.epoch, of.add(hex(next.fingerprint)));
        }
        return closing;
      },
    };
  }

  get key(): Uint8Array {
    return this.signer.key;
  }
}

/** All of them, and the links between those that are up. */
export class Assembly {
  readonly random: Random;
  readonly parties: Party[];
  now = 0;
  /** Frames under way, in order, by sender and receiver. */
  readonly #links = new Map<string, Uint8Array[]>();

  constructor(readonly seed: number, count: number, size: number) {
    this.random = new Random(seed);
    this.parties = Array.from({ length: count }, () => this.random.bytes(32))
      .map((bytes, i) => new Party(`${i}`, bytes, size))
      .sort((a, b) => compare(a.key, b.key));
  }

  /** The manifest of some of them. */
  manifest(parties = this.parties): Manifest {
    return createManifest({
      instance: INSTANCE,
      epoch: 0,
      previous: ZERO32,
      start: ZERO32,
      servers: parties.map(({ key }) => key),
      parameters: parties[0].parameters,
    });
  }

  /** Starts a party on its disk; it meets those that are up. */
  start(party: Party): void {
    const alive = () => party.core === core;
    const store = (name: string) =>
      party.store(name, () => {
        const dies = party.dies && --party.dies.left === 0 ? party.dies : undefined;
        const done = () => {
          if (dies) throw new Death();
        };
        return { durable: !dies || dies.durable, done };
      });
    party.formed = party.stands = undefined;
    party.held = false;
    const core: Membership = party.core = new Membership({
      instance: INSTANCE,
      signer: party.signer,
      size: party.size,
      parameters: party.parameters,
      store: store("manifest"),
      wish: () => party.wish,
      environment: {
        clock: { now: () => this.now, wall: () => this.now, after: () => () => {} },
        observe: (_level, event, fields = {}) => void party.said.push({ event, fields }),
      },
      broadcast: (frame) => {
        if (!alive()) return;
        for (const other of this.parties) {
          this.#links.get(`${party.name}>${other.name}`)?.push(frame);
        }
      },
      stands: (formed) => {
        party.formed = party.stands = formed;
        party.held = false;
        return party.seat(formed, store(`state-${formed.manifest.epoch}`));
      },
      without: (formed) => {
        party.formed = undefined;
        party.stands = formed;
      },
      refused: (reason) => void (party.refused = reason),
    });
    this.#do(party, () => core.begin());
    for (const other of this.parties) if (other !== party && other.core) this.link(party, other);
  }

  /** Opens the link between two that are up. */
  link(a: Party, b: Party): void {
    for (const [from, to] of [[a, b], [b, a]]) {
      if (!from.core || !to.core) return;
      this.#links.set(`${from.name}>${to.name}`, [...from.core.greeting()]);
    }
    this.#do(a, () => a.core!.connected(b.key));
    this.#do(b, () => b.core?.connected(a.key));
  }

  /** Cuts it; what was under way is lost. */
  cut(a: Party, b: Party): void {
    for (const [from, to] of [[a, b], [b, a]]) {
      if (!this.#links.delete(`${from.name}>${to.name}`)) continue;
      if (to.core) this.#do(to, () => to.core?.disconnected(from.key));
    }
  }

  /** A process dies. */
  crash(party: Party): void {
    party.core = undefined;
    for (const other of this.parties) if (other !== party) this.cut(party, other);
  }

  /** One frame arrives, of any link; false if none is under way. */
  step(): boolean {
    const busy = [...this.#links].filter(([, frames]) => frames.length > 0);
    if (busy.length === 0) return false;
    const [name, frames] = this.random.pick(busy), [from, to] = name.split(">");
    const frame = frames.shift()!, receiver = this.#named(to);
    this.#do(receiver, () => receiver.core!.receive(this.#named(from).key, frame));
    return true;
  }

  /** Everything arrives, and time passes until nothing happens any more. */
  settle(): void {
    for (let quiet = 0; quiet < 4;) {
      while (this.step()) quiet = 0;
      this.tick();
      quiet++;
    }
  }

  /** A second passes. */
  tick(): void {
    this.now += 1_000;
    for (const party of this.parties) this.#do(party, () => party.core?.tick());
  }

  /** Operators state a wish: the servers of the next epoch, and who is lost. */
  wish(operators: readonly Party[], servers: readonly Party[], lost: readonly Party[] = []): void {
    for (const party of operators) {
      const from = party.formed!.manifest.fingerprint;
      party.wish = encodeWish({
        from,
        servers: servers.map(({ key }) => key),
        lost: lost.map(({ key }) => key),
      });
    }
  }

  /** Nobody signed two manifests; all of `members` stand on this one. */
  stands(manifest: Manifest, members = this.parties): void {
    const at = `seed ${this.seed}`;
    for (const party of this.parties) assert.ok(party.signed.size <= 1, at);
    for (const party of members) {
      assert.equal(party.refused, undefined, at);
      assert.ok(party.formed, `${at}: ${party.name}: ${party.core?.waitsFor}`);
      assert.equal(hex(party.formed.manifest.fingerprint), hex(manifest.fingerprint), at);
    }
  }

  #named(name: string): Party {
    return this.parties.find((party) => party.name === name)!;
  }

  #do(party: Party, task: () => void): void {
    try {
      task();
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      this.crash(party);
    }
  }
}
