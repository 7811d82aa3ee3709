/** `deno task doctor`: what it says of nodes that are well, and of those that are not. */
import { equal, match, ok } from "node:assert/strict";
import { Instance, type Node } from "./instance.ts";

/** Runs the doctor with its own permissions, and what it may read beyond them. */
async function doctor(
  args: readonly string[],
  env: Record<string, string> = {},
  folder?: string,
): Promise<{ code: number; lines: string[]; error: string }> {
  const allowed = folder ? [`--allow-read=${folder}`, `--allow-write=${folder}`] : [];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-prompt", "-P=doctor", ...allowed, "scripts/doctor.ts", ...args],
    env,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, lines: text(stdout).split("\n"), error: text(stderr) };
}

const marked = (lines: readonly string[], mark: string) =>
  lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(6));
const finds = (lines: readonly string[], mark: string, what: RegExp) =>
  ok(marked(lines, mark).some((line) => what.test(line)), `${mark} ${what}\n${lines.join("\n")}`);

/** Where a process serves its metrics, as a URL. */
const at = (node: Node) => `http://${node.metrics}`;

Deno.test("doctor: a network that is well, and one that is not", async (t) => {
  await using it = new Instance("doctor", 3, () => [], undefined, true);
  (it.site.env as Record<string, string>).ZIPNET_METRICS = "127.0.0.1:0";
  await it.start(3);
  const [server] = it.servers, { folder } = it.site;
  /** The options and variables that a node runs with, as the doctor takes them. */
  const own = ({ command: { args, env } }: Node) => {
    const script = args.findIndex((arg) => /^src\/\w+\.ts$/.test(arg));
    const ZIPNET = Object.entries(env).filter(([name]) =>
      name.startsWith("ZIPNET_") && name !== "ZIPNET_METRICS"
    );
    return {
      args: args.slice(script + 1).filter((arg) => arg !== "--stop-with-stdin"),
      env: Object.fromEntries(ZIPNET),
    };
  };
  const boot = ["--bootstrap", it.bootstrap.join(",")];

  await t.step("a server that runs", async () => {
    const { args, env } = own(it.servers[1]);
    const node = ["--node", at(it.servers[1])];
    const { code, lines } = await doctor(["server", ...args, ...node], env, folder);
    equal(code, 0, lines.join("\n"));
    equal(marked(lines, "WRONG").length, 0);
    for (
      const what of [
        /^options {9}server of dev\.testnet$/,
        /^committee {7}[0-9a-f]{64}, epoch 0$/,
        /^quote .*makes quotes/,
        /^collateral .*good for (29|30)\.\d days/,
        /^instance .*3 servers, epoch 0/,
        /^aggregator .*1 known/,
        /^rounds .*round \d+ was certified just now/,
        /^clock /,
        /^node .*it does its work/,
        /^bonds .*to all 2 other servers/,
        /^ticket here .*good for/,
        /^rounds here .*\d+ to \d+ in 3 s/,
      ]
    ) finds(lines, "ok", what);
    equal(lines.filter((line) => /^ok +server +[0-9a-f]{16} is reached/.test(line)).length, 3);
  });

  await t.step("what is wrong with files and ports", async () => {
    const { args, env } = own(server), data = args[args.indexOf("--data") + 1];
    const port = /\/tcp\/(\d+)/.exec(it.bootstrap[0])![1];
    const listen = args.with(args.indexOf("--listen") + 1, `/ip4/127.0.0.1/tcp/${port}`);
    Deno.writeTextFileSync(`${folder}/loose`, "0123456789abcdef0123", { mode: 0o644 });
    Deno.chmodSync(`${folder}/loose`, 0o644);
    Deno.chmodSync(data, 0o755);
    const { ZIPNET_COMMITTEE_SECRET: _, ...others } = env;
    const loose = ["--committee-secret-file", `${folder}/loose`];
    const { code, lines } = await doctor(
      ["server", ...listen, ...loose, "--offline"],
      others,
      folder,
    );
    Deno.chmodSync(data, 0o700);
    equal(code, 1);
    finds(lines, "WRONG", /^secret .*loose may be read by others \(644\); chmod 600/);
    finds(lines, "WRONG", /^data .*may be read by others; chmod 700/);
    finds(lines, "WRONG", /^port .*cannot be listened at; another process has it/);
    match(lines.at(-1)!, /^\d+ well, \d+ doubtful, 3 wrong$/);
  });

  await t.step(
    "an instance that is not there, or another than the one that is pinned",
    async () => {
      const wrong = await doctor(["reader", "--instance", "dev.tesnet", "--ephemeral", ...boot]);
      equal(wrong.code, 1);
      finds(wrong.lines, "WRONG", /^instance .*looked for dev\.tesnet/);
      const pinned = ["--committee", "ab".repeat(32)];
      const other = await doctor([
        ...["aggregator", "--instance", "dev.testnet", "--preset", "dev", "--listen"],
        ...["/ip4/127.0.0.1/tcp/0", ...boot, ...pinned],
      ]);
      equal(other.code, 1);
      finds(other.lines, "WRONG", /^instance .*abab/);
    },
  );

  await t.step("a server that is missing, as seen from outside and from another", async () => {
    await it.kill(it.servers[2]);
    await it.until("it is missed", () => server.log.includes('"event":"server away"'));
    const { args, env } = own(server);
    const { code, lines } = await doctor(
      ["server", ...args, ...boot, "--node", at(server)],
      env,
      folder,
    );
    equal(code, 1);
    finds(lines, "WRONG", /^server .*is not reached/);
    finds(lines, "WRONG", /^bonds .*to 1 of 2 other servers/);
    finds(lines, "WRONG", /^rounds .*no round in 10 s/);
  });

  await t.step("posture: what an operator would regret", async () => {
    const { args, env } = own(server);
    const { code, lines } = await doctor(
      ["server", ...args, "--offline", "--posture", "--node", "http://127.0.0.1:1"],
      env,
      folder,
    );
    equal(code, 1);
    finds(lines, "WRONG", /^posture .*ZIPNET_COMMITTEE_SECRET.* stands? in the environment/);
    finds(lines, "WRONG", /^posture .*is the anchor: a development root/);
    finds(lines, "WRONG", /^posture .*preset dev is for trials/);
    finds(lines, "ok", /^posture .*measurements of the servers are named/);
    finds(lines, "WRONG", /^node .*does not answer/);
    const secret = Object.values(env).filter((value) => /^[0-9a-f]{64}$/.test(value));
    ok(secret.length >= 2);
    for (const line of lines) for (const value of secret) ok(!line.includes(value));
  });
});

Deno.test("doctor: what does not fit is one line and exit code 2", async () => {
  for (
    const [args, says] of [
      [["serer"], /^doctor: expected a role first/],
      [["server", "--instance", "acme"], /^doctor: .*COMMITTEE_SECRET.* is required/],
      [["reader", "--instance", "acme", "--node", "127.0.0.1"], /^doctor: --node: expected a URL/],
      [["reader", "--instance", "acme", "--node"], /^doctor: --node: expected a value/],
      [["reader", "--instanse", "acme"], /^doctor: .*--instance/],
    ] as const
  ) {
    const { code, error } = await doctor(args);
    equal(code, 2, error);
    equal(error.split("\n").length, 1);
    match(error, says);
  }
});
