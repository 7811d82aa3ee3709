/**
 * How the first committee forms, as a core without I/O. Servers that have proven the committee's
 * secret to each other announce the manifest that they would form: of the `size` smallest keys among
 * those they meet. A server signs once all members of it announce the very same bytes, and it signs
 * one manifest for ever: what it signed is durable before the signature leaves. With the signatures
 * of all the committee stands.
 *
 * Where more servers come than there are seats, views may differ while they arrive. Whoever has
 * not signed then follows the first signature that can still win; a manifest cannot win any more
 * once one of its members is known to have signed another.
 *
 * What is said: u16 size ‖ parameters (101) ‖ the manifest that this server would form, or nothing
 * while too few are there.
 */
import { compare, concat, equal, hex, Reader, Writer, ZERO32 } from "../protocol/bytes.ts";
import type { Signer } from "../protocol/keys.ts";
import { gatherEpoch, type SignedManifest } from "../protocol/lineage.ts";
import {
  createManifest,
  type Manifest,
  MAX_MANIFEST_BYTES,
  serverIndex,
  signManifest,
} from "../protocol/manifest.ts";
import { encodeParameters, type Parameters, readParameters } from "../protocol/parameters.ts";
import type { Environment } from "../universe/environment.ts";
import { difference } from "./formed.ts";

/** How long nothing must change before a server signs while there are more servers than seats. */
export const SETTLE_MS = 2_000;

/** What a first committee is made with. */
export interface GenesisTerms {
  readonly instance: Uint8Array;
  readonly signer: Signer;
  readonly size: number;
  readonly parameters: Parameters;
  readonly environment: Pick<Environment, "clock" | "observe">;
}

/** What genesis works with. */
export interface GenesisOptions extends GenesisTerms {
  /** The servers that were ever met, by key in hex. */
  readonly candidates: ReadonlyMap<string, Candidate>;
  /** What this server signed in an earlier boot. */
  readonly signed?: Manifest;
  /** Tells every server that is met what this one would form. */
  readonly say: (what: Uint8Array) => void;
  /** Makes it durable that this server signed, then tells the others. */
  readonly sign: (manifest: Manifest) => void;
  /** All have signed. */
  readonly formed: (epoch: SignedManifest) => void;
}

/** What another server said. */
export interface Candidate {
  readonly key: Uint8Array;
  /** It is here, and has proven the secret. */
  met: boolean;
  /** The manifest that it would form. */
  would: Uint8Array;
  /** The wish of its operator; empty for none. */
  wish: Uint8Array;
  /** Fingerprint of the next manifest that it invites to; empty for none. */
  next: Uint8Array;
  /** What it signed last. */
  signed?: { readonly manifest: Manifest; readonly signature: Uint8Array };
  /** What was logged about it last. */
  told?: string;
}

/** See the module comment. */
export class Genesis {
  readonly #own: Uint8Array;
  /** What this server signed, in any boot. */
  #mine: Manifest | undefined;
  #said: Uint8Array | undefined;
  #changed: number;
  #warned = false;

  constructor(readonly options: GenesisOptions) {
    const { size, parameters, environment, signed } = options;
    this.#own = new Writer().u16(size).bytes(encodeParameters(parameters)).end();
    this.#changed = environment.clock.now();
    this.#mine = signed;
  }

  /** What this server signed, in any boot. */
  get mine(): Manifest | undefined {
    return this.#mine;
  }

  /** What a server that was just met has to hear. */
  get saying(): Uint8Array {
    return concat(this.#own, this.#said ?? new Uint8Array(0));
  }

  /** What another server would form; a `ProtocolError` for what is malformed. */
  announced(candidate: Candidate, bytes: Uint8Array): void {
    const reader = new Reader(bytes, "genesis");
    const size = reader.u16(), parameters = readParameters(reader);
    const would = reader.bytes(reader.left);
    if (would.length > MAX_MANIFEST_BYTES) reader.fail("range", `${would.length} bytes left`);
    if (!equal(candidate.would, would)) this.#changed = this.options.environment.clock.now();
    candidate.would = would.slice();
    const differs = difference({ size, parameters }, this.options);
    if (differs === undefined || candidate.told === differs) return;
    candidate.told = differs;
    this.options.environment.observe("warn", "server differs", {
      peer: hex(candidate.key),
      reason: `would form another committee: ${differs}`,
    });
  }

  /** Looks at what is known and does what follows from it. */
  look(): void {
    const target = this.#target(), bytes = target?.bytes ?? new Uint8Array(0);
    this.#tooMany();
    if (!this.#said || !equal(this.#said, bytes)) {
      this.#said = bytes;
      this.#changed = this.options.environment.clock.now();
      this.options.say(this.saying);
    }
    if (!target) return;
    if (!this.#mine && this.#agreed(target)) {
      this.options.sign(target);
      this.#mine = target;
    }
    if (this.#mine) this.#complete(this.#mine);
  }

  /** What is missing, for people. */
  get waitsFor(): string {
    const { size } = this.options, target = this.#target();
    if (!target) return `${this.#met().length} of ${size} servers have met`;
    const missing = this.#others(target).map((key) =>
      [hex(key).slice(0, 16), this.#candidate(key)] as const
    );
    const absent = missing.filter(([, it]) => !it?.met).map(([name]) => name);
    if (absent.length > 0) return `server ${absent.join(", ")} is away`;
    const others = missing.filter(([, it]) => !equal(it!.would, target.bytes));
    if (others.length > 0) {
      return `server ${others.map(([name]) => name).join(", ")} would form another committee`;
    }
    return "the signatures of all servers";
  }

  #candidate(key: Uint8Array): Candidate | undefined {
    return this.options.candidates.get(hex(key));
  }

  #others({ servers }: Manifest): readonly Uint8Array[] {
    return servers.filter((key) => !equal(key, this.options.signer.key));
  }

  /** What this server would form: what it signed, else what it follows, else what it sees. */
  #target(): Manifest | undefined {
    if (this.#mine) return this.#mine;
    const { instance, size, parameters, signer, candidates } = this.options;
    const signed = [...candidates.values()].flatMap(({ signed }) =>
      signed?.manifest.epoch === 0 ? signed.manifest : []
    );
    const fits = ({ servers, parameters }: Manifest) =>
      difference({ size: servers.length, parameters }, this.options) === undefined;
    const viable = signed.filter((manifest) =>
      serverIndex(manifest, signer.key) >= 0 && fits(manifest) &&
      manifest.servers.every((key) => {
        const other = this.#candidate(key)?.signed;
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
    const others = [...this.options.candidates.values()].filter(({ met }) => met);
    return [this.options.signer.key, ...others.map(({ key }) => key)];
  }

  /** Whether all members announce these very bytes, and long enough where there are too many. */
  #agreed(target: Manifest): boolean {
    const { size, environment: { clock } } = this.options;
    const settled = this.#met().length <= size || clock.now() - this.#changed >= SETTLE_MS;
    return settled &&
      this.#others(target).every((key) =>
        equal(this.#candidate(key)?.would ?? ZERO32, target.bytes)
      );
  }

  #complete(manifest: Manifest): void {
    const { signer, formed } = this.options;
    const epoch = gatherEpoch(manifest, (key) => {
      if (equal(key, signer.key)) return signManifest(signer, manifest);
      const signed = this.#candidate(key)?.signed;
      return signed && equal(signed.manifest.fingerprint, manifest.fingerprint)
        ? signed.signature
        : undefined;
    });
    if (epoch) formed(epoch);
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
}
