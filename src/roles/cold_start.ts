/**
 * A server that knows no record may have lost its disk, and all others theirs: before it opens the
 * first round it asks an aggregator, without which no round goes on anyway, for the newest record.
 * Only where that has none does the log begin at genesis.
 */
import type { Manifest } from "../protocol/manifest.ts";
import type { CertifiedRecord } from "../protocol/record.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network } from "../universe/network.ts";
import { NEWEST } from "./feed.ts";
import { Follower } from "./follower.ts";

/** How long an aggregator that is asked may take until it counts as having no record, ms. */
const ANSWER_MS = 500;

/** What it works with. */
export interface ColdStartOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly manifest: Manifest;
  /** A certified record, verified. */
  readonly found: (certified: CertifiedRecord) => void;
}

/** See the module comment. */
export class ColdStart {
  readonly #follower: Follower;
  #since: number | undefined;
  #over = false;

  constructor(readonly options: ColdStartOptions) {
    const { network, environment, manifest } = options;
    this.#follower = new Follower({
      network,
      environment,
      manifest,
      from: NEWEST,
      candidates: () => network.peers("aggregator"),
      live: false,
      events: {
        record: (verified) => {
          environment.observe("info", "record found", { round: verified.record.header.round });
          options.found(verified);
          this.stop();
        },
        bad: () => true,
      },
    });
  }

  /** Whether it still asks; call it now and then. */
  asks(): boolean {
    if (this.#over) return false;
    const now = this.options.environment.clock.now();
    this.#since = this.#follower.connected ? this.#since ?? now : undefined;
    if (this.#since !== undefined && now - this.#since >= ANSWER_MS) this.stop();
    return !this.#over;
  }

  /** Ends it. */
  stop(): void {
    this.#over = true;
    this.#follower.close();
  }
}
