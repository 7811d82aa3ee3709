/**
 * Known answers of `src/protocol`, from fixed seeds: what a second implementation checks itself by.
 *
 * ```sh
 * deno run -q --no-prompt scripts/vectors.ts > tests/protocol/vectors.json
 * ```
 */
import { aggregateDigest, sumHash } from "../src/protocol/aggregate.ts";
import { hex } from "../src/protocol/bytes.ts";
import { createReceipt } from "../src/protocol/envelope.ts";
import { hash, LABELS } from "../src/protocol/hash.ts";
import { pairKey } from "../src/protocol/keys.ts";
import { layoutOf } from "../src/protocol/layout.ts";
import { encodeLineage } from "../src/protocol/lineage.ts";
import {
  DEFAULT_UNIVERSE,
  instanceId,
  nodeSeed,
  type Purpose,
  subId,
  universeId,
} from "../src/protocol/names.ts";
import { encodeOpened } from "../src/protocol/opened.ts";
import { xchacha20 } from "../src/protocol/pad.ts";
import { encodeParameters, PRESETS } from "../src/protocol/parameters.ts";
import { createRegistration } from "../src/protocol/registration.ts";
import { encodeProof, Roster, rosterLeaf } from "../src/protocol/roster.ts";
import { createEntry, decodeSchedule, insertEntry } from "../src/protocol/schedule.ts";
import { encodeShare } from "../src/protocol/share.ts";
import { commitment } from "../src/protocol/slot.ts";
import { encodeSigned, signStatement, type Statement } from "../src/protocol/statements.ts";
import { Play, type PlayedRound, SMALL } from "../tests/protocol/play.ts";
import { Random } from "../tests/protocol/random.ts";

const PURPOSES: readonly Purpose[] = [
  "committee",
  "submit",
  "aggregate",
  "live-round",
  "broadcasts",
  "client-registry",
  "server-registry",
];

function names() {
  const universe = universeId(), instance = instanceId(universe, "acme.mainnet");
  return {
    universe: { name: DEFAULT_UNIVERSE, id: hex(universe) },
    instance: { name: "acme.mainnet", id: hex(instance) },
    subIds: PURPOSES.map((purpose) => ({ purpose, id: hex(subId(instance, purpose)) })),
    nodeSeeds: ["01".repeat(32), "AB".repeat(32), "01".repeat(31), "a passphrase", "été"].map((
      text,
    ) => ({ text, seed: hex(nodeSeed(text)) })),
  };
}

function pads() {
  const random = new Random(1);
  return [1, 63, 64, 65, 511, 512, 513, 1_600].map((length) => {
    const key = random.bytes(32), h = random.bytes(32);
    const pad = xchacha20.apply(key, h, new Uint8Array(length));
    return { key: hex(key), h: hex(h), pad: hex(pad) };
  });
}

function rosters() {
  const play = new Play(2, { servers: 2, clients: 9 });
  const clients = play.clients.map((c) => ({ client: c.signer.key, agreement: c.agreement.key }));
  return Array.from({ length: 10 }, (_, size) => {
    const roster = new Roster();
    // Nobody stands at index 3.
    for (let i = 0; i < size; i++) roster.set(i, i === 3 ? undefined : clients[i]);
    const indices = Array.from({ length: size }, (_, i) => i);
    return {
      bytes: hex(roster.encode()),
      leaves: indices.map((i) => hex(rosterLeaf(i, roster.at(i)))),
      root: hex(roster.root),
      proofs: indices.map((index) => hex(encodeProof({ index, path: roster.path(index) }))),
    };
  });
}

function schedule() {
  const random = new Random(3), h = random.bytes(32), recordHash = random.bytes(32);
  const table = new Uint8Array(24 * 64);
  // Six units are 384 bytes, over what a message may need; the vector holds five units.
  const parameters = { ...SMALL, maxMessageBytes: 300, maxVectorBytes: 320 };
  const reservations = [1, 3, 2, 6, 1, 2, 5].map((units) => {
    const c = random.bytes(16), entry = createEntry(h, c, units);
    insertEntry(table, h, entry);
    return { commitment: hex(c), units, entry: hex(entry) };
  });
  const { entries, complete } = decodeSchedule(table, h);
  const layout = layoutOf({ hash: recordHash, schedule: table, header: { hash: h } }, parameters);
  return {
    h: hex(h),
    reservations,
    table: hex(table),
    decoded: entries.map((e) => hex(e.commitment)),
    complete,
    recordHash: hex(recordHash),
    maxMessageBytes: parameters.maxMessageBytes,
    maxVectorBytes: parameters.maxVectorBytes,
    grants: layout.grants.map((g) => ({ ...g, commitment: hex(g.commitment) })),
    bytes: layout.bytes,
  };
}

