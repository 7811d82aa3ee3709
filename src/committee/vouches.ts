/**
 * Vouches: each server's signed word that it has itself judged a client's evidence (an attested
 * ticket, a token), and until when that holds. Where the instance asks clients for evidence, a
 * client stands in the roster only while every server vouches for it. Together they are the
 * credential that the committee gives in exchange for a ticket, which no server shows to anyone.
 *
 * Layout, integers little-endian:
 *
 * ```text
 * vouch      client (32) ‖ u64 time ‖ u64 until (Unix ms) ‖ signature (64)
 * signature  over sign-vouch ‖ instance id (32) ‖ client (32) ‖ u64 time ‖ u64 until
 * ```
 *
 * Of one server's words about a client the one with the later time counts; one that ends no later
 * than it was made takes the former back.
 */
import { hex, Reader, u64, Writer } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { type Signer, verify } from "../protocol/keys.ts";

/** Bytes of a vouch. */
export const VOUCH_BYTES = 112;
/** Vouches of one server that are kept, per client that may stand in the roster. */
export const VOUCHES_PER_CLIENT = 2;

/** One server's word for a client. */
export interface Vouch {
  /** Ed25519 key, 32 bytes. */
  readonly client: Uint8Array;
  /** When it was given, and when it ends, Unix ms. */
  readonly time: number;
  readonly until: number;
  readonly signature: Uint8Array;
}

/** Signs a vouch; `until` no later than `time` takes back what was vouched before. */
export function createVouch(
  signer: Signer,
  instance: Uint8Array,
  { client, time, until }: Pick<Vouch, "client" | "time" | "until">,
): Vouch {
  const signature = signer.sign("sign-vouch", instance, client, u64(time), u64(until));
  return { client, time, until, signature };
}

/** The layout of a vouch. */
export function encodeVouch({ client, time, until, signature }: Vouch): Uint8Array {
  return new Writer().bytes(client).u64(time).u64(until).bytes(signature).end();
}

/** Reads a vouch; its signature is checked by `checkVouch`. */
export function decodeVouch(bytes: Uint8Array): Vouch {
  const reader = new Reader(bytes, "vouch");
  const client = reader.bytes(32), time = reader.u64(), until = reader.u64();
  const signature = reader.bytes(64);
  reader.end();
  return { client, time, until, signature };
}

/** Refuses a vouch that this server did not sign. */
export function checkVouch(vouch: Vouch, instance: Uint8Array, server: Uint8Array): void {
  const { client, time, until, signature } = vouch;
  if (verify(server, signature, "sign-vouch", instance, client, u64(time), u64(until))) return;
  throw new ProtocolError("signature", "a vouch not signed by its server");
}

/** Whether a vouch stands, as opposed to one that takes another back. */
export function stands({ time, until }: Vouch): boolean {
  return until > time;
}

/** The word that is missed least, by its client. */
function spare(
  words: ReadonlyMap<string, Vouch>,
  seated: (client: Uint8Array) => boolean,
): string | undefined {
  let oldest: string | undefined;
  for (const [name, vouch] of words) {
    if (!stands(vouch)) return name;
    if (oldest === undefined && !seated(vouch.client)) oldest = name;
  }
  return oldest;
}

/** The vouches of a committee, bounded by server, so that none takes room from another. */
export class Vouches {
  readonly #by: readonly Map<string, Vouch>[];
  readonly #most: number;

  constructor(servers: number, maxClients: number) {
    this.#by = Array.from({ length: servers }, () => new Map());
    this.#most = VOUCHES_PER_CLIENT * maxClients;
  }

  /**
   * Keeps a server's newest word; false for an older one, or the same. Beyond the bound the oldest
   * word goes that was taken back, else that for somebody who is not `seated`: so many never are.
   */
  keep(server: number, vouch: Vouch, seated: (client: Uint8Array) => boolean): boolean {
    const mine = this.#by[server], name = hex(vouch.client), before = mine.get(name);
    if (before && before.time >= vouch.time) return false;
    mine.delete(name);
    if (mine.size >= this.#most) mine.delete(spare(mine, seated)!);
    mine.set(name, vouch);
    return true;
  }

  /** A server's newest word for a client. */
  of(server: number, client: Uint8Array): Vouch | undefined {
    return this.#by[server].get(hex(client));
  }

  /** Until when every server vouches for a client, Unix ms; undefined where one does not. */
  until(client: Uint8Array): number | undefined {
    const name = hex(client);
    let least = Infinity;
    for (const mine of this.#by) {
      const vouch = mine.get(name);
      if (!vouch || !stands(vouch)) return undefined;
      least = Math.min(least, vouch.until);
    }
    return least;
  }

  /** All that a server said. */
  by(server: number): Iterable<Vouch> {
    return this.#by[server].values();
  }
}
