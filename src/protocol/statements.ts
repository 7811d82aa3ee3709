/**
 * The five statements of a server, and the pairs of them that convict it.
 *
 * Layout of a signed statement: u8 kind ‖ fields ‖ server key (32) ‖ signature (64), the fields
 * being OPEN h · PREPARE h ‖ D ‖ p · PARTIAL h ‖ P · VOID h ‖ boot nonce · FINAL u64 round ‖ record
 * hash: a certificate of an old record is public, and must not pass for one of another round.
 */
import { concat, equal, type HeaderHash, Reader, type RecordHash, u64 } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { type Signer, verify } from "./keys.ts";

/** What a server can say. When an honest one does is the committee's business (release rules). */
export type Statement =
  | { readonly kind: "open"; readonly header: HeaderHash }
  | {
    readonly kind: "prepare";
    readonly header: HeaderHash;
    readonly digest: Uint8Array;
    readonly share: Uint8Array;
  }
  | { readonly kind: "partial"; readonly header: HeaderHash; readonly shares: Uint8Array }
  | { readonly kind: "void"; readonly header: HeaderHash; readonly nonce: Uint8Array }
  | { readonly kind: "final"; readonly round: number; readonly record: RecordHash };

/** The kinds, in the order of their byte on the wire. */
export const STATEMENT_KINDS = ["open", "prepare", "partial", "void", "final"] as const;

/** A statement with who said it. */
export interface Signed<S extends Statement = Statement> {
  readonly statement: S;
  readonly server: Uint8Array;
  readonly signature: Uint8Array;
}

/** The fields under a statement's signature. */
export function statementFields(s: Statement): Uint8Array {
  switch (s.kind) {
    case "open":
      return s.header;
    case "prepare":
      return concat(s.header, s.digest, s.share);
    case "partial":
      return concat(s.header, s.shares);
    case "void":
      return concat(s.header, s.nonce);
    case "final":
      return concat(u64(s.round), s.record);
  }
}

/** Signs a statement. */
export function signStatement<S extends Statement>(signer: Signer, statement: S): Signed<S> {
  const signature = signer.sign(statement.kind, statementFields(statement));
  return { statement, server: signer.key, signature };
}

/** Whether a signed statement is its server's. */
export function verifyStatement(s: Signed): boolean {
  return verify(s.server, s.signature, s.statement.kind, statementFields(s.statement));
}

/** The layout of a signed statement. */
export function encodeSigned(s: Signed): Uint8Array {
  const kind = Uint8Array.of(STATEMENT_KINDS.indexOf(s.statement.kind));
  return concat(kind, statementFields(s.statement), s.server, s.signature);
}

/** Reads a signed statement; the signature is not checked here. */
export function decodeSigned(bytes: Uint8Array): Signed {
  const reader = new Reader(bytes, "statement");
  const kind = STATEMENT_KINDS[reader.u8()];
  if (kind === undefined) throw new ProtocolError("type", "a statement of an unknown kind");
  const field = () => reader.bytes(32);
  let statement: Statement;
  if (kind === "open") statement = { kind, header: field() };
  else if (kind === "prepare") {
    statement = { kind, header: field(), digest: field(), share: field() };
  } else if (kind === "partial") statement = { kind, header: field(), shares: field() };
  else if (kind === "void") statement = { kind, header: field(), nonce: field() };
  else statement = { kind, round: reader.u64(), record: field() };
  const server = field(), signature = reader.bytes(64);
  reader.end();
  return { statement, server, signature };
}

/** What the header behind a statement says, which holds its hash alone. */
export interface Context {
  /** Round, and boot nonce of the accused, in the header behind an OPEN, PARTIAL or VOID. */
  header?(h: HeaderHash): { readonly round: number; readonly nonce: Uint8Array } | undefined;
}

/**
 * Why two statements of one server convict it, or undefined. The signatures must have been checked.
 */
export function conviction(a: Signed, b: Signed, context: Context = {}): string | undefined {
  if (!equal(a.server, b.server)) return undefined;
  const x = a.statement, y = b.statement;
  if (x.kind === "prepare" && y.kind === "prepare") {
    return sameHeader(x, y) && differ(x, y) ? "two PREPAREs for one header" : undefined;
  }
  if (x.kind === "partial" && y.kind === "partial") {
    return sameHeader(x, y) && differ(x, y) ? "two PARTIALs for one header" : undefined;
  }
  if (x.kind === "void" && y.kind === "partial") return conviction(b, a, context);
  if (x.kind === "partial" && y.kind === "void") {
    const nonce = context.header?.(x.header)?.nonce;
    return sameHeader(x, y) && nonce !== undefined && equal(nonce, y.nonce)
      ? "PARTIAL and VOID in the boot of one header"
      : undefined;
  }
  if (x.kind === "open" && y.kind === "open" && differ(x, y)) {
    const p = context.header?.(x.header), q = context.header?.(y.header);
    return p && q && p.round === q.round && equal(p.nonce, q.nonce)
      ? "two OPENs for one round and boot"
      : undefined;
  }
  if (x.kind === "final" && y.kind === "final") {
    return x.round === y.round && differ(x, y) ? "two FINALs for one round" : undefined;
  }
  return undefined;
}

function sameHeader(x: { header: HeaderHash }, y: { header: HeaderHash }): boolean {
  return equal(x.header, y.header);
}

function differ(x: Statement, y: Statement): boolean {
  return !equal(statementFields(x), statementFields(y));
}
