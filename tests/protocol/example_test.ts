/** The worked example, made again from its secrets by noble and the text alone. */
import assert from "node:assert/strict";
import {
  agreementKey,
  ascii,
  B3,
  cat,
  decodeTable,
  entry,
  H,
  hx,
  label,
  le,
  mark,
  merkle,
  pad,
  pairKey,
  places,
  publicKey,
  sign,
  un,
  vec,
  xor,
  zeros,
} from "./oracle.ts";
import vectors from "./vectors.json" with { type: "json" };

const v = vectors.example;
const CELLS = 64, SCHEDULE = 24 * CELLS;
const secrets = (p: { seed: string; secret: string }) => ({
  seed: un(p.seed),
  secret: un(p.secret),
});
const servers = v.servers.map(secrets), clients = v.clients.map(secrets);
const aggregator = secrets(v.aggregator);
const keys = servers.map((s) => publicKey(s.seed));

const instance = B3(
  label("instance"),
  B3(ascii("mosaik.universe")),
  vec(ascii(v.instance)),
);
const parameters = cat(
  zeros(1),
  ...[16, 16, 108, 1_024, 3, 32, 300, 120, 3_000].map((n) => le(n, 4)),
  zeros(64),
);
const manifest = cat(instance, zeros(4 + 32 + 32), le(3, 2), ...keys, parameters);
const fingerprint = H("manifest", manifest);
const genesis = H("genesis", fingerprint);
const bundles = servers.map((server, i) => {
  const body = cat(un(v.servers[i].nonce), le(0, 4), agreementKey(server.secret));
  return cat(body, sign(server.seed, "sign-bundle", instance, fingerprint, keys[i], body));
});
const ends = clients.map((c) => cat(publicKey(c.seed), agreementKey(c.secret)));
const rosterRoot = merkle(ends.map((e, i) => H("roster", le(i, 4), e)));

Deno.test("manifest, fingerprint, genesis", () => {
  assert.deepEqual([...keys].map(hx).sort(), keys.map(hx), "ascending");
  assert.equal(v.parameters, hx(parameters));
  assert.equal(v.manifest, hx(manifest));
  assert.equal(v.fingerprint, hx(fingerprint));
  assert.equal(v.genesis, hx(genesis));
  const signatures = servers.map((s) => sign(s.seed, "sign-manifest", fingerprint));
  assert.equal(v.lineage, hx(cat(le(1, 2), vec(manifest), ...signatures)));
});

Deno.test("bundles, registration, leave, roster", () => {
  bundles.forEach((bundle, i) => assert.equal(v.servers[i].bundle, hx(bundle)));
  const fields = cat(instance, ends[0], le(1_800_000_000_000, 8));
  const signed = (name: string) => hx(cat(fields, sign(clients[0].seed, name, fields)));
  assert.equal(v.registration, signed("sign-register"));
  assert.equal(v.leave, signed("sign-leave"));
  assert.equal(v.roster, hx(cat(le(3, 4), ...ends)));
});

Deno.test("slot and commitment", () => {
  const slot = un(v.message.slot), text = ascii(v.message.text);
  assert.equal(slot.length, 64);
  assert.equal(hx(slot.slice(16)), hx(cat(vec(text), zeros(44 - text.length))));
  const h = un(v.rounds[0].headerHash);
  assert.equal(v.message.commitment, hx(H("message", h, vec(slot)).slice(0, 16)));
});

