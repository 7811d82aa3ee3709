/**
 * Requests to etcd's JSON gateway, each bounded in time and in what it may answer. Nothing here
 * knows what the keys mean.
 */
import type { Clock } from "../../universe/environment.ts";
import { EtcdError, type Json, object } from "./json.ts";

/** The part of the platform's `fetch` that is used; an argument, so that tests can play etcd. */
export type Fetch = (url: string, request: Request) => Promise<Answer>;

/** A request. */
export interface Request {
  readonly method: "POST";
  readonly headers: Record<string, string>;
  readonly body: string;
  /** Nobody sends commands elsewhere. */
  readonly redirect: "error";
  readonly signal: AbortSignal;
}

/** An answer, before its body is read. */
export interface Answer {
  readonly status: number;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** Longest wait for an answer. */
export const REQUEST_MS = 5_000;
/** Longest answer, or line of a watch, in bytes: 1,000 commands, or a chunk, take below 3 MiB. */
const MAX_ANSWER_BYTES = 8 * 2 ** 20;
/** Longest part of a reason that comes from outside. */
const MAX_REASON = 160;

/** One member of etcd. */
export class Gateway {
  /** `url` is an origin such as `http://10.0.0.1:2379`. */
  constructor(readonly url: string, readonly fetch: Fetch, readonly clock: Clock) {}

  /** The answer to one request, or an `EtcdError`; also where `signal` was aborted meanwhile. */
  async call(path: string, body: Json, signal: AbortSignal, ms = REQUEST_MS): Promise<Json> {
    const [first] = await this.#within(signal, ms, async (signal) => {
      for await (const line of this.#lines(path, body, signal)) return [line];
      return [undefined];
    });
    if (first === undefined) throw new EtcdError(`etcd answered nothing to ${path}`);
    return first;
  }

  /** The messages of an endpoint that goes on; its end is an `EtcdError`. */
  async *stream(path: string, body: Json, signal: AbortSignal): AsyncGenerator<Json> {
    for await (const line of this.#lines(path, body, signal)) {
      if (signal.aborted) break;
      yield line;
    }
    throw new EtcdError(`etcd ended ${path}`);
  }

  /** Runs a task that ends with `signal` or after `ms`; its timer ends with either at once. */
  async #within<T>(
    outer: AbortSignal,
    ms: number,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const inner = new AbortController();
    let late = false;
    const end = () => {
      cancel();
      inner.abort();
    };
    const cancel = this.clock.after(ms, () => {
      late = true;
      inner.abort();
    });
    outer.addEventListener("abort", end);
    try {
      if (outer.aborted) throw new EtcdError("the session is over");
      const result = await task(inner.signal);
      if (outer.aborted) throw new EtcdError("the session is over");
      return result;
    } catch (error) {
      throw late ? new EtcdError(`etcd did not answer within ${ms} ms`) : error;
    } finally {
      cancel();
      outer.removeEventListener("abort", end);
    }
  }

  /** The JSON objects of an answer, one a line. */
  async *#lines(path: string, body: Json, signal: AbortSignal): AsyncGenerator<Json> {
    const answer = await asEtcdError(this.fetch(`${this.url}/v3/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "error",
      signal,
    }));
    for await (const line of linesOf(answer.body)) {
      const value = parse(line);
      if (answer.status !== 200 || value.error !== undefined) {
        throw new EtcdError(`etcd refused ${path}: ${reasonOf(value, answer.status)}`);
      }
      yield value;
    }
    if (answer.status !== 200) throw new EtcdError(`etcd refused ${path}: HTTP ${answer.status}`);
  }
}

async function asEtcdError<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw new EtcdError(short(error instanceof Error ? error.message : String(error)));
  }
}

/** Lines that are not empty, each bounded. */
async function* linesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array, void> {
  if (body === null) return;
  const reader = body.getReader();
  let parts: Uint8Array[] = [], length = 0;
  const take = (end: Uint8Array): Uint8Array => {
    const line = new Uint8Array(length + end.length);
    let at = 0;
    for (const part of [...parts, end]) {
      line.set(part, at);
      at += part.length;
    }
    parts = [];
    length = 0;
    return line;
  };
  try {
    for (;;) {
      const { done, value } = await asEtcdError(reader.read());
      if (done) break;
      let from = 0;
      for (let at = value.indexOf(10); at >= 0; at = value.indexOf(10, from)) {
        const line = take(value.subarray(from, at));
        from = at + 1;
        if (line.length > 0) yield line;
      }
      length += value.length - from;
      if (length > MAX_ANSWER_BYTES) {
        throw new EtcdError(`etcd answered over ${MAX_ANSWER_BYTES} bytes at once`);
      }
      parts.push(value.subarray(from));
    }
    if (length > 0) yield take(new Uint8Array(0));
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(line: Uint8Array): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
  } catch {
    throw new EtcdError("etcd answered no JSON: is this etcd's client port?");
  }
  return object(value, "an answer");
}

function reasonOf({ error }: Json, status: number): string {
  if (typeof error === "string") return short(error);
  const message = typeof error === "object" && error !== null && (error as Json).message;
  return typeof message === "string" ? short(message) : `HTTP ${status}`;
}

function short(text: string): string {
  const printable = text.replace(/[^ -~]/g, "?");
  return printable.length > MAX_REASON ? `${printable.slice(0, MAX_REASON)}…` : printable;
}
