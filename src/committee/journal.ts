/**
 * The seam to whatever keeps a server's order over a crash: records, appended and now and then
 * replaced as a whole.
 */

/** A write-ahead log. */
export interface Journal {
  /** All records, oldest first; called once, before the first write. */
  load(): readonly Uint8Array[];
  /** Appends one record; durable once it returns. */
  append(record: Uint8Array): void;
  /** Replaces all records by these; a crash at any moment leaves the old ones or the new. */
  replace(records: readonly Uint8Array[]): void;
}
