/** One valid frame of every layout, with its fields, and what reads and judges it. */
import { decodeAggregate } from "../../src/protocol/aggregate.ts";
import { checkBundle, decodeBundle } from "../../src/protocol/bundle.ts";
import { concat, equal, Reader, u32, u64 } from "../../src/protocol/bytes.ts";
import { checkLink } from "../../src/protocol/chain.ts";
import {
  checkEnvelope,
  checkReceipt,
  createReceipt,
  decodeEnvelope,
} from "../../src/protocol/envelope.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { checkBundles, createHeader, decodeHeader } from "../../src/protocol/header.ts";
import { decodeLineage, encodeLineage } from "../../src/protocol/lineage.ts";
import { createManifest, decodeManifest } from "../../src/protocol/manifest.ts";
import { checkOpens, decodeOpened, encodeOpened } from "../../src/protocol/opened.ts";
import { encodeParameters, readParameters } from "../../src/protocol/parameters.ts";
import {
  checkCertificate,
  createRecord,
  decodeCertified,
  decodeRecord,
  encodeCertified,
} from "../../src/protocol/record.ts";
import { createRegistration, decodeRegistration } from "../../src/protocol/registration.ts";
import { decodeProof, encodeProof, Roster, verifyProof } from "../../src/protocol/roster.ts";
import { decodeShare, encodeShare, shareCommitment } from "../../src/protocol/share.ts";
import {
  decodeSigned,
  encodeSigned,
  signStatement,
  type Statement,
  verifyStatement,
} from "../../src/protocol/statements.ts";
import { Play } from "./play.ts";

/** A valid frame. */
export interface Frame {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Sizes of its fields, in order; they sum up to its length. */
  readonly fields: readonly number[];
  /** Reads it and writes it again. */
  decode(bytes: Uint8Array): Uint8Array;
  /** Throws unless it is authentic; absent where nothing in the frame says so. */
  judge?(bytes: Uint8Array): void;
}

const many = (n: number, ...sizes: number[]) => Array.from({ length: n }, () => sizes).flat();
function must(holds: boolean): void {
  if (!holds) throw new ProtocolError("signature", "not authentic");
}

