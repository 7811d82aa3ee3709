/** What a process uses, as its own metrics say it. */

/** What a process holds now, and used since its start. */
export interface Usage {
  /** Resident memory, bytes. */
  readonly resident: number;
  /** CPU time, seconds. */
  readonly cpu: number;
  /** Bytes of frames to others; undefined where the role does not count them. */
  readonly sent?: number;
  /** The same from others. */
  readonly received?: number;
}

/** Characters of a log in which the address of the metrics is looked for. */
const MAX_LOG = 65_536;

/** Finds where a process serves its metrics in the log that it writes. */
export class MetricsAddress {
  readonly found: Promise<string>;
  readonly #find: (address: string) => void;
  readonly #decoder = new TextDecoder();
  #log: string | undefined = "";

  constructor() {
    ({ promise: this.found, resolve: this.#find } = Promise.withResolvers<string>());
  }

  /** The next chunk of standard error. */
  push(chunk: Uint8Array): void {
    if (this.#log === undefined) return;
    this.#log += this.#decoder.decode(chunk, { stream: true });
    const address = metricsAddress(this.#log);
    if (address !== undefined) this.#find(address);
    if (address !== undefined || this.#log.length > MAX_LOG) this.#log = undefined;
  }
}

/** The address of a process's metrics by its log. */
export function metricsAddress(log: string): string | undefined {
  return /"event":"metrics","address":"([^"]+)"/.exec(log)?.[1];
}

/** Reads a page of metrics in Prometheus's text format; throws if a number is not there. */
export function parseUsage(text: string): Usage {
  const values = (name: string, ...labels: string[]) =>
    text.split("\n").filter((line) =>
      line.startsWith(`zipnet_${name}{`) && labels.every((label) => line.includes(label))
    ).map((line) => Number(line.slice(line.lastIndexOf(" ") + 1)));
  const one = (name: string) => {
    const [value] = values(name);
    if (Number.isFinite(value)) return value;
    throw new Error(`expected the metric zipnet_${name}, got none`);
  };
  const bytes = (direction: string) => {
    const all = values("bytes_total", `direction="${direction}"`);
    return all.length > 0 ? all.reduce((sum, it) => sum + it) : undefined;
  };
  return {
    resident: one("resident_bytes"),
    cpu: one("cpu_seconds_total"),
    sent: bytes("sent"),
    received: bytes("received"),
  };
}

/** Asks a process for its usage. */
export async function scrape(address: string): Promise<Usage> {
  return parseUsage(await (await fetch(`http://${address}/metrics`)).text());
}
