/** All children of a run: they live together, and together they end. */
import type { Clock } from "../src/universe/environment.ts";
import { Child, type ChildEvents, type Ending, type Spawn } from "./child.ts";
import type { Command } from "./command.ts";

/** How long the fleet waits. */
export interface Patience {
  /**
   * Between the unasked end of a child and its report: Ctrl-C reaches the group's children before
   * us, and what they do then is no accident.
   */
  readonly graceMs: number;
  /** Between asking all to end and SIGKILL for those that did not; together under 5 s. */
  readonly stopMs: number;
}

const PATIENCE: Patience = { graceMs: 300, stopMs: 3_500 };

/** Starts children, watches over them, ends them. */
export class Fleet {
  /** The first child that ended unasked. Never rejects. */
  readonly broken: Promise<Ending>;
  readonly #break: (ending: Ending) => void;
  readonly #children: Child[] = [];
  #stopped?: Promise<void>;

  constructor(
    readonly spawn: Spawn,
    readonly clock: Clock,
    readonly patience: Patience = PATIENCE,
  ) {
    ({ promise: this.broken, resolve: this.#break } = Promise.withResolvers<Ending>());
  }

  /** Starts a child; throws once the fleet stops. */
  start(command: Command, events?: ChildEvents): Child {
    if (this.#stopped) throw new Error(`${command.name} is not started: the testnet stops`);
    const child = new Child(command, this.spawn, events);
    this.#children.push(child);
    child.ended.then((ending) => this.#onEnd(ending));
    return child;
  }

  /** Ends all children; resolves when none is left. Idempotent. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  #onEnd(ending: Ending): void {
    if (this.#stopped) return;
    this.clock.after(this.patience.graceMs, () => {
      if (!this.#stopped) this.#break(ending);
    });
  }

  async #stop(): Promise<void> {
    for (const child of this.#children) child.ask();
    const cancel = this.clock.after(this.patience.stopMs, () => {
      for (const child of this.#children) child.kill("SIGKILL");
    });
    await Promise.all(this.#children.map((child) => child.ended));
    cancel();
  }
}
