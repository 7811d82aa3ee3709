/** Many clients in few processes: how they are started, and what is said to them and by them. */
import type { Child } from "../child.ts";
import type { Command, Site } from "../command.ts";
import type { Usage } from "./meter.ts";

/** A process of `count` clients, which know these addresses. */
export function crowdCommand(
  site: Site,
  index: number,
  count: number,
  bootstrap: readonly string[],
): Command {
  const run = ["run", "-q", "--no-prompt", "--cached-only", "-P=client", "--allow-net=127.0.0.1"];
  return {
    role: "client",
    name: `crowd ${index}`,
    args: [...run, "testnet/load/clients.ts", String(count), bootstrap.join(",")],
    env: { ...site.env },
  };
}

/** Clients of each process, as even as can be, at most `most` in one. */
export function shares(clients: number, most: number): number[] {
  const processes = Math.ceil(clients / most);
  return Array.from(
    { length: processes },
    (_, i) => Math.floor((clients + i) / processes),
  );
}

/** What became of a message, by its client. */
export interface Told {
  readonly id: string;
  readonly outcome: "landed" | "expired" | "refused";
  readonly round?: number;
  readonly slot?: number;
  readonly reason?: string;
  /** From `send` to the outcome. */
  readonly ms: number;
}

/** What a process of many clients says, to be fed with its lines. */
export class Crowd {
  /** Clients that have joined. */
  joined = 0;
  readonly #asked: ((usage: Usage) => void)[] = [];

  constructor(readonly told: (told: Told) => void) {}

  /** The next line of its standard output; throws if it is none. */
  line(line: Record<string, unknown>): void {
    if (typeof line.joined === "number") this.joined = line.joined;
    else if (typeof line.id === "string" && typeof line.ms === "number") {
      this.told(line as unknown as Told);
    } else if (typeof line.usage === "object") this.#asked.shift()?.(line.usage as Usage);
    else throw new Error(`a line that is none: ${JSON.stringify(line).slice(0, 120)}`);
  }

  /** Sends a message through one of its clients. */
  say(child: Child, client: number, id: string, payload: Uint8Array): void {
    child.say({ talk: client, id, payload: payload.toBase64() });
  }

  /** What it uses now; pending for ever if it ends. */
  usage(child: Child): Promise<Usage> {
    const { promise, resolve } = Promise.withResolvers<Usage>();
    this.#asked.push(resolve);
    child.say({ usage: true });
    return promise;
  }
}
