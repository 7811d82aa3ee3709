/**
 * `deno task quote`: shows a quote or a ticket in readable form and, with collateral, verifies it
 * against a trust anchor and a policy.
 */
import { intelAnchor, type TrustAnchor, trustAnchor } from "../src/attest/anchor.ts";
import { verifyCollateral } from "../src/attest/collateral.ts";
import { MAX_COLLATERAL_JSON, parseCollateral } from "../src/attest/collateral_json.ts";
import { isoTime } from "../src/attest/chain.ts";
import {
  describeQuote,
  describeTicket,
  type Evidence,
  formatLines,
  type Line,
  readEvidence,
} from "../src/attest/describe_quote.ts";
import { MAX_CERTIFICATE_BYTES } from "../src/attest/certificate.ts";
import {
  type AcceptableStatus,
  createPolicy,
  MEASUREMENT_BYTES,
  type Policy,
  policyWarnings,
} from "../src/attest/policy.ts";
import { AttestationError } from "../src/attest/reasons.ts";
import { MAX_TICKET_BYTES, type TicketRole, verifyTicket } from "../src/attest/ticket.ts";
import { type VerifiedQuote, verifyQuote } from "../src/attest/verifier.ts";
import { EXIT } from "../src/ops/exit.ts";
import { systemClock } from "../src/ops/system.ts";
import { unhex } from "../src/protocol/bytes.ts";
import { ProtocolError } from "../src/protocol/errors.ts";
import { checkPublicKey } from "../src/protocol/keys.ts";
import { instanceId, universeId } from "../src/protocol/names.ts";
import { bytesOrHex, Inputs, Misuse, parseFlags, run } from "./tool.ts";

const HELP = `Shows a TDX quote or a ticket, binary or in hex digits, and verifies it.

  deno task quote FILE                           shows it; nothing is verified
  deno task quote FILE --collateral FILE         verifies it too, by these rules:
    --anchor FILE    root certificate, DER [Intel's]
    --mrtd HEX,...   allowed values; also --rtmr0, --rtmr1, --rtmr2 [any]
    --tcb LIST       accepted statuses, comma-separated [UpToDate,SWHardeningNeeded]
    --at DATE        when: 2026-01-31 or 2026-01-31T12:00:00Z [now]
  and a ticket with whom it must speak for:
    --instance NAME --key HEX      the instance, and the peer's public key
    --universe NAME                [that of the protocol]
    --role server|client           [as the ticket says]
  --machine          shows what names the machine: PPID, serial number, keys

One file may be -, standard input; others than those in ./data need a permission that the refusal
prints. Ends with "verified: STATUS until TIME" and exit code 0, or "refused: REASON" and 4.
`;

const RULES = ["anchor", "mrtd", "rtmr0", "rtmr1", "rtmr2", "tcb", "at"] as const;
const PEER = ["instance", "key", "universe", "role"] as const;
const FLAGS = {
  text: ["collateral", ...RULES, ...PEER],
  switches: ["machine", "help"],
} as const;
/** Bytes of a file with evidence, which may be hex digits in lines. */
const MAX_EVIDENCE_FILE = 3 * MAX_TICKET_BYTES;

type Args = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  return parseFlags(args, FLAGS);
}

/** Everything that a verdict is made by, read before anything is shown. */
interface Rules {
  readonly collateral: string;
  readonly anchor?: Uint8Array;
  readonly policy: Policy;
  readonly now: number;
  readonly peer?: Peer;
}

/** Whom a ticket must speak for. */
interface Peer {
  readonly instance: Uint8Array;
  readonly key: Uint8Array;
  readonly role?: TicketRole;
}

async function main(): Promise<number> {
  const args = parse(Deno.args);
  if (args.help) {
    console.log(HELP.trimEnd());
    return EXIT.clean;
  }
  const { words: [file, ...more], collateral, anchor } = args;
  if (file === undefined || more.length > 0) {
    throw new Misuse(`expected one quote or ticket: deno task quote --help`);
  }
  const inputs = new Inputs("quote", [file, collateral, anchor]);
  const rules = rulesOf(args, inputs);
  const bytes = bytesOrHex(inputs.read(file, MAX_EVIDENCE_FILE));
  try {
    const evidence = readEvidence(bytes);
    await show(evidence, args.machine);
    console.log(rules === undefined ? UNVERIFIED : await verdict(evidence, rules));
    return EXIT.clean;
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    console.log(`refused: ${error.message}`);
    return EXIT.refused;
  }
}

const UNVERIFIED = "nothing was verified: that takes --collateral FILE";

