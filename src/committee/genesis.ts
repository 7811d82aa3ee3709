/**
 * How a committee forms, as a core without I/O. Servers that have proven the committee's secret to
 * each other announce the manifest that they would form: of the `size` smallest keys among those
 * they meet. A server signs once all members of it announce the very same bytes, and it signs one
 * manifest for ever: what it signed is durable before the signature leaves. With the signatures of
 * all the committee stands, and whoever lost the signed manifest gets it from the others.
 *
 * Where more servers come than there are seats, views may differ while they arrive. Whoever has
 * not signed then follows the first signature that can still win; a manifest cannot win any more
 * once one of its members is known to have signed another.
 *
 * | frame | layout |
 * |---|---|
 * | would form | u8 0 ‖ u16 size ‖ parameters (101) ‖ manifest, or nothing while too few are there |
 * | signed by me | u8 1 ‖ manifest ‖ signature (64) |
 * | signed by all | u8 2 ‖ lineage, whose newest committee stands |
 */
import { compare, concat, equal, hex, Reader, Writer, ZERO32 } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { type Signer, verify } from "../protocol/keys.ts";
import { decodeLineage, encodeLineage, MAX_LINEAGE_BYTES } from "../protocol/lineage.ts";
import {
  createManifest,
  decodeManifest,
  type Manifest,
  MAX_MANIFEST_BYTES,
  serverIndex,
  signManifest,
} from "../protocol/manifest.ts";
import { encodeParameters, type Parameters, readParameters } from "../protocol/parameters.ts";
import type { Environment } from "../universe/environment.ts";
import { decodeSaved, difference, encodeSaved, type Saved } from "./genesis_saved.ts";
import type { Store } from "./release.ts";

const WOULD_FORM = 0, SIGNED_BY_ME = 1, SIGNED_BY_ALL = 2;

/** Bytes of the longest frame. */
export const MAX_GENESIS_FRAME: number = 1 + MAX_LINEAGE_BYTES;
/** Servers that may be met. */
export const MAX_CANDIDATES = 256;
/** How long nothing must change before a server signs while there are more servers than seats. */
export const SETTLE_MS = 2_000;

/** A committee that stands. */
export interface Formed {
  readonly manifest: Manifest;
  /** The lineage that ends with it, as it is handed out. */
  readonly lineage: Uint8Array;
}

/** What genesis is made of. */
export interface GenesisOptions {
  readonly instance: Uint8Array;
  readonly signer: Signer;
  readonly size: number;
  readonly parameters: Parameters;
  /** Keeps what was signed, and the committee once it stands. */
  readonly store: Store;
  readonly environment: Pick<Environment, "clock" | "observe">;
  /** Sends a frame to every server that is met. */
  readonly broadcast: (frame: Uint8Array) => void;
  /** The committee stands; called once. */
  readonly formed: (formed: Formed) => void;
  /** This server may not go on, and why. */
  readonly refused: (reason: string) => void;
}

/** What another server said. */
interface Candidate {
  met: boolean;
  /** The manifest that it would form. */
  would: Uint8Array;
  signed?: { readonly manifest: Manifest; readonly signature: Uint8Array };
  /** What was logged about it last. */
  told?: string;
}

/** See the module comment. */
export class Genesis {
  readonly #candidates = new Map<string, Candidate & { readonly key: Uint8Array }>();
  readonly #own: Uint8Array;
  /** What this server signed, in any boot. */
  #mine: Manifest | undefined;
  #formed: Formed | undefined;
  /** A committee that stands without this server. */
  #others: Manifest | undefined;
  #said: Uint8Array | undefined;
  #changed: number;
  #warned = false;
  #ended = false;

  constructor(readonly options: GenesisOptions) {
    const { size, parameters, environment } = options;
    this.#own = new Writer().u8(WOULD_FORM).u16(size).bytes(encodeParameters(parameters)).end();
    this.#changed = environment.clock.now();
  }

  /** The committee, once it stands. */
  get committee(): Formed | undefined {
    return this.#formed;
  }

