/** `deno task bench-admit [--clients 1000]`: many attested clients come to a running instance at once. */
import { admit } from "./admissions.ts";
import { flags } from "./flags.ts";

const { clients } = flags("bench-admit", "many attested clients come at once", {
  clients: { value: 1_000, least: 1, most: 1_000 },
});
console.log(JSON.stringify(await admit(clients)));
Deno.exit(0);
