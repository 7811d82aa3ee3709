/**
 * A network of the test's own, in Linux network namespaces: two switches joined by one link, which
 * can be taken down, and hosts at each. Everything is inside namespaces named `zipnet-PID-…`, so
 * that nothing of it meets the machine's own network or another run's.
 *
 * ```
 * 10.77.0.1 ──┐                         ┌── 10.77.0.4
 * 10.77.0.2 ──┤ switch 0 ──link── switch 1 ┤
 * 10.77.0.3 ──┘                         └── 10.77.0.5
 * ```
 *
 * Needs all permissions, root and `ip` (Debian: iproute2). As a program it prints why it cannot
 * make a network here, or nothing; with `down PID` it removes what that process left.
 */

const PREFIX = "zipnet";

/** All hosts of a network. */
export const SUBNET = "10.77.0.0/24";

/** A running network. */
export class Netns implements Disposable {
  readonly #name = `${PREFIX}-${Deno.pid}`;

  /** `sides` has the number of hosts at each switch. Hosts are numbered from 0 over both. */
  constructor(sides: readonly [number, number]) {
    for (const pid of leftBehind()) down(pid);
    try {
      const switches = [this.#switch(0), this.#switch(1)];
      for (const name of switches) {
        ip("netns", "add", name);
        inside(name, ["link add bridge type bridge", "link set bridge up"]);
      }
      inside(switches[0], [
        `link add trunk type veth peer name trunk netns ${switches[1]}`,
        "link set trunk master bridge",
        "link set trunk up",
      ]);
      inside(switches[1], ["link set trunk master bridge", "link set trunk up"]);
      let host = 0;
      sides.forEach((count, side) => {
        for (let i = 0; i < count; i++, host++) this.#plug(host, switches[side]);
      });
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** The IPv4 address of a host. */
  address(host: number): string {
    return `10.77.0.${host + 1}`;
  }

  /** The program and arguments that run a program on a host, in the same process. */
  on(host: number, program: string, args: readonly string[]): [string, string[]] {
    return ["ip", ["netns", "exec", this.#host(host), program, ...args]];
  }

  /** Takes the link down: each side goes on alone, and what crosses is lost without a word. */
  cut(): void {
    inside(this.#switch(0), ["link set trunk down"]);
  }

  /** Takes the link up again. */
  heal(): void {
    inside(this.#switch(0), ["link set trunk up"]);
  }

  /** Removes all of it. */
  [Symbol.dispose](): void {
    down(Deno.pid);
  }

  #plug(host: number, to: string): void {
    const name = this.#host(host);
    ip("netns", "add", name);
    inside(name, [
      `link add eth0 type veth peer name host${host} netns ${to}`,
      `addr add ${this.address(host)}/24 dev eth0`,
      "link set eth0 up",
      "link set lo up",
    ]);
    inside(to, [`link set host${host} master bridge`, `link set host${host} up`]);
  }

  #switch(side: number): string {
    return `${this.#name}-switch${side}`;
  }

  #host(host: number): string {
    return `${this.#name}-host${host}`;
  }
}

/** Removes the network that a process made; without one, does nothing. */
export function down(pid: number): void {
  for (const name of names()) {
    if (name.startsWith(`${PREFIX}-${pid}-`)) ip("netns", "del", name);
  }
}

/** What follows a test's name where a network cannot be made; empty where it can. */
export async function whyNoNetns(): Promise<string> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--no-prompt", "tests/process/netns.ts"],
  }).output();
  const why = success ? new TextDecoder().decode(stdout).trim() : "the look at it failed";
  return why && ` (skipped: ${why})`;
}

/** Processes that made a network and are gone. */
function leftBehind(): number[] {
  const pids = names().map((name) => Number(name.match(`^${PREFIX}-(\\d+)-`)?.[1] ?? NaN));
  return [...new Set(pids)].filter((pid) => pid > 0 && !exists(`/proc/${pid}`));
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function names(): string[] {
  return ip("netns", "list").split("\n").map((line) => line.split(" ")[0]);
}

/** Runs commands of `ip` in a namespace; the first that fails ends it. */
function inside(name: string, commands: readonly string[]): void {
  for (const command of commands) ip("-n", name, ...command.split(" "));
}

function ip(...args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command("ip", { args }).outputSync();
  if (!success) throw new Error(`ip ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}

function why(): string {
  if (Deno.build.os !== "linux") return "network namespaces are Linux's";
  if (Deno.uid() !== 0) return "network namespaces need root";
  try {
    using _ = new Netns([1, 1]);
    return "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no ip on PATH; Debian has it as iproute2";
    return "no network can be made here";
  }
}

if (import.meta.main) {
  if (Deno.args[0] === "down") down(Number(Deno.args[1]));
  else console.log(why());
}
