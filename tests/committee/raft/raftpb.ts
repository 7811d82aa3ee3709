/**
 * Raft's messages between nodes, as protobuf: read field by field, altered, written again. Field
 * numbers are those of raft.proto in go.etcd.io/raft/v3.
 */

/** A number (varint) or bytes, under its field number. */
export type Field = readonly [number: number, value: number | Uint8Array];

/** Field numbers of a message. */
export const FIELD = { type: 1, term: 4, logTerm: 5, index: 6, snapshot: 9, reject: 10 } as const;

/** Kinds of messages that tests look for. */
export const KIND = { append: 3, vote: 5, voteResponse: 6, snapshot: 7, preVote: 17 } as const;

const VARINT = 0, BYTES = 2;

/** Reads a message; throws on anything but varints and bytes, which are all that raft uses. */
export function readFields(bytes: Uint8Array): Field[] {
  let at = 0;
  const varint = () => {
    let value = 0, unit = 1;
    for (; bytes[at] >= 128; unit *= 128) value += (bytes[at++] - 128) * unit;
    return value + bytes[at++] * unit;
  };
  const fields: Field[] = [];
  while (at < bytes.length) {
    const key = varint(), wire = key % 8, number = Math.floor(key / 8);
    if (wire !== VARINT && wire !== BYTES) throw new Error(`wire type ${wire} in raft's message`);
    const value = varint();
    if (wire === VARINT) fields.push([number, value]);
    else fields.push([number, bytes.slice(at, at += value)]);
  }
  return fields;
}

/** Writes a message. */
export function writeFields(fields: readonly Field[]): Uint8Array {
  const out: number[] = [];
  const varint = (value: number) => {
    for (; value >= 128; value = Math.floor(value / 128)) out.push(value % 128 + 128);
    out.push(value);
  };
  for (const [number, value] of fields) {
    varint(number * 8 + (typeof value === "number" ? VARINT : BYTES));
    if (typeof value === "number") varint(value);
    else {
      varint(value.length);
      for (const byte of value) out.push(byte);
    }
  }
  return Uint8Array.from(out);
}

/** A field that is a number; 0 where it is left out. */
export function numberOf(fields: readonly Field[], number: number): number {
  const value = fields.find(([n]) => n === number)?.[1];
  return typeof value === "number" ? value : 0;
}

/** The same fields but for some that are numbers. */
export function withNumbers(fields: readonly Field[], changes: Record<number, number>): Field[] {
  const kept = fields.filter(([number]) => !(number in changes));
  return [...kept, ...Object.entries(changes).map(([n, value]): Field => [Number(n), value])];
}
