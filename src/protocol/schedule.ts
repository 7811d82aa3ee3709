/**
 * The schedule vector: an XOR invertible Bloom lookup table of the reservations of a round. Nobody
 * owns a cell, so a client can reserve without showing that it does.
 *
 * Entry, 24 bytes: commitment c (16) ‖ u16 units ‖ u16 flags = 0 ‖ check (4), where check =
 * `H(check ‖ h ‖ first 20 bytes)[0..4]`. Four sub-tables of `per` cells; the entry is XORed into
 * cells `j × per + (u32 at 4 j of H(cell ‖ h ‖ c)) mod per`, j = 0..3.
 */
import { equal, type HeaderHash, hex, isZero, Writer } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { hash } from "./hash.ts";

/** Bytes of an entry and of a cell. */
export const ENTRY_BYTES = 24;

/** A reservation as it was taken from the table. */
export interface Reservation {
  readonly commitment: Uint8Array;
  readonly units: number;
  readonly flags: number;
}

/** What a table gave: its entries in the order they were peeled, and whether nothing was left. */
export interface DecodedSchedule {
  readonly entries: readonly Reservation[];
  readonly complete: boolean;
}

/** The entry of a reservation under `h`. */
export function createEntry(h: HeaderHash, commitment: Uint8Array, units: number): Uint8Array {
  const body = new Writer().bytes(commitment).u16(units).u16(0).end();
  return new Writer().bytes(body).bytes(check(h, body)).end();
}

/** XORs an entry into the four cells of its commitment. */
export function insertEntry(table: Uint8Array, h: HeaderHash, entry: Uint8Array): void {
  const per = cellsOf(table);
  for (const cell of cells(h, entry.subarray(0, 16), per)) {
    xorCell(table, cell * ENTRY_BYTES, entry);
  }
}

/**
 * Peels a table. The order is part of the protocol, since a malicious table decodes differently in
 * another: pass over the cells upwards until a whole pass peels nothing or 4 × per are out.
 */
export function decodeSchedule(vector: Uint8Array, h: HeaderHash): DecodedSchedule {
  const per = cellsOf(vector), count = 4 * per;
  const table = vector.slice(), words = new Int32Array(table.buffer);
  const entries: Reservation[] = [], peeled = new Set<string>();
  // A cell that was refused is looked at again only after its bytes changed.
  const pending = new Uint8Array(count).fill(1);
  for (let progress = true; progress && entries.length < count;) {
    progress = false;
    for (let cell = 0; cell < count && entries.length < count; cell++) {
      if (pending[cell] === 0) continue;
      pending[cell] = 0;
      const at = cell * ENTRY_BYTES;
      if (emptyCell(words, at / 4)) continue;
      const entry = table.slice(at, at + ENTRY_BYTES);
      if (!equal(check(h, entry.subarray(0, 20)), entry.subarray(20))) continue;
      const c = entry.subarray(0, 16), name = hex(c);
      const places = cells(h, c, per);
      if (!places.includes(cell) || peeled.has(name)) continue;
      peeled.add(name);
      for (const place of places) {
        xorCell(table, place * ENTRY_BYTES, entry);
        pending[place] = 1;
      }
      entries.push({
        commitment: c,
        units: entry[16] | entry[17] << 8,
        flags: entry[18] | entry[19] << 8,
      });
      progress = true;
    }
  }
  return { entries, complete: isZero(table) };
}

function check(h: HeaderHash, body: Uint8Array): Uint8Array {
  return hash("check", h, body).subarray(0, 4);
}

function cells(h: HeaderHash, commitment: Uint8Array, per: number): number[] {
  const d = hash("cell", h, commitment);
  const word = (at: number) => (d[at] | d[at + 1] << 8 | d[at + 2] << 16 | d[at + 3] << 24) >>> 0;
  return [word(0) % per, per + word(4) % per, 2 * per + word(8) % per, 3 * per + word(12) % per];
}

function cellsOf(table: Uint8Array): number {
  if (table.length === 0 || table.length % (4 * ENTRY_BYTES) !== 0) {
    throw new ProtocolError(
      "length",
      `a schedule of ${table.length} bytes, expected four equal sub-tables`,
    );
  }
  return table.length / (4 * ENTRY_BYTES);
}

function emptyCell(words: Int32Array, at: number): boolean {
  return (words[at] | words[at + 1] | words[at + 2] | words[at + 3] | words[at + 4] |
    words[at + 5]) === 0;
}

function xorCell(table: Uint8Array, at: number, entry: Uint8Array): void {
  for (let i = 0; i < ENTRY_BYTES; i++) table[at + i] ^= entry[i];
}