async function show({ ticket, quote, padding }: Evidence, machine: boolean): Promise<void> {
  const lines: Line[] = [
    ...ticket ? describeTicket(ticket) : [],
    ...await describeQuote(quote, { machine }),
    ...padding > 0 ? [["padding", `${padding} bytes behind the quote, not of it`] as const] : [],
  ];
  console.log(formatLines(lines));
}

/** The rules that were given; undefined where nothing is to be verified. */
function rulesOf(args: Args, inputs: Inputs): Rules | undefined {
  const { collateral, anchor } = args;
  if (collateral === undefined) {
    const given = [...RULES, ...PEER].find((name) => args[name] !== undefined);
    if (given === undefined) return undefined;
    throw new Misuse(`--${given} is for verifying, which takes --collateral FILE`);
  }
  const policy = policyOf(args), peer = peerOf(args), now = timeOf(args.at);
  return {
    ...{ policy, peer, now },
    collateral: new TextDecoder().decode(inputs.read(collateral, MAX_COLLATERAL_JSON)),
    anchor: anchor === undefined ? undefined : inputs.read(anchor, MAX_CERTIFICATE_BYTES),
  };
}

function policyOf({ tcb, mrtd, rtmr0, rtmr1, rtmr2 }: Args): Policy {
  const values = (name: string, text: string | undefined) =>
    text?.split(",").map((value) => hexOf(name, value.trim(), MEASUREMENT_BYTES));
  try {
    return createPolicy({
      statuses: tcb?.split(",").map((status) => status.trim() as AcceptableStatus),
      allowed: {
        mrTd: values("mrtd", mrtd),
        rtmr0: values("rtmr0", rtmr0),
        rtmr1: values("rtmr1", rtmr1),
        rtmr2: values("rtmr2", rtmr2),
      },
    });
  } catch (error) {
    if (error instanceof RangeError) throw new Misuse(error.message);
    throw error;
  }
}

function peerOf({ instance, universe, key, role }: Args): Peer | undefined {
  if (instance === undefined && key === undefined) {
    if (universe === undefined && role === undefined) return undefined;
    throw new Misuse("--universe and --role are for tickets, beside --instance and --key");
  }
  if (instance === undefined || key === undefined) {
    throw new Misuse("expected both --instance NAME and --key HEX, or neither");
  }
  if (role !== undefined && role !== "server" && role !== "client") {
    throw new Misuse(`--role: expected server or client, got ${role}`);
  }
  const id = understood("instance", () => instanceId(universeId(universe), instance));
  return {
    ...{ instance: id, role },
    key: understood("key", () => checkPublicKey(hexOf("key", key, 32))),
  };
}

/** A value that the protocol's own check refuses is the operator's mistake. */
function understood<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProtocolError) throw new Misuse(`--${name}: ${error.message}`);
    throw error;
  }
}

function hexOf(name: string, text: string, length: number): Uint8Array {
  return understood(name, () => unhex(text, length));
}

/** Unix ms of a date, or of a date and a time in UTC. */
function timeOf(text: string | undefined): number {
  if (text === undefined) return systemClock.wall();
  const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z)?$/.test(text)
    ? Date.parse(text)
    : NaN;
  if (!Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text.slice(0, 10))) return ms;
  throw new Misuse(`--at: expected 2026-01-31 or 2026-01-31T12:00:00Z, got ${text}`);
}

/** The last line about what was accepted; before it what is to be known of it. */
async function verdict({ ticket, quote }: Evidence, rules: Rules): Promise<string> {
  const { policy, now, peer } = rules;
  if (peer && !ticket) {
    throw new Misuse("--instance and --key are for tickets, and this is a quote");
  }
  const anchor: TrustAnchor = rules.anchor === undefined
    ? await intelAnchor()
    : await trustAnchor(rules.anchor);
  const collateral = await verifyCollateral(parseCollateral(rules.collateral), anchor, now);
  for (const warning of policyWarnings(policy)) console.log(`warning: ${warning}`);
  const judged = { collateral, policy, now };
  if (peer && ticket) {
    const terms = { ...judged, ...peer, role: peer.role ?? ticket.role };
    const verified = await verifyTicket(ticket, terms);
    return accepted(verified, verified.grantedUntil);
  }
  if (ticket) console.log("warning: whom the ticket speaks for was not asked: --instance, --key");
  const verified = await verifyQuote(quote, judged);
  return accepted(verified, verified.validUntil);
}

function accepted(verified: VerifiedQuote, until: number): string {
  const { advisories, evaluationNumber, tcbDate, simulated, status } = verified;
  console.log(formatLines([
    ["advisories", advisories.join(" ") || "none"],
    ["TCB", `of ${isoTime(tcbDate)}, evaluation number ${evaluationNumber}`],
  ]));
  if (simulated) console.log("warning: a development root vouches for it, no hardware");
  return `verified: ${status} until ${isoTime(until)}`;
}

await run(main);
