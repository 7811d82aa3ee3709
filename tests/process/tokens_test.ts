/** An instance that asks clients for a token, as processes. */
import { equal, match, ok } from "node:assert/strict";
import { client, INSTANCE } from "../../testnet/command.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import { ec, type Issuer, otherEc, token } from "../ops/issuer.ts";
import { Instance, type Node } from "./instance.ts";

/** A client that shows a token. */
function shows(it: Instance, index: number, claims: Record<string, unknown>, issuer: Issuer = ec) {
  const seed = crypto.getRandomValues(new Uint8Array(32)), sub = hex(signer(seed).key);
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  const jwt = token(issuer, { aud: INSTANCE, sub, exp, ...claims });
  const { env, ...command } = client(it.site, index, [
    ...it.bootstrap,
    ...it.aggregator.addresses!,
  ]);
  const secrets = { ZIPNET_SECRET: hex(seed), ...(jwt ? { ZIPNET_JWT: jwt } : {}) };
  return { jwt, node: it.run({ ...command, env: { ...env, ...secrets } }) };
}

const isReady = (node: Node) => node.lines.some((line) => line.ready === true);

Deno.test("clients with a token take part; without, or with another, they end with exit 4", async (t) => {
  const folder = (index: number) => `.testnet/tokens-${Deno.pid}/server-${index}`;
  await using it = new Instance("tokens", 3, (index) => [
    "--admission=jwt",
    `--jwt-key=${folder(index)}/issuer.pem`,
  ]);
  for (const index of [0, 1, 2]) {
    Deno.mkdirSync(folder(index), { recursive: true, mode: 0o700 });
    Deno.writeTextFileSync(`${folder(index)}/issuer.pem`, ec.pem);
  }
  await it.start(0);
  const good = [0, 1, 2].map((index) => shows(it, index, {}));
  await it.until("three take part", () => good.every(({ node }) => isReady(node)));
  await it.until("three rounds", () => it.readers[0].records.length >= 3);

  const bad: [string, Record<string, unknown>, Issuer?, RegExp?][] = [
    ["another issuer", {}, otherEc, /jwt-signature/],
    ["another instance", { aud: "elsewhere" }, ec, /jwt-audience/],
    ["another client's", { sub: "ab".repeat(32) }, ec, /jwt-subject/],
    ["expired", { exp: 1_700_000_000 }, ec, /jwt-expired/],
  ];
  for (const [i, [name, claims, issuer, code]] of bad.entries()) {
    await t.step(name, async () => {
      const { node } = shows(it, 10 + i, claims, issuer);
      await it.until("its end", () => node.ending !== undefined, node);
      equal(node.ending!.code, 4, node.log);
      match(node.log, /zipnet: Refused: the committee does not admit this client: refused/);
      ok(!/jwt-/.test(node.log), "a client is not told why");
      ok(it.servers.some(({ log }) => code!.test(log)), "the operator is");
    });
  }
  await t.step("no token: it is told what to set", async () => {
    const { env, ...command } = client(it.site, 20, it.bootstrap);
    const node = it.run({ ...command, env });
    await it.until("its end", () => node.ending !== undefined, node);
    equal(node.ending!.code, 4, node.log);
    match(node.log, /it asks for a token; name it in ZIPNET_JWT/);
  });
  const before = it.readers[0].records.length;
  await it.until("rounds go on", () => it.readers[0].records.length >= before + 3);

  await t.step("the issuer changes its key: two rolls, and rounds go on", async () => {
    const roll = async (keys: string) => {
      for (const index of [0, 1, 2]) {
        Deno.writeTextFileSync(`${folder(index)}/issuer.pem`, keys);
        await it.kill(it.servers[index], "SIGTERM");
        it.servers[index] = await it.again(it.servers[index]);
        const seen = it.readers[0].records.length;
        await it.until("rounds go on", () => it.readers[0].records.length > seen + 1);
      }
    };
    await roll(ec.pem + otherEc.pem);
    const next = [30, 31, 32].map((index) => shows(it, index, {}, otherEc));
    await it.until("the new key's clients take part", () =>
      next.every(({ node }) => isReady(node)));
    for (const { node } of good) await it.kill(node, "SIGTERM");
    await roll(otherEc.pem);
    const { node } = shows(it, 40, {}, ec);
    await it.until("the old key admits nobody", () => node.ending !== undefined, node);
    equal(node.ending!.code, 4, node.log);
    ok(next.every(({ node }) => node.ending === undefined));
  });
  for (const { jwt } of good) ok(!it.logs.includes(jwt), "no token in any log");
});
