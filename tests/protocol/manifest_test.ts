import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { hash } from "../../src/protocol/hash.ts";
import { signer } from "../../src/protocol/keys.ts";
import {
  checkSuccession,
  createManifest,
  decodeManifest,
  type ManifestFields,
  MAX_MANIFEST_BYTES,
  serverIndex,
} from "../../src/protocol/manifest.ts";
import { type Limit, LIMITS, PRESETS } from "../../src/protocol/parameters.ts";
import { Random } from "./random.ts";
import { refuses } from "./refuses.ts";

const random = new Random(30);
const signers = Array.from({ length: 65 }, () => signer(random.bytes(32)));
const fields = (count: number) => ({
  instance: new Uint8Array(32).fill(1),
  epoch: 0,
  previous: new Uint8Array(32),
  start: new Uint8Array(32),
  servers: signers.slice(0, count).map((s) => s.key),
  parameters: PRESETS.dev,
});
const link = { epoch: 1, previous: new Uint8Array(32).fill(2), start: new Uint8Array(32).fill(3) };

Deno.test("servers are sorted; the order they were given in does not matter", () => {
  const one = createManifest(fields(5));
  const two = createManifest({ ...fields(5), servers: [...fields(5).servers].reverse() });
  assert.equal(hex(one.fingerprint), hex(two.fingerprint));
  one.servers.forEach((key, i) => assert.equal(serverIndex(one, key), i));
  assert.equal(serverIndex(one, signers[60].key), -1);
});

Deno.test("2 to 64 servers", () => {
  createManifest(fields(2));
  assert.equal(createManifest(fields(64)).bytes.length, MAX_MANIFEST_BYTES);
  refuses("range", () => createManifest(fields(1)));
  refuses("range", () => createManifest(fields(65)));
});

Deno.test("server keys must be distinct, ascending and usable", () => {
  const { bytes } = createManifest(fields(3)), key = (i: number) => 102 + 32 * i;
  const twice = bytes.slice();
  twice.copyWithin(key(1), key(0), key(1));
  refuses("encoding", () => decodeManifest(twice));
  const swapped = bytes.slice();
  swapped.set(bytes.subarray(key(1), key(2)), key(0));
  swapped.set(bytes.subarray(key(0), key(1)), key(1));
  refuses("encoding", () => decodeManifest(swapped));
  const small = bytes.slice();
  small.fill(0, key(0), key(1));
  refuses("key", () => decodeManifest(small));
});

Deno.test("the root is genesis in epoch 0, the start record later", () => {
  const first = createManifest(fields(3)), second = createManifest({ ...fields(3), ...link });
  assert.equal(hex(first.root), hex(hash("genesis", first.fingerprint)));
  assert.equal(hex(second.root), hex(link.start));
});

Deno.test("epoch 0 has no links, later ones have both", () => {
  const zero = new Uint8Array(32);
  for (
    const wrong of [
      { ...link, epoch: 0 },
      { ...link, epoch: 0, previous: zero },
      { ...link, epoch: 0, start: zero },
      { ...link, previous: zero },
      { ...link, start: zero },
      { epoch: 1 },
    ]
  ) refuses("encoding", () => createManifest({ ...fields(3), ...wrong }));
});

Deno.test("the next epoch: one higher, of the same instance and parameters, naming the one before", () => {
  const zero = createManifest(fields(3));
  const one = { ...fields(5), ...link, previous: zero.fingerprint };
  const follows = (other: Partial<ManifestFields>) =>
    checkSuccession(zero, createManifest({ ...one, ...other }));
  follows({});
  follows({ servers: fields(3).servers.slice(0, 2) });
  refuses("chain", () => checkSuccession(zero, zero), /rise/);
  refuses("chain", () => follows({ epoch: 2 }), /rise/);
  refuses("chain", () => follows({ previous: new Uint8Array(32).fill(2) }), /follows another/);
  refuses("chain", () => follows({ instance: new Uint8Array(32).fill(2) }), /instance/);
  for (const name of Object.keys(LIMITS) as Limit[]) {
    const parameters = { ...PRESETS.dev, [name]: PRESETS.dev[name] - 1 };
    refuses("chain", () => follows({ parameters }), /parameters/);
  }
  const anchored = { ...PRESETS.dev, anchor: new Uint8Array(32).fill(1) };
  refuses("chain", () => follows({ parameters: anchored }), /parameters/);
});
