/** A collector of OpenTelemetry on loopback: what processes send it, as spans and as text. */

/** A span as OTLP has it in JSON. */
export interface Span {
  readonly traceId: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

/** The value of a span's attribute, as text. */
export function value({ attributes }: Span, key: string): string {
  const found = attributes.find((it) => it.key === key)?.value;
  return String(found?.intValue ?? found?.doubleValue ?? found?.stringValue);
}

/** Takes what is exported until it is disposed of. */
export class Collector implements AsyncDisposable {
  readonly spans: Span[] = [];
  /** Every body that came, whatever it held. */
  text = "";
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #waiting: { readonly holds: () => boolean; readonly done: () => void }[] = [];

  constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (it) => {
      this.#take(await it.text());
      return new Response("{}", { headers: { "content-type": "application/json" } });
    });
  }

  /** What a process has in its environment to export everything here. */
  get env(): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "200",
      OTEL_DENO_CONSOLE: "ignore",
    };
  }

  /** Resolves once the condition holds after something came. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((done) => this.#waiting.push({ holds, done }));
  }

  #take(body: string): void {
    this.text += `${body}\n`;
    for (const { scopeSpans } of JSON.parse(body).resourceSpans ?? []) {
      for (const { spans } of scopeSpans) this.spans.push(...spans);
    }
    for (const { holds, done } of this.#waiting) if (holds()) done();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
