/**
 * What a reader prints. Messages are strangers' bytes: as text, everything but printable
 * characters is escaped; as JSON, they are base64, with the printable form beside it.
 */
import { printable } from "../ops/printable.ts";
import { hex } from "../protocol/bytes.ts";
import type { Seen } from "./reader.ts";

/** Base64 of any length of bytes. */
export function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 8_192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  }
  return btoa(binary);
}

/** The lines for one record: as JSON one object with all that is needed to verify it elsewhere. */
export function recordLines(seen: Seen, json: boolean): string {
  const { record: { header, hash, bytes }, certificate, participants, messages, skipped, phases } =
    seen;
  if (json) {
    const object = {
      round: header.round,
      time: header.time,
      hash: hex(hash),
      previous: hex(header.previous),
      participants: participants.length,
      roster: header.rosterSize,
      void: skipped,
      phases: phases ?? {},
      messages: messages.map(({ slot, payload }) => ({
        slot,
        payload: base64(payload),
        text: printable(payload),
      })),
      record: base64(bytes),
      certificate: certificate.map(base64),
    };
    return `${JSON.stringify(object)}\n`;
  }
  return messages.map(({ slot, payload }) => `${header.round}/${slot} ${printable(payload)}\n`)
    .join("");
}
