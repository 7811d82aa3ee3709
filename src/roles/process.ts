/**
 * What every role's process does around its event loop: options, logs, signals, the network, the
 * line that says it is up, and the exit code that says how it ended.
 */
import { type Attestation, attestationOf } from "../ops/attestation.ts";
import { calm } from "../ops/calm.ts";
import { createLog } from "../ops/log.ts";
import { EXIT, exitCodeOf } from "../ops/exit.ts";
import { parseOptions } from "../ops/options.ts";
import type { RoleOptions } from "../ops/role_options.ts";
import { memoryStore, type Store } from "../ops/store.ts";
import { SECRET_VARIABLES } from "../ops/table.ts";
import {
  errorIsTerminal,
  exit,
  onStop,
  onUncaught,
  readEnvironment,
  readFile,
  readTextFile,
  systemClock,
  systemRandom,
  writeError,
  writeOutput,
} from "../ops/system.ts";
import { hex } from "../protocol/bytes.ts";
import { type Signer, signer } from "../protocol/keys.ts";
import { instanceId, universeId } from "../protocol/names.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Role } from "../universe/network.ts";
import type { Attestation as Terms } from "./attestation.ts";
import { attestingOf, judgeCommittee } from "./attesting.ts";
import { type Committee, meetCommittee } from "./committee.ts";
import type { CommitteeTickets } from "./committee_tickets.ts";
import { type Telemetry, telemetry } from "./telemetry.ts";
import { type Refused, ZipnetError } from "./errors.ts";
import { type Watch, watchCommittee } from "./watch.ts";

/** What a role's body is given. */
export interface RoleProcess<R extends Role> {
  readonly options: RoleOptions[R];
  readonly environment: Environment;
  /** Not started yet; `up` starts it. */
  readonly network: Network;
  readonly signer: Signer;
  /** What it judges quotes by. */
  readonly attestation: Attestation;
  readonly instance: { readonly id: Uint8Array; readonly name: string };
  /** Starts the network and says so: in the log, and as the first line of output where that is JSON. */
  up(): Promise<void>;
  /** Whoever watches this process. */
  readonly telemetry: Telemetry;
  /** What it judges tickets by and has them made with, where anything is attested; made once. */
  attesting(marks?: Store): Terms | undefined;
  /**
   * Meets the committee, or ends with `ConnectTimeout`; where the options ask for it, each of its
   * servers has shown a ticket, or this ends with `Attestation`.
   */
  meet(): Promise<MetCommittee>;
  /** Follows the committee from epoch to epoch, or ends with `Refused`; `changed` as in `WatchOptions`. */
  watch(committee: Committee, changed?: (lineage: Uint8Array) => void): Watch;
  /** Ends the process cleanly. */
  stop(): void;
  /** Runs at the stop, before the network closes; the latest one registered runs first. */
  onStop(task: () => void | Promise<void>): void;
  /** Ends the process because of an error. */
  fail(error: unknown): void;
  /** Writes a line to standard output; false, and a clean stop, if nobody reads any more. */
  print(line: string): boolean;
}

/** A committee that was met, and what is known of its servers' tickets where these are judged. */
export interface MetCommittee extends Committee {
  readonly tickets?: CommitteeTickets;
}

/** What a role is given that needs no network. */
export type LocalProcess<R extends Role> = Pick<
  RoleProcess<R>,
  "options" | "signer" | "instance" | "print"
>;

/** What a role is given that only checks its options. */
type Checked<R extends Role> = Pick<
  RoleProcess<R>,
  "options" | "signer" | "instance" | "attestation"
>;

/** A stop takes at most this long; then the process ends as it is. */
const STOP_MS = 4_000;

/**
 * Runs a role until it is told to stop or fails. With `--check` it runs `check` instead, prints
 * what would run with what `check` adds, and ends. `local` may do all there is to do without a
 * network, and answers whether it did.
 */
