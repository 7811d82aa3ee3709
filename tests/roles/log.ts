/** A log of any length, made fast: headers and certificates are real, the rounds are empty. */
import { headOf } from "../../src/protocol/chain.ts";
import { type CertifiedRecord, decodeCertified } from "../../src/protocol/record.ts";
import { scheduleBytes } from "../../src/protocol/parameters.ts";
import type { Kept } from "../../src/roles/records.ts";
import { Play } from "../protocol/play.ts";
import { certify } from "./fuzz.ts";

/** One record of a log. */
export interface Entry extends Kept {
  readonly certified: CertifiedRecord;
}

/** The next `count` records of a committee; rounds in `voids` have none. */
export function extendLog(play: Play, count: number, voids: readonly number[] = []): Entry[] {
  const schedule = new Uint8Array(scheduleBytes(play.parameters)), none = new Uint8Array(32);
  return Array.from({ length: count }, () => {
    let round = play.head.round + 1;
    while (voids.includes(round)) round++;
    const header = play.header({ round, carry: false, messageBytes: 0 });
    const bitmap = Uint8Array.of(7), messages = new Uint8Array(0);
    const body = { bitmap, root: none, sum: none, shares: none, schedule, messages };
    const bytes = certify(play, header.bytes, body);
    const certified = decodeCertified(bytes, play.manifest);
    play.head = headOf(certified.record, play.manifest);
    return { round, bytes, certified };
  });
}

/** Rounds from `from` to `to`. */
export function rounds(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
