/**
 * A server and its committee, as a core without I/O: it forms the first committee with others
 * (`genesis.ts`), is handed the one that stands, makes the next epoch with the other members
 * (`change.ts`), joins a committee that invites it, and goes on handing out what stands when it has
 * left. What it signed and the committee that stands are durable before others hear of them.
 *
 * | frame | layout |
 * |---|---|
 * | would form | u8 0 ‖ what `genesis.ts` says |
 * | signed by me | u8 1 ‖ manifest ‖ signature (64) |
 * | stands | u8 2 ‖ committee (`formed.ts`) |
 * | wish, invitation | u8 3, 4: `change.ts` |
 */
import { concat, equal, hex, Reader } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { verify } from "../protocol/keys.ts";
import { decodeLineage, encodeLineage, type Lineage } from "../protocol/lineage.ts";
import {
  checkSuccession,
  decodeManifest,
  type Manifest,
  serverIndex,
  signManifest,
} from "../protocol/manifest.ts";
import type { Parameters } from "../protocol/parameters.ts";
import { Change, INVITATION, type Seat, WISH } from "./change.ts";
import {
  checkStart,
  decodeFormed,
  decodeSaved,
  difference,
  encodeFormed,
  encodeSaved,
  type Formed,
  maxFormedBytes,
  type Saved,
} from "./formed.ts";
import { type Candidate, Genesis, type GenesisTerms } from "./genesis.ts";
import type { Store } from "./release_terms.ts";
import { decodeWish, MAX_WISH_BYTES } from "./wish.ts";

const WOULD_FORM = 0, SIGNED_BY_ME = 1, STANDS = 2;

/** Bytes of the longest frame: an invitation, beside what stands. */
export function maxMembershipFrame(parameters: Parameters): number {
  return 2 ** 14 + maxFormedBytes(parameters);
}

/** Servers that may be met. */
export const MAX_CANDIDATES = 256;

/** What a membership is made of. */
export interface MembershipOptions extends GenesisTerms {
  /** Keeps what was signed, and the committee once it stands. */
  readonly store: Store;
  /** What the operator wishes of the committee now, as bytes; see `wish.ts`. */
  readonly wish?: () => Uint8Array | undefined;
  /** Sends a frame to every server that is met. */
  readonly broadcast: (frame: Uint8Array) => void;
  /** An epoch stands of which this server is a member: it runs in it from now on. */
  readonly stands: (formed: Formed) => Seat;
  /** An epoch stands without this server. */
  readonly without: (formed: Formed) => void;
  /** This server may not go on, and why. */
  readonly refused: (reason: string) => void;
}

/** See the module comment. */
export class Membership {
  readonly #candidates = new Map<string, Candidate>();
  #genesis: Genesis;
  /** The newest epoch that stands. */
  #formed: Formed | undefined;
  /** How this server's epoch comes to its next one; undefined where it is no member. */
  #change: Change | undefined;
  /** What this server, while no member, has signed to become one. */
  #consent: Uint8Array | undefined;
  /** Claims that were logged, by fingerprint. */
  #claim = "";
  #ended = false;

  constructor(readonly options: MembershipOptions) {
    this.#genesis = this.#founding();
  }

  /** The newest committee that stands, whether this server is in it or not. */
  get committee(): Formed | undefined {
    return this.#formed;
  }

