/**
 * `deno task doctor ROLE [options of the role]`: whether a node would do its work with this
 * configuration, from inside; and whether the instance and the running node do, from outside. One
 * line a check, with the mend.
 */
import { EXIT, exitCodeOf } from "../src/ops/exit.ts";
import { OptionError, parseOptions } from "../src/ops/options.ts";
import type { RoleOptions } from "../src/ops/role_options.ts";
import { readEnvironment, readTextFile } from "../src/ops/system.ts";
import { SECRET_VARIABLES } from "../src/ops/table.ts";
import type { Role } from "../src/universe/network.ts";
import { inside } from "./doctor/inside.ts";
import { node } from "./doctor/node.ts";
import { outside } from "./doctor/outside.ts";
import { posture } from "./doctor/posture.ts";
import { Report } from "./doctor/report.ts";

const HELP = `Checks a configuration and a running node; each line says what is, and how to mend it.

  deno task doctor ROLE [options of the role]     server, aggregator, client or reader

  --node URL    asks the running node too, at its ZIPNET_METRICS, such as http://127.0.0.1:9464
  --posture     checks how well the node is guarded, too
  --offline     looks at this machine alone
  --help        prints this

The role's options are those of \`deno task ROLE --help\`, as flags or variables. Where files are
elsewhere than in ./data, /run/secrets and /run/zipnet-tsm, it is run as

  deno run -q --no-prompt -P=doctor --allow-read=PATH,... --allow-write=DATA scripts/doctor.ts ROLE

Exit code 0 where nothing is wrong, 1 where something is, 2 for bad options.
`;

const ROLES: readonly Role[] = ["server", "aggregator", "client", "reader"];

/** Takes a flag of this tool, and its value where it has one, off the arguments. */
function take(args: string[], flag: string, valued: boolean): string | undefined {
  const at = args.findIndex((arg) => arg === flag || (valued && arg.startsWith(`${flag}=`)));
  if (at < 0) return undefined;
  if (!valued) return args.splice(at, 1)[0];
  if (args[at] !== flag) return args.splice(at, 1)[0].slice(flag.length + 1);
  const [, value] = args.splice(at, 2);
  if (value === undefined) throw new OptionError(`${flag}: expected a value behind it`);
  return value;
}

async function main(): Promise<number> {
  const args = [...Deno.args];
  if (args.length === 0 || take(args, "--help", false)) {
    console.log(HELP.trimEnd());
    return args.length === 0 ? EXIT.options : EXIT.clean;
  }
  const url = take(args, "--node", true), guarded = take(args, "--posture", false);
  const offline = take(args, "--offline", false);
  const role = args.shift() as Role;
  if (!ROLES.includes(role)) {
    throw new OptionError(`expected a role first, ${ROLES.join(", ")}, got ${role}`);
  }
  if (url !== undefined && !/^https?:\/\/[^/]+\/?$/.test(url)) {
    throw new OptionError(`--node: expected a URL such as http://127.0.0.1:9464, got ${url}`);
  }
  const environment = readEnvironment(SECRET_VARIABLES);
  const options = parseOptions(role, args, environment, readTextFile);
  if ("help" in options) {
    console.log(options.help.trimEnd());
    return EXIT.clean;
  }
  const report = new Report((line) => console.log(line));
  report.good("options", `${role} of ${options.instance}`);
  const all = options as RoleOptions[Role];
  const known = await inside(all, report, { args, environment, runs: url !== undefined });
  if (!offline) await outside(all, report, known);
  if (url !== undefined) await node(url, role, report);
  if (guarded) posture(all, report, { args, environment });
  console.log(report.summary);
  return report.wrong > 0 ? EXIT.failure : EXIT.clean;
}

try {
  Deno.exit(await main());
} catch (error) {
  console.error(`doctor: ${(error as Error).message}`);
  Deno.exit(exitCodeOf(error));
}
