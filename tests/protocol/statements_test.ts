import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import {
  type Context,
  conviction,
  decodeSigned,
  encodeSigned,
  type Signed,
  signStatement,
  type Statement,
  STATEMENT_KINDS,
  verifyStatement,
} from "../../src/protocol/statements.ts";
import { Random } from "./random.ts";
import { refuses } from "./refuses.ts";

const random = new Random(140), server = signer(random.bytes(32)), other = signer(random.bytes(32));
const word = () => random.bytes(32);
const [h1, h2, h3, nonce, old, D, q, P, Q, r1, r2] = Array.from({ length: 11 }, word);
const say = (statement: Statement, by = server) => signStatement(by, statement);

/** h1 and h2 are of one round and boot, h3 of the next round. */
const context: Context = {
  header: (h) =>
    [h1, h2].some((x) => hex(x) === hex(h))
      ? { round: 5, nonce }
      : hex(h) === hex(h3)
      ? { round: 6, nonce }
      : undefined,
};
const open = (header: Uint8Array) => say({ kind: "open", header });
const prepare = (header: Uint8Array, digest = D, share = q) =>
  say({ kind: "prepare", header, digest, share });
const partial = (header: Uint8Array, shares = P) => say({ kind: "partial", header, shares });
const voided = (header: Uint8Array, boot = nonce) => say({ kind: "void", header, nonce: boot });
const final = (record: Uint8Array, round = 5) => say({ kind: "final", round, record });
const one = [open(h1), prepare(h1), partial(h1), voided(h1), final(r1)];

Deno.test("all five kinds come back and verify", () => {
  assert.deepEqual(one.map((s) => s.statement.kind), [...STATEMENT_KINDS]);
  for (const signed of one) {
    const read = decodeSigned(encodeSigned(signed));
    assert.deepEqual(read, signed);
    assert.ok(verifyStatement(read));
    assert.ok(!verifyStatement({ ...read, server: other.key }));
  }
});

Deno.test("a signature under one kind is none under another with the same fields", () => {
  const { signature } = partial(h1, P);
  const swapped: Signed = { ...voided(h1, P), signature };
  assert.ok(!verifyStatement(swapped));
  assert.ok(!verifyStatement({ ...final(h1), signature: open(h1).signature }));
});

Deno.test("an unknown kind is refused", () => {
  for (const kind of [5, 255]) {
    const bytes = encodeSigned(one[0]);
    bytes[0] = kind;
    refuses("type", () => decodeSigned(bytes));
  }
  for (const [i, signed] of one.entries()) {
    const bytes = encodeSigned(signed);
    bytes[0] = (i + 1) % 5;
    if (bytes.length !== encodeSigned(one[(i + 1) % 5]).length) {
      assert.throws(() => decodeSigned(bytes), { name: "ProtocolError" });
    } else assert.ok(!verifyStatement(decodeSigned(bytes)));
  }
});

const CONVICTIONS: [string, Signed, Signed, RegExp][] = [
  ["two PREPAREs with other D", prepare(h1), prepare(h1, Q), /two PREPAREs/],
  ["two PREPAREs with other shares", prepare(h1), prepare(h1, D, Q), /two PREPAREs/],
  ["two PARTIALs", partial(h1), partial(h1, Q), /two PARTIALs/],
  ["PARTIAL and VOID of the header's boot", partial(h1), voided(h1), /PARTIAL and VOID/],
  ["two OPENs for one round and boot", open(h1), open(h2), /two OPENs/],
  ["two FINALs for one round", final(r1), final(r2), /two FINALs/],
];

for (const [name, a, b, why] of CONVICTIONS) {
  Deno.test(`${name} convict, in either order`, () => {
    assert.match(conviction(a, b, context)!, why);
    assert.match(conviction(b, a, context)!, why);
  });
  Deno.test(`${name} of two servers convict nobody`, () => {
    assert.equal(conviction(a, say(b.statement, other), context), undefined);
  });
}

Deno.test("one statement twice convicts nobody", () => {
  for (const s of one) assert.equal(conviction(s, say(s.statement), context), undefined);
});

Deno.test("what an honest server may say convicts nobody", () => {
  const innocent: [string, Signed, Signed][] = [
    ["PREPAREs of two headers", prepare(h1), prepare(h2, Q)],
    ["PARTIALs of two headers", partial(h1), partial(h2, Q)],
    ["VOID with the nonce of another boot", partial(h1), voided(h1, old)],
    ["VOID of another header", partial(h1), voided(h2)],
    ["two VOIDs", voided(h1), voided(h1, old)],
    ["OPENs of two rounds", open(h1), open(h3)],
    ["FINALs of two rounds", final(r1), final(r2, 6)],
    ["PREPARE and VOID", prepare(h1), voided(h1)],
    ["OPEN and VOID", open(h1), voided(h1)],
    ["PREPARE and PARTIAL", prepare(h1), partial(h1)],
  ];
  for (const [name, a, b] of innocent) {
    assert.equal(conviction(a, b, context), undefined, name);
    assert.equal(conviction(b, a, context), undefined, name);
  }
});

Deno.test("OPENs of one round in two boots convict nobody", () => {
  const boots: Context = {
    header: (h) => ({ round: 5, nonce: hex(h) === hex(h1) ? nonce : old }),
  };
  assert.equal(conviction(open(h1), open(h2), boots), undefined);
});

Deno.test("without the header behind them nothing is held against a server", () => {
  const need = CONVICTIONS.filter(([name]) => /OPEN|VOID/.test(name));
  assert.equal(need.length, 2);
  for (const [name, a, b] of need) {
    for (const none of [{}, { header: () => undefined }]) {
      assert.equal(conviction(a, b, none), undefined, name);
    }
  }
  const [, a, b] = CONVICTIONS[0];
  assert.ok(conviction(a, b));
});