/** One frame of every layout, out of a played round with one message. */
export function frames(seed: number): Frame[] {
  const play = new Play(seed), { manifest, parameters: p } = play, [server] = play.servers;
  const { before, talked } = play.talk(["one", "two"]);
  const { record } = talked.certified, { header } = record, { aggregate } = talked;
  const [client] = play.clients, entry = play.roster.at(1)!;
  const vectors = [4, record.schedule.length, 4, record.messages.length];
  const parameters = [1, ...many(9, 4), 32, 32];
  const body = [32, 4, 32, 32, 2, ...many(3, 32), ...parameters];
  const head = [32, 32, 8, 8, 32, 1, 4, 4, 32, ...many(3, 32, 4, 32, 64)];
  const recorded = [...head, 4, 1, 32, 32, 32, ...vectors];
  const said: [Statement, number[]][] = [
    [{ kind: "open", header: header.hash }, [32]],
    [{ kind: "prepare", header: header.hash, digest: header.hash, share: header.hash }, [
      32,
      32,
      32,
    ]],
    [{ kind: "partial", header: header.hash, shares: header.hash }, [32, 32]],
    [{ kind: "void", header: header.hash, nonce: header.hash }, [32, 32]],
    [{ kind: "final", round: header.round, record: record.hash }, [8, 32]],
  ];
  const registration = (kind: "register" | "leave"): Frame => ({
    name: kind,
    bytes: createRegistration(kind, client.signer, {
      instance: manifest.instance,
      agreement: client.agreement.key,
      session: 1_800_000_000_000,
    }).bytes,
    fields: [32, 32, 32, 8, 64],
    decode(bytes) {
      const r = decodeRegistration(kind, bytes, manifest.instance);
      const signature = bytes.subarray(104);
      return concat(manifest.instance, r.client, r.agreement, u64(r.session), signature);
    },
    judge: (bytes) => void decodeRegistration(kind, bytes, manifest.instance),
  });
  const readEnvelope = (bytes: Uint8Array) => {
    const envelope = decodeEnvelope(bytes, header, p);
    checkEnvelope(envelope, play.roster.at(envelope.index)?.client);
    return envelope;
  };
  return [
    {
      name: "parameters",
      bytes: encodeParameters(p),
      fields: parameters,
      decode(bytes) {
        const reader = new Reader(bytes, "parameters"), read = readParameters(reader);
        reader.end();
        return encodeParameters(read);
      },
    },
    {
      name: "manifest",
      bytes: manifest.bytes,
      fields: body,
      decode: (bytes) => createManifest(decodeManifest(bytes)).bytes,
    },
    {
      name: "lineage",
      bytes: encodeLineage(play.next([0], 2).lineage),
      fields: [2, 4, ...body, ...many(3, 64), 4, ...body, ...many(3, 64), 4, 1, ...many(2, 64)],
      decode: (bytes) => encodeLineage(decodeLineage(bytes, manifest.instance)),
      judge: (bytes) => void decodeLineage(bytes, manifest.instance),
    },
    {
      name: "bundle",
      bytes: server.bundle.bytes,
      fields: [32, 4, 32, 64],
      decode(bytes) {
        const b = decodeBundle(bytes);
        return concat(b.nonce, u32(b.keyEpoch), b.agreement, b.signature);
      },
      judge: (bytes) => checkBundle(manifest, 0, decodeBundle(bytes)),
    },
    registration("register"),
    registration("leave"),
    {
      name: "roster",
      bytes: play.roster.encode(),
      fields: [4, ...many(3, 32, 32)],
      decode: (bytes) => Roster.decode(bytes, p.maxClients).encode(),
      judge(bytes) {
        must(equal(Roster.decode(bytes, p.maxClients).root, header.rosterRoot));
      },
    },
    {
      name: "roster proof",
      bytes: encodeProof({ index: 1, path: play.roster.path(1) }),
      fields: [4, 1, 32, 32],
      decode: (bytes) => encodeProof(decodeProof(bytes)),
      judge: (bytes) => must(verifyProof(header, entry, decodeProof(bytes))),
    },
    {
      name: "header",
      bytes: header.bytes,
      fields: head,
      decode: (bytes) => createHeader(manifest, decodeHeader(bytes, manifest)).bytes,
    },
    {
      name: "opened header",
      bytes: encodeOpened(talked.opened),
      fields: [...head, ...many(3, 64)],
      decode: (bytes) => encodeOpened(decodeOpened(bytes, manifest)),
      judge(bytes) {
        const opened = decodeOpened(bytes, manifest);
        checkBundles(manifest, opened.header);
        checkOpens(manifest, opened);
      },
    },
    {
      name: "envelope",
      bytes: talked.envelopes[1].bytes,
      fields: [32, 4, ...vectors, 64],
      decode(bytes) {
        const e = decodeEnvelope(bytes, header, p);
        return concat(
          e.header,
          u32(e.index),
          u32(e.schedule.length),
          e.schedule,
          u32(e.messages.length),
          e.messages,
          e.signature,
        );
      },
      judge: (bytes) => void readEnvelope(bytes),
    },
    {
      name: "receipt",
      bytes: createReceipt(play.aggregator.signer, talked.envelopes[1]),
      fields: [32, 4, 32, 64],
      decode(bytes) {
        checkReceipt(bytes, play.aggregator.signer.key, talked.envelopes[1]);
        return bytes;
      },
      judge: (bytes) => checkReceipt(bytes, play.aggregator.signer.key, talked.envelopes[1]),
    },
    {
      name: "aggregate",
      bytes: aggregate.bytes,
      fields: [32, 4, 1, 32, ...vectors, 32, 64],
      decode: (bytes) => decodeAggregate(bytes, header, p).bytes,
      judge: (bytes) => void decodeAggregate(bytes, header, p),
    },
    {
      name: "share",
      bytes: encodeShare(talked.shares[0]),
      fields: [32, 32, ...vectors],
      decode: (bytes) => encodeShare(decodeShare(bytes, header, p)),
      judge(bytes) {
        const made = shareCommitment(
          decodeShare(bytes, header, p),
          aggregate.digest,
          server.signer.key,
        );
        must(equal(made, talked.commitments[0]));
      },
    },
    ...said.map(([statement, fields]): Frame => ({
      name: `${statement.kind} statement`,
      bytes: encodeSigned(signStatement(server.signer, statement)),
      fields: [1, ...fields, 32, 64],
      decode: (bytes) => encodeSigned(decodeSigned(bytes)),
      judge: (bytes) => must(verifyStatement(decodeSigned(bytes))),
    })),
    {
      name: "record",
      bytes: record.bytes,
      fields: recorded,
      decode(bytes) {
        const r = decodeRecord(bytes, manifest);
        return createRecord(
          manifest,
          r.header,
          { ...aggregate, ...r, header: r.header.hash },
          r.shares,
          r,
        ).bytes;
      },
    },
    {
      name: "certified record",
      bytes: talked.bytes,
      fields: [...recorded, ...many(3, 64)],
      decode: (bytes) => encodeCertified(decodeCertified(bytes, manifest)),
      judge(bytes) {
        const certified = decodeCertified(bytes, manifest);
        checkLink(certified.record, before, manifest);
        checkCertificate(manifest, certified);
      },
    },
  ];
}
