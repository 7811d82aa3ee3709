/**
 * The schedule vector: an XOR invertible Bloom lookup table of the reservations of a round. Nobody
 * owns a cell, so a client can reserve without showing that it does.
 *
 * Entry, 24 bytes: commitment c (16) ‖ u16 units ‖ u16 flags = 0 ‖ check (4), where check =
 * `H(check ‖ h ‖ first 20 bytes)[0..4]`. Four sub-tables of `per` cells; the entry is XORed into
 * cells `j × per + (u32 at 4 j of H(cell ‖ h ‖ c)) mod per`, j = 0..3.
 */
import { type HeaderHash, hex, Reader, Writer, xorInto } from "./bytes.ts";
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
    xorInto(table.subarray(cell * ENTRY_BYTES, (cell + 1) * ENTRY_BYTES), entry);
  }
}

/**
 * Peels a table. The order is part of the protocol, since a malicious table decodes differently in
 * another: pass over the cells upwards until a whole pass peels nothing or 4 × per are out.
 */
export function decodeSchedule(vector: Uint8Array, h: HeaderHash): DecodedSchedule {
  const per = cellsOf(vector);
  const table = vector.slice();
  const at = (cell: number) => table.subarray(cell * ENTRY_BYTES, (cell + 1) * ENTRY_BYTES);
  const entries: Reservation[] = [], peeled = new Set<string>();
  // A cell that was refused is looked at again only after its bytes changed.
  const pending = new Uint8Array(4 * per).fill(1);
  for (let progress = true; progress && entries.length < 4 * per;) {
    progress = false;
    for (let cell = 0; cell < 4 * per && entries.length < 4 * per; cell++) {
      if (pending[cell] === 0) continue;
      pending[cell] = 0;
      const entry = at(cell);
      if (empty(entry)) continue;
      const c = entry.slice(0, 16);
      const expected = check(h, entry.subarray(0, 20));
      if (expected.some((byte, i) => byte !== entry[20 + i])) continue;
      const places = cells(h, c, per);
      if (!places.includes(cell) || peeled.has(hex(c))) continue;
      peeled.add(hex(c));
      const copy = entry.slice();
      for (const place of places) {
        xorInto(at(place), copy);
        pending[place] = 1;
      }
      const fields = new Reader(copy.subarray(16, 20), "entry");
      entries.push({ commitment: c, units: fields.u16(), flags: fields.u16() });
      progress = true;
    }
  }
  return { entries, complete: empty(table) };
}

function check(h: HeaderHash, body: Uint8Array): Uint8Array {
  return hash("check", h, body).subarray(0, 4);
}

function cells(h: HeaderHash, commitment: Uint8Array, per: number): number[] {
  const digest = new Reader(hash("cell", h, commitment), "cell");
  return [0, 1, 2, 3].map((j) => j * per + digest.u32() % per);
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

function empty(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
