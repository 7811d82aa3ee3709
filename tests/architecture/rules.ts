/** The rules of architecture.md over the sources of `src/`: every function answers violations. */
import { type Import, imports } from "./imports.ts";
import { type Token, tokens } from "./tokens.ts";

/** A module: its path from the top, and what was read of it. */
export interface Module {
  readonly path: string;
  readonly lines: number;
  readonly tokens: readonly Token[];
  readonly imports: readonly Import[];
}

/** Reads a module's source. */
export function parseModule(path: string, source: string): Module {
  const code = tokens(source);
  const lines = source.trimEnd().split("\n").length;
  return { path, lines, tokens: code, imports: imports(code) };
}

/** Folders by floor. */
const FLOORS: Readonly<Record<string, number>> = {
  ...{ protocol: 1, universe: 2, attest: 2, committee: 3, ops: 3, roles: 4 },
};
/** Modules that stand directly in `src/`, by floor. */
const TOP_MODULES: Readonly<Record<string, number>> = {
  ...{ "mod.ts": 5, "server.ts": 6, "aggregator.ts": 6, "client.ts": 6, "reader.ts": 6 },
};
const MAX_ENTRYPOINT_LINES = 60;

/** The one column that may touch the platform, and the module that stands for it elsewhere. */
const LIBP2P = /^src\/universe\/libp2p\w*\.ts$/;
const SYSTEM = "src/ops/system.ts";

interface Place {
  readonly floor: number;
  readonly folder: string;
}

function placeOf(path: string): Place | undefined {
  const [, folder, ...rest] = path.split("/");
  const floor = rest.length ? FLOORS[folder] : TOP_MODULES[folder];
  return floor === undefined ? undefined : { floor, folder };
}

