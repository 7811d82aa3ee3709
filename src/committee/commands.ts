/**
 * What is put in order: small commands, each one server's word or the hash of something larger.
 *
 * Layout: u8 kind ‖ body, by the table of `COMMANDS`.
 */
import { type HeaderHash, Reader, type RecordHash, Writer } from "../protocol/bytes.ts";
import { type Bundle, decodeBundle } from "../protocol/bundle.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { decodeRegistration, type Registration } from "../protocol/registration.ts";
import { decodeSigned, encodeSigned, type Signed } from "../protocol/statements.ts";
import { type Decline, decodeDecline, encodeDecline } from "./decline.ts";
import { MAX_COMMAND_BYTES } from "./engine.ts";
import { reasonBytes, reasonText } from "./reason.ts";
import { decodeVouch, encodeVouch, stands, type Vouch } from "./vouches.ts";

/** A command; `places` and `seat` stand in snapshots only. */
export type Command =
  | { readonly kind: "bundle"; readonly server: number; readonly bundle: Bundle }
  | { readonly kind: "register"; readonly registration: Registration }
  | { readonly kind: "leave"; readonly registration: Registration }
  | { readonly kind: "expire"; readonly index: number; readonly client: Uint8Array }
  | { readonly kind: "propose"; readonly round: number; readonly header: HeaderHash }
  | { readonly kind: "aggregate"; readonly header: HeaderHash; readonly digest: Uint8Array }
  | { readonly kind: "statement"; readonly signed: Signed }
  | { readonly kind: "decline"; readonly server: number; readonly decline: Decline }
  /** Nobody's word: `reason` is what whoever leads says. */
  | { readonly kind: "abandon"; readonly header: HeaderHash; readonly reason: string }
  | {
    readonly kind: "places";
    readonly round: number;
    readonly size: number;
    readonly freeing: readonly number[];
  }
  | { readonly kind: "seat"; readonly index: number; readonly registration: Registration }
  | { readonly kind: "gone"; readonly client: Uint8Array; readonly session: number }
  | { readonly kind: "uncarried"; readonly record: RecordHash }
  /** Changes of the roster that wait take effect. */
  | { readonly kind: "settle" }
  | { readonly kind: "vouch"; readonly server: number; readonly vouch: Vouch }
  /** Encoded commands about clients, which come in numbers: `register`, `vouch`. */
  | { readonly kind: "batch"; readonly commands: readonly Uint8Array[] };

const COMMANDS = [
  "bundle",
  "register",
  "leave",
  "expire",
  "propose",
  "aggregate",
  "statement",
  "decline",
  "abandon",
  "places",
  "seat",
  "gone",
  "uncarried",
  "vouch",
  "settle",
  "batch",
] as const;

/** What may stand in a batch. */
const BATCHED: readonly unknown[] = ["register", "vouch"];

/** The layout of a command. */
export function encodeCommand(c: Command): Uint8Array {
  const out = new Writer().u8(COMMANDS.indexOf(c.kind));
  switch (c.kind) {
    case "bundle":
      return out.u16(c.server).bytes(c.bundle.bytes).end();
    case "register":
    case "leave":
      return out.bytes(c.registration.bytes).end();
    case "expire":
      return out.u32(c.index).bytes(c.client).end();
    case "propose":
      return out.u64(c.round).bytes(c.header).end();
    case "aggregate":
      return out.bytes(c.header).bytes(c.digest).end();
    case "statement":
      return out.bytes(encodeSigned(c.signed)).end();
    case "decline":
      return out.u16(c.server).bytes(encodeDecline(c.decline)).end();
    case "abandon":
      return out.bytes(c.header).bytes(reasonBytes(c.reason)).end();
    case "places":
      out.u64(c.round).u32(c.size).u32(c.freeing.length);
      for (const index of c.freeing) out.u32(index);
      return out.end();
    case "seat":
      return out.u32(c.index).bytes(c.registration.bytes).end();
    case "gone":
      return out.bytes(c.client).u64(c.session).end();
    case "uncarried":
      return out.bytes(c.record).end();
    case "settle":
      return out.end();
    case "vouch":
      return out.u16(c.server).bytes(encodeVouch(c.vouch)).end();
    case "batch":
      for (const command of c.commands) out.vector(command);
      return out.end();
  }
}

