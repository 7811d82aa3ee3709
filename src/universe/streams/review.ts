/**
 * Judges one peer again and again: when asked, and when its earliest ticket ends. One judgement at a
 * time; what is asked meanwhile is answered by one more, with the entry as it is then.
 */
import type { PeerInfo } from "../discovery/view.ts";
import type { Gate, Judgement, Verdicts } from "./gate.ts";

/** A ticket that ends later is looked at again after so long, in milliseconds. */
const LONGEST_TIMER_MS = 3_600_000;

/** See the module. */
export class Review {
  readonly #verdicts: Verdicts = new Map();
  #running = false;
  #again = false;
  #ended = false;
  #cancel = () => {};

  /** `told` gets each judgement, until `end`. */
  constructor(
    readonly gate: Gate,
    readonly peer: () => PeerInfo | undefined,
    readonly told: (judgement: Judgement) => void,
  ) {}

  /** Judges now. */
  look(): void {
    if (this.#ended) return;
    this.#again = true;
    if (!this.#running) void this.#run();
  }

  /** Judges no more. */
  end(): void {
    this.#ended = true;
    this.#cancel();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#again && !this.#ended) {
      this.#again = false;
      const judgement = await this.gate.judge(this.peer(), this.#verdicts);
      if (this.#ended || this.#again) continue;
      this.#arm(judgement);
      this.told(judgement);
    }
    this.#running = false;
  }

  #arm(judgement: Judgement): void {
    this.#cancel();
    this.#cancel = () => {};
    if (judgement.kind !== "admitted" || judgement.until === Infinity) return;
    const { clock } = this.gate.environment;
    const left = judgement.until + 1 - clock.wall();
    this.#cancel = clock.after(Math.min(left, LONGEST_TIMER_MS), () => this.look());
  }
}
