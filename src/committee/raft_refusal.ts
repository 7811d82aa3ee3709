/**
 * What raft's refusal of a message says about the disk under it: one that was put back to an older
 * state lacks what this server acknowledged, and its leader speaks of just that.
 */
import type { RaftError } from "./raft/errors.ts";

/** How the core refuses what is beyond its log, or against what it has committed. */
const CONTRADICTION = /^(a heartbeat that commits|entry .* committed of term)/;

/** Field 4 of a message is its term; wire types 0 and 2 are a number and bytes. */
const TERM = 4, NUMBER = 0, BYTES = 2;

/**
 * Whether a refused message shows that this server has forgotten. One of an earlier term than its own
 * shows nothing: it may have been on its way for long.
 */
export function showsLoss(error: RaftError, message: Uint8Array, term: number): boolean {
  return error.code === "message" && CONTRADICTION.test(error.message) && termOf(message) >= term;
}

/** The term of a message that raft could decode; 0 where it has none. */
function termOf(message: Uint8Array): number {
  let at = 0;
  const number = () => {
    let value = 0, unit = 1;
    for (; message[at] >= 128; unit *= 128) value += (message[at++] - 128) * unit;
    return value + (message[at++] ?? 0) * unit;
  };
  while (at < message.length) {
    const key = number(), wire = key % 8, value = number();
    if (wire === BYTES) at += value;
    else if (wire !== NUMBER) return 0;
    else if (key >> 3 === TERM) return value;
  }
  return 0;
}
