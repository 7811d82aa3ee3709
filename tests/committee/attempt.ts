/** What the adversary makes of a header, and all that it made in one epoch. */
import type { Evidence } from "../../src/committee/release.ts";
import type { Signed } from "../../src/protocol/statements.ts";
import type { ModelAggregate, ModelHeader, ModelManifest, ModelRecord } from "./oracle.ts";

/** A header with what the adversary has made of it. */
export interface Attempt extends ModelHeader {
  readonly aggregates: ModelAggregate[];
  readonly commitments: Map<number, Uint8Array[]>;
  readonly partials: (Signed | undefined)[];
  prepare?: Signed;
  prepares?: readonly (Signed | undefined)[];
  excuse?: Evidence;
  /** Whether nobody is to say VOID of it in truth. */
  stubborn?: boolean;
  record?: ModelRecord;
}

/** What was made in one epoch: the honest server reads nothing of another committee. */
export interface Stage {
  readonly attempts: Attempt[];
  readonly records: ModelRecord[];
  readonly successors: ModelManifest[];
}
