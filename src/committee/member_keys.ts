/**
 * A server's own keys: its bundle of this boot and key epoch, and the pair keys with clients under
 * it. A key epoch ends at the first OPEN with the next bundle, and its secret with it.
 */
import { type Bundle, createBundle } from "../protocol/bundle.ts";
import { equal, hex } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { type Agreement, agreement, pairKey, type Signer } from "../protocol/keys.ts";
import type { Manifest } from "../protocol/manifest.ts";
import type { Roster, RosterEntry } from "../protocol/roster.ts";
import type { Random } from "../universe/environment.ts";

interface KeyEpoch {
  readonly bundle: Bundle;
  readonly agreement: Agreement;
  readonly pairs: Map<string, Uint8Array>;
}

/** See the module comment. */
export class Keys {
  /** The boot nonce, 32 bytes. */
  readonly nonce: Uint8Array;
  /** Bundles of any server that were checked before, by place. */
  readonly checked = new Map<number, Uint8Array>();
  #current: KeyEpoch;
  #next: KeyEpoch | undefined;

  constructor(readonly signer: Signer, readonly manifest: Manifest, readonly random: Random) {
    this.nonce = random(32);
    this.#current = this.#make(0);
  }

  /** The newest bundle: the only one with which headers are opened. */
  get newest(): Bundle {
    return (this.#next ?? this.#current).bundle;
  }

  /** Begins a key epoch. */
  rotate(): void {
    if (this.#next) destroy(this.#next);
    this.#next = this.#make(this.newest.keyEpoch + 1);
  }

  /** A header with this bundle was OPENed: the older key goes. */
  use(bundle: Bundle): void {
    if (!this.#next || !equal(bundle.bytes, this.#next.bundle.bytes)) return;
    destroy(this.#current);
    this.#current = this.#next;
    this.#next = undefined;
  }

  /** Whether the secret behind a bundle is in use here. */
  opens(bundle: Bundle): boolean {
    return equal(bundle.bytes, this.#current.bundle.bytes);
  }

  /** The pair key with a client under the bundle in use; kept while the client stays. */
  pair(entry: RosterEntry): Uint8Array {
    const name = hex(entry.agreement);
    let key = this.#current.pairs.get(name);
    if (!key) {
      const { agreement, pairs } = this.#current;
      key = pairKey(agreement.shared(entry.agreement), {
        instance: this.manifest.instance,
        client: { key: entry.client, agreement: entry.agreement },
        server: { key: this.signer.key, agreement: agreement.key },
      });
      pairs.set(name, key);
    }
    return key;
  }

  /** Wipes the pair keys of clients that are gone, once they outnumber those that stay. */
  keep(roster: Roster): void {
    const { pairs } = this.#current;
    if (pairs.size <= 2 * roster.count + 16) return;
    const standing = new Set([...roster.clients()].map(([, entry]) => hex(entry.agreement)));
    for (const [name, key] of pairs) {
      if (standing.has(name)) continue;
      key.fill(0);
      pairs.delete(name);
    }
  }

  /** Wipes everything. */
  destroy(): void {
    destroy(this.#current);
    if (this.#next) destroy(this.#next);
  }

  #make(keyEpoch: number): KeyEpoch {
    if (keyEpoch > 0xffffffff) throw new ProtocolError("range", "no key epoch is left");
    const pair = agreement(this.random(32));
    const bundle = createBundle(this.signer, this.manifest, {
      nonce: this.nonce,
      keyEpoch,
      agreement: pair.key,
    });
    return { bundle, agreement: pair, pairs: new Map() };
  }
}

function destroy(epoch: KeyEpoch): void {
  epoch.agreement.destroy();
  for (const key of epoch.pairs.values()) key.fill(0);
  epoch.pairs.clear();
}
