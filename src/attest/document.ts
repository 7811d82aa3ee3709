/**
 * Intel's signed JSON documents: verified over their exact bytes first, then read field by field.
 * A field that is missing, of another type or out of range refuses the document; unknown fields are
 * skipped, since Intel adds some. A wrong signature means that nothing of it was parsed.
 */
import { type Certificate } from "./certificate.ts";
import { verifies } from "./ecdsa.ts";
import { AttestationError, demand, type DocumentName } from "./reasons.ts";
import { TCB_STATUSES, type TcbStatus } from "./status.ts";

/** Bytes of a document; real ones have 0.5 to 4.1 KB. */
export const MAX_DOCUMENT_BYTES = 262_144;
/** Advisories of one level, and characters of one. */
const MAX_ADVISORIES = 256, MAX_ADVISORY = 64;

/** A document's outermost value. Refuses as `<name>-signature` and `<name>-malformed`. */
export async function openDocument(
  bytes: Uint8Array,
  signature: Uint8Array,
  signer: Certificate,
  name: DocumentName,
): Promise<Field> {
  demand(bytes.length <= MAX_DOCUMENT_BYTES, `${name}-malformed`, `${bytes.length} bytes`);
  demand(await verifies(signer.key, signature, bytes), `${name}-signature`);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return new Field(JSON.parse(text), name, name);
  } catch {
    throw new AttestationError(`${name}-malformed`, "no JSON");
  }
}

/** One value of a document. */
export class Field {
  constructor(readonly value: unknown, readonly document: DocumentName, readonly path: string) {}

  /** Throws an `AttestationError` that names the field. */
  fail(expected: string): never {
    throw new AttestationError(`${this.document}-malformed`, `${this.path} is not ${expected}`);
  }

  /** A field of this object; undefined if it has none of this name. */
  optional(name: string): Field | undefined {
    const { value } = this;
    if (typeof value !== "object" || value === null || Array.isArray(value)) this.fail("an object");
    if (!Object.hasOwn(value, name)) return undefined;
    const inner = (value as Record<string, unknown>)[name];
    return new Field(inner, this.document, `${this.path}.${name}`);
  }

  /** A field of this object. */
  field(name: string): Field {
    return this.optional(name) ?? this.fail(`an object with ${name}`);
  }

  /** The items of this list. */
  list(least: number, most: number): Field[] {
    const { value } = this;
    if (!Array.isArray(value) || value.length < least || value.length > most) {
      this.fail(`a list of ${least}..${most}`);
    }
    return value.map((item, i) => new Field(item, this.document, `${this.path}[${i}]`));
  }

  /** Printable ASCII, 1..`most` characters: some of it reaches logs. */
  text(most: number): string {
    const { value } = this;
    const good = typeof value === "string" && value.length <= most && /^[ -~]+$/.test(value);
    return good ? value : this.fail(`text of 1..${most} characters`);
  }

  /** A whole number of 0..`most`. */
  integer(most: number): number {
    const { value } = this;
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > most) {
      this.fail(`a whole number of 0..${most}`);
    }
    return value as number;
  }

  /** Bytes of a fixed length, as hex digits of either case. */
  bytes(length: number): Uint8Array {
    const text = this.text(2 * length);
    if (text.length !== 2 * length || !/^[0-9a-fA-F]*$/.test(text)) this.fail(`${length} bytes`);
    return Uint8Array.fromHex(text);
  }

  /** A time to the second, UTC, as Unix ms. */
  time(): number {
    const text = this.text(20), ms = Date.parse(text);
    const exact = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && Number.isFinite(ms) &&
      new Date(ms).toISOString() === text.replace("Z", ".000Z");
    return exact ? ms : this.fail("a time to the second");
  }

  /** A TCB status. */
  status(): TcbStatus {
    const text = this.text(64);
    return TCB_STATUSES.find((status) => status === text) ?? this.fail("a known TCB status");
  }
}

/** What a level says of everything at or above it. */
export interface Level {
  readonly status: TcbStatus;
  readonly advisories: readonly string[];
  /** Unix ms. */
  readonly date: number;
}

/** The end that all levels have in common. */
export function readLevel(level: Field): Level {
  const advisories = level.optional("advisoryIDs")?.list(0, MAX_ADVISORIES) ?? [];
  return {
    status: level.field("tcbStatus").status(),
    advisories: advisories.map((it) => it.text(MAX_ADVISORY)),
    date: level.field("tcbDate").time(),
  };
}

/** A level of something that has one security version. */
export interface SvnLevel extends Level {
  readonly isvSvn: number;
}

/** Levels, the highest first, as Intel orders them. */
export function readSvnLevels(levels: Field): SvnLevel[] {
  return levels.list(1, 64).map((level) => ({
    ...readLevel(level),
    isvSvn: level.field("tcb").field("isvsvn").integer(0xffff),
  }));
}
