/**
 * The structure of certificates and lists: an element more in any place, an algorithm or a type
 * other than the one expected, all signed anew by the right key, so that only the reader can tell.
 */
import assert from "node:assert/strict";
import { equal, hex } from "../../src/protocol/bytes.ts";
import { parseCertificate } from "../../src/attest/certificate.ts";
import { checkProfile, verifyIssued } from "../../src/attest/chain.ts";
import { DerReader, TAG } from "../../src/attest/der.ts";
import * as write from "../../src/attest/der_writer.ts";
import { parseRevocationList, verifyRevocationList } from "../../src/attest/revocations.ts";
import { extension, issue, issueList } from "../../src/attest/simulated_certificates.ts";
import { sign } from "../../src/attest/simulated_key.ts";
import { DAY_MS } from "../../src/attest/simulated_authority.ts";
import { refusalOf, refused } from "./refused.ts";
import { authority, NOW } from "./stage.ts";

const { root, pckCa } = authority;
const LIST = issueList(
  { from: NOW, until: NOW + DAY_MS, number: 1, revoked: [Uint8Array.of(1), Uint8Array.of(2)] },
  root,
);

/** A value, and the values in it if it is made of some. */
interface Node {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly children?: readonly Node[];
}

function tree(der: Uint8Array): Node[] {
  const reader = new DerReader(der, "pck-malformed"), found: Node[] = [];
  while (!reader.done) {
    const { tag, content } = reader.element();
    found.push({ tag, content, ...(tag & 0x20) !== 0 ? { children: tree(content) } : {} });
  }
  return found;
}

const encode = (node: Node): Uint8Array =>
  write.der(node.tag, ...node.children ? node.children.map(encode) : [node.content]);

/** All trees in which `change` answered another node for one of the nodes. */
function variants(node: Node, change: (node: Node) => Node | undefined): Node[] {
  const own = change(node), children = node.children ?? [];
  const inner = children.flatMap((child, i) =>
    variants(child, change).map((it) => ({ ...node, children: children.with(i, it) }))
  );
  return own ? [own, ...inner] : inner;
}

const NOTHING: Node = { tag: 0x05, content: new Uint8Array(0) };
const withMore = (node: Node) =>
  node.children ? { ...node, children: [...node.children, NOTHING] } : undefined;
const retagged = (node: Node) => ({ ...node, tag: node.tag === 0x05 ? 0x06 : 0x05 });
const otherAlgorithm = (node: Node) =>
  node.tag === TAG.oid && /2a8648ce3d/.test(hex(node.content))
    ? { ...node, content: node.content.with(-1, 0x09) }
    : undefined;

/** What is signed, signed anew. */
function resigned(body: Node): Uint8Array {
  const bytes = encode(body), raw = sign(root.key, bytes);
  const pair = write.sequence(write.integer(raw.subarray(0, 32)), write.integer(raw.subarray(32)));
  const algorithm = write.sequence(write.oid("1.2.840.10045.4.3.2"));
  return write.sequence(bytes, algorithm, write.wholeBits(pair));
}

const rootCertificate = await parseCertificate(root.der, "anchor");
async function certificate(der: Uint8Array) {
  const found = await parseCertificate(der, "pck-ca");
  checkProfile(found, "pck-ca");
  await verifyIssued(found, rootCertificate, "pck-ca");
}
async function list(der: Uint8Array) {
  await verifyRevocationList(parseRevocationList(der, "root-crl"), rootCertificate, "root-crl");
}

