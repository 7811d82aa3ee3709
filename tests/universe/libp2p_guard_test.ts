/** Streams of libp2p's services before the guard; nothing here touches a network. */
import { deepEqual, equal } from "node:assert/strict";
import type { Connection, Stream } from "@libp2p/interface";
import { Guard } from "../../src/universe/guard.ts";
import { guarded } from "../../src/universe/libp2p_guard.ts";
import type { Limits } from "../../src/universe/limits.ts";

type Handler = (stream: Stream, connection: Connection) => void;

class FakeStream extends EventTarget {
  readonly protocol = "/service/1";
  aborted = "";
  abort({ message }: Error): void {
    this.aborted ||= message;
    this.dispatchEvent(new Event("close"));
  }
  says(length: number): void {
    this.dispatchEvent(Object.assign(new Event("message"), { data: new Uint8Array(length) }));
  }
}

/** A service of which a peer opens streams. */
function service(limits: Partial<Limits>, bytes?: number) {
  const seen: unknown[] = [], served: Stream[] = [];
  const guard = new Guard({
    clock: { now: () => 0, wall: () => 0, after: () => () => {} },
    random: (length) => new Uint8Array(length),
    observe: (_, event, fields) => void seen.push([event, fields?.reason ?? fields?.limit]),
  }, limits);
  let handler: Handler = () => {};
  class Registrar {
    #named = "";
    handle(protocol: string, handle: Handler) {
      this.#named = protocol;
      handler = handle;
    }
    get named() {
      return this.#named;
    }
  }
  const registrar = new Registrar();
  const make = guarded(guard, (components: { registrar: Registrar; other: number }) => {
    components.registrar.handle("/service/1", (stream) => void served.push(stream));
    return components.registrar.named + components.other;
  }, bytes);
  const made = make({ registrar, other: 7 });
  const opens = (type = "Ed25519", peer = 1): FakeStream => {
    const stream = new FakeStream();
    const remotePeer = { type, publicKey: { raw: new Uint8Array(32).fill(peer) } };
    handler(stream as unknown as Stream, { remotePeer } as unknown as Connection);
    return stream;
  };
  return { guard, seen, served, made, opens };
}

Deno.test("service streams: they count as a peer's streams, and end with them", () => {
  const { made, opens, served, seen } = service({ streamsPerPeer: 2 });
  equal(made, "/service/17");
  const first = opens();
  opens();
  equal(opens().aborted, "refused");
  first.abort(new Error("over"));
  equal(opens().aborted, "");
  equal(served.length, 3);
  deepEqual(seen, [["stream refused", "already 2 streams, at most 2"]]);
});

Deno.test("service streams: who floods them is barred", () => {
  const { opens, seen, guard } = service({ bytesPerPeer: { perSecond: 1, burst: 100 } });
  const stream = opens();
  stream.says(100);
  equal(stream.aborted, "");
  stream.says(1);
  equal(stream.aborted, "flooded");
  equal(opens().aborted, "refused");
  deepEqual(seen[0], ["peer barred", "bytesPerPeer"]);
  equal(guard.counts(0).refused.bytesPerPeer, 1);
});

Deno.test("service streams: one has its own bound where the service has one", () => {
  const { opens } = service({}, 100);
  const [one, other] = [opens(), opens()];
  one.says(99);
  other.says(100);
  deepEqual([one.aborted, other.aborted], ["", ""]);
  one.says(2);
  deepEqual([one.aborted, other.aborted], ["flooded", ""]);
});

Deno.test("service streams: an identity of another kind is refused", () => {
  const { opens, served } = service({});
  equal(opens("RSA").aborted, "refused");
  equal(served.length, 0);
});

Deno.test("service streams: so many strangers have one; members do besides", () => {
  const { guard, opens, seen } = service({ serviceStreams: 2 });
  const first = opens("Ed25519", 1);
  opens("Ed25519", 2);
  equal(opens("Ed25519", 3).aborted, "refused");
  deepEqual(seen, [["stream refused", "already 2 streams of this service"]]);
  equal(guard.counts(0).refused.serviceStreams, 1);
  guard.favour("04".repeat(32));
  equal(opens("Ed25519", 4).aborted, "");
  first.abort(new Error("over"));
  equal(opens("Ed25519", 3).aborted, "");
  equal(opens("Ed25519", 5).aborted, "refused");
});
