/**
 * A page that shows what goes on: a few files, and events as they come over `events`, as
 * server-sent events that a browser takes up again where it was cut off. Nothing can be changed
 * through it, and nothing on it comes from elsewhere.
 */
import type { Environment } from "../universe/environment.ts";
import { isLocal, ServeError } from "./health.ts";
import type { BindAddress } from "./kinds.ts";
import { Watcher } from "./watcher.ts";

/** Events that are kept for who comes later, and their bytes in all. */
const MAX_EVENTS = 256, MAX_KEPT = 4 * 2 ** 20;
/** Who may watch at one time, and bytes that may wait for one of them beside what was kept. */
const MAX_WATCHERS = 64, MAX_WAITING = 2 * 2 ** 20;
/** How often something is sent, so that a watcher who is gone is noticed. */
const BEAT_MS = 15_000;

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/** Sent with every answer: this page's own files and events, and nothing else in the world. */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
};

/** What a page is made of. */
export interface PageOptions {
  readonly address: BindAddress;
  readonly environment: Environment;
  /** Its files by name, `index.html` among them. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

interface Event {
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** See the module comment. */
export class Page {
  readonly #watchers = new Set<Watcher>();
  readonly #encoder = new TextEncoder();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #events: Event[] = [];
  #kept = 0;
  #first: Uint8Array = new Uint8Array(0);
  #cancel = () => {};

  /** Serves from now on. Throws a `ServeError` where the address cannot be had. */
  constructor(readonly options: PageOptions) {
    const { address: { host, port }, environment: { observe } } = options;
    try {
      this.#server = Deno.serve({
        hostname: host,
        port,
        onListen: (at) => observe("info", "page", { address: `http://${at.hostname}:${at.port}/` }),
        onError: () => plain(500, "failed"),
      }, (request) => this.#answer(request));
    } catch (error) {
      throw new ServeError("the page", options.address, error);
    }
    this.#beat();
  }

  /** How many watch now. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /** Says once what is shown here; whoever comes hears it first. */
  introduce(name: string, data: string): void {
    this.#first = this.#encoder.encode(`event: ${name}\ndata: ${data}\n\n`);
    this.#send(this.#first);
  }

  /** One more event, in one line; its number is greater than any before. */
  publish(id: number, name: string, data: string): void {
    const bytes = this.#encoder.encode(`id: ${id}\nevent: ${name}\ndata: ${data}\n\n`);
    this.#events.push({ id, bytes });
    this.#kept += bytes.length;
    while (this.#events.length > MAX_EVENTS || (this.#kept > MAX_KEPT && this.#events.length > 1)) {
      this.#kept -= this.#events.shift()!.bytes.length;
    }
    this.#send(bytes);
  }

  /** Ends all connections. */
  async stop(): Promise<void> {
    this.#cancel();
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers.clear();
    await this.#server.shutdown();
  }

  #answer(request: Request): Response {
    if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "only GET");
    const { address, files } = this.options;
    if (address.loopback && !isLocal(request.headers.get("host"))) {
      return plain(403, "not this host");
    }
    const name = new URL(request.url).pathname.slice(1) || "index.html";
    if (name === "events") return this.#watch(request);
    const file = files.get(name);
    if (!file) return plain(404, "not here");
    const type = TYPES[name.split(".").at(-1)!] ?? "application/octet-stream";
    return new Response(file as Uint8Array<ArrayBuffer>, {
      headers: { ...HEADERS, "content-type": type },
    });
  }

  #watch(request: Request): Response {
    if (request.method !== "GET") return plain(405, "only GET");
    if (this.#watchers.size >= MAX_WATCHERS) return plain(503, "too many watch; come again");
    const asked = request.headers.get("last-event-id") ?? "";
    const last = /^\d{1,15}$/.test(asked) ? Number(asked) : -1;
    // Who was further than this page is saw another one: it begins anew.
    const newest = this.#events.at(-1)?.id ?? -1, after = last <= newest ? last : -1;
    const missed = this.#events.filter(({ id }) => id > after).map(({ bytes }) => bytes);
    const first = [this.#encoder.encode("retry: 1000\n\n"), this.#first, ...missed];
    const { clock } = this.options.environment;
    const watcher: Watcher = new Watcher(
      first.filter(({ length }) => length > 0),
      MAX_KEPT + MAX_WAITING,
      clock,
      () => this.#watchers.delete(watcher),
    );
    this.#watchers.add(watcher);
    return new Response(watcher.body as ReadableStream<Uint8Array<ArrayBuffer>>, {
      headers: { ...HEADERS, "content-type": "text/event-stream" },
    });
  }

  #send(bytes: Uint8Array): void {
    for (const watcher of this.#watchers) {
      if (!watcher.send(bytes)) this.#watchers.delete(watcher);
    }
  }

  #beat(): void {
    this.#cancel = this.options.environment.clock.after(BEAT_MS, () => {
      this.#send(this.#encoder.encode(": here\n\n"));
      this.#beat();
    });
  }
}

function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: HEADERS });
}