/** Makes one round again and compares all of it; gives the record's hash. */
function round(
  r: typeof v.rounds[number],
  previous: Uint8Array,
  messageBytes: number,
  plain: { schedule: Uint8Array; messages: Uint8Array }[],
): Uint8Array {
  const header = cat(
    instance,
    fingerprint,
    le(r.round, 8),
    le(r.time, 8),
    previous,
    le(Number(r.carry), 1),
    le(messageBytes, 4),
    le(3, 4),
    rosterRoot,
    ...bundles,
  );
  const h = H("header", header);
  assert.equal(r.headerHash, hx(h));
  const opens = servers.map((s) => sign(s.seed, "open", h));
  assert.equal(r.openedHeader, hx(cat(header, ...opens)));

  const length = SCHEDULE + messageBytes;
  const pairs = clients.map((c) => servers.map((s) => pairKey(instance, c, s)));
  assert.deepEqual(r.pairKeys, pairs.map((row) => row.map(hx)));
  const pads = pairs.map((row) => row.map((key) => pad(key, h, length)));
  const two = (body: Uint8Array) => cat(vec(body.slice(0, SCHEDULE)), vec(body.slice(SCHEDULE)));

  const bodies = plain.map((p, i) => xor(cat(p.schedule, p.messages), ...pads[i]));
  const hashes = bodies.map((body, i) => H("envelope", h, le(i, 4), two(body)));
  bodies.forEach((body, i) => {
    const signature = sign(clients[i].seed, "sign-envelope", hashes[i]);
    assert.equal(r.envelopes[i].hash, hx(hashes[i]));
    assert.equal(r.envelopes[i].bytes, hx(cat(h, le(i, 4), two(body), signature)));
  });
  const receipt = cat(h, le(0, 4), hashes[0]);
  assert.equal(r.receipt, hx(cat(receipt, sign(aggregator.seed, "sign-receipt", receipt))));

  const folded = xor(bodies[0], ...bodies.slice(1));
  const bitmap = le(0b111, 1), root = merkle(hashes), sum = H("sum", two(folded));
  const D = H("aggregate", h, vec(bitmap), root, sum);
  assert.deepEqual([r.sum, r.digest], [hx(sum), hx(D)]);
  const signedD = sign(aggregator.seed, "sign-aggregate", D);
  const aggregate = cat(h, vec(bitmap), root, two(folded), publicKey(aggregator.seed), signedD);
  assert.equal(r.aggregate, hx(aggregate));

  const shares = servers.map((_, s) => xor(pads[0][s], ...pads.slice(1).map((row) => row[s])));
  const commitments = shares.map((share, s) => {
    const blind = un(r.shares[s].blind);
    assert.equal(r.shares[s].bytes, hx(cat(h, blind, two(share))));
    return H("share", h, D, keys[s], blind, two(share));
  });
  assert.deepEqual(r.shares.map((s) => s.commitment), commitments.map(hx));
  const P = H("shares", h, D, ...commitments);
  assert.equal(r.sharesHash, hx(P));

  const opened = xor(folded, ...shares);
  const schedule = opened.slice(0, SCHEDULE), messages = opened.slice(SCHEDULE);
  const recordHash = H(
    "record",
    h,
    D,
    P,
    H("schedule", vec(schedule)),
    H("messages", vec(messages)),
  );
  assert.equal(r.recordHash, hx(recordHash));
  const record = cat(header, vec(bitmap), root, sum, P, two(opened));
  const finals = servers.map((s) => sign(s.seed, "final", le(r.round, 8), recordHash));
  assert.equal(r.certified, hx(cat(record, ...finals)));

  const statements: [string, ...Uint8Array[]][] = [
    ["open", h],
    ["prepare", h, D, commitments[0]],
    ["partial", h, P],
    ["void", h, un(v.servers[0].nonce)],
    ["final", le(r.round, 8), recordHash],
  ];
  assert.deepEqual(
    r.statements,
    statements.map(([name, ...fields], kind) =>
      hx(cat(le(kind, 1), ...fields, keys[0], sign(servers[0].seed, name, ...fields)))
    ),
  );
  const inAll = plain.map((p) => cat(p.schedule, p.messages));
  assert.equal(hx(opened), hx(xor(inAll[0], ...inAll.slice(1))), "the pads cancel");
  return recordHash;
}

Deno.test("both rounds, from headers to certificates", () => {
  const [first, second] = v.rounds;
  const h = un(first.headerHash), c = un(v.message.commitment);
  const quiet = (messageBytes: number) =>
    clients.map(() => ({ schedule: zeros(SCHEDULE), messages: zeros(messageBytes) }));

  const reserving = quiet(0);
  for (const place of places(h, c, CELLS / 4)) {
    mark(reserving[v.message.client].schedule, place, entry(h, c, 1));
  }
  const recordHash = round(first, genesis, 0, reserving);
  const { entries, complete } = decodeTable(reserving[v.message.client].schedule, h);
  assert.deepEqual([entries, complete], [[{ c: hx(c), units: 1, flags: 0 }], true]);

  const talking = quiet(64);
  talking[v.message.client].messages.set(un(v.message.slot));
  round(second, recordHash, 64, talking);
  assert.deepEqual([first.carry, second.carry, second.messageBytes], [false, true, 64]);
});
