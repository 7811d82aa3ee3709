/**
 * How a client gets into the roster and stays there: it registers at a server, shows what is asked
 * for, again before that ends, and registers anew when no header shows it. What it shows goes to
 * servers of the committee alone, and only to those that are attested where it can tell.
 */
import { isZero, Writer } from "../protocol/bytes.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { serverIndex } from "../protocol/manifest.ts";
import type { Signer } from "../protocol/keys.ts";
import { createRegistration } from "../protocol/registration.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer, Stream } from "../universe/network.ts";
import { holders } from "./committee.ts";
import { Refused } from "./errors.ts";
import {
  ASK,
  decodeWanted,
  encodeEvidence,
  type Evidence,
  LEAVE,
  REFUSED,
  REGISTER,
  WANTED,
  type Wanted,
} from "./evidence.ts";
import { Link } from "./link.ts";
import { type OwnEvidenceOptions, showEvidence } from "./own_evidence.ts";
import { CLIENT_REGISTRY } from "./streams.ts";

/** Registers again if no header showed us for so long, or for a whole round where that is longer. */
const REGISTER_AGAIN_MS = 5_000;

/** Shortest time between two things that are shown. */
const SHOW_AGAIN_MS = 1_000;

/** The X25519 key that a session registers, and when it began. */
export interface SessionKey {
  readonly agreement: Uint8Array;
  readonly time: number;
}

/** What an enrolment works with. */
export interface EnrolmentOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly signer: Signer;
  /** The newest committee. */
  readonly manifest: () => Manifest;
  /** The session to register. */
  readonly session: () => SessionKey;
  /** Whether that is still owed: no header has shown it. */
  readonly owed: () => boolean;
  /** What there is to show. */
  readonly own?: OwnEvidenceOptions;
  /** Why a server must not be shown anything, or undefined. */
  readonly distrusts?: (key: Uint8Array) => string | undefined;
  /** The committee does not admit this client. */
  readonly refused: (error: Refused) => void;
}

/** See the module comment. */
export class Enrolment {
  readonly #link: Link;
  #cancelAgain = () => {};
  #cancelRenew = () => {};
  #showing = false;
  /** When something was shown last. */
  #shownAt = -Infinity;

  constructor(readonly options: EnrolmentOptions) {
    const { network, environment: { clock } } = options;
    this.#link = new Link({
      network,
      clock,
      kind: CLIENT_REGISTRY,
      candidates: () => holders(network, "server").filter((peer) => this.#serves(peer)),
      events: (stream) => {
        clock.after(0, () => this.register());
        return { frame: (bytes) => this.#answer(bytes, stream), closed: () => {} };
      },
    });
  }

  /** Whether something is being shown and judged: until then no header can show this client. */
  get busy(): boolean {
    const { clock } = this.options.environment;
    return this.#showing || clock.now() < this.#shownAt + REGISTER_AGAIN_MS;
  }

  /** Registers the session, and again until a header shows it. */
  register(): void {
    this.#send({});
    this.#cancelAgain();
    const { roundPeriod, roundDeadline } = this.options.manifest().parameters;
    const again = Math.max(REGISTER_AGAIN_MS, roundPeriod + roundDeadline);
    this.#cancelAgain = this.options.environment.clock.after(again, () => {
      if (this.options.owed()) this.register();
    });
  }

  /** The committee changed: a server that left is of no use. */
  changed(): void {
    const { stream } = this.#link;
    if (stream && !this.#serves(stream.peer)) this.#link.drop("its server left");
  }

  /** Leaves the roster, and ends. */
  leave(): void {
    const { signer, manifest, session } = this.options, { agreement, time } = session();
    const fields = { instance: manifest().instance, agreement, session: time };
    const { bytes } = createRegistration("leave", signer, fields);
    this.#link.stream?.send(new Writer().u8(LEAVE).bytes(bytes).end());
    this.#cancelAgain();
    this.#cancelRenew();
    this.#link.close();
  }

  /** Whether a peer is a server of the newest epoch. */
  #serves({ key }: Peer): boolean {
    return serverIndex(this.options.manifest(), key) >= 0;
  }

  #send(evidence: Evidence): void {
    const { signer, manifest, session } = this.options, { agreement, time } = session();
    const fields = { instance: manifest().instance, agreement, session: time };
    const { bytes } = createRegistration("register", signer, fields);
    const frame = new Writer().u8(REGISTER).bytes(bytes);
    if (evidence.ticket || evidence.token) frame.bytes(encodeEvidence(evidence));
    this.#link.stream?.send(frame.end());
  }

  #answer(bytes: Uint8Array, stream: Stream): void {
    const { observe } = this.options.environment, body = bytes.subarray(1);
    if (bytes[0] === WANTED) return void this.#show(decodeWanted(body), stream);
    if (bytes[0] !== REFUSED) return;
    const reason = new TextDecoder().decode(body.subarray(0, 400)).replace(/[^ -~]/g, "?");
    observe("warn", "refused", { reason });
    this.options.refused(new Refused(`the committee does not admit this client: ${reason}`));
  }

  /** Shows what a server wants to see; one thing at a time. */
  async #show(wants: Wanted, stream: Stream): Promise<void> {
    const { environment, signer, manifest, own = {}, distrusts } = this.options;
    const distrust = distrusts?.(stream.peer.key);
    // Asked again at once: what was shown came too early for a server that is behind.
    const wait = this.#shownAt + SHOW_AGAIN_MS - environment.clock.now();
    if (wait > 0) {
      this.#cancelRenew();
      this.#cancelRenew = environment.clock.after(wait, () => void this.#show(wants, stream));
      return;
    }
    if (this.#showing) return;
    if (distrust) return stream.close(distrust);
    const { instance, parameters: { anchor } } = manifest();
    // A ticket names a machine: a server that asks for one where nobody is attested gets none.
    if (wants.ticket && isZero(anchor)) return stream.close("it asks for a ticket, for no reason");
    this.#showing = true;
    try {
      const who = { instance, anchor, key: signer.key };
      const { evidence, renew } = await showEvidence(own, environment, who, wants);
      if (this.#link.stream !== stream) return;
      this.#shownAt = environment.clock.now();
      this.#send(evidence);
      this.#renewAt(renew);
    } catch (error) {
      if (error instanceof Refused) return this.options.refused(error);
      environment.observe("error", "no quote", { reason: (error as Error).message });
    } finally {
      this.#showing = false;
    }
  }

  /** Asks what a server wants, in time before what was shown ends. */
  #renewAt(time: number): void {
    const { environment: { clock } } = this.options;
    this.#cancelRenew();
    this.#cancelRenew = clock.after(Math.max(1_000, time - clock.wall()), () => {
      // Where no stream is open now, the next one begins with a registration.
      this.#link.stream?.send(Uint8Array.of(ASK));
      this.#renewAt(clock.wall() + REGISTER_AGAIN_MS);
    });
  }
}
