/**
 * Makes what a testnet's containers need of each other and nobody else has, once: the committee's
 * secret, a seed for each node of long life, a development root, and a simulated machine for each
 * server and for the clients. Each goes to a folder of its own, which only its container sees. At
 * every later start it only issues collateral anew.
 *
 * ```text
 * /keys/root                    the development root, which no node sees
 * /keys/server-N                committee, seed, platform/, root.der
 * /keys/aggregator, reader      seed, root.der; root.der
 * /keys/client                  platform/, root.der
 * ```
 */
import { SIMULATED_IMAGE } from "../src/attest/simulated_quote.ts";
import {
  createAuthority,
  createPlatform,
  PLATFORM_COLLATERAL,
  PLATFORM_ROOT,
  renewCollateral,
} from "../src/ops/platform_folder.ts";
import { readIfPresent, replaceDurably } from "../src/ops/files.ts";
import { systemClock, systemRandom } from "../src/ops/system.ts";
import { hex } from "../src/protocol/bytes.ts";

const KEYS = Deno.args[0] ?? "/keys", SERVERS = Number(Deno.args[1] ?? 3);
const ROOT = `${KEYS}/root`, OWNER = 0o600, ALL = 0o644;

const servers = Array.from({ length: SERVERS }, (_, i) => `${KEYS}/server-${i + 1}`);
const machines = [...servers, `${KEYS}/client`];
const text = (value: string) => [new TextEncoder().encode(`${value}\n`)];

if (readIfPresent(`${ROOT}/${PLATFORM_ROOT}`)) {
  renewCollateral(ROOT, systemClock.wall());
  const collateral = Deno.readFileSync(`${ROOT}/${PLATFORM_COLLATERAL}`);
  for (const machine of machines) {
    replaceDurably(`${machine}/platform/${PLATFORM_COLLATERAL}`, [collateral], ALL);
  }
  console.log("the keys are there; collateral was issued anew");
} else {
  // The root's certificate comes last: where it is, all the rest is. What a start that was cut
  // short left is made anew.
  for (const folder of [...machines, ROOT, `${KEYS}/aggregator`, `${KEYS}/reader`]) {
    for (const { name } of Deno.readDirSync(folder)) {
      Deno.removeSync(`${folder}/${name}`, { recursive: true });
    }
  }
  const made = `${ROOT}/made`;
  createAuthority(made, systemRandom, systemClock.wall());
  const committee = hex(systemRandom(32));
  for (const server of servers) {
    replaceDurably(`${server}/committee`, text(committee), OWNER);
    replaceDurably(`${server}/seed`, text(hex(systemRandom(32))), OWNER);
  }
  replaceDurably(`${KEYS}/aggregator/seed`, text(hex(systemRandom(32))), OWNER);
  for (const machine of machines) {
    const place = { folder: made, machine: `${machine}/platform`, image: SIMULATED_IMAGE };
    createPlatform(place, systemRandom, systemClock.wall());
  }
  const root = Deno.readFileSync(`${made}/${PLATFORM_ROOT}`);
  for (const folder of [...machines, `${KEYS}/aggregator`, `${KEYS}/reader`]) {
    replaceDurably(`${folder}/${PLATFORM_ROOT}`, [root], ALL);
  }
  const names = [...Deno.readDirSync(made)].map(({ name }) => name);
  for (const name of [...names.filter((it) => it !== PLATFORM_ROOT), PLATFORM_ROOT]) {
    Deno.renameSync(`${made}/${name}`, `${ROOT}/${name}`);
  }
  Deno.removeSync(made);
  console.log("secrets, a development root and its machines were made");
}
