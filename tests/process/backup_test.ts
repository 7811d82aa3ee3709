/** A server's data folder is copied while it stands, and the copy put back later: an older one. */
import { ok } from "node:assert/strict";
import { Instance } from "./instance.ts";
import { Talk } from "./talk.ts";

function copy(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copy(`${from}/${name}`, `${to}/${name}`);
    else Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

Deno.test("a backup of a server, put back when rounds have gone on, loses and forks nothing", async () => {
  await using it = new Instance("backup");
  await it.start(4);
  const talk = new Talk(it), [, server] = it.servers;
  const { args } = server.command, data = args[args.indexOf("--data") + 1];
  const kept = `${it.site.folder}/backup`;
  talk.speak();
  await talk.over();

  await it.kill(server, "SIGTERM");
  copy(data, kept);
  it.servers[1] = await it.again(server);
  talk.speak();
  await talk.over();
  const before = talk.rounds;

  await it.kill(it.servers[1], "SIGTERM");
  Deno.removeSync(data, { recursive: true });
  copy(kept, data);
  it.servers[1] = await it.again(server);
  talk.speak();
  await talk.judge();
  ok(talk.rounds > before);

  // Its archive is whole again, and verifies as files.
  await it.kill(it.servers[1], "SIGTERM");
  const { stdout, code } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-prompt", "--cached-only", "-P=reader", `--allow-read=${data}`],
      ...["src/reader.ts", "--instance", "dev.testnet", "--archive", `${data}/archive`],
      ...["--verify", "--json"],
    ],
    env: { ...it.site.env },
  }).output();
  ok(code === 0);
  const { verified, to } = JSON.parse(new TextDecoder().decode(stdout));
  ok(verified && to >= before, `verified to round ${to}, ${before} when it was put back`);
});
