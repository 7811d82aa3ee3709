/**
 * One producer as a consumer has it: judged, dialed, heard, left, and dialed again as the reason of
 * the last end allows.
 *
 * | end | then |
 * |---|---|
 * | NoCapacity, TooSlow, the carrier, no answer | again with back-off |
 * | Unknown, Shutdown | the catalogs are compared, then again with back-off |
 * | NotAllowed, Expired | once more after the catalogs were compared; then when either entry changes |
 * | NotFound, given up | when its entry changes, or after `REVISIT_MS` |
 * | Cancelled, Violation, OtherUniverse | when its entry changes |
 *
 * Where it is this side that refuses, each change of the catalog is judged, without a dial.
 */
import type { CatalogView, PeerInfo } from "../discovery/view.ts";
import type { Environment } from "../environment.ts";
import { FrameError } from "../hello.ts";
import { type Network, NetworkError, type Stream, type StreamKind } from "../network.ts";
import { reasonOf } from "../stream.ts";
import { Backoff } from "./backoff.ts";
import { Channel, type End } from "./channel.ts";
import {
  type CloseReason,
  creditFrame,
  type Frame,
  subscribeFrame,
  type Window,
} from "./frames.ts";
import type { Gate, Judgement } from "./gate.ts";
import type { Lane } from "./inbox.ts";
import { leastWindow } from "./options.ts";
import { Review } from "./review.ts";

/** How long a producer has to admit, in milliseconds: it may have to fetch a ticket. */
export const ADMIT_MS = 15_000;
/** After so long a producer that went or was given up is dialed again, in milliseconds. */
export const REVISIT_MS = 300_000;

/** A producer, to those who ask the consumer. */
export interface ProducerStatus {
  /** Its entry as it was seen last. */
  readonly peer: PeerInfo;
  /** `connecting` too while an attempt is waited for, `terminated` when none is planned. */
  readonly state: "connecting" | "connected" | "terminated";
  /** Why it is not connected. */
  readonly reason?: string;
  /** Data received, over all connections, and their bytes as the codec has them. */
  readonly datums: number;
  readonly bytes: number;
  /** Milliseconds since this connection was admitted; 0 without one. */
  readonly uptime: number;
}

/** What a source needs of its consumer. */
export interface SourceHost<T> {
  readonly name: string;
  readonly kind: StreamKind;
  readonly maxDatum: number;
  readonly window: Window;
  readonly network: Network;
  readonly catalog: CatalogView;
  readonly environment: Environment;
  readonly gate: Gate;
  /** The version of this node's own entry. */
  own(): number;
  decode(bytes: Uint8Array): T;
  /** A channel is open. */
  opened(): void;
  /** It is connected now, or is no more. */
  changed(): void;
}

/** The entry as a producer could be judged by it, without what changes all the time. */
function markOf({ addresses, tags, streams, instances, tickets }: PeerInfo): string {
  const sorted = (words: Iterable<string>) => [...words].sort();
  const shown = tickets.map((it) => `${it.class} ${it.hash}`);
  return JSON.stringify([addresses, tags, streams, instances, shown].map(sorted));
}

/** Where a source stands. */
type State =
  /** It is dialed as soon as it is found good. */
  | "judging"
  /** It is dialed as soon as the data of the last connection were read. */
  | "draining"
  | "dialing"
  /** Subscribed, and not answered yet. */
  | "asked"
  | "connected"
  /** A pause before the next attempt. */
  | "waiting"
  /** Refused by this side. */
  | "barred"
  /** Ended for a reason that is not tried again by itself. */
  | "final"
  | "ended";

/** See the module. */
export class Source<T> {
  #peer: PeerInfo;
  #mark: string;
  #state: State = "judging";
  #reason: string | undefined;
  /** Ends what is waited for: a pause, an answer. */
  #cancel = () => {};
  #channel: Channel | undefined;
  readonly #review: Review;
  readonly #backoff: Backoff;
  /** The own entry with which the catalogs were compared last. */
  #compared = -1;
  #datums = 0;
  #bytes = 0;
  #since = 0;

