/** A client whose words are folded with those of others, which the test makes. */
import assert from "node:assert/strict";
import { equal } from "../../src/protocol/bytes.ts";
import type { Header } from "../../src/protocol/header.ts";
import type { Party, PlayedRound } from "../protocol/play.ts";
import { Sender } from "./sender.ts";

/** A client that stands in the roster, and whose envelopes are folded with the others'. */
export async function talking(seed: number, minParticipants?: number): Promise<Sender> {
  const s = await new Sender(seed, minParticipants).begin(),
    { client, agreement: key } = s.play.roster.at(3)!;
  const shared = (server: Uint8Array) =>
    s.play.servers.find(({ agreement }) => equal(agreement.key, server))!.agreement.shared(key);
  const party = { signer: { key: client }, agreement: { key, shared } } as unknown as Party;
  (s.play.clients as Party[]).push(party);
  return s;
}

/** A round in which the client's own envelope takes part. */
export function round(s: Sender, header: Header = s.play.header()): PlayedRound {
  const before = s.envelopes, { play } = s, others = play.envelope.bind(play);
  s.live.frame(s.frame(header));
  const own = s.submitted[before];
  assert.ok(own, `it sends under header ${header.round}: ${s.silence}`);
  play.envelope = (i, h, vectors) => i === 3 ? s.read(own, h) : others(i, h, vectors);
  const played = play.round([], header);
  play.envelope = others;
  return played;
}
