/**
 * A network of containers, as Compose brings it up, and what can be learned of it: what clients were
 * told, what the reader verified, and what every server's archive holds.
 */

/** What a command answered. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Something did not come in time, or is not as it must be; the message says what. */
export class Broken extends Error {}

/** Between two looks at the containers, in milliseconds. */
const LOOK_MS = 250;

/** The containers of one project. */
export class Stack {
  readonly #env: Record<string, string>;

  /** `project` names all that is made; a subnet of its own keeps it from others. */
  constructor(readonly project: string, subnet: string) {
    this.#env = {
      COMPOSE_FILE: "compose/testnet.yaml:compose/faults.yaml",
      COMPOSE_PROJECT_NAME: project,
      ZIPNET_SUBNET: subnet,
      ZIPNET_PAGE_PORT: "0",
      COMPOSE_PROGRESS: "quiet",
    };
  }

  /** Runs a program with the project's environment. */
  async run(program: string, args: readonly string[]): Promise<Ran> {
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      env: this.#env,
    }).output();
    return { code, out: text(stdout), err: text(stderr) };
  }

  /** `docker`, which must succeed. */
  async docker(...args: string[]): Promise<string> {
    const { code, out, err } = await this.run("docker", args);
    if (code !== 0) throw new Broken(`docker ${args.join(" ")}: ${err || out}`);
    return out;
  }

  /** `docker compose`, which must succeed. */
  compose(...args: string[]): Promise<string> {
    return this.docker("compose", ...args);
  }

  /** Container ids of a service. */
  async ids(service: string): Promise<string[]> {
    return (await this.compose("ps", "-aq", service)).trim().split("\n").filter((id) => id !== "");
  }

  /** Name of the one container of a service. */
  name(service: string): string {
    return `${this.project}-${service}-1`;
  }

  /** All that containers of a service wrote, to standard output and to standard error. */
  async told(service: string): Promise<{ readonly out: string; readonly err: string }> {
    const all = await Promise.all(
      (await this.ids(service)).map((id) => this.run("docker", ["logs", id])),
    );
    return { out: all.map(({ out }) => out).join(""), err: all.map(({ err }) => err).join("") };
  }

  /** Messages that the reader verified, by place. */
  async read(): Promise<Map<string, string>> {
    const { out } = await this.told("testnet");
    return new Map(
      [...out.matchAll(/^(\d+\/\d+) (.*)$/gm)].map(([, place, text]) => [place, text]),
    );
  }

  /** Places at which clients were told that theirs landed. */
  async landed(): Promise<string[]> {
    const { out } = await this.told("client");
    return [...out.matchAll(/^\S+ landed (\d+\/\d+)$/gm)].map(([, place]) => place);
  }

  /** The newest round among what a server logged last. */
  async round(server = "server-1"): Promise<number> {
    const { err } = await this.run("docker", ["logs", "--tail", "80", this.name(server)]);
    const rounds = [...err.matchAll(/"event":"round finalized","round":(\d+)/g)];
    return Math.max(0, ...rounds.map(([, round]) => Number(round)));
  }

  /** How often any server logged an event. */
  async events(event: string): Promise<number> {
    let count = 0;
    for (const server of ["server-1", "server-2", "server-3"]) {
      count += (await this.told(server)).err.split(`"event":"${event}"`).length - 1;
    }
    return count;
  }

  /** Waits for something; throws `Broken` where it does not come within `ms`. */
  async until(what: string, ms: number, holds: () => Promise<boolean>): Promise<number> {
    const began = performance.now();
    while (!await holds()) {
      if (performance.now() - began > ms) throw new Broken(`${what}: not within ${ms} ms`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return Math.round(performance.now() - began);
  }

  /** Verifies a server's archive as files, as an auditor does; its rounds and the head's hash. */
  async verify(server: number): Promise<{ readonly to: number; readonly messages: number }> {
    return (await this.#archive(server, "--verify")).at(-1) as never;
  }

  /** Hashes of a server's archived records by round. */
  async hashes(server: number): Promise<Map<number, string>> {
    const lines = await this.#archive(server) as { round: number; hash?: string }[];
    return new Map(lines.flatMap(({ round, hash }) => hash ? [[round, hash]] : []));
  }

  /** What a reader says of a server's archive as files, line by line. */
  async #archive(server: number, ...how: string[]): Promise<unknown[]> {
    const volume = `${this.project}_data-${server}:/zipnet/data:ro`;
    const out = await this.docker(
      ...["run", "--rm", "--network", "none", "-v", volume, "zipnet", "run", "-q", "--no-prompt"],
      ...["--cached-only", "-P=reader", "--allow-read=data", "src/reader.ts", "--instance"],
      ...["dev.testnet", "--archive", "data/archive", "--json", ...how],
    );
    return out.trim().split("\n").map((line) => JSON.parse(line));
  }

  /** Takes everything down; what is left of it, which should be nothing. */
  async down(): Promise<string> {
    // What a scenario added that was cut short is unknown to Compose.
    const added = await this.#all(
      "ps",
      "-a",
      "--format",
      '{{.ID}}{{.Label "com.docker.compose.service"}}',
    );
    const containers = added.filter((it) => /^[0-9a-f]{12}$/.test(it));
    if (containers.length > 0) await this.docker("rm", "--force", ...containers);
    const down = ["down", "--volumes", "--remove-orphans", "--timeout", "5"];
    await this.run("docker", ["compose", "--profile", "spare", ...down]);
    const networks = await this.#all("network", "ls", "-q");
    if (networks.length > 0) await this.docker("network", "rm", ...networks);
    return [...await this.#all("ps", "-aq"), ...await this.#all("volume", "ls", "-q")].join(" ");
  }

  /** The lines of a list of what bears the project's label. */
  async #all(...list: string[]): Promise<string[]> {
    const own = `label=com.docker.compose.project=${this.project}`;
    return (await this.docker(...list, "--filter", own)).split("\n").filter((line) => line !== "");
  }
}

/** Why no containers can be had here, or undefined. */
export async function noEngine(): Promise<string | undefined> {
  const answers = async (...args: string[]) => {
    const command = new Deno.Command("docker", { args, stdout: "null", stderr: "null" });
    return (await command.output()).code === 0;
  };
  try {
    if (!await answers("info")) return "no Docker engine answers";
    return await answers("compose", "version") ? undefined : "no Docker Compose v2";
  } catch {
    return "no docker on PATH";
  }
}
