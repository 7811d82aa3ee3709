/** Committees that change, as their lineages say it, and holders that say so. */
import { encodeLineage, type SignedManifest } from "../../src/protocol/lineage.ts";
import type { Committee } from "../../src/roles/committee.ts";
import { Epochs } from "../../src/roles/epochs.ts";
import { SERVER_REGISTRY } from "../../src/roles/streams.ts";
import { Play, type PlayedRound } from "../protocol/play.ts";
import type { Wire, Wires } from "./wire.ts";

/** The lineage up to an epoch, complete. */
export function lineageOf(play: Play): Uint8Array {
  return encodeLineage(play.lineage);
}

/** The lineage up to an epoch, without the signatures of some members of the one before. */
export function incomplete(play: Play, silent: readonly number[]): Uint8Array {
  return encodeLineage([...play.before!.lineage, play.signed(silent)]);
}

/** Another committee in the place of an epoch: its members agree, and nobody else has signed. */
export function forked(play: Play, seed: number): Uint8Array {
  const other = new Play(seed);
  return encodeLineage([...play.before?.lineage ?? [], other.signed()] as SignedManifest[]);
}

/** A committee that was met, at an epoch. */
export function committeeOf(play: Play): Committee {
  return { epochs: new Epochs(manifestsOf(play)), lineage: lineageOf(play) };
}

/** The manifests up to an epoch. */
export function manifestsOf(play: Play) {
  return play.lineage.map(({ manifest }) => manifest);
}

/** The open stream of a watch, if there is one. */
export function registryOf(wires: Wires): Wire | undefined {
  return wires.to(SERVER_REGISTRY)[0];
}

/** The rounds of `fourEpochs` that have a record, and what landed. */
export const ROUNDS = [1, 2, 3, 5, 8, 9, 10, 11], TEXTS = ["one", "two", "three"];

/** The round of a record. */
export function roundOf({ certified }: PlayedRound): number {
  return certified.record.header.round;
}

/**
 * A log over changes of the committee. Epoch 0 has rounds 1 to 3 and 5, epoch 1 rounds 8 and 9, epoch
 * 2 no record, epoch 3 rounds 10 and 11.
 */
export function fourEpochs(seed: number) {
  const zero = new Play(seed), log: PlayedRound[] = [zero.round()];
  const first = zero.talk([TEXTS[0]]);
  log.push(first.reserved, first.talked, zero.round([], zero.header({ round: 5 })));
  const one = zero.next([0, 1], 2), early = one.header({ round: 8 });
  const { slot } = one.slot(early, TEXTS[1]);
  log.push(one.round([one.vectors(early, { reserve: slot })], early));
  const talking = one.header();
  log.push(one.round([one.vectors(talking, { talk: slot })], talking));
  const two = one.next([1, 2], 0), three = two.next([0, 1], 2);
  const last = three.talk([TEXTS[2]]);
  log.push(last.reserved, last.talked);
  const of = (round: number) => log.find((played) => roundOf(played) === round)!;
  return { zero, one, two, three, log, of };
}
