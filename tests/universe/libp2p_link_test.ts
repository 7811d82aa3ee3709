/** A link over a stream of libp2p that is a pretence: what is left of it once it ends. */
import assert from "node:assert/strict";
import type { Stream as RawStream } from "@libp2p/interface";
import { Guard } from "../../src/universe/guard.ts";
import { StreamLink } from "../../src/universe/libp2p_link.ts";
import { MemoryUniverse } from "../../src/universe/memory.ts";
import { BoundStream } from "../../src/universe/stream.ts";
import { Unfinished } from "../../src/universe/unfinished.ts";
import { CHAT } from "./conformance.ts";

/** Takes one message, and no more before `drain`. */
class Raw extends EventTarget {
  status = "open";
  writeBufferLength = 0;
  send(bytes: Uint8Array): boolean {
    this.writeBufferLength += bytes.length;
    return false;
  }
  drain(): void {
    this.writeBufferLength = 0;
    this.dispatchEvent(new Event("drain"));
  }
  close(): Promise<void> {
    if (this.status === "open") this.status = "closing";
    return Promise.resolve();
  }
  abort(): void {
    if (this.status === "aborted") return;
    this.status = "aborted";
    this.writeBufferLength = 0;
    this.dispatchEvent(Object.assign(new Event("close"), { local: true }));
  }
}

function linked() {
  const universe = new MemoryUniverse({ seed: 1 }), raw = new Raw();
  const environment = universe.environment("x", () => {});
  const guard = new Guard(environment);
  const key = new Uint8Array(32).fill(1);
  const unfinished = new Unfinished(environment, guard);
  let gone = 0;
  const release = () => void gone++;
  const stream = raw as unknown as RawStream;
  const link = new StreamLink(stream, key, environment.clock, unfinished, release);
  const peer = { id: link.id, key, role: "client", addresses: [] } as const;
  const ends: string[] = [];
  let released = 0;
  const meters = { guard, receives: true };
  const bound = new BoundStream(peer, CHAT, link, environment, meters, () => void released++);
  bound.begin({ frame() {}, closed: (reason) => void ends.push(reason) });
  return { universe, raw, guard, link, bound, ends, gone: () => gone, released: () => released };
}

Deno.test("link: who ends its half while something waits for it is let go at once", () => {
  const { raw, guard, link, bound, ends, gone } = linked();
  for (let n = 0; n < 3; n++) assert(bound.send(new Uint8Array(100_000)));
  assert(guard.counts(0).waiting > 300_000);
  raw.dispatchEvent(new Event("remoteCloseWrite"));
  assert.deepEqual([raw.status, link.waiting, gone()], ["aborted", 0, 1]);
  assert.deepEqual([ends, guard.counts(0).waiting], [["closed by the peer"], 0]);
});

Deno.test("link: who ends its half in good order hears the other's end", () => {
  const { raw, bound, ends } = linked();
  bound.send(new Uint8Array(10));
  raw.drain();
  raw.dispatchEvent(new Event("remoteCloseWrite"));
  assert.deepEqual([raw.status, ends], ["closing", ["closed by the peer"]]);
});

Deno.test("link: what waits when this side closes is counted until it has left", async () => {
  for (const end of ["left", "cut", "late", "peer"]) {
    const { universe, raw, guard, bound, released } = linked();
    for (let n = 0; n < 3; n++) bound.send(new Uint8Array(100_000));
    bound.close("done");
    assert.deepEqual([raw.status, released()], ["open", 0], "it is sent still");
    assert(guard.counts(0).waiting > 300_000);
    if (end === "cut") bound.cut("too much");
    if (end === "late") await universe.advance(6_000);
    if (end === "peer") raw.dispatchEvent(new Event("remoteCloseWrite"));
    if (end === "left") {
      while (raw.status === "open") raw.drain();
      assert.equal(raw.status, "closing");
      raw.dispatchEvent(Object.assign(new Event("close"), { local: false }));
    } else assert.equal(raw.status, "aborted", end);
    await Promise.resolve();
    assert.deepEqual([released(), guard.counts(0).waiting], [1, 0], end);
  }
});
