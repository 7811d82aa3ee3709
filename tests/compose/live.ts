/**
 * The Compose network on a real engine: `deno task test-compose`. Needs Docker with Compose v2, and
 * `deno task image-cache` before where the engine has no network.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { SIMULATED_IMAGE } from "../../src/attest/simulated_quote.ts";
import { simulatedMeasurements } from "../../src/attest/simulated_measurements.ts";
import { parseOptions } from "../../src/ops/options.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { oneLog, rehearse } from "../../testnet/faults/scenarios.ts";
import { noEngine, Stack } from "../../testnet/faults/stack.ts";

/** A project of its own, so that nobody's network is taken down. */
const stack = new Stack(`zipnet-test-${Deno.pid}`, "10.213.78");
const CLIENTS = 20, MESSAGES = 20;
/** From an image that is there to all healthy. */
const UP_MS = 60_000;
/** Faults that are rehearsed here; `deno task faults` rehearses all. */
const FAULTS = ["kill", "pause", "partition", "wiped", "aggregator"];

/** A peer, a client's key and an issuer's, as an operator names them. */
const PEER = "/ip4/10.0.0.1/tcp/4400/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const ISSUER = JSON.stringify({
  kty: "OKP",
  crv: "Ed25519",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
});

const skipped = await noEngine();

/** What a command says in a service's container. */
const inside = (service: string, ...command: string[]) =>
  stack.run("docker", ["compose", "exec", "-T", service, ...command]);