for (
  const [name, whole, judge] of [
    ["certificate", pckCa.der, certificate],
    ["list", LIST, list],
  ] as const
) {
  const [outer] = tree(whole), body = outer.children![0];

  Deno.test(`structure: a ${name} signed anew is the same`, async () => {
    assert.ok(equal(resigned(body), whole));
    await judge(whole);
  });

  Deno.test(`structure: an element more anywhere in a ${name} is refused`, async () => {
    const signed = variants(body, withMore).map(resigned);
    const unsigned = variants(outer, withMore).map(encode);
    assert.ok(signed.length > 12);
    for (const der of [...signed, ...unsigned]) {
      assert.ok(await refusalOf(() => judge(der)), hex(der));
    }
  });

  Deno.test(`structure: another algorithm or curve in a ${name} is refused`, async () => {
    const signed = variants(body, otherAlgorithm).map(resigned);
    const [, algorithm] = outer.children!;
    const unsigned = variants(algorithm, otherAlgorithm)
      .map((it) => encode({ ...outer, children: outer.children!.with(1, it) }));
    assert.equal(signed.length, name === "list" ? 1 : 3);
    for (const der of [...signed, ...unsigned]) {
      assert.ok(await refusalOf(() => judge(der)), hex(der));
    }
  });

  Deno.test(`structure: no element of a ${name} may be of another type`, async () => {
    // Nobody reads the subject's organization and country.
    let accepted = name === "certificate" ? -2 : 0;
    for (const variant of variants(body, retagged)) {
      if (await refusalOf(() => judge(resigned(variant))) === undefined) accepted++;
    }
    assert.equal(accepted, 0);
  });
}

Deno.test("structure: a signature is two integers of up to 32 bytes, and no more", async () => {
  const [outer] = tree(pckCa.der), [body, algorithm, bits] = outer.children!;
  const der = bits.content.subarray(1), [pair] = tree(der), [r, s] = pair.children!;
  const signed = (signature: Uint8Array) =>
    encode({
      ...outer,
      children: [body, algorithm, tree(write.wholeBits(signature))[0]],
    });
  await certificate(signed(der));
  const long = { tag: TAG.integer, content: new Uint8Array(33).fill(1) };
  const bad = [
    encode(withMore(pair)!),
    Uint8Array.of(...der, 0),
    encode({ ...pair, children: [r] }),
    encode({ ...pair, children: [r, long] }),
    encode({ ...pair, children: [{ ...r, content: Uint8Array.of(0, 0, ...r.content) }, s] }),
    new Uint8Array(0),
  ];
  for (const signature of bad) {
    await refused("pck-ca-malformed", () => certificate(signed(signature)), hex(signature));
  }
  const none = { tag: TAG.integer, content: Uint8Array.of(0) };
  await refused(
    "pck-ca-signature",
    () => certificate(signed(encode({ ...pair, children: [none, none] }))),
  );
});

Deno.test("structure: a name with two common names is refused", async () => {
  const [outer] = tree(pckCa.der), body = outer.children![0];
  const found = variants(
    body,
    (node) =>
      node.tag === TAG.oid && hex(node.content) === "55040a"
        ? { ...node, content: Uint8Array.fromHex("550403") }
        : undefined,
  );
  assert.equal(found.length, 2, "issuer and subject");
  for (const it of found) await refused("pck-ca-malformed", () => certificate(resigned(it)));
});

/** Extensions of an entry: a reason code. */
const REASON = "300c300a0603551d1504030a0101";

Deno.test("structure: extensions that are there must be whole", async () => {
  const fields = { ...pckCa, pathLength: 0 };
  const [outer] = tree(pckCa.der), body = outer.children![0];
  const values = variants(
    body,
    (node) =>
      node.tag === TAG.octets && [0x03, 0x30].includes(node.content[0]) &&
        !/^3016/.test(hex(node.content))
        ? { ...node, content: Uint8Array.of(...node.content, 0) }
        : undefined,
  );
  assert.equal(values.length, 2, "key usage and basic constraints");
  for (const it of values) await refused("pck-ca-malformed", () => certificate(resigned(it)));
  const constraints = variants(
    body,
    (node) =>
      node.tag === TAG.octets && hex(node.content) === "30060101ff020100"
        ? { ...node, content: Uint8Array.fromHex("30080101ff0201000500") }
        : undefined,
  );
  assert.equal(constraints.length, 1);
  await refused("pck-ca-malformed", () => certificate(resigned(constraints[0])));
  const reason = variants(
    tree(LIST)[0].children![0],
    (node) => hex(encode(node)) === REASON ? { ...node, children: [] } : undefined,
  );
  assert.equal(reason.length, 2, "entries");
  for (const it of reason) await refused("root-crl-malformed", () => list(resigned(it)));
  const many = Array.from({ length: 13 }, (_, i) => extension(`1.2.${i}`, false, write.integer(1)));
  await refused("pck-ca-malformed", () => certificate(issue({ ...fields, more: many }, root).der));
  const large = extension("1.2.3", false, new Uint8Array(9_000));
  await refused(
    "pck-ca-malformed",
    () => certificate(issue({ ...fields, more: [large] }, root).der),
  );
});

