/** A member of etcd as a `fetch`, over virtual time and with its faults. */
import type { Clock, Random } from "../../../src/universe/environment.ts";
import type { Answer, Fetch, Request } from "../../../src/committee/etcd/gateway.ts";
import { Refusal, type Store } from "./store.ts";

/** Longest way of a request or an answer, in ms. */
const DELAY_MS = 5;

/** What a member does with requests: answers, refuses connections, or is silent. */
export type Mood = "well" | "gone" | "silent";

/** One member; all members have one store. */
export class Member {
  /** Requests by path. */
  readonly asked = new Map<string, number>();
  /** Changes what is answered: the text of the answer, or of one line of a watch. */
  twist: (path: string, text: string) => string | Uint8Array = (_, text) => text;
  #mood: Mood = "well";
  #deaf = false;
  readonly #open = new Set<() => void>();

  constructor(public store: Store, readonly clock: Clock, readonly random: Random) {}

  /** Changes the mood; connections end, unless it only falls silent. */
  set mood(mood: Mood) {
    this.#mood = mood;
    if (mood === "gone") { for (const cut of [...this.#open]) cut(); }
  }

  /** While it is deaf, open watches tell nothing, and nothing else is wrong. */
  set deaf(deaf: boolean) {
    this.#deaf = deaf;
  }

  readonly fetch: Fetch = (url, request) => {
    const path = new URL(url).pathname.replace(/^\/v3\//, "");
    this.asked.set(path, (this.asked.get(path) ?? 0) + 1);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const fail = () => reject(new TypeError("error sending request: connection refused"));
    request.signal.addEventListener("abort", () => reject(new Error("aborted")));
    if (this.#mood === "gone") this.clock.after(1, fail);
    else {
      this.#open.add(fail);
      this.clock.after(this.#delay(), () => {
        if (request.signal.aborted || this.#mood !== "well") return;
        const answer = path === "watch" ? this.#watch(request) : this.#answer(path, request);
        this.clock.after(this.#delay(), () => {
          this.#open.delete(fail);
          if (this.#mood === "well") resolve(answer);
        });
      });
    }
    return promise;
  };

  #delay(): number {
    return 1 + this.random(1)[0] % DELAY_MS;
  }

  #answer(path: string, { body }: Request): Answer {
    try {
      return text(200, this.twist(path, JSON.stringify(this.store.answer(path, JSON.parse(body)))));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return text(400, JSON.stringify({ error: error.message, message: error.message, code: 11 }));
    }
  }

  #watch({ body, signal }: Request): Answer {
    let cancel = () => {};
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        let free = 0, over = false;
        const end = this.store.watch(JSON.parse(body), (result) => {
          const line = this.twist("watch", JSON.stringify({ result }) + "\n");
          free = Math.max(free, this.clock.now() + this.#delay());
          this.clock.after(free - this.clock.now(), () => {
            if (!over && this.#mood === "well" && !this.#deaf) controller.enqueue(encode(line));
          });
        });
        const cut = () => {
          cancel();
          controller.error(new TypeError("connection reset"));
        };
        cancel = () => {
          over = true;
          end();
          this.#open.delete(cut);
          signal.removeEventListener("abort", cut);
        };
        this.#open.add(cut);
        signal.addEventListener("abort", cut);
      },
      cancel: () => cancel(),
    });
    return { status: 200, body: stream };
  }
}

function encode(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? new TextEncoder().encode(text) : text;
}

function text(status: number, body: string | Uint8Array): Answer {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encode(body));
      controller.close();
    },
  });
  return { status, body: stream };
}
