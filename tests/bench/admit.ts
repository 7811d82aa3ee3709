/** `deno task bench-admit [--clients 1000]`: many attested clients come to a running instance at once. */
import { parseArgs } from "@std/cli/parse-args";
import { admit } from "./admissions.ts";

const MAX_CLIENTS = 1_000;
const args = parseArgs(Deno.args, { string: ["clients"], default: { clients: "1000" } });
const clients = Number(args.clients);
if (!/^[1-9]\d{0,3}$/.test(args.clients) || clients > MAX_CLIENTS) {
  console.error(`bench-admit: --clients: expected 1 to ${MAX_CLIENTS}, got ${args.clients}`);
  Deno.exit(2);
}
console.log(JSON.stringify(await admit(clients)));
Deno.exit(0);
