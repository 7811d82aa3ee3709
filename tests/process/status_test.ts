/** `deno task status`: one page of an instance, with a server and without. */
import { equal, match, ok } from "node:assert/strict";
import { Instance } from "./instance.ts";

async function status(
  bootstrap: readonly string[],
  instance = "dev.testnet",
  env: Record<string, string> = {},
) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-prompt", "-P=status", "--allow-net=127.0.0.1", "scripts/status.ts"],
      ...["--instance", instance, "--bootstrap", bootstrap.join(","), "--connect-timeout", "3s"],
    ],
    env,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, page: text(stdout), error: text(stderr) };
}

/** What stands behind a name. */
const row = (page: string, name: string) =>
  page.split("\n").find((line) => line.startsWith(`${name} `))?.slice(14);

Deno.test("status: an instance at a glance, and one that is not there", async () => {
  await using it = new Instance("status");
  await it.start(4);
  const well = await status(it.bootstrap);
  equal(well.code, 0, well.error);
  match(well.page, /^dev\.testnet\n/);
  match(row(well.page, "committee")!, /^[0-9a-f]{64}, epoch 0$/);
  equal(row(well.page, "servers")!.match(/here/g)!.length, 3);
  equal(row(well.page, "aggregators"), "1");
  match(row(well.page, "round")!, /^\d+, \d+\.\d s ago, one in \d+ ms$/);
  match(row(well.page, "participants")!, /^4 of 4 \(4 at least, 3 needed\)$/);
  const head = row(well.page, "head")!, round = Number(row(well.page, "round")!.split(",")[0]);
  const [reader] = it.readers;
  await it.until("the reader has it", () => reader.records.some((it) => it.round >= round));
  ok(reader.records.some(({ round: its, hash }) => its === round && hash === head));

  // As beside a reader that is a service; and a server that is away is said to be.
  await it.kill(it.servers[2]);
  const service = { ZIPNET_DATA: "/var/lib/zipnet", ZIPNET_LOG: "warn", ZIPNET_JSON: "true" };
  const without = await status(it.bootstrap, "dev.testnet", service);
  equal(without.code, 0, without.error);
  const servers = row(without.page, "servers")!;
  equal(servers.match(/here/g)!.length, 2, without.page);
  match(servers, new RegExp(`${it.keys[2].slice(0, 8)} missing`));

  const typo = await status(it.bootstrap, "dev.tesnet");
  equal(typo.code, 3);
  match(typo.error, /^zipnet: ConnectTimeout: looked for dev\.tesnet/);
});
