/** What a row of the table of options is. */
import type { Role } from "../universe/network.ts";
import type { Kind } from "./kinds.ts";

/** A text that may differ by role. */
export type ByRole = string | Partial<Record<Role, string>>;

/** One option. */
export interface Row<T> {
  readonly roles: readonly Role[];
  readonly kind: Kind<T>;
  /** Written as a user would write it. */
  readonly default?: ByRole;
  /** Told in place of a default where there is none. */
  readonly absent?: ByRole;
  /** Refused when it is not given. */
  readonly required?: true;
  readonly meaning: ByRole;
}

/** All roles. */
export const ROLES: readonly Role[] = ["server", "aggregator", "client", "reader"];
/** The one role of many rows. */
export const SERVER: readonly Role[] = ["server"];

/** A row, with the type of its value. */
export function row<T>(row: Row<T>): Row<T> {
  return row;
}

/** What a text says to a role. */
export function textFor(text: ByRole | undefined, role: Role): string | undefined {
  return typeof text === "string" ? text : text?.[role];
}
