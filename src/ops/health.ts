/**
 * What a process tells over HTTP of its own state: `/metrics`, `/healthz` (it runs) and `/readyz`
 * (it does its work, or 503 and why not). Nothing can be changed through it.
 */
import type { Environment } from "../universe/environment.ts";
import { EXIT } from "./exit.ts";
import type { BindAddress } from "./kinds.ts";
import type { Metrics } from "./metrics.ts";

/** Requests answered at one time; more are told to come again. */
const MAX_REQUESTS = 8;

/** What is served. */
export interface HealthOptions {
  readonly address: BindAddress;
  readonly environment: Environment;
  readonly metrics: Metrics;
  /** Why the role does not do its work now, or undefined. */
  readonly unready: () => string | undefined;
}

/** Something cannot be served at an address; `exitCode` 2. */
export class ServeError extends Error {
  override readonly name = "ServeError";
  readonly exitCode = EXIT.options;
  constructor(what: string, { host, port }: BindAddress, cause: unknown) {
    const why = cause instanceof Deno.errors.AddrInUse
      ? "it is in use: free it, or choose another"
      : cause instanceof Deno.errors.NotCapable
      ? `it may not be used: add --allow-net=${host}:${port}`
      : (cause as Error).message;
    super(`${what} cannot be served at ${host}:${port}: ${why}`, { cause });
  }
}

/** Serves until the returned function is called. Throws a `ServeError`. */
export function serveHealth(options: HealthOptions): () => Promise<void> {
  const { address: { host, port }, environment: { observe } } = options;
  let busy = 0;
  const answer = async (request: Request) => {
    if (busy >= MAX_REQUESTS) return plain(503, "busy");
    busy++;
    try {
      return await respond(request, options);
    } finally {
      busy--;
    }
  };
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({
      hostname: host,
      port,
      onListen: (at) =>
        observe("info", "metrics", { address: `${at.hostname}:${at.port}`, path: "/metrics" }),
      onError: () => plain(500, "failed"),
    }, answer);
  } catch (error) {
    throw new ServeError("metrics", options.address, error);
  }
  return () => server.shutdown();
}

async function respond(request: Request, options: HealthOptions): Promise<Response> {
  const { metrics, unready, address } = options;
  if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "only GET");
  // A page that a browser shows must not read a loopback address under a name of its own.
  if (address.loopback && !isLocal(request.headers.get("host"))) return plain(403, "not this host");
  switch (new URL(request.url).pathname) {
    case "/healthz":
      return plain(200, "ok");
    case "/readyz": {
      const why = unready();
      return why === undefined ? plain(200, "ready") : plain(503, why);
    }
    case "/metrics":
      return new Response(await metrics.text(), { headers: { "content-type": metrics.type } });
    default:
      return plain(404, "expected /metrics, /healthz or /readyz");
  }
}

function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { "cache-control": "no-store" } });
}

/** Whether a request names this machine as it is: its `host` header. */
export function isLocal(host: string | null): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$/i.test(host ?? "");
}