  /** Takes up what is stored; call it once, before anything else. */
  begin(): void {
    const { store, instance, signer } = this.options;
    const bytes = store.load();
    if (bytes === undefined) return this.#look();
    let saved: Saved;
    try {
      saved = decodeSaved(bytes, instance);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return this.#refuse(`its data folder holds no committee of its instance: ${error.message}`);
    }
    if (serverIndex(saved.manifest, signer.key) < 0) {
      return this.#refuse(`its data folder holds a committee without its key ${hex(signer.key)}`);
    }
    if (this.#differs(saved.manifest)) return;
    if (saved.lineage) this.#stand({ manifest: saved.manifest, lineage: saved.lineage });
    else {
      this.#mine = saved.manifest;
      this.#look();
    }
  }

  /** What a server that was just met has to hear. */
  greeting(): Uint8Array[] {
    if (this.#formed) return [concat(Uint8Array.of(SIGNED_BY_ALL), this.#formed.lineage)];
    const would = concat(this.#own, this.#said ?? new Uint8Array(0));
    return this.#mine ? [would, this.#signature(this.#mine)] : [would];
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
    candidate.would = new Uint8Array(0);
    this.#look();
  }

  /** A frame of a server that was met; a `ProtocolError` for a malformed one. */
  receive(key: Uint8Array, frame: Uint8Array): void {
    if (this.#formed || this.#ended) return;
    const reader = new Reader(frame, "genesis");
    const kind = reader.u8();
    if (kind === WOULD_FORM) this.#announced(key, reader);
    else if (kind === SIGNED_BY_ME) this.#signed(key, reader.bytes(reader.left));
    else if (kind === SIGNED_BY_ALL) this.#adopt(reader.bytes(reader.left));
    else reader.fail("range", `frame of kind ${kind}, expected 0 to 2`);
    this.#look();
  }

  /** Time passed. */
  tick(): void {
    this.#look();
  }

  /** What is missing, for people. */
  get waitsFor(): string {
    if (this.#others) {
      return `not in the committee ${hex(this.#others.fingerprint)}; waits to be added`;
    }
    const { size, signer } = this.options, target = this.#target();
    if (!target) return `${this.#met().length} of ${size} servers have met`;
    const missing = target.servers.filter((key) => !equal(key, signer.key))
      .map((key) => [hex(key).slice(0, 16), this.#candidates.get(hex(key))] as const);
    const absent = missing.filter(([, it]) => !it?.met).map(([name]) => name);
    if (absent.length > 0) return `server ${absent.join(", ")} is away`;
    const others = missing.filter(([, it]) => !equal(it!.would, target.bytes));
    if (others.length > 0) {
      return `server ${others.map(([name]) => name).join(", ")} would form another committee`;
    }
    return "the signatures of all servers";
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
    const fresh = { key: key.slice(), met: false, would: new Uint8Array(0) };
    this.#candidates.set(name, fresh);
    return fresh;
  }

  #announced(key: Uint8Array, reader: Reader): void {
    const candidate = this.#candidate(key);
    const size = reader.u16(), parameters = readParameters(reader);
    const would = reader.bytes(reader.left);
    if (would.length > MAX_MANIFEST_BYTES) reader.fail("range", `${would.length} bytes left`);
    if (!equal(candidate.would, would)) this.#changed = this.options.environment.clock.now();
    candidate.would = would.slice();
    const differs = difference({ size, parameters }, this.options);
    if (differs === undefined || candidate.told === differs) return;
    candidate.told = differs;
    this.options.environment.observe("warn", "server differs", {
      peer: hex(key),
      reason: `would form another committee: ${differs}`,
    });
  }

  #signed(key: Uint8Array, bytes: Uint8Array): void {
    if (bytes.length < 64) throw new ProtocolError("length", "a signature of a manifest, cut off");
    const manifest = decodeManifest(bytes.slice(0, -64)), signature = bytes.slice(-64);
    if (!equal(manifest.instance, this.options.instance) || serverIndex(manifest, key) < 0) {
      throw new ProtocolError("mismatch", "it signs a manifest that is not its own");
    }
    if (!verify(key, signature, "sign-manifest", manifest.fingerprint)) {
      throw new ProtocolError("signature", "a manifest with a signature that does not verify");
    }
    this.#candidate(key).signed = { manifest, signature };
  }

  #adopt(bytes: Uint8Array): void {
    const lineage = decodeLineage(bytes, this.options.instance);
    const { manifest } = lineage[lineage.length - 1];
    if (serverIndex(manifest, this.options.signer.key) < 0) {
      if (!this.#others || this.#others.epoch < manifest.epoch) this.#others = manifest;
      return;
    }
    if (this.#differs(manifest)) return;
    const mine = this.#mine?.fingerprint;
    if (mine && !lineage.some((epoch) => equal(epoch.manifest.fingerprint, mine))) {
      return this.#refuse(
        `the committee that stands is ${hex(manifest.fingerprint)}, and this server has signed ${
          hex(mine)
        }: its data folder is not the one that it signed with`,
      );
    }
    this.#keep({ manifest, lineage: bytes.slice() });
  }

  /** Looks at what is known and does what follows from it. */
  #look(): void {
    if (this.#formed || this.#ended || this.#others) return;
    const target = this.#target(), bytes = target?.bytes ?? new Uint8Array(0);
    this.#tooMany();
    if (!this.#said || !equal(this.#said, bytes)) {
      this.#said = bytes;
      this.#changed = this.options.environment.clock.now();
      this.options.broadcast(concat(this.#own, bytes));
    }
    if (!target) return;
    if (!this.#mine && this.#agreed(target)) {
      this.options.store.save(encodeSaved({ manifest: target }));
      this.#mine = target;
      this.options.broadcast(this.#signature(target));
    }
    if (this.#mine) this.#complete(this.#mine);
  }

  /** What this server would form: what it signed, else what it follows, else what it sees. */
  #target(): Manifest | undefined {
    if (this.#mine) return this.#mine;
    const { instance, size, parameters, signer } = this.options;
    const signed = [...this.#candidates.values()].flatMap(({ signed }) => signed ?? []);
    const viable = signed.map(({ manifest }) => manifest).filter((manifest) =>
      serverIndex(manifest, signer.key) >= 0 &&
      difference(
          { size: manifest.servers.length, parameters: manifest.parameters },
          this.options,
        ) ===
        undefined &&
      manifest.servers.every((key) => {
        const other = this.#candidates.get(hex(key))?.signed;
        return !other || equal(other.manifest.fingerprint, manifest.fingerprint);
      })
    );
    if (viable.length > 0) return viable.sort((a, b) => compare(a.fingerprint, b.fingerprint))[0];
    const met = this.#met();
    if (met.length < size) return undefined;
    const servers = met.sort(compare).slice(0, size);
    if (!servers.some((key) => equal(key, signer.key))) return undefined;
    const start = { epoch: 0, previous: ZERO32, start: ZERO32 };
    return createManifest({ instance, ...start, servers, parameters });
  }

  /** Keys of the servers that are here, this one's among them. */
  #met(): Uint8Array[] {
    const others = [...this.#candidates.values()].filter(({ met }) => met).map(({ key }) => key);
    return [this.options.signer.key, ...others];
  }

  /** Whether all members announce these very bytes, and long enough where there are too many. */
  #agreed(target: Manifest): boolean {
    const { signer, size, environment: { clock } } = this.options;
    const settled = this.#met().length <= size || clock.now() - this.#changed >= SETTLE_MS;
    return settled && target.servers.every((key) =>
      equal(key, signer.key) ||
      equal(this.#candidates.get(hex(key))?.would ?? ZERO32, target.bytes)
    );
  }

  #complete(manifest: Manifest): void {
    const { signer } = this.options;
    const signatures = manifest.servers.map((key) => {
      if (equal(key, signer.key)) return signManifest(signer, manifest);
      const signed = this.#candidates.get(hex(key))?.signed;
      return signed && equal(signed.manifest.fingerprint, manifest.fingerprint)
        ? signed.signature
        : undefined;
    });
    if (!signatures.every((signature) => signature !== undefined)) return;
    this.#keep({ manifest, lineage: encodeLineage([{ manifest, signatures }]) });
  }

  #keep(formed: Formed): void {
    this.options.store.save(encodeSaved(formed));
    this.#stand(formed);
  }

  #stand(formed: Formed): void {
    this.#formed = formed;
    for (const frame of this.greeting()) this.options.broadcast(frame);
    this.options.formed(formed);
  }

  #signature(manifest: Manifest): Uint8Array {
    const { signer } = this.options;
    return concat(Uint8Array.of(SIGNED_BY_ME), manifest.bytes, signManifest(signer, manifest));
  }

  #tooMany(): void {
    const { size, environment } = this.options, here = this.#met().length;
    if (here <= size || this.#warned) return;
    this.#warned = true;
    environment.observe("warn", "more servers than seats", {
      servers: here,
      seats: size,
      mend: "the smallest keys get them; stop the others",
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
