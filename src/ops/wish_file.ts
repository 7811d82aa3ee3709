/**
 * The file in a server's data folder in which its operator states what it wishes of the committee
 * (`src/committee/wish.ts` has the layout). The server only reads it, the operator's tool replaces
 * it whole; so the tool needs no hold of the folder, and works while the server runs. The operator
 * may be another user than the server's, such as root: it holds public keys, so anyone who reaches
 * the folder may read it.
 */
import { attempt, attemptToRead, readIfPresent, replaceDurably } from "./files.ts";

const NAME = "wish";

/** What was stated, as bytes; undefined if nothing was. Throws a `StoreError` if it cannot be read. */
export function readWish(folder: string): Uint8Array | undefined {
  return attemptToRead(folder, () => readIfPresent(`${folder}/${NAME}`));
}

/** States a wish, or takes it back. */
export function writeWish(folder: string, wish: Uint8Array | undefined): void {
  const path = `${folder}/${NAME}`;
  attempt(folder, () => {
    if (wish) return replaceDurably(path, [wish], 0o644);
    if (readIfPresent(path)) Deno.removeSync(path);
  });
}
