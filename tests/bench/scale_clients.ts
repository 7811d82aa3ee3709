/**
 * Many clients in one process, each with an identity, a node and a connection of its own, as the
 * benches start it: `COUNT BOOTSTRAP [INSTANCE]`. Lines in: `{"talk": client, "id", "payload"}`, the
 * payload in base64. Lines out: `{"joined": clients so far}`, `{"id", "outcome", "round"}`.
 */
import { type Submitter, Zipnet } from "../../src/mod.ts";
import { lines } from "../../src/ops/stdin.ts";
import { INSTANCE } from "../../testnet/command.ts";

/** Clients of one process that join at the same time. */
const AT_ONCE = 3;

const [count, bootstrap] = [Number(Deno.args[0]), Deno.args[1].split(",")];
const instance = Deno.args[2] ?? INSTANCE;
const submitters: Submitter[] = [];
const say = (value: unknown) => console.log(JSON.stringify(value));

say({ up: true, role: "client", peer: "many", addresses: [] });
let next = 0;
const join = async () => {
  while (next < count) {
    const client = next++;
    const zipnet = Zipnet.bind(undefined, instance, { bootstrap, connectTimeout: 120_000 });
    submitters[client] = await zipnet.submitter();
    say({ joined: submitters.filter(Boolean).length });
  }
};
void Promise.all(Array.from({ length: AT_ONCE }, join));

for await (const line of lines()) {
  const { talk, id, payload } = JSON.parse(line);
  submitters[talk].send(Uint8Array.fromBase64(payload)).outcome.then((outcome) =>
    say({ id, outcome: outcome.kind, ...("round" in outcome ? { round: outcome.round } : outcome) })
  );
}
Deno.exit(0);