Deno.test("structure: key usage and basic constraints must be there, and be critical", async () => {
  const [outer] = tree(pckCa.der), body = outer.children![0];
  for (const oid of ["551d0f", "551d13"]) {
    const named = (change: (children: readonly Node[]) => readonly Node[]) =>
      variants(body, (node) => {
        const { children } = node;
        const found = children?.[0].tag === TAG.oid && hex(children[0].content) === oid;
        return found ? { ...node, children: change(children) } : undefined;
      })[0];
    const uncritical = named(([id, , value]) => [id, value]);
    const missing = named(([id, ...rest]) => [
      { ...id, content: Uint8Array.fromHex("2a03") },
      ...rest.slice(1),
    ]);
    for (const it of [uncritical, missing]) {
      await refused("pck-ca-profile", () => certificate(resigned(it)), oid);
    }
  }
});

Deno.test("structure: a certificate of version 2, or with a key in another form, is refused", async () => {
  const [outer] = tree(pckCa.der), body = outer.children![0];
  const replaced = (tag: number, from: string, to: string) => {
    const found = variants(
      body,
      (node) =>
        node.tag === tag && hex(node.content).startsWith(from)
          ? { ...node, content: Uint8Array.fromHex(hex(node.content).replace(from, to)) }
          : undefined,
    );
    assert.equal(found.length, 1, from);
    return resigned(found[0]);
  };
  await refused("pck-ca-profile", () => certificate(replaced(TAG.integer, "02", "01")));
  await refused("pck-ca-profile", () => certificate(replaced(TAG.bits, "0004", "0002")));
  await refused("pck-ca-profile", () => certificate(replaced(TAG.bits, "0004", "000400")));
});

const NUMBER_AND_MORE = Uint8Array.fromHex("02010100");

Deno.test("structure: a list of version 1, of no entries, or with more than a number is refused", async () => {
  const [{ children: [body] = [] }] = tree(LIST);
  const version1 = body.children!.with(0, { ...body.children![0], content: Uint8Array.of(0) });
  const entries = body.children!.findIndex(({ children }) =>
    children?.length === 2 &&
    children.every(({ children }) => children?.[0].tag === TAG.integer)
  );
  const empty = body.children!.with(entries, { ...body.children![entries], children: [] });
  const numbered = variants(
    body,
    (node) =>
      hex(encode(node)) === "0403020101" ? { ...node, content: NUMBER_AND_MORE } : undefined,
  );
  assert.equal(numbered.length, 1);
  for (const it of [{ ...body, children: version1 }, { ...body, children: empty }, ...numbered]) {
    await refused("root-crl-malformed", () => list(resigned(it)));
  }
});

Deno.test("structure: a path length without a CA, and lists without a number, are refused", async () => {
  const constraints = extension("2.5.29.19", true, write.sequence(write.integer(0)));
  const [outer] = tree(pckCa.der), body = outer.children![0];
  const replaced = variants(
    body,
    (node) =>
      node.children?.[0].tag === TAG.oid && hex(node.children[0].content) === "551d13"
        ? tree(constraints)[0]
        : undefined,
  );
  assert.equal(replaced.length, 1);
  await refused("pck-ca-profile", () => parseCertificate(resigned(replaced[0]), "pck-ca"));
  const [listOuter] = tree(LIST);
  const unnumbered = variants(
    listOuter.children![0],
    (node) =>
      node.children?.[0].tag === TAG.oid && hex(node.children[0].content) === "551d14"
        ? tree(extension("1.2.3", false, write.integer(1)))[0]
        : undefined,
  );
  await refused("root-crl-malformed", () => list(resigned(unnumbered[0])));
});
