/** How a program reaches an instance, and what it asks of it: what stands behind `Zipnet.bind`. */
import { intelAnchor, trustAnchor } from "../attest/anchor.ts";
import { CollateralBook } from "../attest/collateral_book.ts";
import { createPolicy, MEASUREMENT_BYTES } from "../attest/policy.ts";
import { type Fingerprint, unhex } from "../protocol/bytes.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Role } from "../universe/network.ts";
import type { Attestation as Terms } from "./attestation.ts";
import { type Committee, meetCommittee } from "./committee.ts";
import { type CommitteeTickets, judgeTickets } from "./committee_tickets.ts";
import type { Epochs } from "./epochs.ts";
import { Protocol, type Refused } from "./errors.ts";
import type { OwnEvidenceOptions } from "./own_evidence.ts";
import { type Watch, watchCommittee } from "./watch.ts";

/** What the committee's servers must measure, by register; each value is 96 hex digits. */
export interface Measurements {
  /** Firmware. */
  readonly mrTd?: readonly string[];
  /** Kernel. */
  readonly rtmr1?: readonly string[];
  /** Command line and initrd, and with them the program. */
  readonly rtmr2?: readonly string[];
}

/** How to reach an instance, and as whom. */
export interface BindOptions {
  /** Multiaddrs of any peers of the universe. */
  readonly bootstrap?: readonly string[];
  /** Seed of the identity that publishes: 64 hex digits, or any text. Default: a new one. */
  readonly secret?: string;
  /** Committee fingerprint to accept, 64 hex digits. Without it the first that answers is trusted. */
  readonly committee?: string;
  /** What its servers must measure: each must show a quote that fits, under Intel's root. */
  readonly measurements?: Measurements;
  /** Root certificate of a development network in DER, in place of Intel's. */
  readonly anchor?: Uint8Array;
  /** Makes a quote of this machine over 64 bytes, for instances that attest their clients. */
  readonly quote?: (reportData: Uint8Array) => Promise<Uint8Array>;
  /** The token, for instances that ask for one. */
  readonly token?: string;
  /** Milliseconds until `ConnectTimeout`. Default 30,000. */
  readonly connectTimeout?: number;
  /** Own minimum of participants; after a record below it nothing but cover is sent. Default 3. */
  readonly minParticipants?: number;
  /** Time, randomness and where observations go. Default: the system's, and nowhere. */
  readonly environment?: Environment;
  /** Another network than libp2p, for instance a simulated one; `listen` is a reader's. */
  readonly network?: (role: Role, secret: Uint8Array, listen?: readonly string[]) => Network;
}

/** Which instance, with the ids that its names come to. */
export interface Bound {
  readonly universe: { readonly id: Uint8Array; readonly name: string };
  readonly instance: { readonly id: Uint8Array; readonly name: string };
  readonly environment: Environment;
  readonly options: BindOptions;
}

/** A node that has met its committee. */
export interface Joined {
  readonly network: Network;
  readonly committee: Committee;
  readonly epochs: Epochs;
  /** What a client shows where it is asked for something. */
  readonly own: OwnEvidenceOptions;
  /** Where the servers are judged by their quotes. */
  readonly tickets?: CommitteeTickets;
  /** Follows the committee from epoch to epoch; `changed` as in `WatchOptions`. */
  follow(refused: (error: Refused) => void, changed?: (lineage: Uint8Array) => void): Watch;
  /** Stops all of it. */
  stop(): Promise<void>;
}

/**
 * Starts a node, which listens at some addresses where it is to serve on, and meets the committee.
 * Rejects with `ConnectTimeout`, `Refused`, `Attestation`.
 */
export async function join(
  role: Role,
  secret: Uint8Array,
  { universe, instance, environment, options }: Bound,
  listen: readonly string[] = [],
): Promise<Joined> {
  const { bootstrap, committee: pin, connectTimeout: timeout = 30_000, network: make } = options;
  const attestation = await termsOf(options);
  const network = make?.(role, secret, listen) ??
    (await import("../universe/libp2p.ts")).libp2pNetwork({
      ...{ environment, secret, role, universe: universe.id, instance: instance.id },
      ...{ listen: [...listen], bootstrap: [...bootstrap ?? []] },
    });
  try {
    await network.start();
    const common = { network, environment, instance, timeout };
    const committee = await meetCommittee({
      ...common,
      universe: universe.name,
      pin: pin === undefined ? undefined : unhex(pin, 32) as Fingerprint,
    });
    const { epochs } = committee, judges = options.measurements ?? options.anchor;
    const serves = listen.length > 0;
    const tickets = judges && attestation &&
      await judgeTickets({ ...common, attestation, epochs, serves });
    return {
      ...{ network, committee, epochs, tickets, own: { attestation, token: options.token } },
      follow: (refused, changed) => watchCommittee({ ...common, committee, refused, changed }),
      async stop() {
        tickets?.stop();
        await network.stop();
      },
    };
  } catch (error) {
    await network.stop();
    throw error;
  }
}

/** What servers are judged by, and own quotes made with; undefined where nothing is asked for. */
async function termsOf(options: BindOptions): Promise<Terms | undefined> {
  const { measurements, anchor: der, quote } = options;
  if (!measurements && !der && !quote) return undefined;
  const values = (name: keyof Measurements) => {
    const given = measurements?.[name];
    return given ? { [name]: given.map((it) => measurement(name, it)) } : {};
  };
  try {
    const anchor = der ? await trustAnchor(der) : await intelAnchor();
    const allowed = { ...values("mrTd"), ...values("rtmr1"), ...values("rtmr2") };
    return {
      ...{ anchor, policy: createPolicy({ allowed }), collateral: new CollateralBook(anchor) },
      source: quote && { quote },
    };
  } catch (error) {
    throw error instanceof Protocol ? error : new Protocol((error as Error).message);
  }
}

function measurement(name: string, text: string): Uint8Array {
  try {
    return unhex(text, MEASUREMENT_BYTES);
  } catch (error) {
    throw new Protocol(`${name}: ${(error as Error).message}`);
  }
}
