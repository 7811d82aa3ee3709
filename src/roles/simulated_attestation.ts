/**
 * Attestation in the simulated universe: one development root, a machine of its own for each node,
 * and quotes, collateral and verification as everywhere else. Virtual time waits for the work.
 */
import { type TrustAnchor, trustAnchor } from "../attest/anchor.ts";
import type { Collateral } from "../attest/collateral.ts";
import { CollateralBook } from "../attest/collateral_book.ts";
import { createPolicy, type Policy, policyId } from "../attest/policy.ts";
import { type QuoteSource, simulatedSource } from "../attest/quote_source.ts";
import { type SimulatedAuthority, simulatedAuthority } from "../attest/simulated_authority.ts";
import { type CollateralChanges, simulatedCollateral } from "../attest/simulated_collateral.ts";
import { simulatedMeasurements } from "../attest/simulated_measurements.ts";
import { type SimulatedPlatform, simulatedPlatform } from "../attest/simulated_platform.ts";
import type { Parameters } from "../protocol/parameters.ts";
import type { MemoryUniverse } from "../universe/memory.ts";
import { Admissions } from "./admissions.ts";
import type { Attestation } from "./attestation.ts";
import { CommitteeTickets, type CommitteeTicketsOptions } from "./committee_tickets.ts";
import { ServerTickets, type ServerTicketsOptions } from "./server_tickets.ts";

/** What is attested, and how. */
export interface AttestedOptions {
  /** Whether clients must be attested too. */
  readonly clients?: boolean;
  /** How long tickets hold, ms; an hour unless given. */
  readonly life?: number;
  /** Where a node's quotes come from, if not from its machine with the image that all expect. */
  readonly source?: (name: string, platform: SimulatedPlatform) => QuoteSource | undefined;
}

/** See the module comment. */
export class SimulatedAttestation {
  readonly authority: SimulatedAuthority;
  /** What each node believes. */
  readonly books = new Map<string, CollateralBook>();
  readonly policy: Policy;
  readonly #platforms = new Map<string, SimulatedPlatform>();
  #anchor!: TrustAnchor;

  constructor(readonly universe: MemoryUniverse, readonly options: AttestedOptions) {
    this.authority = simulatedAuthority(this.#random("authority"), universe.clock.now());
    const { mrTd, rtmr1, rtmr2 } = simulatedMeasurements("zipnet");
    this.policy = createPolicy({ allowed: { mrTd: [mrTd], rtmr1: [rtmr1], rtmr2: [rtmr2] } });
  }

  /** What the instance's parameters say of it. */
  async parameters(): Promise<Pick<Parameters, "anchor" | "policy">> {
    this.#anchor = await trustAnchor(this.authority.root.der);
    const policy = policyId(this.policy, this.options.clients ? this.policy : undefined);
    return { anchor: this.#anchor.fingerprint, policy };
  }

  /** The machine of a node. */
  platform(name: string): SimulatedPlatform {
    const known = this.#platforms.get(name);
    if (known) return known;
    const now = this.universe.clock.now();
    const platform = simulatedPlatform(this.authority, this.#random(`platform of ${name}`), now);
    this.#platforms.set(name, platform);
    return platform;
  }

  /** Collateral that the authority issues now. */
  issue(changes?: CollateralChanges): Collateral {
    return simulatedCollateral(this.authority, this.universe.clock.now(), changes);
  }

  /** What a node that starts now judges by, and shows. */
  of(name: string): Attestation {
    const collateral = new CollateralBook(this.#anchor);
    this.books.set(name, collateral);
    const platform = this.platform(name), { source = simulated } = this.options;
    return {
      anchor: this.#anchor,
      policy: this.policy,
      collateral,
      source: source(name, platform) ?? simulatedSource(platform),
      work: (task) => this.universe.timeline.work(task),
    };
  }

  /** A server's part in it. */
  server(name: string, common: Omit<ServerTicketsOptions, "attestation" | "life">) {
    const attestation = this.of(name), { collateral, policy, work } = attestation;
    const { life, clients } = this.options, { environment: { clock } } = common;
    void work!(() => collateral.offer(this.issue(), clock.now()));
    const tickets = new ServerTickets({ ...common, attestation, life });
    const terms = { ticket: { policy, collateral } };
    return {
      tickets,
      admissions: clients ? new Admissions({ ...common, terms, work }) : undefined,
    };
  }

  /** The part of those who only look at the committee. */
  onlooker(name: string, common: Omit<CommitteeTicketsOptions, "attestation">) {
    const attestation = this.of(name);
    return { attestation, tickets: new CommitteeTickets({ ...common, attestation }) };
  }

  #random(name: string) {
    const randomness = this.universe.randomness(`attestation: ${name}`);
    return (length: number) => randomness.bytes(length);
  }
}

function simulated(): undefined {
  return undefined;
}
