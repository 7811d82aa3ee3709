/** What each role may touch, by trying everything else under its set in deno.json. */
import { deepEqual, equal } from "node:assert/strict";

/** What is granted beyond the network and `ZIPNET_*`. */
const GRANTED: Record<string, readonly string[]> = {
  server: [
    ...["read /run/secrets", "read data", "write data", "sys networkInterfaces"],
    ...["read /run/zipnet-tsm", "write /run/zipnet-tsm"],
  ],
  aggregator: ["read /run/secrets", "sys networkInterfaces"],
  client: ["read /run/secrets", "read /run/zipnet-tsm", "write /run/zipnet-tsm"],
  reader: ["read /run/secrets", "read data", "write data", "sys networkInterfaces"],
};
const ALWAYS = ["net 127.0.0.1"];

/** Runs the probe under these flags; what came of each attempt. */
async function probe(...flags: string[]): Promise<Record<string, string>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-prompt", ...flags, "tests/process/permission_probe.ts"],
    env: { ZIPNET_PROBE: "ours", OTHER: "not ours" },
    stdin: "null",
  }).output();
  equal(success, true, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** What came of everything that is not granted, as it should be. */
function refusals(names: readonly string[]): [string, string][] {
  return names.map((name) => {
    if (name === "env all") return [name, "value "];
    if (name.startsWith("env ")) return [name, "ok"];
    return [name, name.startsWith("request ") ? "denied" : "NotCapable"];
  });
}

for (const [role, granted] of Object.entries(GRANTED)) {
  for (const narrowed of [false, true]) {
    const title = narrowed ? `${role}, its network narrowed` : role;
    Deno.test(`${title}: it has what it needs, and all else is refused`, async () => {
      const results = await probe(`-P=${role}`, ...(narrowed ? ["--allow-net=127.0.0.1"] : []));
      const may = [...granted, ...ALWAYS, ...(narrowed ? [] : ["net elsewhere"])];
      equal(results["env ZIPNET_PROBE"], "value ours");
      deepEqual(may.map((name) => [name, results[name]]), may.map((name) => [name, "ok"]));
      const others = Object.keys(results)
        .filter((name) => !may.includes(name) && name !== "env ZIPNET_PROBE");
      deepEqual(others.map((name) => [name, results[name]]), refusals(others));
    });
  }
}

for (const [tool, granted] of [["mrtd", []], ["quote", ["read data"]]] as const) {
  Deno.test(`${tool}, a tool: it touches no more than the files that it may read`, async () => {
    const results = Object.entries(await probe(`-P=${tool}`));
    const may = results.filter(([, came]) => came === "ok" || came.startsWith("value "));
    deepEqual(may.map(([name]) => name), granted);
  });
}

Deno.test("the probe finds what is granted too much", async () => {
  const results = await probe("--allow-read", "--allow-env", "--allow-sys=hostname");
  equal(results["read /etc/passwd"], "ok");
  equal(results["read data/../deno.json"], "ok");
  equal(results["env OTHER"], "value not ours");
  equal(results["sys hostname"], "ok");
  equal(results["run"], "NotCapable");
});
