/**
 * The replicated state: what the order of commands makes, the same on every server. It knows who
 * stands in the roster, the live round's statements, and the head that all have signed.
 *
 * Every signature is checked before a command changes anything, so a command can be late, doubled
 * or malicious and the state stays true. A snapshot is a list of commands that make the state anew.
 */
import { type Bundle, checkBundle } from "../protocol/bundle.ts";
import { equal, type HeaderHash, hex, Reader, type RecordHash, Writer } from "../protocol/bytes.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { serverIndex } from "../protocol/manifest.ts";
import {
  conviction,
  type Signed,
  type Statement,
  verifyStatement,
} from "../protocol/statements.ts";
import { changesRoster, type Command, decodeCommand, encodeCommand } from "./commands.ts";
import { checkDecline, type Decline } from "./decline.ts";
import { Registry } from "./registry.ts";
import type { Finals, Live, StateEvents } from "./state_terms.ts";
import { checkVouch, stands, type Vouch, Vouches, VOUCHES_PER_CLIENT } from "./vouches.ts";

type Final = Extract<Statement, { kind: "final" }>;

/** Most headers on one head, per server, whose PARTIALs and VOIDs are kept as evidence. */
const MAX_VOIDED = 64;
/** Most changes of the roster that wait for the end of a round, per client that may stand in it. */
const MAX_WAITING_PER_CLIENT = 2;
/** Most commands in a snapshot, beside 4 for each client and the vouches of each server. */
const MAX_SNAPSHOT = 40_000;

/** The state of one committee; see the module comment. */
export class CommitteeState {
  bundles: (Bundle | undefined)[];
  registry: Registry;
  vouches: Vouches;
  live: Live | undefined;
  /** The FINALs of the head. */
  finals: Finals | undefined;
  /** Records that servers are signing; each server stands in one, the last that it signed. */
  readonly signing = new Map<string, Finals>();
  head: { readonly round: number; readonly record: RecordHash };
  /** VOIDs by header, for those who released under it. */
  readonly voids = new Map<string, Signed[]>();
  /** Headers on this head for which somebody signed PARTIAL, by hex. */
  readonly released = new Map<
    string,
    { readonly header: HeaderHash; readonly partials: (Signed | undefined)[] }
  >();
  /** Whether the head's grants may still be carried, as far as the order knows. */
  carry = true;
  /** Highest round ever proposed. */
  round = 0;
  /**
   * Changes of the roster that wait, by their bytes in hex, for the end of a round or the leader's
   * word before it makes a header: which must not name a roster that is another in the meantime.
   */
  waiting = new Map<string, Uint8Array>();
  /** How often they took effect, as far as this server applied it. */
  settles = 0;

  /**
   * `start` is the round of the record that the epoch starts from, 0 for none. With `vouching`, which
   * all servers must agree on, only those stand in the roster for whom every server vouches.
   */
  constructor(
    readonly manifest: Manifest,
    readonly start = 0,
    readonly events: StateEvents = {},
    readonly vouching = false,
  ) {
    this.bundles = manifest.servers.map(() => undefined);
    this.registry = new Registry(manifest.parameters.maxClients);
    this.vouches = new Vouches(manifest.servers.length, manifest.parameters.maxClients);
    this.head = { round: start, record: manifest.root };
  }

  /** Applies one encoded command; false if it was void, with no change. */
  apply(bytes: Uint8Array, restoring = false): boolean {
    const command = decodeCommand(bytes, this.manifest);
    return this.fixed && changesRoster(command)
      ? this.#wait(bytes)
      : this.#perform(command, restoring);
  }

  /** Whether changes of the roster wait; not before the first round is about to be opened. */
  get fixed(): boolean {
    return this.live !== undefined || this.round > this.start || this.settles > 0;
  }

