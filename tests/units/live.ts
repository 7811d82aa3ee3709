/** The systemd units: `deno task test-units`. Their command lines need no systemd to be tried. */
import { deepEqual, equal, ok } from "node:assert/strict";

const FOLDER = "scripts/systemd", ROLES = ["server", "aggregator", "client"] as const;
/** Of systemd's scale from 0 to 10. */
const MOST_EXPOSED = 2;

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function analyze(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", { args }).output();
  return { code, text: decode(stdout) + decode(stderr) };
}

async function missing(): Promise<string | undefined> {
  try {
    const { text } = await analyze("--version");
    const version = Number(/systemd (\d+)/.exec(text)?.[1] ?? 0);
    return version >= 250 ? undefined : "systemd-analyze is older than 250";
  } catch {
    return "no systemd-analyze on PATH";
  }
}
const skipped = await missing();

for (const role of ROLES) {
  const file = `${FOLDER}/zipnet-${role}@.service`, unit = Deno.readTextFileSync(file);

  Deno.test({
    name: `${role} unit: little is exposed${skipped ? ` (skipped: ${skipped})` : ""}`,
    ignore: skipped !== undefined,
  }, async () => {
    const { text } = await analyze("security", "--offline=true", file);
    const level = Number(/exposure level for .*: ([\d.]+)/.exec(text)?.[1]);
    ok(level <= MOST_EXPOSED, text);
  });

  Deno.test(`${role} unit: the role takes its command line, and may read what it names`, async () => {
    const folder = Deno.makeTempDirSync({ dir: ".testnet", prefix: "unit-" });
    try {
      const [state, credentials] = [`${folder}/state`, `${folder}/credentials`];
      Deno.mkdirSync(credentials);
      for (const name of ["seed", "committee"]) {
        Deno.writeTextFileSync(`${credentials}/${name}`, "0123456789abcdef0123456789abcdef\n");
      }
      const fill = (text: string) =>
        text.replaceAll("%i", "acme.mainnet").replaceAll("%S", state).replaceAll("%d", credentials);
      const lines = (name: string) =>
        [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value]) => fill(value));
      const [program, ...args] = lines("ExecStart")[0].split(" ");
      equal(program, "/usr/local/bin/deno");
      const env: Record<string, string> = {};
      for (const pair of lines("Environment").flatMap((line) => line.split(" "))) {
        const [name, value] = pair.split("=");
        if (name.startsWith("ZIPNET_")) env[name] = value;
      }
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...args, "--check"],
        env: { ...env, ...(role === "server" ? { ZIPNET_ADMISSION: "open" } : {}) },
      }).output();
      equal(code, 0, decode(stderr));
      const shown = JSON.parse(decode(stdout));
      deepEqual([shown.role, shown.instance], [role, "acme.mainnet"]);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}