  constructor(readonly host: SourceHost<T>, peer: PeerInfo, readonly lane: Lane<T>) {
    this.#peer = peer;
    this.#mark = markOf(peer);
    this.#backoff = new Backoff(host.environment);
    this.#review = new Review(host.gate, () => this.#peer, (judgement) => this.#judged(judgement));
  }

  get connected(): boolean {
    return this.#state === "connected";
  }

  /** Whether no attempt is planned. */
  get over(): boolean {
    return this.#state === "final" || this.#state === "barred" || this.#state === "ended";
  }

  get peer(): PeerInfo {
    return this.#peer;
  }

  get channel(): Channel | undefined {
    return this.#channel;
  }

  get status(): ProducerStatus {
    const { clock } = this.host.environment;
    return {
      peer: this.#peer,
      state: this.connected ? "connected" : this.over ? "terminated" : "connecting",
      ...(this.#reason !== undefined && { reason: this.#reason }),
      datums: this.#datums,
      bytes: this.#bytes,
      uptime: this.connected ? clock.now() - this.#since : 0,
    };
  }

  /** The first attempt. */
  begin(): void {
    this.#review.look();
  }

  /** The catalog changed; `peer` is its entry now. */
  update(peer: PeerInfo): void {
    const mark = markOf(peer), news = mark !== this.#mark;
    this.#peer = peer;
    this.#mark = mark;
    const waits = this.#state === "final" || this.#state === "waiting";
    if (news && waits) this.#afresh();
    else if (!waits) this.#review.look();
  }

  /** This node's own entry changed: who refused it may admit it now. */
  ownChanged(): void {
    if (this.#state !== "final") return;
    if (this.#reason === "NotAllowed" || this.#reason === "Expired") void this.#compare();
  }

  /** The lane was read empty. */
  drained(): void {
    if (this.#state !== "draining") return;
    this.#state = "judging";
    this.#review.look();
  }

  /** Ends it for good. */
  end(): void {
    if (this.#state === "ended") return;
    this.#leave("Cancelled");
    this.#review.end();
    this.#state = "ended";
  }

  #afresh(): void {
    this.#backoff.reset();
    this.#move("judging");
    this.#review.look();
  }

  /** To another state, in which nothing is waited for yet. */
  #move(state: State): void {
    this.#cancel();
    this.#cancel = () => {};
    this.#state = state;
  }

  #judged(judgement: Judgement): void {
    if (this.#state === "final" || this.#state === "waiting") return;
    if (judgement.kind === "admitted") {
      if (this.#state === "judging" || this.#state === "barred") void this.#dial();
      return;
    }
    this.#leave(judgement.kind === "expired" ? "Expired" : "NotAllowed");
    this.#reason = judgement.reason;
    if (judgement.kind === "unknown") this.#retry(judgement.reason);
  }

  /** Opens a stream, once the data of the last one were read. */
  async #dial(): Promise<void> {
    if (!this.lane.empty) return this.#move("draining");
    this.#move("dialing");
    const { network, kind } = this.host;
    const { id, key, addresses } = this.#peer;
    let channel: Channel | undefined;
    try {
      await network.open({ id, key, addresses, role: "reader" }, kind, (stream) => {
        channel = this.#open(stream);
        return channel.events;
      });
    } catch (error) {
      if (this.#state !== "dialing") return;
      const code = error instanceof NetworkError ? error.code : undefined;
      if (code === "other-instance") return this.#final("OtherUniverse");
      if (code === "stopped" || code === "address") return this.#final(reasonOf(error));
      return this.#retry(reasonOf(error));
    }
    if (channel?.open) this.#ask(channel);
  }

  /** The stream is open: asks to be admitted. */
  #ask(channel: Channel): void {
    const { window, environment: { clock } } = this.host;
    if (this.#state !== "dialing") return channel.close("Cancelled");
    this.#move("asked");
    this.#channel = channel;
    this.#cancel = clock.after(ADMIT_MS, () => {
      channel.close("Cancelled");
      this.#channel = undefined;
      this.#retry(`no answer within ${ADMIT_MS} ms`);
    });
    channel.send(subscribeFrame(window));
    this.host.opened();
  }

  #open(stream: Stream): Channel {
    const channel: Channel = new Channel(stream, this.host.environment.clock, {
      frame: (frame) => this.#frame(frame),
      ended: (end) => {
        if (this.#channel === channel || this.#state === "dialing") this.#ended(end);
      },
    });
    return channel;
  }

  #frame(frame: Frame): void {
    if (frame.type === "accepted" && this.#state === "asked") {
      const least = leastWindow(this.host.maxDatum), most = this.host.window;
      const { items, bytes } = frame.window;
      const fits = items >= least.items && items <= most.items && bytes >= least.bytes &&
        bytes <= most.bytes;
      if (!fits) throw new FrameError("range", `accepted: ${items} data and ${bytes} bytes`);
      this.#move("connected");
      this.#reason = undefined;
      this.#since = this.host.environment.clock.now();
      const channel = this.#channel;
      this.lane.begin(frame.window, (credit) => channel?.send(creditFrame(credit)));
      this.host.changed();
    } else if (frame.type === "datum" && this.connected) {
      this.#datum(frame.bytes);
    } else {
      throw new FrameError("shape", `an unexpected ${frame.type} of a producer`);
    }
  }

  #datum(bytes: Uint8Array): void {
    let datum: T;
    try {
      datum = this.host.decode(bytes);
    } catch (error) {
      throw new FrameError("shape", `datum: ${reasonOf(error)}`);
    }
    this.#datums++;
    this.#bytes += bytes.length;
    this.#backoff.reset();
    this.lane.push({ datum, from: this.#peer }, bytes.length);
  }

  /** The other side, or its carrier, ended the stream. */
  #ended({ reason, by, detail }: End): void {
    const level = reason === "Violation" && by === "us" ? "warn" : "debug";
    this.host.environment.observe(level, "producer gone", {
      stream: this.host.name,
      peer: this.#peer.id,
      reason: reason ?? "carrier",
      detail,
    });
    const was = this.connected;
    this.#channel = undefined;
    this.lane.end();
    this.#next(reason, detail);
    if (was) this.host.changed();
  }

  #next(reason: CloseReason | undefined, detail: string): void {
    switch (reason) {
      case undefined:
      case "NoCapacity":
      case "TooSlow":
        return this.#retry(reason ?? detail);
      case "Unknown":
      case "Shutdown":
        return void this.#compare();
      case "NotAllowed":
      case "Expired":
        if (this.#compared < this.host.own()) return void this.#compare();
        return this.#final(reason);
      default:
        return this.#final(reason);
    }
  }

  /** Lets the producer see this node's entry, then tries again. */
  async #compare(): Promise<void> {
    const { catalog } = this.host;
    this.#compared = this.host.own();
    this.#move("waiting");
    this.#reason = "the catalogs are compared";
    const attempt = this.#cancel = () => {};
    try {
      await catalog.syncWith(this.#peer);
    } catch {
      // The attempt itself will tell whether the producer can be reached.
    }
    if (this.#cancel === attempt) this.#retry("the catalogs were compared");
  }

  #retry(reason: string): void {
    const pause = this.#backoff.next();
    if (pause === undefined) return this.#final(`given up: ${reason}`, true);
    this.#move("waiting");
    this.#reason = reason;
    this.#cancel = this.host.environment.clock.after(pause, () => {
      this.#state = "judging";
      this.#review.look();
    });
  }

  /** `returns`: it is worth a look later. */
  #final(reason: string, returns = reason === "NotFound"): void {
    this.#move("final");
    this.#reason = reason;
    this.#backoff.reset();
    if (!returns) return;
    this.#cancel = this.host.environment.clock.after(REVISIT_MS, () => this.#afresh());
  }

  /** Leaves the producer with a reason, if there is anything to leave. */
  #leave(reason: CloseReason): void {
    const was = this.connected;
    this.#channel?.close(reason);
    this.#channel = undefined;
    this.lane.end();
    this.#move("barred");
    this.#reason = reason;
    if (was) this.host.changed();
  }
}
