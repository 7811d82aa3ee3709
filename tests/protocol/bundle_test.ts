/** A leader or a server that lies about the keys that pads are made from. */
import assert from "node:assert/strict";
import { checkBundle, createBundle, decodeBundle } from "../../src/protocol/bundle.ts";
import { concat, hex } from "../../src/protocol/bytes.ts";
import { checkBundles } from "../../src/protocol/header.ts";
import { agreement, pairKey } from "../../src/protocol/keys.ts";
import { xchacha20 } from "../../src/protocol/pad.ts";
import { Play } from "./play.ts";
import { refuses } from "./refuses.ts";

const play = new Play(70), { manifest, servers } = play;
const bundles = servers.map((s) => s.bundle);

Deno.test("a bundle comes back and is its server's own", () => {
  const read = decodeBundle(bundles[1].bytes);
  assert.equal(hex(read.agreement), hex(servers[1].agreement.key));
  assert.equal(read.keyEpoch, 0);
  checkBundle(manifest, 1, read);
  refuses("signature", () => checkBundle(manifest, 0, read));
});

Deno.test("a bundle of another instance or manifest is refused", () => {
  const fields = bundles[0];
  const elsewhere = { ...manifest, instance: new Uint8Array(32).fill(1) };
  const later = { ...manifest, fingerprint: new Uint8Array(32).fill(1) };
  for (const other of [elsewhere, later]) {
    const bundle = createBundle(servers[0].signer, other, fields);
    refuses("signature", () => checkBundle(manifest, 0, bundle));
  }
});

Deno.test("a leader that puts its own key into a server's bundle is refused", () => {
  const mine = agreement(play.random.bytes(32)).key;
  const forged = concat(bundles[1].bytes.subarray(0, 36), mine, bundles[1].signature);
  const swapped = [bundles[0], decodeBundle(forged), bundles[2]];
  refuses("signature", () => checkBundles(manifest, play.header({ bundles: swapped })));
  const own = createBundle(servers[0].signer, manifest, { ...bundles[1], agreement: mine });
  refuses(
    "signature",
    () => checkBundles(manifest, play.header({ bundles: [bundles[0], own, bundles[2]] })),
  );
});

Deno.test("bundles in another order than the manifest's are refused", () => {
  const [a, b, c] = bundles;
  refuses("signature", () => checkBundles(manifest, play.header({ bundles: [b, a, c] })));
});

Deno.test("a server that signs a bundle with another server's X25519 key is refused", () => {
  const thief = createBundle(servers[1].signer, manifest, {
    ...bundles[1],
    agreement: servers[0].agreement.key,
  });
  checkBundle(manifest, 1, thief);
  const header = play.header({ bundles: [bundles[0], thief, bundles[2]] });
  refuses("key", () => checkBundles(manifest, header));
});

Deno.test("with another server's X25519 key the two pads still do not cancel", () => {
  const client = play.clients[0], [honest, thief] = servers, stolen = honest.agreement.key;
  const key = (server: Uint8Array) =>
    pairKey(client.agreement.shared(stolen), {
      instance: manifest.instance,
      client: { key: client.signer.key, agreement: client.agreement.key },
      server: { key: server, agreement: stolen },
    });
  const h = play.header().hash, text = new TextEncoder().encode("a secret of some length");
  const padded = xchacha20.apply(
    key(thief.signer.key),
    h,
    xchacha20.apply(key(honest.signer.key), h, text),
  );
  assert.notEqual(hex(padded), hex(text));
  // What the identities prevent: under one key the pads would be gone.
  const same = key(honest.signer.key);
  assert.equal(hex(xchacha20.apply(same, h, xchacha20.apply(same, h, text))), hex(text));
});

Deno.test("an X25519 key that gives all zeros is refused, though signed", () => {
  for (const first of [0, 1]) {
    const weak = new Uint8Array(32);
    weak[0] = first;
    const bundle = createBundle(servers[0].signer, manifest, { ...bundles[0], agreement: weak });
    refuses("key", () => checkBundle(manifest, 0, bundle));
  }
});

Deno.test("a bundle that was checked before is not checked again, a changed one is", () => {
  const known = new Map<number, Uint8Array>();
  checkBundles(manifest, play.header(), known);
  assert.equal(known.size, 3);
  checkBundles(manifest, play.header(), known);
  const forged = bundles[0].bytes.slice();
  forged[0] ^= 1;
  const header = play.header({ bundles: [decodeBundle(forged), bundles[1], bundles[2]] });
  refuses("signature", () => checkBundles(manifest, header, known));
  assert.equal(hex(known.get(0)!), hex(bundles[0].bytes));
  const twice = play.header({ bundles: [bundles[0], bundles[0], bundles[2]] });
  refuses("key", () => checkBundles(manifest, twice, new Map([...known, [1, bundles[0].bytes]])));
});
