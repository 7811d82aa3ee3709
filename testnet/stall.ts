/** Watches that something goes on. */
import type { Clock } from "../src/universe/environment.ts";

/** A watch: `reset` says that something was heard, `cancel` ends it. */
export interface Stall {
  reset(): void;
  cancel(): void;
}

/** Calls `stalled` once nothing was heard for so many ms. */
export function watch(clock: Clock, ms: number, stalled: () => void): Stall {
  let cancel = clock.after(ms, stalled);
  return {
    cancel: () => cancel(),
    reset() {
      cancel();
      cancel = clock.after(ms, stalled);
    },
  };
}
