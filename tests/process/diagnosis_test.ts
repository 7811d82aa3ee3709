/**
 * Roles that do not meet their instance: exit 3, and one line on standard error that says what was
 * looked for, what was seen, and what to do. One server runs, and waits for two more.
 */
import { equal, match, ok } from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { aggregator, client, type Command, INSTANCE, reader } from "../../testnet/command.ts";
import { Instance } from "./instance.ts";

/** An address of this host at which nobody listens. */
function deserted(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `/ip4/127.0.0.1/tcp/${listener.addr.port}`;
}

Deno.test("whoever does not meet its instance is told why: exit 3, one line", async (t) => {
  await using it = new Instance("diagnosis");
  const server = await it.up(it.serverCommand(0));
  it.servers.push(server);
  const quiet = ["--connect-timeout", "3s", "--log", "error"];

  /** What a role says at its end, after what it looked for. */
  const told = async (command: Command, instance = INSTANCE): Promise<string> => {
    const node = it.run({ ...command, args: [...command.args, ...quiet] });
    await it.until(`the end of ${command.name}`, () => node.ending !== undefined, node);
    equal(node.ending!.code, 3, node.log);
    const id = hex(instanceId(universeId(), instance)).slice(0, 16);
    const sought = `zipnet: ConnectTimeout: looked for ${instance} as ${id} in mosaik.universe ` +
      "for 3000 ms; saw ";
    ok(node.log.startsWith(sought), node.log);
    ok(node.log.endsWith("\n"));
    const line = node.log.slice(sought.length, -1);
    ok(!line.includes("\n"), node.log);
    return line;
  };
  const named = (command: Command, instance: string): Command => ({
    ...command,
    args: command.args.map((arg) => arg === INSTANCE ? instance : arg),
  });

  await t.step("no address was given", async () => {
    const line = await told(client(it.site, 0, []));
    match(line, /^0 peers of this universe, 0 of this instance; nearest announced names are not /);
    match(line, /give ZIPNET_BOOTSTRAP an address .* or set ZIPNET_DHT=mainline/);
  });

  await t.step("nobody answers at the address", async () => {
    const address = deserted();
    const line = await told(reader(it.site, 0, [address]));
    match(line, /^0 peers of this universe, 0 of this instance; /);
    ok(
      line.includes(`no peer of mosaik.universe answered at ${address} (connection refused)`),
      line,
    );
    match(line, /check ZIPNET_BOOTSTRAP/);
  });

  await t.step("peers of the universe, none of this instance", async () => {
    const line = await told(named(client(it.site, 0, it.bootstrap), "dev.tostnet"), "dev.tostnet");
    match(line, /^1 peer of this universe, 0 of this instance; /);
    match(
      line,
      /no server or aggregator of dev\.tostnet .*: check the spelling of ZIPNET_INSTANCE/,
    );
  });

  await t.step("peers of the instance, and no committee", async () => {
    for (const role of [client(it.site, 0, it.bootstrap), aggregatorOf(it)]) {
      const line = await told(role);
      match(line, /^1 peer of this universe, 1 of this instance; /);
      match(line, /no committee of it answered: saw 1 server of it, needed 3: /);
    }
  });

  equal(server.ending, undefined, "the server goes on waiting");
});

function aggregatorOf({ site, bootstrap }: Instance): Command {
  return aggregator(site, "ab".repeat(32), bootstrap);
}
