/**
 * A header that every server has OPENed, as it goes out to clients, and what a client checks before
 * it sends anything under it (`src/protocol/README.md`, "What a client checks").
 *
 * Layout: header (153 + 132 N) ‖ N OPEN signatures (64 each) in manifest order.
 */
import { concat, equal, Reader } from "./bytes.ts";
import type { Head } from "./chain.ts";
import { ProtocolError } from "./errors.ts";
import { decodeHeader, type Header, headerBytes } from "./header.ts";
import { verify } from "./keys.ts";
import type { Manifest } from "./manifest.ts";

/** A header with N OPENs. */
export interface OpenedHeader {
  readonly header: Header;
  readonly opens: readonly Uint8Array[];
}

/** Bytes of an opened header of N servers. */
export function openedBytes(servers: number): number {
  return headerBytes(servers) + 64 * servers;
}

/** The layout of an opened header. */
export function encodeOpened({ header, opens }: OpenedHeader): Uint8Array {
  return concat(header.bytes, ...opens);
}

/** Reads an opened header; `checkOpened` judges it. */
export function decodeOpened(bytes: Uint8Array, manifest: Manifest): OpenedHeader {
  const reader = new Reader(bytes, "opened header");
  const header = decodeHeader(reader.bytes(headerBytes(manifest.servers.length)), manifest);
  const opens = manifest.servers.map(() => reader.bytes(64));
  reader.end();
  return { header, opens };
}

/** Throws unless every server signed OPEN for the header. */
export function checkOpens(manifest: Manifest, { header, opens }: OpenedHeader): void {
  manifest.servers.forEach((server, i) => {
    if (opens[i] === undefined || !verify(server, opens[i], "open", header.hash)) {
      throw new ProtocolError(
        "signature",
        `header ${header.round} without the OPEN of server ${i}`,
      );
    }
  });
}

/** Throws unless a header extends `head`: link, higher round, message bytes of the layout. */
export function checkExtends(header: Header, head: Head): void {
  const fail = (what: string): never => {
    throw new ProtocolError("chain", `header ${header.round} ${what}`);
  };
  if (header.round <= head.round) fail(`not above round ${head.round}`);
  if (!equal(header.previous, head.hash)) fail(`does not extend the record of round ${head.round}`);
  const expected = header.carry ? head.layout.bytes : 0;
  if (header.messageBytes !== expected) {
    fail(`has ${header.messageBytes} message bytes, expected ${expected}`);
  }
  if (header.carry && head.header === undefined) fail("carries grants that genesis does not have");
}
