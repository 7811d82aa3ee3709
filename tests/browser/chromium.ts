/** A headless Chromium, spoken to over its debugging protocol. */

/** Where it is, if it is here. */
export const CHROMIUM = "chromium";

/** Why there is none, or undefined. */
export async function missing(): Promise<string | undefined> {
  try {
    const { code } = await new Deno.Command(CHROMIUM, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).output();
    return code === 0 ? undefined : "chromium does not run here";
  } catch {
    return "no chromium on PATH; Debian has it as chromium";
  }
}

/** One browser with one page. */
export class Chromium implements AsyncDisposable {
  #next = 0;
  readonly #calls = new Map<number, (answer: { result?: unknown; error?: unknown }) => void>();
  /** What the page wrote to its console, and what it was refused. */
  readonly complaints: string[] = [];

  private constructor(
    readonly process: Deno.ChildProcess,
    readonly socket: WebSocket,
    readonly profile: string,
  ) {
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (message.id !== undefined) return this.#calls.get(message.id)?.(message);
      if (message.method === "Runtime.exceptionThrown") {
        this.complaints.push(JSON.stringify(message.params.exceptionDetails));
      }
      if (message.method === "Log.entryAdded") this.complaints.push(message.params.entry.text);
    });
  }

  /** Starts it with an empty page. */
  static async start(profile: string): Promise<Chromium> {
    Deno.mkdirSync(profile, { recursive: true });
    const process = new Deno.Command(CHROMIUM, {
      args: [
        ...["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"],
        ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
        ...["--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let said = "", browser: string | undefined;
    const lines = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
    while (!browser) {
      const { value, done } = await lines.read();
      if (done) throw new Error(`chromium ended: ${said}`);
      said += value;
      browser = /listening on (ws:\/\/\S+)/.exec(said)?.[1];
    }
    void (async () => {
      while (!(await lines.read()).done);
    })();
    const list = await (await fetch(`http://${new URL(browser).host}/json/list`)).json();
    const { webSocketDebuggerUrl: url } = list.find(({ type }: { type: string }) =>
      type === "page"
    );
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const it = new Chromium(process, socket, profile);
    for (const domain of ["Page", "Runtime", "Log"]) await it.call(`${domain}.enable`);
    return it;
  }

  /** Calls a method of the protocol. */
  async call<T>(method: string, params: Record<string, unknown> = {}): Promise<T> {
    const id = ++this.#next;
    const { promise, resolve } = Promise.withResolvers<{ result?: unknown; error?: unknown }>();
    this.#calls.set(id, resolve);
    this.socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await promise;
    this.#calls.delete(id);
    if (error) throw new Error(`${method}: ${JSON.stringify(error)}`);
    return result as T;
  }

  /** The value of an expression in the page; a promise is awaited. */
  async value<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.call<
      { result: { value: T }; exceptionDetails?: unknown }
    >("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  }

  /** Waits until an expression holds; looked at once a frame. */
  async until(expression: string): Promise<void> {
    await this.value(
      `new Promise((done, fail) => {
        const until = performance.now() + 30000;
        const look = () => (${expression}) ? done(true)
          : performance.now() > until ? fail(new Error("never: " + ${JSON.stringify(expression)}))
          : requestAnimationFrame(look);
        look();
      })`,
    );
  }

  /** How large its window is, and which colours it prefers. */
  async look(width: number, height: number, scheme: "light" | "dark"): Promise<void> {
    await this.call("Emulation.setDeviceMetricsOverride", {
      ...{ width, height, deviceScaleFactor: 1, mobile: width < 600 },
    });
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.call("Emulation.setEmulatedMedia", { features });
  }

  /** A picture of the page, as PNG. */
  async picture(): Promise<Uint8Array> {
    const { data } = await this.call<{ data: string }>("Page.captureScreenshot", { format: "png" });
    return Uint8Array.fromBase64(data);
  }

  /** Presses a key in what has the focus. */
  async press(key: string): Promise<void> {
    for (const type of ["keyDown", "keyUp"]) {
      await this.call("Input.dispatchKeyEvent", { type, key, code: key });
    }
  }

  /** Ends it and forgets its profile. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    try {
      this.process.kill("SIGKILL");
    } catch { /* it ended by itself */ }
    await this.process.status;
    await Deno.remove(this.profile, { recursive: true }).catch(() => {});
  }
}
