/**
 * Run with all permissions by `mdns_test.ts`, which may only start Deno: nodes on three hosts of a
 * network of their own, none of which was given any address, find each other; one of another
 * universe finds nobody.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { Netns } from "./netns.ts";

interface Known {
  readonly self: string;
  readonly servers: readonly string[];
  readonly universe: number;
}

/** A node on a host. */
class Node {
  known: Known | undefined;
  readonly #child: Deno.ChildProcess;
  readonly #heard: Promise<void>;

  constructor(network: Netns, host: number, changed: () => void, ...args: string[]) {
    const deno = ["run", "-q", "-A", "--no-prompt", "--cached-only", "tests/process/mdns_node.ts"];
    const all = [...deno, ...args, network.address(host)];
    const [program, inside] = network.on(host, Deno.execPath(), all);
    this.#child = new Deno.Command(program, {
      args: inside,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#heard = this.#hear(changed);
  }

  async #hear(changed: () => void): Promise<void> {
    let rest = "";
    for await (const chunk of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.known = JSON.parse(line);
      changed();
    }
  }

  async stop(): Promise<void> {
    await this.#child.stdin.close();
    await this.#heard;
    ok((await this.#child.status).success);
  }
}

async function story(network: Netns): Promise<void> {
  for (const host of [0, 1, 2]) {
    const route = ["route", "add", "224.0.0.0/4", "dev", "eth0"];
    const [program, args] = network.on(host, "ip", route);
    const { success, stderr } = await new Deno.Command(program, { args }).output();
    ok(success, new TextDecoder().decode(stderr));
  }
  let changed = Promise.withResolvers<void>();
  const start = (host: number, ...args: string[]) =>
    new Node(network, host, () => {
      changed.resolve();
      changed = Promise.withResolvers();
    }, ...args);
  const a = start(0, "a", "server", "1"), b = start(2, "b", "server", "1");
  const client = start(1, "client", "client", "1");
  const stranger = start(1, "stranger", "server", "2");
  const servers = () => [a, b].map(({ known }) => known?.self);
  const met = () =>
    client.known?.servers.length === 2 && a.known?.servers.length === 1 &&
    b.known?.servers.length === 1 && stranger.known !== undefined;
  while (!met()) await changed.promise;
  deepEqual(new Set(client.known!.servers), new Set(servers()));
  deepEqual([a.known!.servers, b.known!.servers], [[b.known!.self], [a.known!.self]]);
  for (const node of [stranger, client, b, a]) await node.stop();
  equal(stranger.known!.universe, 0, "a node of another universe found somebody");
}

using network = new Netns([2, 1]);
await story(network);
console.log("three nodes met without any address");
