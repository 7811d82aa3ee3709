/**
 * Streams of libp2p's own services, held to the limits of a node as our streams are: how many a
 * peer opens, how often, and how much it sends on them. A service registers its protocols with the
 * registrar that it is given, so it is given one that asks the guard first.
 */
import type { Connection, Stream } from "@libp2p/interface";
import { hex } from "../protocol/bytes.ts";
import type { Guard } from "./guard.ts";

/** Who takes an inbound stream. */
export type Handler = (stream: Stream, connection: Connection) => void | Promise<void>;

/** Who hands inbound streams of a protocol to a service. */
interface Registrar {
  handle(protocol: unknown, handler: Handler, options?: unknown): unknown;
}

/** A service of libp2p whose inbound streams come to another handler first. */
export function intercepted<C, S>(
  make: (components: C) => S,
  wrap: (handler: Handler) => Handler,
): (components: C) => S {
  return (components) => {
    const { registrar } = components as { registrar: Registrar };
    const handle = (protocol: unknown, handler: Handler, options: unknown) =>
      registrar.handle(protocol, wrap(handler), options);
    return make(
      replacing(components as object, "registrar", replacing(registrar, "handle", handle)) as C,
    );
  };
}

/** A service of libp2p whose inbound streams the guard has let in, each for so many bytes at most. */
export function guarded<C, S>(
  guard: Guard,
  make: (components: C) => S,
  bytes = Infinity,
): (components: C) => S {
  const strangers = new Set<Stream>();
  return intercepted(make, (handler) => (stream, connection) => {
    if (admits(guard, strangers, bytes, stream, connection)) return handler(stream, connection);
  });
}

/** Lets a stream in, and counts what comes on it; or ends it and says why. */
function admits(
  guard: Guard,
  strangers: Set<Stream>,
  bytes: number,
  stream: Stream,
  { remotePeer }: Connection,
): boolean {
  const id = remotePeer.type === "Ed25519" ? hex(remotePeer.publicKey.raw) : undefined;
  const reason = id === undefined
    ? "the peer has no Ed25519 identity"
    : guard.opens(id) ?? crowded(guard, strangers, id);
  if (id === undefined || reason !== undefined) {
    const { protocol: kind } = stream;
    guard.environment.observe("info", "stream refused", { peer: id, kind, reason });
    stream.abort(new Error("refused"));
    return false;
  }
  stream.addEventListener("close", guard.opened(id));
  if (!guard.favours(id)) {
    strangers.add(stream);
    stream.addEventListener("close", () => strangers.delete(stream));
  }
  stream.addEventListener("message", ({ data }) => {
    bytes -= data.byteLength;
    if (!guard.frame(id, data.byteLength) || bytes < 0) stream.abort(new Error("flooded"));
  });
  return true;
}

/** Why a stranger's stream is one too many for a service, or undefined. */
function crowded(guard: Guard, strangers: Set<Stream>, id: string): string | undefined {
  const { serviceStreams } = guard.limits;
  if (guard.favours(id) || strangers.size < serviceStreams) return undefined;
  guard.count("serviceStreams");
  return `already ${serviceStreams} streams of this service`;
}

/** The same object with one other member. Its methods are called on the object itself. */
function replacing<T extends object>(target: T, name: string, member: unknown): T {
  return new Proxy(target, {
    get(_, key) {
      if (key === name) return member;
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