Deno.test({
  name: `compose: a network of ${CLIENTS} clients${skipped ? ` (skipped: ${skipped})` : ""}`,
  ignore: skipped !== undefined,
}, async (t) => {
  try {
    await t.step("the file names the measurements of the image of simulated machines", async () => {
      const { services } = JSON.parse(await stack.compose("config", "--format", "json"));
      const { mrTd, rtmr1, rtmr2 } = simulatedMeasurements(SIMULATED_IMAGE);
      const { environment } = services["server-1"];
      deepEqual(
        [environment.ZIPNET_MRTD, environment.ZIPNET_RTMR1, environment.ZIPNET_RTMR2],
        [hex(mrTd), hex(rtmr1), hex(rtmr2)],
      );
    });

    await t.step(
      "the image is built, as the first start builds it",
      async () => void await stack.compose("up", "--no-start", "testnet"),
    );

    await t.step(`all are healthy within ${UP_MS / 1_000} s`, async () => {
      const began = performance.now();
      const scale = ["--scale", `client=${CLIENTS}`];
      await stack.compose("up", "--detach", "--wait", "--no-build", ...scale, "testnet");
      const ms = performance.now() - began;
      ok(ms < UP_MS, `${ms} ms`);
      console.log(`healthy after ${Math.round(ms)} ms`);
      const states = (await stack.compose("ps", "--format", "{{.Service}} {{.Health}}")).trim()
        .split(
          "\n",
        );
      equal(states.filter((line) => line === "client healthy").length, CLIENTS);
      // Three servers, the aggregator, the reader, and who holds a server's disk.
      equal(states.filter((line) => line.endsWith(" healthy")).length, CLIENTS + 6);
    });

    await t.step(`${MESSAGES} messages land`, async () => {
      await stack.until("they land", UP_MS, async () => (await stack.read()).size >= MESSAGES);
    });

    await t.step("the page is published on loopback, and shows the rounds", async () => {
      const port = (await stack.compose("port", "testnet", "8080")).trim();
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
        const id = (await stack.compose("ps", "-q", service)).trim().split("\n")[0];
        const [{ HostConfig: host, Config: config }] = JSON.parse(
          await stack.docker("inspect", id),
        );
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

    await t.step("a server that is stopped ends cleanly", async () => {
      await stack.compose("stop", "server-2");
      const id = (await stack.ids("server-2"))[0];
      equal((await stack.docker("inspect", "-f", "{{.State.ExitCode}}", id)).trim(), "0");
      await stack.compose("up", "--detach", "--wait", "--no-build", "--no-recreate", "server-2");
    });

    await t.step("most clients leave, and the rest go on", async () => {
      const few = ["--scale", "client=5", "client"];
      await stack.compose("up", "--detach", "--no-build", "--no-recreate", ...few);
      equal((await stack.ids("client")).length, 5);
    });

    for (const fault of FAULTS) {
      await t.step(`fault: ${fault}`, async () => {
        await rehearse(stack, fault);
      });
    }

    await t.step("all servers hold one log", async () => {
      const { rounds, messages } = await oneLog(stack);
      ok(rounds > 0 && messages >= MESSAGES + 6 * FAULTS.length, `${rounds} rounds, ${messages}`);
    });
  } finally {
    equal(await stack.down(), "", "left behind");
  }
});

Deno.test({
  name: `compose: production asks for what it needs${skipped ? ` (skipped: ${skipped})` : ""}`,
  ignore: skipped !== undefined,
}, async () => {
  const given: Record<string, string> = {
    ZIPNET_INSTANCE: "acme.mainnet",
    ZIPNET_BOOTSTRAP: PEER,
    ZIPNET_MRTD: "aa".repeat(48),
    ZIPNET_RTMR1: "bb".repeat(48),
    ZIPNET_RTMR2: "cc".repeat(48),
    ZIPNET_COLLATERAL: "https://pccs.example/sgx/certification/v4/",
    ZIPNET_ANNOUNCE: "/dns4/server.example/tcp/4400",
    ZIPNET_ADMISSION: "open",
  };
  const config = async (env: Record<string, string>) => {
    const { code, stdout, stderr } = await new Deno.Command("docker", {
      args: ["compose", "-f", "compose/production.yaml", "config", "--format", "json"],
      env,
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, out: text(stdout), err: text(stderr) };
  };
  for (const name of Object.keys(given)) {
    const { [name]: _, ...others } = given;
    const { code, err } = await config(others);
    ok(code !== 0, name);
    match(err, new RegExp(`required variable ${name} is missing a value: .{10,}`));
  }

  /** What a role makes of the environment that Compose gives it. */
  const options = async <R extends "server" | "aggregator" | "reader">(
    role: R,
    more: Record<string, string> = {},
  ) => {
    const { code, out, err } = await config({
      ...given,
      ZIPNET_COMMITTEE: "ab".repeat(32),
      ...more,
    });
    equal(code, 0, err);
    const { environment, cpus, mem_limit } = JSON.parse(out).services[role];
    ok(cpus > 0 && mem_limit > 0, role);
    const set = Object.entries(environment).filter(([, value]) => value !== null);
    const made = parseOptions(
      role,
      [],
      Object.fromEntries(set) as Record<string, string>,
      (path) => {
        match(path, /^\/run\/secrets\//);
        const files: Record<string, string> = { clients: KEY, issuer: ISSUER };
        return files[path.split("/").at(-1)!] ?? path.padEnd(64, "0");
      },
    );
    ok(!("help" in made));
    return made;
  };
  equal((await options("server")).attestation.evidence, "tdx");
  for (const role of ["aggregator", "reader"] as const) ok((await options(role)).committee, role);
  const clients = { ZIPNET_CLIENTS: "/run/secrets/policy/clients" };
  const issuer = { ZIPNET_JWT_KEY: "/run/secrets/policy/issuer" };
  const { admission } = await options("server", {
    ...{ ...clients, ...issuer, ZIPNET_ADMISSION: "list,jwt,attested" },
    ZIPNET_CLIENT_MRTD: "dd".repeat(48),
  });
  ok(admission.list && admission.jwt && admission.attested);
  const other = { ZIPNET_COMMITTEE_SECRET_OTHER_FILE: "/run/secrets/policy/other" };
  equal((await options("server", other)).committeeSecrets.length, 2);
});