function played(play: Play, round: PlayedRound) {
  const { opened, envelopes, aggregate, certified } = round, { record } = certified;
  const h = record.header.hash;
  const said: Statement[] = [
    { kind: "open", header: h },
    { kind: "prepare", header: h, digest: aggregate.digest, share: round.commitments[0] },
    { kind: "partial", header: h, shares: round.sharesHash },
    { kind: "void", header: h, nonce: play.servers[0].bundle.nonce },
    { kind: "final", round: record.header.round, record: record.hash },
  ];
  return {
    round: record.header.round,
    time: record.header.time,
    carry: record.header.carry,
    messageBytes: record.header.messageBytes,
    headerHash: hex(h),
    openedHeader: hex(encodeOpened(opened)),
    pairKeys: play.clients.map((_, c) => play.servers.map((_, s) => hex(play.pair(c, s)))),
    envelopes: envelopes.map((e) => ({ hash: hex(e.hash), bytes: hex(e.bytes) })),
    receipt: hex(createReceipt(play.aggregator.signer, envelopes[0])),
    sum: hex(sumHash(aggregate)),
    digest: hex(aggregateDigest(aggregate)),
    aggregate: hex(aggregate.bytes),
    shares: round.shares.map((share, i) => ({
      blind: hex(share.blind),
      bytes: hex(encodeShare(share)),
      commitment: hex(round.commitments[i]),
    })),
    sharesHash: hex(round.sharesHash),
    statements: said.map((s) => hex(encodeSigned(signStatement(play.servers[0].signer, s)))),
    recordHash: hex(record.hash),
    certified: hex(round.bytes),
  };
}

/** Three servers, three clients and one message: a reservation in round 1, the slot in round 2. */
function example() {
  const play = new Play(4), { manifest } = play;
  const text = "hello, world";
  const { reserved, talked, slots } = play.talk([undefined, text]);
  const slot = slots[1]!, h = reserved.certified.record.header.hash;
  const [first] = play.clients;
  const fields = {
    instance: manifest.instance,
    agreement: first.agreement.key,
    session: 1_800_000_000_000,
  };
  const secrets = (of: { seed: Uint8Array; secret: Uint8Array }) => ({
    seed: hex(of.seed),
    secret: hex(of.secret),
  });
  return {
    instance: "example",
    servers: play.servers.map((s) => ({
      ...secrets(s),
      nonce: hex(s.bundle.nonce),
      bundle: hex(s.bundle.bytes),
    })),
    clients: play.clients.map(secrets),
    aggregator: secrets(play.aggregator),
    parameters: hex(encodeParameters(manifest.parameters)),
    manifest: hex(manifest.bytes),
    fingerprint: hex(manifest.fingerprint),
    genesis: hex(manifest.root),
    lineage: hex(encodeLineage(play.lineage)),
    registration: hex(createRegistration("register", first.signer, fields).bytes),
    leave: hex(createRegistration("leave", first.signer, fields).bytes),
    roster: hex(play.roster.encode()),
    message: { client: 1, text, slot: hex(slot), commitment: hex(commitment(h, slot)) },
    rounds: [played(play, reserved), played(play, talked)],
  };
}

/** Three epochs: one of three servers leaves and two join, then one joins; and without some who left. */
function lineage() {
  const zero = new Play(6, { servers: 3, clients: 3 });
  zero.round();
  const one = zero.next([0, 2], 2);
  one.round();
  const two = one.next([0, 1, 3], 1), epochs = [zero, one, two];
  return {
    epochs: epochs.map(({ manifest, servers }) => ({
      seeds: servers.map(({ seed }) => hex(seed)),
      start: hex(manifest.start),
      manifest: hex(manifest.bytes),
      fingerprint: hex(manifest.fingerprint),
    })),
    bytes: hex(encodeLineage(two.lineage)),
    // Without the signatures of those who left epoch 0.
    incomplete: hex(encodeLineage([zero.signed(), one.signed([1])])),
  };
}

/** A pair key whose X25519 output is given, and one hash under every label. */
function derivations() {
  const random = new Random(5);
  const [shared, instance, a, b, c, d] = Array.from({ length: 6 }, () => random.bytes(32));
  const ends = {
    instance,
    client: { key: a, agreement: b },
    server: { key: c, agreement: d },
  };
  return {
    instance: hex(instance),
    shared: hex(shared),
    client: { key: hex(a), agreement: hex(b) },
    server: { key: hex(c), agreement: hex(d) },
    pairKey: hex(pairKey(shared.slice(), ends)),
    labels: LABELS.map((label) => ({ label, hash: hex(hash(label)) })),
  };
}

/** All vectors, the same at every call. */
export function buildVectors() {
  const presets = Object.entries(PRESETS).map(([name, p]) => ({
    name,
    bytes: hex(encodeParameters(p)),
  }));
  return {
    names: names(),
    presets,
    derivations: derivations(),
    pads: pads(),
    rosters: rosters(),
    schedule: schedule(),
    example: example(),
    lineage: lineage(),
  };
}

if (import.meta.main) console.log(JSON.stringify(buildVectors(), null, 1));
