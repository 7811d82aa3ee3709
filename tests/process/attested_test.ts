/** An attested instance as processes: who is let in, who is not, and who is put out again. */
import { equal, match, ok } from "node:assert/strict";
import { client, reader, server } from "../../testnet/command.ts";
import { expects, Platforms } from "../../testnet/platforms.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import { Instance, type Node } from "./instance.ts";

const isReady = (node: Node) => node.lines.some((line) => line.ready === true);
const secret = () => hex(crypto.getRandomValues(new Uint8Array(32)));

Deno.test("attested servers and clients as processes", async (t) => {
  await using it = new Instance("attested", 3, () => [], undefined, true);
  await it.start(4);
  const [log] = it.readers, { platforms } = it.site;
  const known = [...it.bootstrap, ...it.aggregator.addresses!];
  const goesOn = async (participants: number) => {
    const before = log.records.length;
    await it.until(`rounds of ${participants}`, () =>
      log.records.slice(before).filter((it) => it.participants === participants).length >= 3);
  };
  /** A client that ends by itself, with other arguments. */
  const ends = async (index: number, args: (all: readonly string[]) => readonly string[]) => {
    const command = client(it.site, index, known);
    const node = it.run({ ...command, args: args(command.args) });
    await it.until("its end", () => node.ending !== undefined, node);
    return node;
  };
  await t.step("all take part", () => goesOn(4));

  await t.step("a client of another image is refused, and told no more than that", async () => {
    platforms!.machine("client 10", "another image");
    const node = await ends(10, (args) => args);
    equal(node.ending!.code, 4, node.log);
    match(node.log, /zipnet: Refused: the committee does not admit this client: refused\n/);
    ok(!node.log.includes("mrtd:"), "a client is not told why");
    await it.until("each operator is told", () =>
      it.servers.some(({ log }) => /"event":"client refused".*"reason":"mrtd: /.test(log)));
  });

  await t.step("a client that shows nothing is told what to set", async () => {
    const node = await ends(11, (args) => args.with(args.indexOf("simulated"), "none"));
    equal(node.ending!.code, 4, node.log);
    match(node.log, /it asks for an attested ticket; name where quotes come from/);
  });

  await t.step("a client that expects other measurements ends, and names the server", async () => {
    const other = expects("servers", "another image");
    const node = await ends(
      12,
      (args) => [
        ...drop(
          args,
          other.filter((it) => it.startsWith("--")),
        ),
        ...other,
        "--connect-timeout=3s",
      ],
    );
    equal(node.ending!.code, 4, node.log);
    match(node.log, /zipnet: Attestation: server [0-9a-f]{16} is not attested: mrtd: /);
  });

  await t.step(
    "a production client and a production reader refuse a development instance",
    async () => {
      for (const command of [client(it.site, 13, known), reader(it.site, 13, known)]) {
        const args = drop(command.args, ["--attestation", "--platform", "--anchor"]);
        const node = it.run({ ...command, args: [...args, "--connect-timeout=5s"] });
        await it.until("its end", () => node.ending !== undefined, node);
        equal(node.ending!.code, 4, node.log);
        match(
          node.log,
          /zipnet: Attestation: .* under the anchor [0-9a-f]{64}, expected 44a0196b.*Intel's/,
        );
      }
    },
  );

  await t.step("a quote under another root is refused", async () => {
    const other = new Platforms(`${it.site.folder}/elsewhere`), machine = other.machine("x");
    const node = await ends(14, (args) => {
      const at = args.indexOf("--platform") + 1,
        read = args.findIndex((a) => a.startsWith("--allow-read="));
      return args.with(at, machine).with(read, `${args[read]},${machine}`);
    });
    equal(node.ending!.code, 4, node.log);
    await it.until("the operator is told", () =>
      it.servers.some(({ log }) => /"reason":"pck-root: /.test(log)));
  });

  await t.step(
    "a server without TDX cannot join: its operator and the others are told why",
    async () => {
      const seed = secret(), key = hex(signer(Uint8Array.fromHex(seed)).key);
      const command = server(it.site, 9, 3, seed, it.bootstrap);
      const missing = `${it.site.folder}/no-such-item`;
      const args = command.args.with(command.args.indexOf("--platform") + 1, missing);
      const node = await it.up({ ...command, args });
      await it.until("its operator is told", () => /"event":"no quote"/.test(node.log), node);
      await it.until("the others are told", () =>
        it.servers.some(({ log }) =>
          log.includes(key) && /it is not attested: no ticket/.test(log)
        ));
      node.child.kill("SIGKILL");
      await it.until("its end", () => node.ending !== undefined, node);
    },
  );

  await t.step("a production server lets no simulated one near, and says why", async () => {
    const { args, ...command } = server(it.site, 8, 3, secret(), it.bootstrap);
    const real = drop(args, ["--platform", "--anchor"]);
    const tdx = real.with(real.indexOf("simulated"), "tdx");
    const node = await it.up({ ...command, args: [...tdx, "--platform", it.site.folder] });
    await it.until("its operator is told", () =>
      /"event":"server refused"[^\n]*collateral-missing/.test(node.log));
    await goesOn(4);
    ok(!/"event":"committee/.test(node.log));
    node.child.kill("SIGKILL");
    await it.until("its end", () => node.ending !== undefined, node);
  });

  await t.step("a server with another policy is no member: exit 4, and both ids", async () => {
    it.servers[1].child.kill("SIGKILL");
    await it.until("its end", () => it.servers[1].ending !== undefined, it.servers[1]);
    const { code, line } = await it.ends(
      it.serverCommand(1),
      (args) => [...args, "--tcb=UpToDate"],
    );
    equal(code, 4);
    match(line, /Refused: .*policy [0-9a-f]+ there, [0-9a-f]+ here/);
    it.servers[1] = await it.up(it.serverCommand(1));
    await goesOn(4);
  });

  await t.step("a server that is killed comes back with another ticket", async () => {
    it.servers[1].child.kill("SIGKILL");
    await it.until("its end", () => it.servers[1].ending !== undefined, it.servers[1]);
    it.servers[1] = await it.up(it.serverCommand(1));
    await goesOn(4);
  });

  await t.step(
    "a client that is revoked loses its place at every server, once one of them knows",
    async () => {
      const collateral = platforms!.revoke(platforms!.machine("client 2"));
      Deno.copyFileSync(collateral, `${platforms!.machine("server 2")}/collateral.json`);
      it.servers[2].child.kill("SIGKILL");
      await it.until("its end", () => it.servers[2].ending !== undefined, it.servers[2]);
      it.servers[2] = await it.up(it.serverCommand(2));
      await goesOn(3);
      ok(it.servers.some(({ log }) => /"event":"client evicted".*"code":"pck-revoked"/.test(log)));
      await it.until("the client ends", () => it.clients[2].ending !== undefined, it.clients[2]);
      equal(it.clients[2].ending!.code, 4);
      ok(it.clients.every((node, i) => i === 2 || isReady(node)));
    },
  );
});

/** Arguments without some options and their values. */
function drop(args: readonly string[], names: readonly string[]): string[] {
  return args.filter((arg, i) => !names.includes(arg) && !names.includes(args[i - 1] ?? ""));
}
