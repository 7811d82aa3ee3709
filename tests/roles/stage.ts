/**
 * One honest server of three, and a test that is everything else: the engine, the other two
 * servers with their keys, the aggregator and the clients.
 */
import type { Aggregate } from "../../src/protocol/aggregate.ts";
import { concat, equal } from "../../src/protocol/bytes.ts";
import type { Header } from "../../src/protocol/header.ts";
import type { HeaderFields } from "../../src/protocol/header.ts";
import { xchacha20 } from "../../src/protocol/pad.ts";
import { participants } from "../../src/protocol/aggregate.ts";
import type { CertifiedRecord } from "../../src/protocol/record.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import {
  createShare,
  encodeShare,
  type Share,
  shareCommitment,
  sharesHash,
} from "../../src/protocol/share.ts";
import { type Signed, signStatement, type Statement } from "../../src/protocol/statements.ts";
import { type Command, decodeCommand, encodeCommand } from "../../src/committee/commands.ts";
import type { EngineHost } from "../../src/committee/engine.ts";
import { Member } from "../../src/committee/member.ts";
import type { Fields } from "../../src/universe/environment.ts";
import { durable } from "../../src/roles/simulated_disk.ts";
import { Play, type Server } from "../protocol/play.ts";

const BLOB = 2, HEAD = 3;
type Of<K extends Statement["kind"]> = Extract<Statement, { kind: K }>;

/** A round as the corrupt servers know it. */
export interface Secrets {
  readonly header: Header;
  readonly aggregate: Aggregate;
  /** Their shares, and the commitments of all. */
  readonly shares: Map<number, Share>;
}

/** See the module comment. */
export class Stage {
  readonly play: Play;
  readonly member: Member;
  /** What the honest server signed, in order. */
  readonly said: Signed[] = [];
  /** Why it declined. */
  readonly declined: string[] = [];
  /** Frames that it sent to server 0. */
  readonly frames: Uint8Array[] = [];
  readonly convicted: { why: string; server: Uint8Array; proof: Uint8Array }[] = [];
  readonly certified: CertifiedRecord[] = [];
  /** What the honest server logged as a warning. */
  readonly warnings: { readonly event: string; readonly fields?: Fields }[] = [];
  readonly store = durable();
  host!: EngineHost;
  now = 1_800_000_000_000;
  #proposed: Uint8Array[] = [];

  constructor(
    seed: number,
    readonly self = 2,
    admits: (client: Uint8Array) => string | undefined = () => undefined,
    vouching = false,
  ) {
    this.play = new Play(seed, { servers: 3, clients: 4 });
    this.member = new Member({
      manifest: this.play.manifest,
      start: { round: 0, hash: this.play.manifest.root },
      self,
      signer: this.play.servers[self].signer,
      store: this.store,
      environment: {
        clock: { now: () => this.now, wall: () => this.now, after: () => () => {} },
        random: (n) => this.play.random.bytes(n),
        observe: (level, event, fields) => {
          if (level === "warn") this.warnings.push({ event, fields });
        },
      },
      engine: (host) => {
        this.host = host;
        return {
          leader: 0,
          applied: 0,
          present: new Set([0, 1, 2]),
          start() {},
          stop() {},
          propose: (command) => void this.#proposed.push(command),
          receive() {},
          connected() {},
          disconnected() {},
        };
      },
      admits,
      vouching,
      events: {
        opened() {},
        finalized: (certified) => void this.certified.push(certified),
        voided() {},
        equivocation: (why, server, proof) => void this.convicted.push({ why, server, proof }),
      },
    });
    this.member.start();
    this.member.connected(0, (frame) => this.frames.push(frame) > 0);
    this.flush();
    const { manifest, servers } = this.play, bundle = this.member.state.bundles[self]!;
    const shared = () => {
      throw new Error("the honest server's secret");
    };
    const honest: Server = {
      ...servers[self],
      bundle,
      agreement: { key: bundle.agreement, shared, destroy() {} },
    };
    Object.assign(this.play, { servers: servers.with(self, honest) });
    for (const [i, client] of this.play.clients.entries()) {
      const registration = createRegistration("register", client.signer, {
        instance: manifest.instance,
        agreement: client.agreement.key,
        session: this.now + i,
      });
      this.apply({ kind: "register", registration });
    }
  }

  /** The two that the test plays. */
  get corrupt(): number[] {
    return [0, 1, 2].filter((i) => i !== this.self);
  }
  /** Kinds of what the honest server signed. */
  get kinds(): string[] {
    return this.said.map(({ statement }) => statement.kind);
  }

  /** Orders a command, then whatever the honest server proposes. */
  apply(command: Command): void {
    this.host.apply([encodeCommand(command)]);
    this.flush();
  }

