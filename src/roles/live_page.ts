/**
 * What the page of a reader shows: each record as this reader verified it. A message is a stranger's
 * bytes: it comes as text in which everything that cannot be seen is written out.
 */
import { printable } from "../ops/printable.ts";
import { hex } from "../protocol/bytes.ts";
import type { Manifest } from "../protocol/manifest.ts";
import type { Seen } from "./reader.ts";
import type { ToldVoid } from "./void_feed.ts";

/** The page's files, beside each other in `testnet/page/`. */
export const PAGE_FILES: readonly string[] = ["index.html", "style.css", "page.js"];
/** Characters of one message that the page shows. */
const MAX_TEXT = 2_000;

/** What the page is told of its instance. */
export function instanceEvent(instance: string, newest: Manifest, attested: boolean): string {
  return JSON.stringify({
    instance,
    servers: newest.servers.length,
    committee: hex(newest.fingerprint),
    attested: attested ? "attested" : "not attested",
  });
}

/** What the page is told of a record, and of the void rounds before it. */
export function roundEvent(seen: Seen, voids: readonly ToldVoid[] = []): string {
  const { record: { header, hash }, certificate, participants, messages, skipped, linked, phases } =
    seen;
  return JSON.stringify({
    round: header.round,
    time: header.time,
    hash: hex(hash),
    participants: participants.length,
    roster: header.rosterSize,
    skipped,
    voids,
    linked,
    ...phases,
    signatures: certificate.length,
    servers: header.bundles.length,
    messages: messages.map(({ slot, payload }) => ({ slot, text: shown(payload) })),
  });
}

function shown(payload: Uint8Array): string {
  const text = printable(payload);
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${payload.length} bytes)`;
}