/** The path that a relative specifier means. */
export function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** A module imports only from its own folder and from floors below it. */
export function floorViolations(modules: readonly Module[]): string[] {
  return modules.flatMap((module) => {
    const own = placeOf(module.path);
    if (!own) return [`${module.path} stands on no floor`];
    const long = own.floor === 6 && module.lines > MAX_ENTRYPOINT_LINES
      ? [`${module.path} has ${module.lines} lines, an entrypoint ${MAX_ENTRYPOINT_LINES} at most`]
      : [];
    const upward = module.imports.flatMap(({ specifier }) => {
      if (specifier === undefined) return [`${module.path} imports what is only known at run time`];
      if (!/^\.{0,2}\//.test(specifier)) return [];
      const target = placeOf(resolve(module.path, specifier));
      if (target && (target.floor < own.floor || target.folder === own.folder)) return [];
      return [`${module.path} imports ${specifier}, which is not on a floor below it`];
    });
    return [...long, ...upward];
  });
}

/** Packages, and the only modules that may import them. */
const PACKAGES: readonly (readonly [RegExp, RegExp])[] = [
  [/^(libp2p|@libp2p\/|@multiformats\/|@chainsafe\/)/, LIBP2P],
  [/^(multiformats\/|datastore-core$|interface-datastore(\/|$))/, LIBP2P],
  [/^bittorrent-dht$/, /^src\/universe\/mainline\.ts$/],
  [/^@noble\//, /^src\/(protocol\/|(committee\/cpace|attest\/simulated_key)\.ts$)/],
  [/^@std\/cli/, /^src\/ops\//],
  [/^jose$/, /^src\/ops\/jwt\.ts$/],
  [/^@opentelemetry\//, /^src\/ops\/traces\.ts$/],
  [/^prom-client$/, /^src\/ops\/metrics\.ts$/],
];

/** A package stands behind one module or folder; the committee does not know libp2p. */
export function packageViolations(modules: readonly Module[]): string[] {
  return modules.flatMap(({ path, imports }) =>
    imports.flatMap(({ specifier = "" }) => {
      if (specifier.startsWith("node:")) return [];
      if (/^\.{0,2}\//.test(specifier)) {
        const target = resolve(path, specifier);
        return LIBP2P.test(target) && path.startsWith("src/committee/")
          ? [`${path} imports ${specifier}: the committee does not know libp2p`]
          : [];
      }
      const allowed = PACKAGES.find(([name]) => name.test(specifier))?.[1];
      return allowed?.test(path)
        ? []
        : [`${path} imports ${specifier}, which is not its to import`];
    })
  );
}

/** Names that reach the clock, timers, randomness or the environment, wherever they stand. */
const AMBIENT = new Set([
  ...["setTimeout", "setInterval", "setImmediate", "Temporal", "hrtime", "performance"],
  ...["getRandomValues", "randomBytes", "randomUUID", "randomInt", "randomFill", "randomFillSync"],
  ...["generateKey", "generateKeyPair", "generateKeyPairSync", "generateKeySync"],
]);
/** The same as two names with a dot between. */
const AMBIENT_MEMBERS = new Set(["Date.now", "Math.random", "Deno.env", "process.env"]);
const AMBIENT_MODULES = /^node:(timers|timers\/promises|perf_hooks|process)$/;
/** The drain of the virtual clock waits until real promises have run; it measures no time. */
const DRAIN = "src/universe/timeline.ts";

/** Clock, timers, randomness and environment come from one module, but in the libp2p column. */
export function ambientViolations(modules: readonly Module[]): string[] {
  return modules.flatMap(({ path, tokens, imports }) => {
    if (path === SYSTEM || LIBP2P.test(path)) return [];
    const allowed = path === DRAIN ? ["setImmediate", "node:timers"] : [];
    const named = tokens.flatMap(({ kind, text }, i) => {
      if (kind !== "name") return [];
      const member = `${text}${tokens[i + 1]?.text}${tokens[i + 2]?.text}`;
      // `new Date(ms)` formats a time that it was given; without arguments it asks for the time.
      const now = text === "Date" &&
        (tokens[i + 1]?.text === "("
          ? tokens[i - 1]?.text !== "new" || tokens[i + 2]?.text === ")"
          : tokens[i - 1]?.text === "new");
      return AMBIENT.has(text) || now ? [text] : AMBIENT_MEMBERS.has(member) ? [member] : [];
    });
    const imported = imports.flatMap(({ specifier = "" }) =>
      AMBIENT_MODULES.test(specifier) ? [specifier] : []
    );
    return [...new Set([...named, ...imported])].filter((it) => !allowed.includes(it))
      .map((it) => `${path} uses ${it}, which is ${SYSTEM}'s`);
  });
}

/** Whoever imports `entry` must not load the libp2p column: only an `import()` may reach it. */
export function reachViolations(modules: readonly Module[], entry = "src/mod.ts"): string[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const found: string[] = [];
  const seen = new Set([entry]);
  const queue = [[entry]];
  for (let way = queue.shift(); way; way = queue.shift()) {
    const module = byPath.get(way.at(-1)!);
    if (!module) return [`${way.join(" → ")}: there is no such module`];
    for (const { specifier = "", when } of module.imports) {
      if (when !== "static") continue;
      const local = /^\.{0,2}\//.test(specifier);
      const target = local ? resolve(module.path, specifier) : specifier;
      if (LIBP2P.test(target) || PACKAGES[0][0].test(target)) {
        found.push([...way, target].join(" → "));
      } else if (local && !seen.has(target)) {
        seen.add(target);
        queue.push([...way, target]);
      }
    }
  }
  return found;
}

/** What may stand at the top beside hidden files; `data/` is made at run time and ignored. */
const TOP = new Set([
  ...["deno.json", "deno.lock", "README.md", "LICENSE", "src", "compose", "testnet", "tests"],
  ...["scripts", "data"],
]);

/** Nothing else stands at the top. */
export function topViolations(names: readonly string[]): string[] {
  return names.filter((name) => !name.startsWith(".") && !TOP.has(name))
    .map((name) => `${name} has no place at the top`);
}