export async function runRole<R extends Role>(
  role: R,
  args: readonly string[],
  body: (p: RoleProcess<R>) => Promise<void>,
  check: (p: Checked<R>) => object = () => ({}),
  local: (p: LocalProcess<R>) => boolean = () => false,
): Promise<void> {
  const tasks: (() => void | Promise<void>)[] = [];
  let ending = false;
  const end = async (error?: unknown) => {
    if (ending) return;
    ending = true;
    if (error !== undefined) writeError(`zipnet: ${oneLine(error)}\n`);
    const code = error === undefined ? EXIT.clean : exitCodeOf(error);
    systemClock.after(STOP_MS, () => exit(code));
    for (const task of tasks.reverse()) {
      try {
        await task();
      } catch (failure) {
        writeError(`zipnet: while stopping: ${oneLine(failure)}\n`);
      }
    }
    exit(code);
  };
  // An error that names its exit code ends the process by it wherever it is thrown: files fail in
  // timers too. Any other one is a mistake of ours, whose trace is worth more than a clean stop.
  onUncaught((error) => {
    if (!ending && exitCodeOf(error) === EXIT.failure) return false;
    void end(error);
    return true;
  });
  try {
    const options = parseOptions(role, args, readEnvironment(SECRET_VARIABLES), readTextFile);
    if ("help" in options) {
      writeOutput(options.help);
      exit(EXIT.clean);
    }
    const attestation = await attestationOf(options, readFile);
    const speaks = "stdin" in options && options.stdin;
    onStop(() => void end(), { withStdin: options.stopWithStdin && !speaks });
    const format = options.logFormat ?? (errorIsTerminal() ? "text" : "json");
    const log = { level: options.log, format, write: writeError, clock: systemClock };
    const observe = calm(createLog(log), systemClock);
    for (const reason of attestation.warnings) observe("warn", "attestation", { reason });
    const secret = options.secret ?? systemRandom(32);
    const universe = universeId(options.universe);
    const instance = { id: instanceId(universe, options.instance), name: options.instance };
    const self = signer(secret);
    if (options.check) {
      const { instance: name, universe } = options;
      const shown = { role, instance: name, universe, peer: hex(self.key), ...visible(options) };
      // What can be told is told, also where the rest is refused.
      try {
        Object.assign(shown, check({ options, signer: self, instance, attestation }));
      } finally {
        writeOutput(
          `${
            JSON.stringify(shown, (_, value) => value instanceof Uint8Array ? hex(value) : value, 2)
          }\n`,
        );
      }
      exit(EXIT.clean);
    }
    const print = (line: string) => {
      try {
        if (writeOutput(line)) return true;
        void end(); // nobody reads any more: that is a clean stop
      } catch (error) {
        void end(error); // what was to be read is lost
      }
      return false;
    };
    if (local({ options, signer: self, instance, print })) return await end();
    const told = telemetry(role, instance, options.metrics, {
      clock: systemClock,
      random: systemRandom,
      observe,
    }, options.role === "client" && options.metricsMessages);
    const { environment } = told;
    tasks.push(() => told.stop());
    const { libp2pNetwork } = await import("../universe/libp2p.ts");
    const network = libp2pNetwork({
      environment,
      secret,
      universe,
      instance: instance.id,
      role,
      listen: [...options.listen],
      announce: options.announce.length > 0 ? [...options.announce] : undefined,
      bootstrap: [...options.bootstrap],
      mainline: options.mainline,
      mdns: options.mdns,
      relay: options.relay,
    });
    tasks.push(() => network.stop());
    let attested: { readonly terms: Terms } | undefined;
    const attesting = (marks = memoryStore()) => {
      if (attested) return attested.terms;
      const made = attestingOf({ options, environment, attestation, marks });
      if (made) tasks.push(made.stop);
      attested = made;
      told.read("collateral_expiry_seconds", () => {
        const now = systemClock.wall(), until = made?.terms.collateral.until?.(now);
        return until === undefined ? undefined : (until - now) / 1_000;
      });
      return made?.terms;
    };
    await body({
      options,
      environment,
      network,
      signer: self,
      attestation,
      instance,
      async up() {
        await network.start();
        told.serve(network);
        const { id, addresses } = network.self;
        // A client's and a reader's output is for people, unless it is asked for as JSON.
        if (!("json" in options) || options.json) {
          print(`${JSON.stringify({ up: true, role, peer: id, addresses })}\n`);
        }
        observe("info", "zipnet up", {
          universe: options.universe,
          instance: options.instance,
          peer: id,
          role,
          listen: addresses.join(" "),
        });
      },
      telemetry: told,
      attesting,
      async meet() {
        const { universe, connectTimeout: timeout } = options;
        const pin = "committee" in options ? options.committee : undefined;
        const common = { network, environment, timeout };
        const committee = await meetCommittee({ ...common, instance, universe, pin });
        const judging = { ...common, options, attestation };
        const tickets = await judgeCommittee(judging, attesting, committee);
        if (tickets) tasks.push(() => tickets.stop());
        return { ...committee, tickets };
      },
      watch(committee, changed) {
        const refused = (error: Refused) => void end(error), timeout = options.connectTimeout;
        const common = { network, environment, instance, committee, timeout };
        const watch = watchCommittee({ ...common, changed, refused });
        tasks.push(watch.stop);
        return watch;
      },
      stop: () => void end(),
      onStop: (task) => void tasks.push(task),
      fail: (error) => void end(error),
      print,
    });
  } catch (error) {
    await end(error);
  }
}

/** Options as `--check` shows them: no secret among them. */
function visible(options: object): Record<string, unknown> {
  const hidden = ["secret", "committeeSecrets", "jwt", "check", "role"];
  return Object.fromEntries(Object.entries(options).filter(([name]) => !hidden.includes(name)));
}

function oneLine(error: unknown): string {
  const name = error instanceof ZipnetError ? `${error.name}: ` : "";
  const message = error instanceof Error ? error.message : String(error);
  return name + message.replace(/\s*\n\s*/g, " ");
}
