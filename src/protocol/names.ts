/**
 * Names and the ids derived from them. A name is all that a publisher needs: a typo gives an id
 * that nobody serves.
 */
import { concat } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { blake3, prefix } from "./hash.ts";

const text = new TextEncoder();

/** The name behind the default universe id. */
export const DEFAULT_UNIVERSE = "mosaik.universe";

/** What sub-ids exist for. */
export type Purpose =
  | "committee"
  | "submit"
  | "aggregate"
  | "live-round"
  | "broadcasts"
  | "client-registry"
  | "server-registry";

/**
 * The id of a universe, 32 bytes: BLAKE3 of its name, no label.
 *
 * @example The published vector of the default universe
 * ```ts
 * import { universeId } from "./names.ts";
 * const id = [...universeId("mosaik.universe")].map((b) => b.toString(16).padStart(2, "0")).join("");
 * if (id !== "b82b6f3b4a1e53d2d56523f5a7b1974e3842ac37a068cc302286065a8853cf43") throw new Error(id);
 * ```
 */
export function universeId(name: string = DEFAULT_UNIVERSE): Uint8Array {
  if (name.length === 0 || name.length > 64) {
    throw new ProtocolError("range", `a universe name has 1 to 64 characters, got ${name.length}`);
  }
  return blake3(text.encode(name));
}

/** The id of an instance, 32 bytes. The name is 1–64 of `a-z 0-9 . -`. */
export function instanceId(universe: Uint8Array, name: string): Uint8Array {
  if (!/^[a-z0-9.-]{1,64}$/.test(name)) {
    throw new ProtocolError(
      "range",
      `an instance name is 1 to 64 characters of a-z 0-9 . - , got ${
        JSON.stringify(name.slice(0, 80))
      }`,
    );
  }
  return blake3(concat(prefix("instance"), universe, lengthFirst(name)));
}

/** The id of one purpose within an instance, 32 bytes. */
export function subId(instance: Uint8Array, purpose: Purpose): Uint8Array {
  return blake3(concat(prefix("derive"), instance, lengthFirst(purpose)));
}

/** The Ed25519 seed of a node, 32 bytes: 64 hex digits are the seed, other text is hashed. */
export function nodeSeed(secret: string): Uint8Array {
  return /^[0-9a-fA-F]{64}$/.test(secret)
    ? Uint8Array.from(secret.match(/../g)!, (pair) => parseInt(pair, 16))
    : blake3(text.encode(secret));
}

function lengthFirst(name: string): Uint8Array {
  const bytes = text.encode(name);
  return concat(Uint8Array.of(bytes.length, 0, 0, 0), bytes);
}
