import assert from "node:assert/strict";
import { decodeRegister } from "../../src/committee/register.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import {
  boot,
  DIGEST,
  Disk,
  FACTS,
  finish,
  GENESIS,
  header,
  MANIFEST,
  nextFrom,
  NOW,
  partials,
  prepares,
  recordOf,
  release,
  SERVERS,
  SHARE,
  signed,
} from "./one_server.ts";

Deno.test("a disk that fails means no signature and no change", () => {
  const disk = new Disk(), rules = boot(disk), h = header(1);
  const failing = (call: () => unknown) => {
    const before = disk.log.length;
    disk.fails = true;
    assert.throws(call, /disk full/);
    disk.fails = false;
    assert.equal(disk.log.length, before);
  };
  failing(() => rules.open(h, NOW));
  assert.equal(rules.opened, undefined);
  signed(rules.open(h, NOW));
  failing(() => rules.prepare(h, DIGEST, SHARE, FACTS));
  failing(() => rules.void(h));
  assert.equal(rules.voided(h.hash), false);
  signed(rules.prepare(h, DIGEST, SHARE, FACTS));
  failing(() => rules.partial(h, prepares(h), FACTS));
  assert.equal(rules.released(h.hash), false);
  signed(rules.partial(h, prepares(h), FACTS));
  failing(() => rules.final(recordOf(h), partials(h), { sharesMatch: true }, SHARE));
  assert.deepEqual(rules.head, GENESIS);
  failing(() => rules.attach(SHARE));
  assert.equal(rules.attachment, undefined);
  failing(() => rules.close(nextFrom(GENESIS.hash), { certified: true }));
  assert.equal(rules.closed, undefined);
  failing(() => rules.final(recordOf(h), partials(h), { sharesMatch: true }, SHARE));
});

Deno.test("a register that is damaged, another's or of this very boot is not loaded", () => {
  const disk = new Disk(), rules = boot(disk);
  const { hash: previous } = finish(rules, header(1));
  release(rules, header(2, { previous }));
  const good = disk.bytes!, owner = { key: SERVERS[0], manifest: MANIFEST.fingerprint };
  assert.deepEqual(decodeRegister(good, owner).head.round, 1);
  const loads = (bytes: Uint8Array, name = "boot 2") => {
    disk.bytes = bytes;
    return () => boot(disk, name);
  };
  loads(good)();
  assert.throws(loads(good, "boot 1"), ProtocolError);
  for (let length = 0; length < good.length; length++) {
    assert.throws(loads(good.subarray(0, length)), ProtocolError, `cut to ${length}`);
  }
  assert.throws(loads(Uint8Array.of(...good, 0)), ProtocolError);
  assert.throws(loads(Uint8Array.of(1, ...good.subarray(1))), /version 1, expected 2: start the/);
  const flags = [0, 1, 33, 105, 142, 142 + 73, good.length - 98, good.length - 1];
  for (const at of flags) {
    const bytes = good.slice();
    bytes[at] ^= 0xff;
    assert.throws(loads(bytes), ProtocolError, `byte ${at}`);
  }
  const twice = Uint8Array.of(...good.subarray(0, -1), ...good.subarray(-97));
  twice[good.length - 98] = 2;
  assert.throws(loads(twice), ProtocolError);
});
