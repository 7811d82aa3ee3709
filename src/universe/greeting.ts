/** The first frame of a link, which must be a hello. */
import type { Environment } from "./environment.ts";
import { decodeHello, type Hello, MAX_HELLO } from "./hello.ts";
import { NetworkError } from "./network.ts";
import { reasonOf } from "./stream.ts";
import type { Link } from "./transport.ts";

/** Why a stream ended that said no hello. */
export const NO_HELLO = "no hello in time";

/** What becomes of the wait: its end, with what was wrong or with a hello. */
type Done = (error?: NetworkError, hello?: Hello) => void;

/** How a hello is waited for. */
export interface Greeting {
  readonly clock: Environment["clock"];
  /** For how long, in milliseconds. */
  readonly ms: number;
  /** Where those who wait stand, to be ended with their node. */
  readonly pending: Set<(error: NetworkError) => void>;
  /** Whether it is of the right universe and instance. */
  fits(hello: Hello): boolean;
}

/** Takes the first frame of a link; the returned function ends the wait. */
export function awaitHello(
  link: Link,
  { clock, ms, pending, fits }: Greeting,
  done: Done,
): (error: NetworkError) => void {
  let waiting = true;
  const finish: Done = (error, hello) => {
    if (!waiting) return;
    waiting = false;
    cancel();
    pending.delete(finish);
    done(error, hello);
  };
  const refused = (reason: string) => finish(new NetworkError("refused", reason));
  const cancel = clock.after(ms, () => refused(NO_HELLO));
  pending.add(finish);
  link.limit = MAX_HELLO;
  link.events = {
    frame: (bytes) => {
      try {
        const hello = decodeHello(bytes);
        if (fits(hello)) return finish(undefined, hello);
        finish(new NetworkError("other-instance", "another universe or instance"));
      } catch (error) {
        refused(reasonOf(error));
      }
    },
    oversize: (length) => refused(`first frame of ${length} bytes, at most ${MAX_HELLO}`),
    closed: (reason) => refused(reason),
  };
  return finish;
}