/** As few commands as hold these, none longer than an engine takes. */
export function batches(commands: readonly Uint8Array[]): Uint8Array[] {
  const out: Uint8Array[][] = [];
  let length = Infinity;
  for (const command of commands) {
    length += 4 + command.length;
    if (length > MAX_COMMAND_BYTES) {
      out.push([]);
      length = 1 + 4 + command.length;
    }
    out.at(-1)!.push(command);
  }
  return out.map((some) =>
    some.length === 1 ? some[0] : encodeCommand({ kind: "batch", commands: some })
  );
}

/** Reads a command; what is signed in it is checked where it is applied, but for registrations. */
export function decodeCommand(bytes: Uint8Array, manifest: Manifest): Command {
  const reader = new Reader(bytes, "command");
  const kind = COMMANDS[reader.u8()];
  if (kind === undefined) throw new ProtocolError("type", "a command of an unknown kind");
  const rest = () => reader.bytes(reader.left);
  const command = ((): Command => {
    switch (kind) {
      case "bundle":
        return { kind, server: serverOf(reader, manifest), bundle: decodeBundle(rest()) };
      case "register":
      case "leave":
        return { kind, registration: decodeRegistration(kind, rest(), manifest.instance) };
      case "expire":
        return { kind, index: reader.u32(), client: reader.bytes(32) };
      case "propose":
        return { kind, round: reader.u64(), header: reader.bytes(32) };
      case "aggregate":
        return { kind, header: reader.bytes(32), digest: reader.bytes(32) };
      case "statement":
        return { kind, signed: decodeSigned(rest()) };
      case "decline":
        return { kind, server: serverOf(reader, manifest), decline: decodeDecline(rest()) };
      case "abandon":
        return { kind, header: reader.bytes(32), reason: reasonText(rest()) };
      case "places": {
        const round = reader.u64(), size = reader.u32(), count = reader.u32();
        if (size > manifest.parameters.maxClients || count > size) {
          reader.fail("range", `${size} places, ${count} freeing`);
        }
        const freeing = Array.from({ length: count }, () => reader.u32());
        if (new Set(freeing).size !== count || freeing.some((index) => index >= size)) {
          reader.fail("range", `freeing places that are not there, or twice`);
        }
        return { kind, round, size, freeing };
      }
      case "seat": {
        const index = reader.u32();
        return {
          kind,
          index,
          registration: decodeRegistration("register", rest(), manifest.instance),
        };
      }
      case "gone":
        return { kind, client: reader.bytes(32), session: reader.u64() };
      case "uncarried":
        return { kind, record: reader.bytes(32) };
      case "settle":
        return { kind };
      case "vouch":
        return { kind, server: serverOf(reader, manifest), vouch: decodeVouch(rest()) };
      case "batch": {
        const commands: Uint8Array[] = [];
        while (reader.left > 0) {
          const one = reader.bounded(1, reader.left, "command");
          if (!BATCHED.includes(COMMANDS[one[0]])) {
            reader.fail("range", `a batch with kind ${one[0]}`);
          }
          commands.push(one);
        }
        return { kind, commands };
      }
    }
  })();
  reader.end();
  return command;
}

/** What has to wait for the end of a round, whose header names the roster. */
export function changesRoster(command: Command): boolean {
  const { kind } = command;
  return kind === "register" || kind === "leave" || kind === "expire" ||
    (kind === "vouch" && !stands(command.vouch));
}

function serverOf(reader: Reader, manifest: Manifest): number {
  const server = reader.u16();
  if (server >= manifest.servers.length) {
    reader.fail("range", `server ${server} of ${manifest.servers.length}`);
  }
  return server;
}
