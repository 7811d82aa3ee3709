/** The etcd engine over a played etcd does what every engine must. */
import { conformance } from "../engine_conformance.ts";
import { etcdGroup } from "./world.ts";

const cases = conformance({ name: "etcd, played", failover: true, durable: true, open: etcdGroup });

for (const { name, run } of cases) Deno.test(name, run);