  /** Orders what the honest server proposed. */
  flush(): void {
    for (let next = this.#proposed.shift(); next; next = this.#proposed.shift()) {
      const command = decodeCommand(next, this.play.manifest);
      if (command.kind === "statement") this.said.push(command.signed);
      if (command.kind === "decline") this.declined.push(command.decline.reason);
      this.host.apply([next]);
    }
  }

  /** A server's signature. */
  sign<S extends Statement>(server: number, statement: S): Signed<S> {
    return signStatement(this.play.servers[server].signer, statement);
  }
  /** Orders what a corrupt server signs. */
  say(server: number, statement: Statement): void {
    this.apply({ kind: "statement", signed: this.sign(server, statement) });
  }
  /** Sends a blob to the honest server. */
  give(id: Uint8Array, bytes: Uint8Array): void {
    this.member.receive(0, concat(Uint8Array.of(BLOB), id, bytes));
    this.flush();
  }
  /** Sends a head's evidence. */
  head(evidence: Uint8Array): void {
    this.member.receive(0, concat(Uint8Array.of(HEAD), evidence));
    this.flush();
  }
  /** Time passes. */
  pass(ms: number): void {
    this.now += ms;
    this.member.tick();
    this.flush();
  }

  /** The next header. */
  header(other: Partial<HeaderFields> = {}): Header {
    const round = Math.max(this.member.state.round, this.member.head.round) + 1;
    return this.play.header({ round, time: this.now, ...other });
  }
  /** Proposes a header. */
  propose(header: Header): void {
    this.give(header.hash, header.bytes);
    this.apply({ kind: "propose", round: header.round, header: header.hash });
  }
  /** Proposes a header, and the corrupt open it. */
  open(header = this.header()): Header {
    this.propose(header);
    for (const s of this.corrupt) this.say(s, { kind: "open", header: header.hash });
    return header;
  }
  /** The aggregate of some clients' cover. */
  fold(header: Header, clients: readonly number[] = [0, 1, 2, 3]): Aggregate {
    return this.play.fold(header, clients.map((c) => this.play.envelope(c, header)));
  }
  /** Orders an aggregate; the honest server owes PREPARE now. */
  fixes(header: Header, aggregate = this.fold(header)): Secrets {
    this.give(aggregate.digest, aggregate.bytes);
    this.apply({ kind: "aggregate", header: header.hash, digest: aggregate.digest });
    return this.secrets(header, aggregate);
  }
  /** Makes the corrupt servers' shares. */
  secrets(header: Header, aggregate: Aggregate): Secrets {
    const share = (s: number) =>
      createShare(
        xchacha20,
        participants(aggregate.bitmap).map((c) => this.play.pair(c, s)),
        header,
        this.play.random.bytes(32),
        this.play.parameters,
      );
    return { header, aggregate, shares: new Map(this.corrupt.map((s) => [s, share(s)])) };
  }
  /** The PREPARE of a corrupt server. */
  prepare({ header, aggregate, shares }: Secrets, server: number): Of<"prepare"> {
    const share = shareCommitment(
      shares.get(server)!,
      aggregate.digest,
      this.play.servers[server].signer.key,
    );
    return { kind: "prepare", header: header.hash, digest: aggregate.digest, share };
  }
  /** The corrupt PREPARE; the honest server owes PARTIAL now. */
  prepared(secrets: Secrets): Secrets {
    for (const s of this.corrupt) this.say(s, this.prepare(secrets, s));
    return secrets;
  }
  /** The PARTIAL that all owe, from the PREPAREs in the order. */
  partial({ header, aggregate }: Secrets): Of<"partial"> {
    const ps = this.member.state.live!.prepares.map((p) => (p!.statement as Of<"prepare">).share);
    return {
      kind: "partial",
      header: header.hash,
      shares: sharesHash(header.hash, aggregate.digest, ps),
    };
  }
  /** The corrupt release, shares and all; the honest server owes FINAL now. */
  released(secrets: Secrets): Secrets {
    for (const s of this.corrupt) {
      this.say(s, this.partial(secrets));
      this.give(this.prepare(secrets, s).share, encodeShare(secrets.shares.get(s)!));
    }
    return secrets;
  }
  /** The corrupt sign FINAL for what the honest server signed. */
  finals(): void {
    const last = this.said.at(-1)!.statement;
    if (last.kind !== "final") throw new Error(`the honest server said ${last.kind}`);
    for (const s of this.corrupt) this.say(s, last);
    this.play.head = this.member.head;
  }
  /** A round to its certificate. */
  round(header = this.open()): Secrets {
    const secrets = this.released(this.prepared(this.fixes(header)));
    this.finals();
    return secrets;
  }
  /** The leader gives the live round up. */
  abandon(header: Header): void {
    this.apply({ kind: "abandon", header: header.hash, reason: "test" });
  }
  /** An honest statement of a kind about a header. */
  has(kind: Statement["kind"], header: Header): boolean {
    return this.said.some(({ statement: s }) =>
      s.kind === kind && s.kind !== "final" && equal(s.header, header.hash)
    );
  }
}