  /** Takes up what is stored; call it once, before anything else. */
  begin(): void {
    const { store, instance } = this.options;
    const bytes = store.load();
    if (bytes === undefined) return this.#look();
    let saved: Saved;
    try {
      saved = decodeSaved(bytes, instance);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return this.#refuse(`its data folder holds no committee of its instance: ${error.message}`);
    }
    const { manifest } = "formed" in saved ? saved.formed : { manifest: saved.signed };
    if (!this.#isMember(manifest) && manifest.epoch === 0) {
      const key = hex(this.options.signer.key);
      return this.#refuse(`its data folder holds a committee without its key ${key}`);
    }
    if (this.#differs(manifest)) return;
    if ("formed" in saved) return this.#stand(saved.formed);
    this.#genesis = this.#founding(saved.signed);
    this.#look();
  }

  /** What a server that was just met has to hear. */
  greeting(): Uint8Array[] {
    const { mine, saying } = this.#genesis;
    const frames = this.#formed
      ? [concat(Uint8Array.of(STANDS), encodeFormed(this.#formed))]
      : [concat(Uint8Array.of(WOULD_FORM), saying)];
    if (!this.#formed && mine) frames.push(this.#signed(mine));
    if (this.#consent) frames.push(this.#consent);
    return [...frames, ...this.#change?.greeting ?? []];
  }

  /** A server has proven the secret; a `ProtocolError` if that is one too many. */
  connected(key: Uint8Array): void {
    this.#candidate(key).met = true;
    this.#look();
  }

  /** A server is gone. */
  disconnected(key: Uint8Array): void {
    const candidate = this.#candidates.get(hex(key));
    if (!candidate) return;
    candidate.met = false;
    candidate.would = candidate.wish = candidate.next = new Uint8Array(0);
    this.#look();
  }

  /** A frame of a server that was met; a `ProtocolError` for a malformed one. */
  receive(key: Uint8Array, frame: Uint8Array): void {
    if (this.#ended) return;
    const kind = new Reader(frame, "membership").u8(), body = frame.subarray(1);
    if (kind === WOULD_FORM) this.#genesis.announced(this.#candidate(key), body);
    else if (kind === SIGNED_BY_ME) this.#heardSignature(key, body);
    else if (kind === STANDS) this.#heard(decodeFormed(body, this.options.instance));
    else if (kind === WISH) this.#heardWish(key, body);
    else if (kind === INVITATION) this.#invited(this.#candidate(key), body);
    else throw new ProtocolError("range", `a frame of kind ${kind}, expected 0 to 4`);
    this.#look();
  }

  /** Time passed. */
  tick(): void {
    this.#look();
  }

  /** What is missing, for people; undefined where nothing is. */
  get waitsFor(): string | undefined {
    if (!this.#formed) return this.#genesis.waitsFor;
    if (this.#change) return this.#change.waitsFor;
    return `not in the committee ${hex(this.#formed.manifest.fingerprint)}; waits to be added`;
  }

  #founding(signed?: Manifest): Genesis {
    const { broadcast, store } = this.options;
    return new Genesis({
      ...this.options,
      candidates: this.#candidates,
      signed,
      say: (what) => broadcast(concat(Uint8Array.of(WOULD_FORM), what)),
      sign: (manifest) => {
        store.save(encodeSaved({ signed: manifest }));
        broadcast(this.#signed(manifest));
      },
      formed: (epoch) => {
        const lineage = encodeLineage([epoch]), record = new Uint8Array(0);
        this.#keep(decodeFormed(encodeFormed({ record, lineage }), this.options.instance));
      },
    });
  }

  #isMember(manifest: Manifest): boolean {
    return serverIndex(manifest, this.options.signer.key) >= 0;
  }

  #candidate(key: Uint8Array): Candidate {
    const name = hex(key), known = this.#candidates.get(name);
    if (known) return known;
    if (this.#candidates.size >= MAX_CANDIDATES) {
      const gone = [...this.#candidates].find(([, { met }]) => !met)?.[0];
      if (gone === undefined) {
        throw new ProtocolError("range", `${MAX_CANDIDATES} servers are here, at most that`);
      }
      this.#candidates.delete(gone);
    }
    const empty = new Uint8Array(0);
    const fresh = { key: key.slice(), met: false, would: empty, wish: empty, next: empty };
    this.#candidates.set(name, fresh);
    return fresh;
  }

  #heardSignature(key: Uint8Array, bytes: Uint8Array): void {
    if (bytes.length < 64) throw new ProtocolError("length", "a signature of a manifest, cut off");
    const manifest = decodeManifest(bytes.slice(0, -64)), signature = bytes.slice(-64);
    const first = manifest.epoch === 0;
    if (
      !equal(manifest.instance, this.options.instance) || (first && serverIndex(manifest, key) < 0)
    ) throw new ProtocolError("mismatch", "it signs a manifest that is not its own");
    if (!verify(key, signature, "sign-manifest", manifest.fingerprint)) {
      throw new ProtocolError("signature", "a manifest with a signature that does not verify");
    }
    this.#candidate(key).signed = { manifest, signature };
  }

  #heardWish(key: Uint8Array, bytes: Uint8Array): void {
    if (bytes.length > MAX_WISH_BYTES) {
      throw new ProtocolError("range", `a wish of ${bytes.length} bytes`);
    }
    if (bytes.length > 0) decodeWish(bytes);
    this.#candidate(key).wish = bytes.slice();
  }

  /** Members of a committee want this server among them; it signs whatever fits. */
  #invited(from: Candidate, body: Uint8Array): void {
    const { instance, broadcast } = this.options;
    const reader = new Reader(body, "invitation");
    const bytes = reader.bounded(1, body.length, "lineage");
    const record = reader.bounded(0, body.length, "start record");
    const next = decodeManifest(reader.bytes(reader.left).slice());
    from.next = next.fingerprint;
    // A member hears what another one comes to.
    if (this.#change) return;
    const lineage = decodeLineage(bytes, instance);
    checkSuccession(lineage[lineage.length - 1].manifest, next);
    checkStart(next, lineage, record);
    if (!this.#isMember(next)) return; // everyone who is met hears it
    if (!this.#formed && this.#genesis.mine) {
      return this.#warn(next, "this server signed a first committee, which does not stand");
    }
    const differs = difference({ ...next, size: this.options.size }, this.options);
    if (differs !== undefined) return this.#warn(next, `it has other options: ${differs}`);
    const frame = this.#signed(next);
    if (this.#consent && equal(frame, this.#consent)) return;
    this.#consent = frame;
    broadcast(frame);
  }

  /** A committee stands, others say; all its signatures are good. */
  #heard(formed: Formed): void {
    const { manifest, epochs } = formed, known = this.#formed?.manifest;
    if (known && manifest.epoch <= known.epoch) {
      const other = manifest.epoch === known.epoch && !equal(manifest.bytes, known.bytes);
      if (other) this.#warn(manifest, "it is another committee of the same epoch");
      return;
    }
    if (!known) {
      if (this.#isMember(manifest) && this.#differs(manifest)) return;
      return this.#joins(formed, epochs);
    }
    const at = epochs.findIndex((it) => equal(it.manifest.fingerprint, known.fingerprint));
    if (at < 0) return this.#warn(manifest, "it does not follow the committee known here");
    const mine = (key: Uint8Array) => equal(key, this.options.signer.key);
    if (epochs.slice(at + 1).some(({ missing }) => missing.some(mine))) {
      return this.#warn(manifest, "this server has not signed its removal, and goes on");
    }
    this.#keep(formed);
  }

  /** The first committee that this server is told of. */
  #joins(formed: Formed, epochs: Lineage): void {
    const mine = this.#genesis.mine?.fingerprint;
    const member = this.#isMember(formed.manifest);
    if (member && mine && !epochs.some((epoch) => equal(epoch.manifest.fingerprint, mine))) {
      return this.#refuse(
        `the committee that stands is ${
          hex(formed.manifest.fingerprint)
        }, and this server has signed ${
          hex(mine)
        }: its data folder is not the one that it signed with`,
      );
    }
    this.#keep(formed);
  }

  #keep(formed: Formed): void {
    // Of a committee that it never was in a server keeps nothing: it may still found another.
    if (this.#formed || this.#isMember(formed.manifest)) {
      this.options.store.save(encodeSaved({ formed }));
    }
    this.#stand(formed);
  }

  #stand(formed: Formed): void {
    this.#formed = formed;
    this.#change = this.#consent = undefined;
    this.options.broadcast(concat(Uint8Array.of(STANDS), encodeFormed(formed)));
    if (!this.#isMember(formed.manifest)) return this.options.without(formed);
    const { signer, environment, broadcast, wish = () => undefined } = this.options;
    this.#change = new Change({
      formed,
      self: signer.key,
      seat: this.options.stands(formed),
      wish,
      environment,
      broadcast,
      neighbour: (key) => this.#candidates.get(hex(key)),
      signature: (manifest, signature) =>
        concat(Uint8Array.of(SIGNED_BY_ME), manifest.bytes, signature),
      stands: (next) => this.#keep(next),
    });
  }

  #look(): void {
    if (this.#ended) return;
    if (this.#change) this.#change.look();
    else if (!this.#formed) this.#genesis.look();
  }

  #signed(manifest: Manifest): Uint8Array {
    const signature = signManifest(this.options.signer, manifest);
    return concat(Uint8Array.of(SIGNED_BY_ME), manifest.bytes, signature);
  }

  #warn({ fingerprint, epoch }: Manifest, reason: string): void {
    if (this.#claim === hex(fingerprint)) return;
    this.#claim = hex(fingerprint);
    this.options.environment.observe("warn", "another committee", {
      fingerprint: this.#claim,
      epoch,
      reason,
    });
  }

  /** The size is that of genesis: a later epoch may have another. */
  #differs({ epoch, servers, parameters }: Manifest): boolean {
    const size = epoch === 0 ? servers.length : this.options.size;
    const differs = difference({ size, parameters }, this.options);
    if (differs !== undefined) this.#refuse(`its committee has other options: ${differs}`);
    return differs !== undefined;
  }

  #refuse(reason: string): void {
    this.#ended = true;
    this.options.refused(reason);
  }
}