  #perform(command: Command, restoring: boolean): boolean {
    switch (command.kind) {
      case "bundle":
        return this.#bundle(command.server, command.bundle);
      case "register":
        return this.admissible(command.registration.client) &&
          this.registry.register(command.registration);
      case "leave":
        return this.registry.leave(command.registration);
      case "expire":
        if (!this.registry.expire(command.index, command.client)) return false;
        this.events.expired?.(command.client);
        return true;
      case "propose":
        return this.#propose(command.round, command.header, restoring);
      case "aggregate":
        return this.#aggregate(command.header, command.digest);
      case "statement":
        return this.#statement(command.signed);
      case "decline":
        return this.#decline(command.server, command.decline);
      case "abandon":
        return this.#abandon(command.header, command.reason);
      case "places":
        if (restoring) this.round = command.round;
        return restoring && this.registry.places(command.size, command.freeing);
      case "seat":
        return restoring && this.registry.seat(command.index, command.registration);
      case "gone":
        return restoring && this.registry.gone(command.client, command.session);
      case "uncarried":
        if (restoring && equal(command.record, this.head.record)) this.carry = false;
        return restoring;
      case "vouch":
        return this.#vouch(command.server, command.vouch);
      case "settle":
        if (!this.live) this.#settle();
        return !this.live;
      case "batch":
        return command.commands.map((one) => this.apply(one)).includes(true);
    }
  }

  /** Whether a client may stand in the roster, as far as all servers must vouch for it. */
  admissible(client: Uint8Array): boolean {
    return !this.vouching || this.vouches.until(client) !== undefined;
  }

  /** The state as a list of commands: u32 count ‖ (u32 length ‖ command) each. */
  snapshot(): Uint8Array {
    const commands: Command[] = [];
    const statement = (signed: Signed | undefined) => {
      if (signed) commands.push({ kind: "statement", signed });
    };
    // Before `places`: after it whatever changes the roster would wait.
    this.manifest.servers.forEach((_, server) => {
      for (const vouch of this.vouches.by(server)) commands.push({ kind: "vouch", server, vouch });
    });
    commands.push({
      kind: "places",
      round: this.round,
      size: this.registry.roster.size,
      freeing: this.registry.freeing,
    });
    commands.push(...this.registry.commands());
    if (this.settles > 0) commands.push({ kind: "settle" });
    this.bundles.forEach((bundle, server) =>
      bundle && commands.push({ kind: "bundle", server, bundle })
    );
    for (const { signatures } of [...this.finals ? [this.finals] : [], ...this.signing.values()]) {
      signatures.forEach((signed) => statement(signed));
    }
    if (!this.carry) commands.push({ kind: "uncarried", record: this.head.record });
    for (const { header, partials } of this.released.values()) {
      if (!this.#isLive(header)) partials.forEach((signed) => statement(signed));
    }
    for (const voids of this.voids.values()) voids.forEach((signed) => statement(signed));
    if (this.live) {
      const { round, header, digest, declined } = this.live;
      commands.push({ kind: "propose", round, header });
      this.live.opens.forEach((signed) => statement(signed));
      if (digest) commands.push({ kind: "aggregate", header, digest });
      this.live.prepares.forEach((signed) => statement(signed));
      this.live.partials.forEach((signed) => statement(signed));
      for (const [server, decline] of declined) {
        commands.push({ kind: "decline", server, decline });
      }
      const { givingUp: reason } = this.live;
      if (reason !== undefined) commands.push({ kind: "abandon", header, reason });
    }
    const all = [...commands.map(encodeCommand), ...this.waiting.values()];
    const out = new Writer().u32(all.length);
    for (const command of all) out.vector(command);
    return out.end();
  }

  /** The state that a snapshot makes; throws a `ProtocolError` for one that is malformed. */
  static restore(
    bytes: Uint8Array,
    manifest: Manifest,
    start: number,
    events: StateEvents,
    vouching = false,
  ): CommitteeState {
    const state = new CommitteeState(manifest, start, {}, vouching);
    const reader = new Reader(bytes, "snapshot");
    const count = reader.u32(), { servers, parameters: { maxClients } } = manifest;
    const most = MAX_SNAPSHOT + (4 + VOUCHES_PER_CLIENT * servers.length) * maxClients;
    if (count > most) reader.fail("range", `${count} commands`);
    for (let i = 0; i < count; i++) state.apply(reader.bounded(1, bytes.length, "command"), true);
    reader.end();
    return Object.assign(new CommitteeState(manifest, start, events, vouching), {
      bundles: state.bundles,
      registry: state.registry,
      vouches: state.vouches,
      live: state.live,
      finals: state.finals,
      signing: state.signing,
      head: state.head,
      voids: state.voids,
      released: state.released,
      carry: state.carry,
      round: state.round,
      waiting: state.waiting,
      settles: state.settles,
    });
  }

  /** Whether a server's FINAL for a record is here. */
  signed(server: number, record: RecordHash): boolean {
    return [...this.signing.values(), ...this.finals ? [this.finals] : []]
      .some((finals) => equal(finals.record, record) && finals.signatures[server] !== undefined);
  }

  #isLive(header: HeaderHash): boolean {
    return this.live !== undefined && equal(this.live.header, header);
  }

  #wait(command: Uint8Array): boolean {
    const { maxClients } = this.manifest.parameters, name = hex(command);
    const full = this.waiting.size >= MAX_WAITING_PER_CLIENT * maxClients;
    if (full || this.waiting.has(name)) return false;
    this.waiting.set(name, command);
    return true;
  }

  /** The round is over, one way or the other: the roster may change again. */
  #close(): void {
    this.live = undefined;
    this.#settle();
  }

  /** What waits takes effect, in the order in which it came. */
  #settle(): void {
    this.settles++;
    const commands = [...this.waiting.values()];
    this.waiting.clear();
    for (const command of commands) this.#perform(decodeCommand(command, this.manifest), false);
  }

  #bundle(server: number, bundle: Bundle): boolean {
    const before = this.bundles[server];
    if (before && equal(before.bytes, bundle.bytes)) return false;
    checkBundle(this.manifest, server, bundle);
    if (before && equal(before.nonce, bundle.nonce) && bundle.keyEpoch <= before.keyEpoch) {
      return false;
    }
    // A new boot has not signed this head: its grants cannot be carried over.
    if (before && !equal(before.nonce, bundle.nonce)) this.carry = false;
    this.bundles[server] = bundle;
    return true;
  }

  /** A server's word for a client; when it takes it back, the client's place is free. */
  #vouch(server: number, vouch: Vouch): boolean {
    checkVouch(vouch, this.manifest.instance, this.manifest.servers[server]);
    const seated = (client: Uint8Array) => this.registry.roster.indexOf(client) !== undefined;
    if (!this.vouching || !this.vouches.keep(server, vouch, seated)) return false;
    if (!stands(vouch) && this.registry.remove(vouch.client)) {
      this.events.evicted?.(vouch.client, server);
    }
    return true;
  }

  #propose(round: number, header: HeaderHash, restoring: boolean): boolean {
    if (this.live || round <= this.head.round) return false;
    // One number a proposal: nobody burns them.
    if (!restoring && round !== Math.max(this.round, this.head.round) + 1) return false;
    const nobody = () => this.manifest.servers.map(() => undefined);
    const partials = this.released.get(hex(header))?.partials ?? nobody();
    this.live = {
      round,
      header,
      opens: nobody(),
      prepares: nobody(),
      partials,
      declined: new Map(),
    };
    this.round = Math.max(this.round, round);
    this.registry.headed();
    return true;
  }

  #aggregate(header: HeaderHash, digest: Uint8Array): boolean {
    if (!this.#isLive(header) || this.live!.digest || this.live!.opens.includes(undefined)) {
      return false;
    }
    this.live!.digest = digest;
    return true;
  }

  #decline(server: number, decline: Decline): boolean {
    if (!this.#isLive(decline.header) || this.live!.declined.has(server)) return false;
    checkDecline(decline, this.manifest.servers[server]);
    this.live!.declined.set(server, decline);
    if (decline.reason === "open-carry") this.carry = false;
    return true;
  }

  #statement(signed: Signed): boolean {
    const server = serverIndex(this.manifest, signed.server);
    if (server < 0 || !verifyStatement(signed)) return false;
    const { statement } = signed;
    switch (statement.kind) {
      case "open":
        return this.#isLive(statement.header) && this.#keep(this.live!.opens, server, signed);
      case "prepare":
        return this.#isLive(statement.header) && this.#prepare(statement.digest, server, signed);
      case "partial":
        return this.#partial(statement.header, server, signed);
      case "void":
        return this.#void(statement.header, signed);
      case "final":
        return this.#final(statement, server, signed);
    }
  }

  #keep(list: (Signed | undefined)[], server: number, signed: Signed): boolean {
    const before = list[server];
    if (before === undefined) {
      list[server] = signed;
      return true;
    }
    const why = conviction(before, signed);
    if (why) this.events.equivocation?.(why, before, signed);
    return false;
  }

  /** One for another set than the live one counts for nothing, but beside the server's own convicts it. */
  #prepare(digest: Uint8Array, server: number, signed: Signed): boolean {
    const { prepares, digest: live } = this.live!;
    if (!prepares[server] && !(live && equal(live, digest))) return false;
    return this.#keep(prepares, server, signed);
  }

  #partial(header: HeaderHash, server: number, signed: Signed): boolean {
    let entry = this.released.get(hex(header));
    if (!entry) {
      const mine = [...this.released.values()].filter(({ partials }) => partials[server]);
      if (mine.length >= MAX_VOIDED) return false;
      const partials = this.#isLive(header)
        ? this.live!.partials
        : this.manifest.servers.map(() => undefined);
      this.released.set(hex(header), entry = { header, partials });
    }
    this.carry = false;
    return this.#keep(entry.partials, server, signed);
  }

  #void(header: HeaderHash, signed: Signed): boolean {
    const list = this.voids.get(hex(header)) ?? [];
    if (list.some((other) => equal(other.server, signed.server))) return false;
    if (list.length === 0 && this.voids.size >= MAX_VOIDED * this.manifest.servers.length) {
      // Only a VOID of what somebody released is ever needed as evidence.
      const spare = [...this.voids.keys()].find((name) => !this.released.has(name));
      if (spare === undefined) return false;
      this.voids.delete(spare);
    }
    this.voids.set(hex(header), [...list, signed]);
    if (this.#isLive(header) && this.live!.givingUp !== undefined) {
      this.#abandon(header, this.live!.givingUp);
    }
    return true;
  }

  /** The last word of each server counts: one that lost its disk may say another than before. */
  #final({ round, record }: Final, server: number, signed: Signed): boolean {
    if (round <= this.head.round || (this.live && round !== this.live.round)) return false;
    const name = `${round} ${hex(record)}`;
    const signatures = this.signing.get(name)?.signatures ??
      this.manifest.servers.map(() => undefined);
    if (signatures[server]) return false;
    for (const [other, entry] of this.signing) {
      const before = entry.signatures[server], why = before && conviction(before, signed);
      if (why) this.events.equivocation?.(why, before, signed);
      entry.signatures[server] = undefined;
      if (entry.signatures.every((s) => s === undefined)) this.signing.delete(other);
    }
    signatures[server] = signed;
    const finals = { round, record, signatures };
    this.signing.set(name, finals);
    if (signatures.includes(undefined)) return true;
    this.finals = finals;
    this.head = { round, record };
    this.carry = true;
    this.signing.clear();
    this.voids.clear();
    this.released.clear();
    this.#close();
    this.events.finalized?.(finals);
    return true;
  }

  #abandon(header: HeaderHash, reason: string): boolean {
    if (!this.#isLive(header)) return false;
    const live = this.live!;
    // With all PREPAREs anyone may have released, and what all have can still become a record: it
    // ends with that, or with the VOID of one who has not or whose key for it is gone.
    if (!live.prepares.includes(undefined) && !this.voids.has(hex(header))) {
      if (live.givingUp !== undefined || !live.partials.includes(undefined)) return false;
      live.givingUp = reason;
      return true;
    }
    this.#close();
    this.events.voided?.(live, reason);
    return true;
  }
}
