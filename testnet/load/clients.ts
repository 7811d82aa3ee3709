/**
 * Many clients in one process, each with an identity, a node and a connection of its own: `COUNT
 * BOOTSTRAP [INSTANCE]`. Lines in: `{"talk": client, "id", "payload"}`, the payload in base64, and
 * `{"usage": true}`. Lines out: `{"joined": clients so far}`, `{"id", "outcome", "ms"}` with
 * `round` and `slot` or `reason`, and `{"usage": {…}}` with the bytes of all its clients.
 */
import { type Network, type Submitter, Zipnet } from "../../src/mod.ts";
import { lines } from "../../src/ops/stdin.ts";
import { systemClock, systemRandom, usage } from "../../src/ops/system.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import { INSTANCE } from "../command.ts";

/** Clients of one process that join at the same time. */
const AT_ONCE = 3;
/** How long one may take to meet the committee while many join, ms. */
const CONNECT_MS = 120_000;

const [count, bootstrap] = [Number(Deno.args[0]), Deno.args[1].split(",")];
const environment = { clock: systemClock, random: systemRandom, observe() {} };
const name = Deno.args[2] ?? INSTANCE;
const universe = universeId(), instance = instanceId(universe, name);
const networks: Network[] = [], submitters: Submitter[] = [];
const say = (value: unknown) => console.log(JSON.stringify(value));

say({ up: true, role: "client", peer: "many", addresses: [] });
let next = 0, joined = 0;
const join = async () => {
  while (next < count) {
    const client = next++;
    const zipnet = Zipnet.bind(undefined, name, {
      bootstrap,
      connectTimeout: CONNECT_MS,
      network(role, secret) {
        const own = { secret, role, listen: [], bootstrap };
        return networks[client] = libp2pNetwork({ environment, universe, instance, ...own });
      },
    });
    submitters[client] = await zipnet.submitter();
    say({ joined: ++joined });
  }
};
void Promise.all(Array.from({ length: AT_ONCE }, join));

function used() {
  const all = networks.flatMap((network) => Object.values(network.counts().traffic));
  const sum = (of: "sent" | "received") => all.reduce((total, it) => total + it[of], 0);
  return { ...usage(), sent: sum("sent"), received: sum("received") };
}

for await (const line of lines()) {
  const { talk, id, payload, usage } = JSON.parse(line);
  if (usage) {
    say({ usage: used() });
    continue;
  }
  const began = performance.now();
  submitters[talk].send(Uint8Array.fromBase64(payload)).outcome.then(({ kind, ...more }) =>
    say({ id, outcome: kind, ...more, ms: Math.round(performance.now() - began) })
  );
}
Deno.exit(0);
