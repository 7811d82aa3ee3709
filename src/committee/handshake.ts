/**
 * How two servers prove the committee's secret to each other before anything else goes over their
 * stream: CPace, with a key confirmation in each direction.
 *
 * | frame | from | layout |
 * |---|---|---|
 * | 1 | dialer | u8 which of the answerer's secrets ‖ nonce (32) |
 * | 2 | answerer | nonce (32) ‖ share (32) |
 * | 3 | dialer | share (32) ‖ confirmation (64) |
 * | 4 | answerer | confirmation (64) |
 *
 * The session is both nonces, so no run can be replayed. The channel names instance, stream and
 * both proven peer keys in the order dialer, answerer: a run relayed between two honest servers by
 * a third with its own keys, or turned back on its sender, has another generator.
 *
 * One guess a run: a dialer that does not know the secret gets the answerer's share, which is
 * uniform whatever the secret is, and then, for one share and confirmation of its own, either
 * frame 4 or a closed stream; the answerer confirms only after it has verified the dialer. An
 * answerer that does not know the secret gets frame 3, which fits the one generator that it made
 * its share from and tells nothing of others. So each run is with one secret on either side;
 * servers that hold two, while they change them, try the combinations in turn.
 */
import { concat, equal, Reader } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Random } from "../universe/environment.ts";
import {
  calculateGenerator,
  confirmation,
  CONFIRMATION_BYTES,
  lvCat,
  type Part,
  sampleScalar,
  SCALAR_SEED_BYTES,
  scalarMult,
  scalarMultVfy,
  sessionKey,
  SHARE_BYTES,
} from "./cpace.ts";

const NONCE_BYTES = 32;
/** Bytes of the longest frame. */
export const MAX_HANDSHAKE_FRAME = SHARE_BYTES + CONFIRMATION_BYTES;

/** Secrets that a server may hold: its own, and one that it accepts too. */
export const MAX_SECRETS = 2;
/** Combinations of a dialer's and an answerer's secrets. */
export const COMBINATIONS = MAX_SECRETS * MAX_SECRETS;

const text = new TextEncoder();
const LABEL = text.encode("zipnet/1/committee-secret\0");
const DIALER = text.encode("dialer"), ANSWERER = text.encode("answerer");

/** Between whom, and for what. */
export interface Channel {
  readonly instance: Uint8Array;
  /** Name of the stream's kind. */
  readonly kind: string;
  /** Ed25519 key of the dialer, as the transport has proven it. */
  readonly dialer: Uint8Array;
  readonly answerer: Uint8Array;
}

/** One party's half of a run: one scalar, used once. */
class Half {
  readonly #session: Uint8Array;
  readonly share: Uint8Array;
  readonly #scalar: bigint;

  constructor(random: Random, channel: Channel, secret: Uint8Array, session: Uint8Array) {
    const { instance, kind, dialer, answerer } = channel;
    const name = lvCat(LABEL, instance, text.encode(kind), dialer, answerer);
    const generator = calculateGenerator(secret, name, session);
    this.#session = session;
    this.#scalar = sampleScalar(random(SCALAR_SEED_BYTES));
    this.share = scalarMult(this.#scalar, generator);
  }

  /** The confirmations of both; the answerer's share is the first one sent. */
  confirmations(answerer: Uint8Array, dialer: Uint8Array, theirs: Uint8Array) {
    const shared = scalarMultVfy(this.#scalar, theirs);
    const first: Part = { share: answerer, said: ANSWERER };
    const second: Part = { share: dialer, said: DIALER };
    const key = sessionKey(this.#session, shared, first, second);
    const both = {
      answerer: confirmation(this.#session, key, first),
      dialer: confirmation(this.#session, key, second),
    };
    key.fill(0);
    return both;
  }
}

/** The dialer's side. */
export class Dialing {
  /** Frame 1. */
  readonly first: Uint8Array;
  #nonce: Uint8Array | undefined;
  #expected: Uint8Array | undefined;

  /** `secret` is one of ours, `theirs` which of the answerer's it is tried against: 0 or 1. */
  constructor(
    readonly random: Random,
    readonly channel: Channel,
    readonly secret: Uint8Array,
    theirs: number,
  ) {
    this.#nonce = random(NONCE_BYTES);
    this.first = concat(Uint8Array.of(theirs), this.#nonce);
  }

  /** Frame 3 for frame 2; a `ProtocolError` for a malformed one. */
  reply(frame: Uint8Array): Uint8Array {
    const own = this.#nonce;
    this.#nonce = undefined;
    if (own === undefined) throw new ProtocolError("type", "a second share in one handshake");
    const reader = new Reader(frame, "handshake");
    const nonce = reader.bytes(NONCE_BYTES), share = reader.bytes(SHARE_BYTES);
    reader.end();
    const half = new Half(this.random, this.channel, this.secret, concat(own, nonce));
    const { answerer, dialer } = half.confirmations(share, half.share, share);
    this.#expected = answerer;
    return concat(half.share, dialer);
  }

  /** Takes frame 4: the answerer knows the secret, or a `ProtocolError`. */
  finish(frame: Uint8Array): void {
    verify(this.#expected, frame);
    this.#expected = undefined;
  }
}

/** The answerer's side. */
export class Answering {
  #half: Half | undefined;

  /** `secrets` are ours, the main one first. */
  constructor(
    readonly random: Random,
    readonly channel: Channel,
    readonly secrets: readonly Uint8Array[],
  ) {}

  /** Frame 2 for frame 1; a `ProtocolError` for a malformed one. */
  reply(frame: Uint8Array): Uint8Array {
    const reader = new Reader(frame, "handshake");
    const which = reader.u8(), nonce = reader.bytes(NONCE_BYTES);
    reader.end();
    if (which >= MAX_SECRETS) reader.fail("range", `secret ${which}, expected 0 or 1`);
    const own = this.random(NONCE_BYTES);
    const secret = this.secrets[which] ?? this.secrets[0];
    this.#half = new Half(this.random, this.channel, secret, concat(nonce, own));
    return concat(own, this.#half.share);
  }

  /** Frame 4 for frame 3: the dialer knows the secret, or a `ProtocolError`. */
  finish(frame: Uint8Array): Uint8Array {
    const half = this.#half;
    this.#half = undefined;
    if (half === undefined) throw new ProtocolError("type", "a handshake that did not begin");
    const reader = new Reader(frame, "handshake");
    const share = reader.bytes(SHARE_BYTES), said = reader.bytes(CONFIRMATION_BYTES);
    reader.end();
    const { answerer, dialer } = half.confirmations(half.share, share, share);
    verify(dialer, said);
    return answerer;
  }
}

function verify(expected: Uint8Array | undefined, came: Uint8Array): void {
  if (expected === undefined || !equal(expected, came)) {
    throw new ProtocolError("mismatch", "it has another committee secret");
  }
}
