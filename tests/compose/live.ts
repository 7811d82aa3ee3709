/**
 * The Compose network on a real engine: `deno task test-compose`. Needs Docker with Compose v2, and
 * `deno task image-cache` before where the engine has no network.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { SIMULATED_IMAGE } from "../../src/attest/simulated_quote.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import { hex } from "../../src/protocol/bytes.ts";

/** A project of its own, so that nobody's network is taken down. */
const PROJECT = `zipnet-test-${Deno.pid}`, CLIENTS = 20, MESSAGES = 20;
/** From an image that is there to all healthy. */
const UP_MS = 60_000;

const APART = {
  COMPOSE_PROJECT_NAME: PROJECT,
  ZIPNET_SUBNET: "10.213.78",
  ZIPNET_PAGE_PORT: "0",
};

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<Ran> {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    env: { ...APART, ...env },
  }).output();
  return { code, out: text(stdout), err: text(stderr) };
}

const docker = (...args: string[]) => run("docker", args);
async function compose(...args: string[]): Promise<string> {
  const { code, out, err } = await docker("compose", ...args);
  equal(code, 0, `docker compose ${args.join(" ")}\n${err}${out}`);
  return out;
}

async function engine(): Promise<string | undefined> {
  try {
    const { code } = await docker("info");
    if (code !== 0) return "no Docker engine answers";
    return (await docker("compose", "version")).code === 0 ? undefined : "no Docker Compose v2";
  } catch {
    return "no docker on PATH";
  }
}

const skipped = await engine();

/** Messages that the reader printed, as `round/slot text`. */
async function landed(): Promise<string[]> {
  const id = (await compose("ps", "-q", "testnet")).trim();
  return (await docker("logs", id)).out.split("\n").filter((line) => /^\d+\/\d+ /.test(line));
}

/** What a command says in a service's container. */
async function inside(service: string, ...command: string[]): Promise<Ran> {
  return await docker("compose", "exec", "-T", service, ...command);
}

Deno.test({
  name: `compose: a network of ${CLIENTS} clients${skipped ? ` (skipped: ${skipped})` : ""}`,
  ignore: skipped !== undefined,
}, async (t) => {
  try {
    await t.step("the file names the measurements of the image of simulated machines", async () => {
      const { services } = JSON.parse(await compose("config", "--format", "json"));
      const { mrTd, rtmr1, rtmr2 } = simulatedMeasurements(SIMULATED_IMAGE);
      const { environment } = services["server-1"];
      deepEqual(
        [environment.ZIPNET_MRTD, environment.ZIPNET_RTMR1, environment.ZIPNET_RTMR2],
        [hex(mrTd), hex(rtmr1), hex(rtmr2)],
      );
    });

    await t.step("the image is built", async () => void await compose("build", "--quiet", "setup"));

    await t.step(`all are healthy within ${UP_MS / 1_000} s`, async () => {
      const began = performance.now();
      const scale = ["--scale", `client=${CLIENTS}`];
      await compose("up", "--detach", "--wait", "--no-build", ...scale, "testnet");
      const ms = performance.now() - began;
      ok(ms < UP_MS, `${ms} ms`);
      console.log(`healthy after ${Math.round(ms)} ms`);
      const states = (await compose("ps", "--format", "{{.Service}} {{.Health}}")).trim().split(
        "\n",
      );
      equal(states.filter((line) => line === "client healthy").length, CLIENTS);
      equal(states.filter((line) => line.endsWith(" healthy")).length, CLIENTS + 5);
    });

    await t.step(`${MESSAGES} messages land`, async () => {
      const until = performance.now() + UP_MS;
      let found: string[] = [];
      while (found.length < MESSAGES && performance.now() < until) found = await landed();
      ok(found.length >= MESSAGES, `${found.length} messages`);
    });

    await t.step("the page is published on loopback, and shows the rounds", async () => {
      const port = (await compose("port", "testnet", "8080")).trim();
      match(port, /^127\.0\.0\.1:\d+$/);
      const response = await fetch(`http://${port}/events`);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (!text.includes("event: round")) text += (await reader.read()).value;
      match(text, /"signatures":3,"servers":3/);
      await reader.cancel();
    });

    await t.step("a container can write nothing but its data, and has no rights", async () => {
      for (const service of ["server-1", "aggregator", "client", "testnet"]) {
        const id = (await compose("ps", "-q", service)).trim().split("\n")[0];
        const { out } = await docker("inspect", id);
        const [{ HostConfig: host, Config: config }] = JSON.parse(out);
        equal(host.ReadonlyRootfs, true);
        deepEqual(host.CapDrop, ["ALL"]);
        ok(host.SecurityOpt.includes("no-new-privileges:true"));
        equal(config.User, "deno");
        ok(host.Memory > 0);
        ok((await inside(service, "touch", "/zipnet/src/x")).code !== 0);
      }
    });

    await t.step("no container sees another's secrets, and nobody the root's", async () => {
      const files = async (service: string) =>
        (await inside(service, "ls", "/run/secrets")).out.trim().split(/\s+/).sort();
      deepEqual(await files("server-1"), ["committee", "platform", "root.der", "seed"]);
      deepEqual(await files("aggregator"), ["root.der", "seed"]);
      deepEqual(await files("client"), ["platform", "root.der"]);
      deepEqual(await files("testnet"), ["root.der"]);
      const seeds = new Set<string>();
      for (const service of ["server-1", "server-2", "server-3", "aggregator"]) {
        seeds.add((await inside(service, "cat", "/run/secrets/seed")).out);
      }
      equal(seeds.size, 4);
    });

    await t.step("nothing reaches out of the network", async () => {
      const dial = await inside("client", "bash", "-c", "exec 3<>/dev/tcp/192.0.2.1/80");
      ok(dial.code !== 0);
      match(dial.err, /unreachable/i);
    });

    await t.step("a server that is stopped ends cleanly; started again, rounds go on", async () => {
      await compose("stop", "server-2");
      const id = (await compose("ps", "-aq", "server-2")).trim();
      equal((await docker("inspect", "-f", "{{.State.ExitCode}}", id)).out.trim(), "0");
      await compose("up", "--detach", "--wait", "--no-build", "--no-recreate", "server-2");
      const before = (await landed()).length, until = performance.now() + UP_MS;
      while ((await landed()).length <= before && performance.now() < until);
      ok((await landed()).length > before, "messages land again");
    });
  } finally {
    await compose("down", "--volumes", "--timeout", "5");
    const own = ["--filter", `label=com.docker.compose.project=${PROJECT}`];
    for (const what of [["ps", "-aq"], ["volume", "ls", "-q"], ["network", "ls", "-q"]]) {
      equal((await docker(...what, ...own)).out, "", `left behind: ${what.join(" ")}`);
    }
  }
});

Deno.test({
  name: `compose: production asks for what it needs${skipped ? ` (skipped: ${skipped})` : ""}`,
  ignore: skipped !== undefined,
}, async () => {
  const config = (env: Record<string, string>) =>
    run("docker", ["compose", "-f", "compose/production.yaml", "config"], env);
  const names = ["INSTANCE", "BOOTSTRAP", "MRTD", "RTMR1", "RTMR2", "COLLATERAL", "ANNOUNCE"];
  const all = Object.fromEntries([...names, "ADMISSION"].map((name) => [`ZIPNET_${name}`, "x"]));
  equal((await config(all)).code, 0);
  for (const name of Object.keys(all)) {
    const { [name]: _, ...others } = all;
    const { code, err } = await config(others);
    ok(code !== 0, name);
    match(err, new RegExp(`required variable ${name} is missing a value: .{10,}`));
  }
});
